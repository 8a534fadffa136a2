"""A number taken apart: its formula, baseline, window and revision, the records in it, those left out and why, and what
changed since the sample before."""

from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.aggregate import aggregate
from app.domain.language import MeasuredBaseline
from app.domain.progress import progress
from app.domain.window import TimeSpan
from app.errors import InvalidInput
from app.services.answers import answered, tool_answer
from app.services.definitions import Definition, cycle_span, definition_of, dump, team_cycle
from app.services.evaluate import Computed, compute
from app.services.explain_delta import Today, earlier_sample, explain_delta
from app.services.explain_parts import explain_inputs, explain_steps, point_query, shown_formula
from app.services.explain_time import explain_share, open_record
from app.services.input_graph import cycles_asked, needs_cycle
from app.services.intervals import OpenDuration, durations, open_durations
from app.services.read import Judged, judged_key_result, number
from app.services.revisions import window_value
from app.services.views import (
    BaselineView,
    ExplainDelta,
    ExplainedPart,
    ExplainedRecord,
    ExplainView,
    KeyResultView,
    MetricReference,
    RevisionView,
    WindowView,
)
from app.store import facts, organisation, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import Fact

_JUST_BEFORE = timedelta(microseconds=1)


async def explain(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    cycle: str | None = None,
    since: datetime | int | None = None,
    limit: int = 500,
) -> ExplainView | None:
    """Why a key result has its value; records are listed up to `limit` each way, the counts are whole. `since` is the
    moment or the sample to tell the difference from, by default the sample before."""
    judged = await judged_key_result(session, team, name, now=now, cycle=cycle, as_of=as_of, known_at=known_at)
    if judged is None:
        return None
    row = judged.row
    item = (await organisation.revised_metrics(session, [row.metric.id])).get(row.metric.id)
    if item is None:
        item = (await organisation.revised_metrics(session, [row.metric.id], building=True))[row.metric.id]
    # Windows are half-open: the cycle's end is already the next one's.
    end = team_cycle(row.team, row.key_result.cycle).end - _JUST_BEFORE
    sealed = judged.view.sealed
    if sealed is not None:
        # What was sealed is taken apart as it was known then; what came later is told by its restatements.
        end, known_at = min(end, sealed.closed_at), known_at or sealed.closed_at
    if known_at is not None:
        revision = await organisation.revision_at(session, row.metric.id, known_at)
        if revision is not None and revision.id != item.revision.id:
            item = await organisation.with_revision(session, item, revision)
    explained = await _taken_apart(
        session,
        item,
        row.key_result.cycle,
        judged,
        moment=min(as_of or now, end),
        is_now=as_of is None and known_at is None and now <= end,
        known_at=known_at,
        since=since,
        limit=limit,
    )
    more = {name: getattr(judged.view, name) for name in ("override", "grade", "restatements", "sealed")}
    return explained.model_copy(update=more)


async def explain_metric(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    cycle: str | None = None,
    since: datetime | int | None = None,
    limit: int = 500,
) -> ExplainView | None:
    """Why a metric has its value; one over the cycle's window is asked for a `cycle`, else that of its key results."""
    metric = await organisation.get_metric(session, team, name)
    item = None if metric is None else (await organisation.revised_metrics(session, [metric.id])).get(metric.id)
    if metric is None or item is None:
        return None
    if known_at is not None:
        revision = await organisation.revision_at(session, metric.id, known_at)
        if revision is not None and revision.id != item.revision.id:
            item = await organisation.with_revision(session, item, revision)
    moment = as_of or now
    if await needs_cycle(session, item):
        cycle = cycle or max((await cycles_asked(session, [metric.id])).get(metric.id, set()), default=None)
        if cycle is None:
            raise InvalidInput.at("/cycle", "required", "This metric's window is a cycle's: say which.", "query")
        span = cycle_span(item.team, cycle)
        if span is None or span.end is None:
            raise InvalidInput.at("/cycle", "unknown", "The metric's team knows no such cycle.", "query")
        moment = min(moment, span.end - _JUST_BEFORE)
    is_now = as_of is None and known_at is None and moment == now
    return await _taken_apart(
        session, item, cycle or "", None, moment=moment, is_now=is_now, known_at=known_at, since=since, limit=limit
    )


