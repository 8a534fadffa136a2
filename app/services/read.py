"""Key results, objectives and metrics as readers get them: rows from the store, judged by pure functions at `now`.

Now is the fast way: the stored current samples, one query for the list. Another moment (`as_of`, `known_at`, or a cycle
that has ended) is computed from facts and measurements, metric by metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from app.domain.cycle import Cycle
from app.domain.guardrail import Guardrail
from app.domain.judgement import Judgement, KeyResultStatus, Standing, judge
from app.domain.language import Change, KeyResultSpec, Maintain, MeasuredBaseline, MetricSpec
from app.domain.progress import progress
from app.domain.window import TimeSpan
from app.services.definitions import definition_of, dump, split_reference, team_cycle, team_zone
from app.services.evaluate import Computed, compute
from app.services.formula_sources import FormulaSources, formula_sources
from app.services.input_graph import needs_cycle
from app.services.sources import SourceState, source_state
from app.services.views import (
    ComplianceView,
    CycleView,
    FreshnessView,
    GuardrailView,
    KeyResultView,
    MetricReference,
    MetricView,
    SampleView,
    WindowView,
)
from app.store import organisation, samples
from app.store.database import Session
from app.store.organisation import KeyResultFilter, KeyResultRow, RevisedMetric
from app.store.tables import FrozenBaseline, Metric, Sample, Team

_JUST_BEFORE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyResultQuery:
    """What to list. `as_of` is true at, `known_at` recorded by; `after` the (team, name, cycle) to go on after."""

    team: str | None = None
    cycle: str | None = None
    objective: str | None = None
    status: KeyResultStatus | None = None
    freshness: Literal["fresh", "stale", "no_data", "error"] | None = None
    owner: str | None = None
    kind: Literal["committed", "aspirational"] | None = None
    metric: str | None = None
    q: str | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    after: tuple[str, str, str] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """A key result's row with its spec, its judgement and what was judged."""

    row: KeyResultRow
    spec: KeyResultSpec
    judgement: Judgement
    view: KeyResultView


async def list_key_results(
    session: Session, query: KeyResultQuery, *, now: datetime
) -> tuple[list[KeyResultView], tuple[str, str, str] | None]:
    """A page of key results and where the next one starts (None: this was the last)."""
    objective_team, objective = _split(query.objective)
    metric_team, metric = _split(query.metric)
    teams = {name for name in (query.team, objective_team) if name is not None}
    if len(teams) > 1:
        return [], None
    wanted = KeyResultFilter(
        team=next(iter(teams), None),
        cycle=query.cycle,
        objective=objective,
        metric=metric,
        metric_team=metric_team,
        after=query.after,
        current_only=query.cycle is None,
    )
    rows = await organisation.key_result_rows(session, wanted)
    found: list[KeyResultView] = []
    judged = await judge_rows(session, rows, now=now, as_of=query.as_of, known_at=query.known_at)
    for index, item in enumerate(judged):
        if not _matches(query, item.view):
            continue
        found.append(item.view)
        if len(found) == query.limit:
            last = item.row
            is_more = any(_matches(query, later.view) for later in judged[index + 1 :])
            place = (last.team.name, last.key_result.name, last.key_result.cycle)
            return found, place if is_more else None
    return found, None


def _split(reference: str | None) -> tuple[str | None, str | None]:
    if reference is None:
        return None, None
    team, slash, name = reference.partition("/")
    return (team, name) if slash else (None, team)


def _matches(query: KeyResultQuery, view: KeyResultView) -> bool:
    words = query.q.casefold() if query.q else None
    return (
        (query.status is None or view.status == query.status)
        and (query.freshness is None or view.freshness.level == query.freshness)
        and (query.owner is None or view.owner == query.owner)
        and (query.kind is None or view.kind == query.kind)
        and (words is None or words in view.id.casefold() or words in view.title.casefold())
    )


