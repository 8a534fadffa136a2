"""Restatements: what a sealed value would be now, once data came late or was deleted, or a rule changed.

The sealed value stays. Every value that differs from the one before becomes one row, with the reason; none is ever
changed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from app.services.context import Services
from app.services.definitions import Definition, definition_of, team_cycle
from app.services.evaluate import compute
from app.services.input_graph import input_graph, needs_cycle
from app.store import closes, facts, organisation
from app.store.closes import Sealed
from app.store.database import Session, is_unavailable
from app.store.organisation import KeyResultFilter, RevisedMetric
from app.store.overrides import overrides_at
from app.store.tables import Fact, Restatement

log = structlog.get_logger(__name__)

#: How often a sealed value is compared with what it would be now.
RECHECK = timedelta(minutes=15)
BATCH = 20
#: So many facts on either side are compared to say what came and went.
_MOST_FACTS = 10_000


async def restate_due(services: Services) -> int:
    """Compare the sealed values that were not compared for a while; returns how many were looked at."""
    now = services.clock()
    async with services.database.reading() as session:
        due = await closes.sealed_to_check(session, now - RECHECK, BATCH)
    for key_result_id in due:
        try:
            # Computed beside the writers; what is found then takes a moment to write.
            async with services.database.reading() as session:
                found = await _compare(session, key_result_id)
            async with services.database.writing() as session:
                await _keep(session, key_result_id, found, now)
        except Exception as error:
            if is_unavailable(error):
                raise
            log.exception("restate.failed", key_result=key_result_id)  # it holds up no other, and is tried again later
            async with services.database.writing() as session:
                await _rest(session, key_result_id, now)
    return len(due)


@dataclass(frozen=True, slots=True)
class _Other:
    """A value that differs from the one that was last told of."""

    before: Decimal | None
    value: Decimal | None
    reason: str


async def _keep(session: Session, key_result_id: int, found: _Other | None, now: datetime) -> None:
    """Append a restatement, unless somebody else has meanwhile."""
    for sealed in (await closes.sealed_key_results(session, [key_result_id])).values():
        await closes.hold_sealed(session, sealed.row.id)
    for sealed in (await closes.sealed_key_results(session, [key_result_id])).values():
        await closes.note_check(session, sealed.row.id, now)
        if found is None or _last_told(sealed) != found.before:
            continue
        restated = Restatement(
            sealed_id=sealed.row.id, at=now, value_before=found.before, value_now=found.value, reason=found.reason
        )
        await closes.append_restatement(session, restated)
        log.info("key_result.restated", key_result=key_result_id, cycle=sealed.close.cycle, reason=found.reason)


def _last_told(sealed: Sealed) -> Decimal | None:
    return sealed.restatements[-1].value_now if sealed.restatements else sealed.row.value


async def _rest(session: Session, key_result_id: int, now: datetime) -> None:
    for sealed in (await closes.sealed_key_results(session, [key_result_id])).values():
        await closes.note_check(session, sealed.row.id, now)


async def _compare(session: Session, key_result_id: int) -> _Other | None:
    """What the sealed value would be now, where that is news."""
    sealed = (await closes.sealed_key_results(session, [key_result_id])).get(key_result_id)
    rows = await organisation.key_result_rows(session, KeyResultFilter(ids=[key_result_id], current_only=False))
    if sealed is None or not rows:
        return None
    row = rows[0]
    item = (await organisation.revised_metrics(session, [row.metric.id])).get(row.metric.id)
    if item is None or item.metric.building_revision_id is not None:
        return None  # a rule that is not built yet says nothing
    as_of = datetime.fromisoformat(sealed.row.evidence["as_of"])
    cycle = row.key_result.cycle if await needs_cycle(session, item) else ""
    computed = await compute(session, item, cycle=cycle, as_of=as_of)
    found = await overrides_at(session, [item.metric.id], as_of=as_of)
    override = found.get((item.metric.id, row.key_result.cycle)) or found.get((item.metric.id, ""))
    value = computed.value if override is None else override.row.value
    before = _last_told(sealed)
    if value == before:
        return None
    since = sealed.restatements[-1].at if sealed.restatements else sealed.close.closed_at
    return _Other(before, value, await _reason(session, sealed, item, as_of, since))


async def _reason(session: Session, sealed: Sealed, item: RevisedMetric, as_of: datetime, since: datetime) -> str:
    """Why the value is another one: the rule that it was sealed under is no more, or what it reads has changed."""
    was = (sealed.row.evidence.get("revision") or {}).get("number")
    if was is not None and was != item.revision.number and since < item.revision.created_at:
        return f"rule change r{was} → r{item.revision.number}"
    counts = {"entered": 0, "left": 0, "changed": 0}
    graph = await input_graph(session, [item])
    for leaf in graph.leaves(item.metric.id):
        moved = await _moved(session, graph.items[leaf], sealed.row.key_result_id, as_of, since)
        counts = {name: count + moved[name] for name, count in counts.items()}
    if counts["left"] and not counts["entered"] and not counts["changed"]:
        return f"deletion: {_records(counts['left'])} left"
    said = ", ".join(f"{_records(count)} {name}" for name, count in counts.items() if count)
    return f"late data: {said}" if said else "late data"


async def _moved(
    session: Session, item: RevisedMetric, key_result_id: int, as_of: datetime, since: datetime
) -> dict[str, int]:
    """How many records entered, left or changed since a moment."""
    definition: Definition = definition_of(item.revision)
    counts = {"entered": 0, "left": 0, "changed": 0}
    if not definition.extractions:
        return counts
    rows = await organisation.key_result_rows(session, KeyResultFilter(ids=[key_result_id], current_only=False))
    span = team_cycle(rows[0].team, rows[0].key_result.cycle).span
    window = definition.window(as_of, span)
    for part in definition.extractions:
        then = await _facts(session, item, part, facts.Window(window.start, window.end, as_of, since))
        now = await _facts(session, item, part, facts.Window(window.start, window.end, as_of))
        counts["entered"] += len(now.keys() - then.keys())
        counts["left"] += len(then.keys() - now.keys())
        counts["changed"] += sum(then[key] != now[key] for key in then.keys() & now.keys())
    return counts


async def _facts(
    session: Session, item: RevisedMetric, part: str, window: facts.Window
) -> dict[str, tuple[datetime | None, Decimal | None]]:
    found: list[Fact] = list(
        await facts.facts_in(session, item.revision.id, part, window, included=True, limit=_MOST_FACTS)
    )
    return {fact.subject: (fact.at, fact.value) for fact in found}


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"