async def _taken_apart(
    session: Session,
    item: RevisedMetric,
    cycle: str,
    judged: Judged | None,
    *,
    moment: datetime,
    is_now: bool,
    known_at: datetime | None,
    since: datetime | int | None,
    limit: int,
) -> ExplainView:
    definition = definition_of(item.revision)
    asked = cycle if await needs_cycle(session, item) else ""
    computed = await compute(session, item, cycle=asked, as_of=moment, known_at=known_at)
    observed_at = None if judged is None else judged.view.observed_at
    if computed.changes_at is not None and is_now and observed_at is not None and not definition.spec.formula:
        # A number that moves with the clock is taken apart as of the moment that it was measured at.
        moment = min(moment, observed_at)
        computed = await compute(session, item, cycle=asked, as_of=moment)
    inputs = await explain_inputs(session, item, cycle=asked, as_of=moment, known_at=known_at, is_now=is_now)
    steps = await explain_steps(session, item, as_of=moment, known_at=known_at)
    bounds = facts.Window(computed.window.start, computed.window.end, moment, known_at)
    parts: list[ExplainedPart] = []
    included: list[ExplainedRecord] = []
    excluded: list[ExplainedRecord] = []
    for part in definition.spec.parts() if definition.spec.milestones is None else ():
        explained, inside, outside = await _part(
            session, item, definition, part, bounds, asked, as_of=moment, known_at=known_at, limit=limit
        )
        parts.append(explained)
        included += inside
        excluded += outside
    shown_at = None if is_now else known_at or moment
    before = await earlier_sample(session, item.metric.id, asked, since, shown_at=shown_at)
    delta = None
    if before is not None:
        delta = await explain_delta(session, Today(item, asked, bounds, computed), before, limit=min(limit, 100))
        delta = _with_progress(delta, judged)
    metric = f"{item.team.name}/{item.metric.name}"
    if definition.spec.formula is not None:
        made = shown_formula(item, inputs, computed.value)
    else:
        made = how_made(definition, computed, parts)
    view = None if judged is None else judged.view
    return ExplainView(
        id=metric if view is None else view.id,
        metric=MetricReference(id=metric, unit=item.metric.unit, revision=item.revision.number),
        as_of=moment,
        known_at=known_at,
        value=computed.value if view is None else view.value,
        reason=computed.reason if view is None else view.reason or computed.reason,
        progress=None if view is None else view.progress,
        status=None if view is None else view.status,
        formula=made if view is None else made + how_judged(view),
        baseline=None if judged is None else await _baseline(session, judged, item),
        target=None if view is None else view.target,
        window=WindowView(start=computed.window.start, end=computed.window.end, rule=window_value(definition.spec)),
        revision=RevisionView(number=item.revision.number, author=item.revision.author, since=item.revision.created_at),
        parts=parts,
        counts={
            "included": sum(part.included for part in parts),
            "excluded": sum(part.excluded for part in parts),
        },
        included=included,
        excluded=excluded,
        inputs=inputs,
        steps=steps,
        coverage=None if computed.coverage is None else float(computed.coverage),
        delta=delta,
    )


def _with_progress(delta: ExplainDelta, judged: Judged | None) -> ExplainDelta:
    """The progress that the value meant then, by today's baseline and target."""
    view = None if judged is None else judged.view
    if view is None or view.projected_value is not None or delta.value_before is None:
        return delta
    if view.baseline is None or view.target is None:
        return delta
    reached = number(progress(delta.value_before, view.baseline, view.target))
    return delta.model_copy(update={"progress_before": reached})


async def _part(
    session: Session,
    item: RevisedMetric,
    definition: Definition,
    part: str,
    bounds: facts.Window,
    cycle: str,
    *,
    as_of: datetime,
    known_at: datetime | None,
    limit: int,
) -> tuple[ExplainedPart, list[ExplainedRecord], list[ExplainedRecord]]:
    source = dump(definition.spec.parts()[part])
    if definition.spec.state_share is not None:
        return await explain_share(session, item, definition, part, bounds, limit=limit)
    if part in definition.extractions:
        count, reasons = await facts.count_facts(session, item.revision.id, part, bounds)
        inside = await facts.facts_in(session, item.revision.id, part, bounds, included=True, limit=limit)
        outside = await facts.facts_in(session, item.revision.id, part, bounds, included=False, limit=limit)
        unfinished = await open_durations(session, item.revision.id, part, definition, bounds)
        counted = [one for one in unfinished if one.reason is None]
        too_long = [one for one in unfinished if one.reason is not None]
        for one in too_long:
            reasons[one.reason or ""] = reasons.get(one.reason or "", 0) + 1
        value = await _part_value(session, item, definition, part, bounds, unfinished)
        explained = ExplainedPart(
            part=part,
            source=source,
            aggregate=definition.aggregate_of(part),
            value=value,
            included=count + len(counted),
            excluded=sum(reasons.values()),
            excluded_reasons=reasons,
            open=len(counted),
        )
        return (
            explained,
            [
                *(open_record(part, one, definition) for one in counted[:limit]),
                *(_record(fact, definition) for fact in inside),
            ][:limit],
            [
                *(open_record(part, one, definition) for one in too_long[:limit]),
                *(_record(fact, definition) for fact in outside),
            ][:limit],
        )
    if definition.spec.manual is not None:
        asserted = await samples.latest_asserted(session, item.metric.id, as_of=as_of, known_at=known_at)
        explained = ExplainedPart(
            part=part,
            source=source,
            aggregate=None,
            value=None if asserted is None else asserted.value,
            included=0 if asserted is None else 1,
            excluded=0,
            excluded_reasons={},
        )
        if asserted is None:
            return explained, [], []
        label = f"asserted by {asserted.author}" + (f": {asserted.note}" if asserted.note else "")
        record = ExplainedRecord(
            part=part,
            entity=asserted.day,
            label=label,
            at=asserted.effective_at,
            value=asserted.value,
            link=asserted.link,
        )
        return explained, [record], []
    window = TimeSpan(bounds.start, bounds.end)
    measured = await tool_answer(session, item, definition, part, window, cycle=cycle, as_of=as_of, known_at=known_at)
    unasked = ExplainedPart(
        part=part, source=source, aggregate=None, value=None, included=0, excluded=0, excluded_reasons={}
    )
    return (unasked if measured is None else unasked.model_copy(update=answered(measured))), [], []