async def get_key_result(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    cycle: str | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> KeyResultView | None:
    """One key result: its current instance, or that of a cycle."""
    judged = await judged_key_result(session, team, name, now=now, cycle=cycle, as_of=as_of, known_at=known_at)
    return None if judged is None else judged.view


async def judged_key_result(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    cycle: str | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Judged | None:
    """One key result with what was judged."""
    wanted = KeyResultFilter(team=team, name=name, cycle=cycle, current_only=cycle is None)
    rows = await organisation.key_result_rows(session, wanted)
    judged = await judge_rows(session, rows[:1], now=now, as_of=as_of, known_at=known_at)
    return judged[0] if judged else None


async def judge_rows(
    session: Session,
    rows: Sequence[KeyResultRow],
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> list[Judged]:
    """Judge rows at `as_of` (None: now) as known at `known_at` (None: now)."""
    baselines = await samples.frozen_baselines(session, [row.key_result.id for row in rows])
    guarded = await _guardrail_values(session, rows, now=now, as_of=as_of, known_at=known_at)
    formulas = await formula_sources(
        session,
        [
            RevisedMetric(row.metric, row.revision, row.metric_team, {})
            for row in rows
            if row.revision is not None and definition_of(row.revision).spec.formula is not None
        ],
    )
    judged = []
    for row in rows:
        cycle = team_cycle(row.team, row.key_result.cycle)
        moment = as_of or now
        computed: Computed | None = None
        if as_of is not None or known_at is not None or now >= cycle.end:
            moment = min(moment, cycle.end)
            computed = await _computed_at(session, row, min(moment, cycle.end - _JUST_BEFORE), known_at)
        judged.append(_judged(row, computed, baselines, guarded, formulas, moment=moment, now=now))
    return judged


async def _computed_at(
    session: Session, row: KeyResultRow, as_of: datetime, known_at: datetime | None
) -> Computed | None:
    revised = await organisation.revised_metrics(session, [row.metric.id])
    item = revised.get(row.metric.id)
    if item is None:
        return None
    if known_at is not None:
        # What was known then was known under the rule in force then.
        revision = await organisation.revision_at(session, row.metric.id, known_at)
        if revision is not None and revision.id != item.revision.id:
            item = await organisation.with_revision(session, item, revision)
    cycle = row.key_result.cycle if await needs_cycle(session, item) else ""
    return await compute(session, item, cycle=cycle, as_of=as_of, known_at=known_at)


async def _guardrail_values(
    session: Session,
    rows: Sequence[KeyResultRow],
    *,
    now: datetime,
    as_of: datetime | None,
    known_at: datetime | None,
) -> dict[tuple[int, str, str], tuple[Decimal | None, str | None]]:
    """(value, why it is unknown) of guardrails' metrics, by (team, metric, cycle)."""
    wanted: dict[tuple[int, str, str], Team] = {}
    named: dict[tuple[int, str], tuple[str, str]] = {}
    for row in rows:
        for guardrail in row.key_result.spec.get("guardrails", ()):
            wanted[(row.team.id, guardrail["metric"], row.key_result.cycle)] = row.team
            named[(row.team.id, guardrail["metric"])] = split_reference(guardrail["metric"], row.team.name)
    if not wanted:
        return {}
    metrics = await organisation.metrics_named(session, set(named.values()))
    revised = await organisation.revised_metrics(session, [metric.id for metric in metrics.values()])
    current = await samples.current_samples(session, [metric.id for metric in metrics.values()])
    values: dict[tuple[int, str, str], tuple[Decimal | None, str | None]] = {}
    for (team_id, name, cycle), team in wanted.items():
        metric = metrics.get(named[(team_id, name)])
        item = None if metric is None else revised.get(metric.id)
        if metric is None or item is None:
            values[(team_id, name, cycle)] = (None, "it is being built")
            continue
        asked = cycle if await needs_cycle(session, item) else ""
        end = team_cycle(team, cycle).end
        if as_of is not None or known_at is not None or now >= end:
            moment = min(as_of or now, end - _JUST_BEFORE)
            computed = await compute(session, item, cycle=asked, as_of=moment, known_at=known_at)
            values[(team_id, name, cycle)] = (computed.value, computed.reason)
        else:
            sample = current.get((metric.id, asked))
            values[(team_id, name, cycle)] = (
                (None, "it has no value yet") if sample is None else (sample.value, sample.reason)
            )
    return values


def _judged(
    row: KeyResultRow,
    computed: Computed | None,
    baselines: dict[tuple[int, str], FrozenBaseline],
    guarded: dict[tuple[int, str, str], tuple[Decimal | None, str | None]],
    formulas: FormulaSources | None,
    *,
    moment: datetime,
    now: datetime,
) -> Judged:
    key_result, team = row.key_result, row.team
    spec = KeyResultSpec.model_validate(key_result.spec)
    cycle = team_cycle(team, key_result.cycle)
    definition = None if row.revision is None else definition_of(row.revision)
    sample = row.sample
    if computed is not None:
        value, reason, size, window = computed.value, computed.reason, computed.sample_size, computed.window
        observed_at, measured_at = computed.observed_at, None if sample is None else sample.measured_at
    elif sample is not None:
        value, reason, size = sample.value, sample.reason, sample.sample_size
        window = TimeSpan(sample.window_start, sample.window_end)
        observed_at, measured_at = sample.observed_at, sample.measured_at
    else:
        value, size, window, observed_at, measured_at = None, None, TimeSpan(None, None), None, None
        reason = "it is being built" if row.metric.building_revision_id is not None else "there is no value yet"
    frozen = baselines.get((key_result.id, ""))
    baseline = _baseline(spec, frozen)
    is_formula = formulas is not None and definition is not None and definition.spec.formula is not None
    if formulas is not None and is_formula:
        state = formulas.state(row.metric.id, spec.fresh_within)
        is_cumulative = formulas.graph.is_cumulative(row.metric.id)
    else:
        state = source_state(
            row.metric_team.name,
            row.sources,
            definition,
            spec.fresh_within,
            asserted_at=None if sample is None or sample.value is None else sample.observed_at,
        )
        is_cumulative = definition is not None and definition.is_cumulative
    guardrails = []
    own_baselines: dict[str, Decimal | None] = {}
    for guardrail in spec.guardrails:
        kept = baselines.get((key_result.id, guardrail.metric))
        own = guardrail.baseline if guardrail.baseline is not None else (None if kept is None else kept.value)
        own_baselines[guardrail.metric] = own
        found, why = guarded.get((team.id, guardrail.metric, key_result.cycle), (None, "it has no value yet"))
        guardrails.append(
            Guardrail(metric=guardrail.metric, must=guardrail.must, value=found, baseline=own, unknown_reason=why)
        )
    standing = Standing(
        target_rule=spec.target,
        cycle=cycle.span,
        fresh_within=state.fresh_within,
        value=value,
        unknown_reason=reason,
        baseline=baseline,
        kind=spec.kind,
        unit=row.metric.unit,
        window=window,
        is_cumulative=is_cumulative,
        last_success_at=state.last_success_at,
        failing_reason=state.failing_reason,
        guardrails=tuple(guardrails),
        is_closed=now >= cycle.end,
    )
    judgement = judge(standing, moment)
    if moment != now and now < cycle.end:
        # How fresh the source is now has no bearing on what was true then.
        judgement = replace(judgement, freshness=state.freshness(now))
    view = KeyResultView(
        id=f"{team.name}/{key_result.name}",
        title=spec.title or _title(key_result.name),
        objective=f"{team.name}/{row.objective.name}",
        cycle=cycle_view(cycle, team),
        kind=spec.kind,
        weight=spec.weight,
        owner=spec.owner or row.objective.spec.get("owner"),
        metric=MetricReference(
            id=f"{row.metric_team.name}/{row.metric.name}",
            unit=row.metric.unit,
            revision=0 if row.revision is None else row.revision.number,
        ),
        baseline=baseline,
        target=judgement.target,
        target_rule=target_rule(spec.target),
        value=value,
        projected_value=judgement.projected_value,
        sample_size=size,
        coverage=_coverage(sample if computed is None else computed),
        observed_at=observed_at,
        measured_at=measured_at,
        progress=number(judgement.progress),
        expected_progress=number(judgement.expected_progress),
        status=judgement.status,
        reason=judgement.reason,
        freshness=freshness_view(judgement.freshness),
        compliance=_compliance(judgement),
        guardrails=[
            GuardrailView(
                metric="/".join(split_reference(item.metric, team.name)),
                must=item.must,
                value=item.value,
                baseline=own_baselines.get(item.metric),
                holds=item.holds,
            )
            for item in judgement.guardrails
        ],
        source=state.view(),
        managed_by=key_result.managed_by,
        version=key_result.version,
    )
    return Judged(row, spec, judgement, view)


def _baseline(spec: KeyResultSpec, frozen: FrozenBaseline | None) -> Decimal | None:
    if isinstance(spec.baseline, MeasuredBaseline):
        is_its_own = frozen is not None and frozen.rule == f"measure:{spec.baseline.measure}"
        return frozen.value if frozen is not None and is_its_own else None
    return spec.baseline


def _coverage(value: Sample | Computed | None) -> float | None:
    return None if value is None or value.coverage is None else float(value.coverage)


def _compliance(judgement: Judgement) -> ComplianceView | None:
    kept = judgement.compliance
    return None if kept is None else ComplianceView(bound=kept.bound, holds=kept.holds, remaining=kept.margin)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def number(share: Fraction | None) -> float | None:
    """A ratio as JSON carries it: the nearest double of the exact fraction, made only after every decision."""
    return None if share is None else share.numerator / share.denominator


def cycle_view(cycle: Cycle, team: Team) -> CycleView:
    """A cycle in the team's local days."""
    zone = team_zone(team)
    return CycleView(name=cycle.name, start=cycle.start.astimezone(zone).date(), end=cycle.end.astimezone(zone).date())


def target_rule(target: Decimal | Change | Maintain) -> dict[str, Any]:
    """The target as it was defined."""
    return {"value": format(target, "f")} if isinstance(target, Decimal) else dump(target)


def freshness_view(freshness: Any) -> FreshnessView:
    return FreshnessView(
        level=freshness.level,
        age_seconds=freshness.age_seconds,
        fresh_within_seconds=freshness.fresh_within_seconds,
        reason=freshness.reason,
    )


# --- samples ---------------------------------------------------------------------------------------------------------


async def key_result_history(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    cycle: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    step: timedelta | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[SampleView] | None:
    """The samples behind a key result, oldest first, each with the progress it meant; None where there is none."""
    judged = await judged_key_result(session, team, name, now=now, cycle=cycle)
    if judged is None:
        return None
    row = judged.row
    asked = ""
    item = None if row.revision is None else RevisedMetric(row.metric, row.revision, row.metric_team, {})
    if item is not None and await needs_cycle(session, item):
        asked = row.key_result.cycle
    found = await samples.list_samples(
        session, row.metric.id, asked, since=since, until=until, step=step, after=after, limit=limit
    )
    baseline, target = judged.view.baseline, judged.view.target
    return [
        sample_view(
            sample,
            revision,
            None
            if sample.value is None or baseline is None or target is None
            else number(progress(sample.value, baseline, target)),
        )
        for sample, revision in found
    ]


async def metric_history(
    session: Session,
    team: str,
    name: str,
    *,
    cycle: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    step: timedelta | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[SampleView] | None:
    """A metric's samples, oldest first."""
    metric = await organisation.get_metric(session, team, name)
    if metric is None:
        return None
    found = await samples.list_samples(
        session, metric.id, cycle, since=since, until=until, step=step, after=after, limit=limit
    )
    return [sample_view(sample, revision) for sample, revision in found]


def sample_view(sample: Sample, revision: int, reached: float | None = None) -> SampleView:
    return SampleView(
        id=sample.id,
        value=sample.value,
        reason=sample.reason,
        sample_size=sample.sample_size,
        numerator=sample.numerator,
        denominator=sample.denominator,
        coverage=_coverage(sample),
        quality=sample.quality,
        revision=revision,
        window=WindowView(start=sample.window_start, end=sample.window_end),
        observed_at=sample.observed_at,
        measured_at=sample.measured_at,
        recorded_at=sample.recorded_at,
        supersedes=sample.supersedes,
        progress=reached,
    )


# --- metrics ---------------------------------------------------------------------------------------------------------


async def list_metrics(
    session: Session,
    *,
    now: datetime,
    team: str | None = None,
    name: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> tuple[list[MetricView], int | None]:
    """A page of metrics and the id to go on after (None: this was the last)."""
    ids = await organisation.list_metric_ids(session, team=team, name=name, after=after, limit=limit + 1)
    page, more = ids[:limit], len(ids) > limit
    current = await organisation.revised_metrics(session, page)
    building = await organisation.revised_metrics(session, page, building=True)
    values = await samples.current_samples(session, page)
    revisions = [item.revision.id for item in (current | building).values()]
    sources = await organisation.metric_sources(session, revisions)
    formulas = await formula_sources(
        session,
        [item for item in (building | current).values() if definition_of(item.revision).spec.formula is not None],
    )
    views = []
    for metric_id in page:
        item = current.get(metric_id) or building.get(metric_id)
        if item is None:
            continue
        sample = values.get((metric_id, "")) or next((s for (m, _), s in values.items() if m == metric_id), None)
        definition = definition_of(item.revision)
        if formulas is not None and definition.spec.formula is not None:
            state = formulas.state(metric_id, None)
        else:
            state = source_state(
                item.team.name,
                sources.get(item.revision.id, []),
                definition,
                None,
                asserted_at=None if sample is None or sample.value is None else sample.observed_at,
            )
        views.append(_metric_view(item, sample, state, definition.spec, now))
    return views, page[-1] if more else None


async def get_metric(session: Session, team: str, name: str, *, now: datetime) -> MetricView | None:
    """One metric with its current value."""
    views, _ = await list_metrics(session, now=now, team=team, name=name, limit=1)
    return views[0] if views else None


def _metric_view(
    item: organisation.RevisedMetric, sample: Sample | None, state: SourceState, spec: MetricSpec, now: datetime
) -> MetricView:
    metric: Metric = item.metric
    value = None if sample is None else sample.value
    return MetricView(
        id=f"{item.team.name}/{metric.name}",
        title=metric.spec.get("title"),
        description=metric.spec.get("description"),
        unit=metric.unit,
        form=spec.form,
        definition=metric.spec,
        revision=item.revision.number,
        revised_at=item.revision.created_at,
        revised_by=item.revision.author,
        is_building=metric.building_revision_id is not None,
        value=value,
        reason=None if sample is None else sample.reason,
        sample_size=None if sample is None else sample.sample_size,
        observed_at=None if sample is None else sample.observed_at,
        measured_at=None if sample is None else sample.measured_at,
        freshness=freshness_view(state.freshness(now)),
        source=state.view(),
        managed_by=metric.managed_by,
        version=metric.version,
    )
