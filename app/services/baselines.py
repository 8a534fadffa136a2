"""Freezing baselines: measured once, kept with their evidence, never measured again."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.language import KeyResultSpec, MeasuredBaseline
from app.services.answers import PastPeriod, answered, tool_answer
from app.services.definitions import definition_of, split_reference, team_cycle
from app.services.evaluate import Computed, compute
from app.services.input_graph import input_graph, needs_cycle
from app.store import deliveries, evidence, organisation, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import KeyResult, Team

#: The last moment of a period: windows are half-open, so its end belongs to the next one.
_JUST_BEFORE = timedelta(microseconds=1)


def baseline_plan(period: str) -> str:
    """The `cycle` under which a push-down query is measured for a baseline of that past period."""
    return f"baseline:{period}"


async def freeze_due(session: Session, *, now: datetime, team_id: int | None = None) -> set[int]:
    """Freeze every baseline that waits and can be measured now; returns the key results that changed."""
    frozen: set[int] = set()
    for key_result, team in await organisation.awaiting_baselines(session, team_id):
        if await _freeze(session, key_result, team, now):
            frozen.add(key_result.id)
    return frozen


async def _freeze(session: Session, key_result: KeyResult, team: Team, now: datetime) -> bool:
    spec = KeyResultSpec.model_validate(key_result.spec)
    known = await samples.frozen_baselines(session, [key_result.id])
    changed, waits = False, False
    if isinstance(spec.baseline, MeasuredBaseline):
        rule = f"measure:{spec.baseline.measure}"
        row = known.get((key_result.id, ""))
        if row is None or row.rule != rule:
            done = await _freeze_measured(session, key_result, team, spec.baseline.measure, rule, now)
            changed, waits = changed or done, waits or not done
    for guardrail in spec.guardrails:
        if guardrail.baseline is not None or not guardrail.must.endswith("of baseline"):
            continue
        if (key_result.id, guardrail.metric) in known:
            continue
        done = await _freeze_first(session, key_result, team, guardrail.metric, now)
        changed, waits = changed or done, waits or not done
    if not waits:
        key_result.awaits_baseline = False
    await session.flush()
    return changed


async def _freeze_measured(
    session: Session, key_result: KeyResult, team: Team, period: str, rule: str, now: datetime
) -> bool:
    cycle = team_cycle(team, period)
    if now < cycle.end:
        return False
    item = (await organisation.revised_metrics(session, [key_result.metric_id])).get(key_result.metric_id)
    if item is None or not await _is_whole(session, item) or not await _is_told_of(session, item, cycle.end):
        return False
    as_of = cycle.end - _JUST_BEFORE
    asked = period if await needs_cycle(session, item) else ""
    # A tool is asked now about the past: the measurement is as new as the answer, its window is the period's.
    past = PastPeriod(baseline_plan(period), cycle.end, now)
    computed = await compute(session, item, cycle=asked, as_of=as_of, past=past)
    answers = [] if computed.value is None else await _answers(session, item, asked, as_of, past)
    return await _keep(session, key_result, "", rule, computed, item, now, answers)


async def _answers(
    session: Session, item: RevisedMetric, cycle: str, as_of: datetime, past: PastPeriod
) -> list[dict[str, Any]]:
    """What tools said of the past period: of the metric itself, and of those that a formula reads."""
    graph, found = await input_graph(session, [item]), []
    for read in graph.items.values():
        definition = definition_of(read.revision)
        asked = [part for part, row in read.parts.items() if row.query_digest]
        if not asked or definition.spec.milestones is not None:
            continue
        own = cycle if graph.needs_cycle(read.metric.id) else ""
        window = (await compute(session, read, cycle=own, as_of=as_of, past=past)).window
        for part in asked:
            answer = await tool_answer(
                session, read, definition, part, window, cycle=own, as_of=as_of, known_at=None, past=past
            )
            if answer is not None:
                of = {"metric": f"{read.team.name}/{read.metric.name}", "part": part}
                found.append(of | {name: _as_json(value) for name, value in answered(answer).items()})
    return found


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value


async def _freeze_first(session: Session, key_result: KeyResult, team: Team, metric: str, now: datetime) -> bool:
    """A guardrail without a baseline of its own holds its first value in the cycle against it."""
    if now < team_cycle(team, key_result.cycle).start:
        return False
    row = await organisation.get_metric(session, *split_reference(metric, team.name))
    item = None if row is None else (await organisation.revised_metrics(session, [row.id])).get(row.id)
    if item is None or not await _is_whole(session, item):
        return False
    cycle = key_result.cycle if await needs_cycle(session, item) else ""
    computed = await compute(session, item, cycle=cycle, as_of=now)
    return await _keep(session, key_result, metric, f"first:{key_result.cycle}", computed, item, now)


async def _is_whole(session: Session, item: RevisedMetric) -> bool:
    """Whether all that the metric reads has come in under its newest rules. Before, a count is 0 for want of a read,
    and would be frozen for good. A query or an asserted value is unknown until it comes and needs no such care."""
    for read in (await input_graph(session, [item])).items.values():
        if not await _has_come(session, read):
            return False
    return True


async def _is_told_of(session: Session, item: RevisedMetric, end: datetime) -> bool:
    """Whether webhooks have told of anything from before the period's end. Where they have not, a count of it is 0
    only because nobody has said what happened: it waits for those who send their past after their present."""
    for read in (await input_graph(session, [item])).items.values():
        if definition_of(read.revision).spec.form not in ("records", "ratio"):
            continue  # the others are unknown until something is known
        sources = (await organisation.metric_sources(session, [read.revision.id])).get(read.revision.id, [])
        is_pushed = any(source.dataset is not None and source.dataset.shape == "events" for source in sources)
        if is_pushed and not await evidence.is_told_of(session, read.revision.id, end):
            return False
    return True


async def _has_come(session: Session, item: RevisedMetric) -> bool:
    if item.metric.building_revision_id is not None:
        return False
    for source in (await organisation.metric_sources(session, [item.revision.id])).get(item.revision.id, []):
        if source.dataset is None or source.connection is None:
            continue
        if source.dataset.shape == "events":
            has_come = source.connection.last_delivery_at is not None
            if not has_come or await deliveries.has_pending(session, source.connection.id):
                return False
        elif source.plan is None or source.plan.cursor is None:
            return False
    return True


async def _keep(
    session: Session,
    key_result: KeyResult,
    guardrail: str,
    rule: str,
    computed: Computed,
    item: RevisedMetric,
    now: datetime,
    answers: list[dict[str, Any]] | None = None,
) -> bool:
    if computed.value is None:
        return False
    kept: dict[str, Any] = {
        "metric": f"{item.team.name}/{item.metric.name}",
        "revision": item.revision.number,
        "window": {
            "start": None if computed.window.start is None else computed.window.start.isoformat(),
            "end": None if computed.window.end is None else computed.window.end.isoformat(),
        },
        "sample_size": computed.sample_size,
        "observed_at": computed.observed_at.isoformat(),
        "quality": computed.quality,
    } | ({"answers": answers} if answers else {})
    row = {
        "key_result_id": key_result.id,
        "guardrail": guardrail,
        "rule": rule,
        "value": computed.value,
        "evidence": kept,
        "frozen_at": now,
    }
    await samples.freeze_baseline(session, row)
    return True