async def _part_value(
    session: Session,
    item: RevisedMetric,
    definition: Definition,
    part: str,
    bounds: facts.Window,
    unfinished: list[OpenDuration],
) -> Decimal | None:
    if unfinished:
        seconds = await durations(session, item.revision.id, part, bounds, unfinished)
        return aggregate(definition.aggregate_of(part), seconds, divisor=definition.divisor)
    found = await facts.values_in(session, item.revision.id, part, bounds)
    how = definition.aggregate_of(part)
    if how == "distinct":
        return Decimal(len({group for _, group in found}))
    return aggregate(how, [value for value, _ in found], divisor=definition.divisor)


def _record(fact: Fact, definition: Definition) -> ExplainedRecord:
    value = None if fact.value is None else definition.in_unit(fact.value)
    return ExplainedRecord(
        part=fact.part,
        entity=fact.entity,
        label=fact.label,
        at=fact.at,
        value=value,
        reason=fact.reason,
        link=fact.link,
    )


def how_made(definition: Definition, computed: Computed, parts: list[ExplainedPart]) -> str:
    """How the number came about, with the numbers in it."""
    value = _text(computed.value)
    unit = definition.spec.unit
    if definition.spec.ratio is not None:
        scale = " × 100" if unit == "percent" else ""
        sides = {part.part: _text(part.value) for part in parts}
        made = f"{sides['good']} / {sides['total']}{scale} = {value} {unit}"
    elif definition.spec.state_share is not None:
        covered = parts[0].coverage
        made = f"{_text(computed.numerator)} s good / {_text(computed.denominator)} s measured × 100 = {value} {unit}"
        made += "" if covered is None else f" ({covered:.1%} of the time is measured)"
    elif definition.extractions:
        made = f"{parts[0].aggregate} of {parts[0].included} = {value} {unit}"
    elif definition.spec.manual is not None:
        made = f"asserted = {value} {unit}"
    elif definition.spec.milestones is not None:
        made = f"{_text(computed.numerator)} done / {_text(computed.denominator)} known × 100 = {value} {unit}"
    else:
        made = f"measured by the tool = {value} {unit}"
    return made


def how_judged(view: KeyResultView) -> str:
    """How progress came about, after how the number did; empty where there is none."""
    judged_value = view.projected_value if view.projected_value is not None else view.value
    if view.progress is None or view.baseline is None or view.target is None:
        return ""
    shown = _text(judged_value)
    projected = "" if view.projected_value is None else f"; projected to the window's end = {shown} {view.metric.unit}"
    return projected + (
        f"; progress = ({shown} − {_text(view.baseline)}) / ({_text(view.target)} − {_text(view.baseline)})"
        f" = {view.progress:.4g}"
    )


def _text(value: Decimal | None) -> str:
    return "unknown" if value is None else format(value, "f")


async def _baseline(session: Session, judged: Judged, item: RevisedMetric) -> BaselineView | None:
    spec, row = judged.spec, judged.row
    if spec.baseline is None:
        return None
    if not isinstance(spec.baseline, MeasuredBaseline):
        return BaselineView(value=spec.baseline, rule=format(spec.baseline, "f"))
    frozen = (await samples.frozen_baselines(session, [row.key_result.id])).get((row.key_result.id, ""))
    view = BaselineView(value=judged.view.baseline, rule=dump(spec.baseline))
    if frozen is None or frozen.rule != f"measure:{spec.baseline.measure}":
        return view  # what is frozen is of the period that was named before
    of, period, taken_apart = frozen.evidence["metric"], frozen.rule.removeprefix("measure:"), None
    if "answers" not in frozen.evidence:
        # Facts are never changed, so its records are those of then for ever; what tools said is in the evidence.
        asked = period if await needs_cycle(session, item) else ""
        moment = team_cycle(row.team, period).end - _JUST_BEFORE
        taken_apart = f"/v1/metrics/{of}/explain{point_query(asked, moment, frozen.frozen_at)}"
    more = {"frozen_at": frozen.frozen_at, "evidence": frozen.evidence, "explain": taken_apart}
    return view.model_copy(update=more)
