"""From what is kept to numbers: changed entities → facts → samples, for the metrics they touch and no other."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from app.domain.aggregate import aggregate, ratio
from app.domain.records import Fact
from app.domain.window import UNBOUNDED, TimeSpan
from app.services import intervals
from app.services.answers import PastPeriod, tool_answer
from app.services.computed import Computed as Computed
from app.services.definitions import Definition, cycle_span, definition_of
from app.services.formulas import CIRCLE, compute_formula
from app.services.input_graph import InputGraph, cycles_asked, in_order, input_graph
from app.services.milestones import compute_milestones
from app.services.overrides import OVERRIDE, overridden_inputs, settle
from app.store import facts as fact_store
from app.store import inputs, organisation, records, rollup, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import Dataset, Sample

#: A metric is evaluated at least this often, whatever its window does.
LONGEST_REST = timedelta(hours=1)
#: How many entities are extracted between two looks at the event loop.
ENTITY_BATCH = 500


@dataclass(frozen=True, slots=True)
class PartValue:
    value: Decimal | None
    reason: str | None
    sample_size: int | None
    observed_at: datetime | None
    quality: str = "measured"
    numerator: Decimal | None = None
    denominator: Decimal | None = None
    coverage: Decimal | None = None
    changes_at: datetime | None = None


async def extract(session: Session, dataset: Dataset, entities: Collection[str], *, now: datetime) -> set[int]:
    """Re-extract the facts of these entities for every metric that reads the dataset; the caller holds the dataset's
    lock. Returns the metrics whose facts changed."""
    parts = await organisation.live_parts(session, [dataset.id])
    if not parts or not entities:
        return set()
    touched: set[int] = set()
    revised = await organisation.revised_metrics(session, {metric_id for _, metric_id in parts})
    building = await organisation.revised_metrics(session, {metric_id for _, metric_id in parts}, building=True)
    definitions = {item.revision.id: definition_of(item.revision) for item in (*revised.values(), *building.values())}
    # A revision made for other rules of this dataset is about to be replaced: it keeps what it had.
    stored = {"shape": dataset.shape, "spec": dataset.spec}
    live = {
        item.revision.id
        for item in (*revised.values(), *building.values())
        if item.revision.definition["datasets"].get(dataset.name) == stored
    }
    names = sorted(entities)
    for start in range(0, len(names), ENTITY_BATCH):
        batch = names[start : start + ENTITY_BATCH]
        for part, metric_id in parts:
            if part.revision_id not in live:
                continue
            if await extract_part(
                session, dataset, batch, definitions[part.revision_id], part.revision_id, part.part, now
            ):
                touched.add(metric_id)
        await asyncio.sleep(0)
    return touched


async def extract_part(
    session: Session,
    dataset: Dataset,
    entities: Collection[str],
    definition: Definition,
    revision_id: int,
    part: str,
    now: datetime,
) -> bool:
    """Replace the facts of some entities for one part of one revision; whether any changed."""
    extraction = definition.extractions[part]
    found: list[Fact] = []
    names = list(entities)
    for start in range(0, len(names), ENTITY_BATCH):
        batch = names[start : start + ENTITY_BATCH]
        if dataset.shape == "events":
            for events in (await records.event_histories(session, dataset.id, batch)).values():
                found.extend(extraction.facts(events))
        else:
            for entity in (await records.entity_histories(session, dataset.id, batch)).values():
                found.extend(extraction.facts(entity))
        await asyncio.sleep(0)
    return await fact_store.replace_facts(
        session, revision_id, part, entities, found, now=now, rule=definition.rollup_rule(part)
    )


async def compute(
    session: Session,
    revised: RevisedMetric,
    *,
    cycle: str,
    as_of: datetime,
    known_at: datetime | None = None,
    past: PastPeriod | None = None,
    graph: InputGraph | None = None,
    known: dict[tuple[int, str], Computed] | None = None,
) -> Computed:
    """The value of a metric true at `as_of`, as known at `known_at` (None: now). `cycle` is the asking key result's
    where the window needs one; `past` says how tools answered for a past period (a baseline's). A formula reads other
    metrics: `graph` has them, and `known` what was computed at this same point, by metric and cycle."""
    definition = definition_of(revised.revision)
    if known_at is not None and known_at < revised.revision.created_at:
        return Computed(None, "it was not asked for yet", UNBOUNDED, as_of)
    if definition.spec.formula is not None:
        graph = graph or await input_graph(session, [revised], known_at=known_at)
        known = {} if known is None else known
        at = partial(compute, session, as_of=as_of, known_at=known_at, past=past, graph=graph, known=known)
        return await _formula_value(revised, at, graph, known, cycle=cycle, as_of=as_of)
    if definition.spec.milestones is not None:
        return await compute_milestones(session, revised, as_of=as_of, known_at=known_at)
    span = cycle_span(revised.team, cycle) if cycle else None
    if cycle and span is None:
        return Computed(None, f"the team {revised.team.name} knows no cycle {cycle}", UNBOUNDED, as_of)
    window = definition.window(as_of, span)
    if past is not None and any(part.query_digest for part in revised.parts.values()):
        # The tool was asked about the past no later than its end.
        window = TimeSpan(window.start, past.end if window.end is None else min(window.end, past.end))
    values: dict[str, PartValue] = {}
    for part in definition.spec.parts():
        values[part] = await _part_value(
            session, revised, definition, part, window, cycle=cycle, as_of=as_of, known_at=known_at, past=past
        )
    observed = [value.observed_at for value in values.values() if value.observed_at is not None]
    observed_at = min(observed) if observed else as_of
    if definition.spec.ratio is None:
        (only,) = values.values()
        return Computed(
            only.value,
            only.reason,
            window,
            observed_at,
            only.sample_size,
            only.numerator,
            only.denominator,
            only.quality,
            only.coverage,
            only.changes_at,
        )
    good, total = values["good"], values["total"]
    if good.value is None or total.value is None:
        return Computed(None, good.reason or total.reason, window, observed_at)
    value = ratio(good.value, total.value, percent=definition.spec.unit == "percent")
    reason = "division by zero: the total is 0" if value is None else None
    least = definition.spec.min_samples
    if value is not None and least is not None and total.sample_size is not None and total.sample_size < least:
        value, reason = None, f"{total.sample_size} of at least {least} samples"
    return Computed(
        value,
        reason,
        window,
        observed_at,
        total.sample_size,
        good.value,
        total.value,
        total.quality if good.quality == "measured" else good.quality,
    )


async def _formula_value(
    revised: RevisedMetric,
    at: Callable[..., Awaitable[Computed]],
    graph: InputGraph,
    known: dict[tuple[int, str], Computed],
    *,
    cycle: str,
    as_of: datetime,
) -> Computed:
    """A formula's value; what it reads is computed once, however often formulas name it."""

    async def computed(item: RevisedMetric, asked: str) -> Computed:
        key = (item.metric.id, asked)
        if key not in known:
            # What a circle of formulas comes back to; the check of team files lets none through.
            known[key] = Computed(None, CIRCLE, UNBOUNDED, as_of)
            known[key] = await at(item, cycle=asked)
        return known[key]

    return await compute_formula(graph, revised, computed, cycle=cycle, as_of=as_of)


async def _part_value(
    session: Session,
    revised: RevisedMetric,
    definition: Definition,
    part: str,
    window: TimeSpan,
    *,
    cycle: str,
    as_of: datetime,
    known_at: datetime | None,
    past: PastPeriod | None = None,
) -> PartValue:
    if definition.spec.state_share is not None:
        bounds = fact_store.Window(window.start, window.end, as_of, known_at)
        return await _share_value(session, revised, part, bounds)
    if part in definition.extractions:
        return await _facts_value(session, revised, definition, part, window, as_of=as_of, known_at=known_at)
    if definition.spec.manual is not None:
        asserted = await samples.latest_asserted(session, revised.metric.id, as_of=as_of, known_at=known_at)
        if asserted is None:
            return PartValue(None, "no value has been asserted", None, None)
        return PartValue(asserted.value, None, None, asserted.effective_at, "asserted")
    measured = await tool_answer(
        session, revised, definition, part, window, cycle=cycle, as_of=as_of, known_at=known_at, past=past
    )
    if measured is None:
        return PartValue(None, "not measured yet", None, None)
    return PartValue(
        measured.value, measured.reason, None, measured.observed_at, "measured" if measured.is_exact else "estimated"
    )


async def _facts_value(
    session: Session,
    revised: RevisedMetric,
    definition: Definition,
    part: str,
    window: TimeSpan,
    *,
    as_of: datetime,
    known_at: datetime | None,
) -> PartValue:
    bounds = fact_store.Window(window.start, window.end, as_of, known_at)
    changes_at = None
    if definition.spec.duration is not None and definition.spec.duration.open == "include":
        unfinished = await intervals.open_durations(session, revised.revision.id, part, definition, bounds)
        seconds = await intervals.durations(session, revised.revision.id, part, bounds, unfinished)
        value, facts = aggregate(definition.aggregate_of(part), seconds, divisor=definition.divisor), len(seconds)
        changes_at = intervals.durations_change_at(unfinished, bounds)
    else:
        value, facts = await _aggregated(session, revised.revision.id, definition, part, bounds)
    reason = "no records in the window" if value is None else None
    dataset_id = revised.parts[part].dataset_id
    if facts == 0 and dataset_id is not None and not await records.has_been_read(session, dataset_id):
        # Nothing found is 0, nothing read is not.
        return PartValue(None, "it has not been read yet", None, None)
    least = definition.spec.min_samples
    if least is not None and definition.spec.ratio is None and facts < least:
        value, reason = None, f"{facts} of at least {least} samples"
    return PartValue(value, reason, facts, as_of, changes_at=changes_at)


async def _aggregated(
    session: Session, revision_id: int, definition: Definition, part: str, bounds: fact_store.Window
) -> tuple[Decimal | None, int]:
    """The value and the number of facts in it: from the roll-up where that can tell, else from the facts."""
    how, rule = definition.aggregate_of(part), definition.rollup_rule(part)
    if rule is not None:
        rolled = await rollup.rolled_up(session, revision_id, part, bounds, how, rule, divisor=definition.divisor)
        if rolled is not None:
            return rolled.value, rolled.facts
    found = await fact_store.values_in(session, revision_id, part, bounds)
    if how == "distinct":
        return Decimal(len({group for _, group in found})), len(found)
    return aggregate(how, [number for number, _ in found], divisor=definition.divisor), len(found)


async def _share_value(session: Session, revised: RevisedMetric, part: str, bounds: fact_store.Window) -> PartValue:
    found = await intervals.current_share(session, revised.revision.id, part, bounds)
    reason, dataset_id = found.reason, revised.parts[part].dataset_id
    if not found.entities and dataset_id is not None and not await records.has_been_read(session, dataset_id):
        reason = "it has not been read yet"
    return PartValue(
        found.value,
        reason,
        found.entities,
        bounds.as_of,
        numerator=found.good,
        denominator=found.measured,
        coverage=found.coverage,
        changes_at=found.changes_at,
    )


async def evaluate(session: Session, metric_ids: Collection[int], *, now: datetime) -> set[int]:
    """Compute these metrics at `now`, and the formulas that read one that changed: each once, after what it reads.
    Append a sample where the value differs from the current one, and set when the clock alone will move them. Returns
    the metrics with a new sample."""
    readers = await inputs.readers_of(session, metric_ids)
    every = {*metric_ids, *readers}
    revised = await organisation.revised_metrics(session, every)
    graph = await input_graph(session, revised.values())
    with_cycle = {metric_id for metric_id in revised if graph.needs_cycle(metric_id)}
    cycles = await cycles_asked(session, with_cycle)
    current = await samples.current_samples(session, every)
    changed: set[int] = set()
    known = await overridden_inputs(session, graph.items) if graph.inputs else {}
    for metric_id in in_order(metric_ids, readers):
        item = revised.get(metric_id)
        if item is None or (metric_id not in metric_ids and changed.isdisjoint(readers[metric_id])):
            continue
        definition = definition_of(item.revision)
        edges = [now + LONGEST_REST]
        asked = _running(item, cycles.get(metric_id, set()), now) if metric_id in with_cycle else [""]
        for cycle in asked:
            before = current.get((metric_id, cycle))
            computed = known.get((metric_id, cycle))
            if computed is None or computed.quality == OVERRIDE:
                computed = await compute(session, item, cycle=cycle, as_of=now, graph=graph, known=known)
                computed = await settle(session, before, computed, now)
                known[(metric_id, cycle)] = computed
            span = cycle_span(item.team, cycle) if cycle else None
            edge = definition.next_edge(now, span)
            edges += [moment for moment in (edge, computed.changes_at) if moment is not None]
            if before is not None and _is_same(before, item, definition, computed):
                continue
            await samples.append_sample(session, _sample(item, cycle, computed, before, now))
            changed.add(metric_id)
        item.metric.next_evaluation_at = min(edges)
    await session.flush()
    return changed


def _running(item: RevisedMetric, asked: set[str], now: datetime) -> list[str]:
    return sorted(name for name in asked if _is_running(cycle_span(item.team, name), now))


def _is_running(span: TimeSpan | None, now: datetime) -> bool:
    # A cycle's last sample may be due just after its end; a later one would be a restatement.
    return span is None or span.start is None or span.start <= now


def _is_same(before: Sample, item: RevisedMetric, definition: Definition, computed: Computed) -> bool:
    # The seconds of a share grow all the time: they are no news while the share is what it was.
    is_timed = definition.spec.state_share is not None
    return (
        before.revision_id == item.revision.id
        and before.value == computed.value
        and before.reason == computed.reason
        and before.sample_size == computed.sample_size
        and (is_timed or (before.numerator, before.denominator) == (computed.numerator, computed.denominator))
        and before.coverage == computed.coverage
        and before.quality == computed.quality
        and (computed.quality != "asserted" or before.observed_at == computed.observed_at)
        and (before.window_start, before.window_end) == (computed.window.start, computed.window.end)
    )


def _sample(item: RevisedMetric, cycle: str, computed: Computed, before: Sample | None, now: datetime) -> Sample:
    window = (computed.window.start, computed.window.end)
    restates = before is not None and (before.window_start, before.window_end) == window
    return Sample(
        metric_id=item.metric.id,
        revision_id=item.revision.id,
        cycle=cycle,
        window_start=window[0],
        window_end=window[1],
        value=computed.value,
        reason=computed.reason,
        sample_size=computed.sample_size,
        numerator=computed.numerator,
        denominator=computed.denominator,
        quality=computed.quality,
        coverage=computed.coverage,
        observed_at=computed.observed_at,
        measured_at=now,
        recorded_at=now,
        supersedes=before.id if before is not None and restates else None,
    )
