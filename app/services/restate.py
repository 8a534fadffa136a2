"""Restatements: what a sealed value would be now, once data came late or was deleted, or a rule changed.

The sealed value stays. Every value that differs from the one before becomes one row, with the reason; none is ever
changed.
"""

from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from app.services.context import Services
from app.services.definitions import Definition, definition_of, team_cycle
from app.services.evaluate import Computed, compute
from app.services.input_graph import input_graph, needs_cycle
from app.store import closes, facts, organisation
from app.store.closes import Sealed
from app.store.database import Session, is_unavailable
from app.store.organisation import KeyResultFilter, KeyResultRow, RevisedMetric
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
            async with services.database.writing() as session:
                await _check(session, key_result_id, now)
        except Exception as error:
            if is_unavailable(error):
                raise
            log.exception("restate.failed", key_result=key_result_id)  # it holds up no other, and is tried again later
            async with services.database.writing() as session:
                await _rest(session, key_result_id, now)
    return len(due)


async def _rest(session: Session, key_result_id: int, now: datetime) -> None:
    for sealed in (await closes.sealed_key_results(session, [key_result_id])).values():
        await closes.note_check(session, sealed.row.id, now)


async def _check(session: Session, key_result_id: int, now: datetime) -> None:
    sealed = (await closes.sealed_key_results(session, [key_result_id])).get(key_result_id)
    rows = await organisation.key_result_rows(session, KeyResultFilter(ids=[key_result_id], current_only=False))
    if sealed is None or not rows:
        return
    await closes.note_check(session, sealed.row.id, now)
    row = rows[0]
    item = (await organisation.revised_metrics(session, [row.metric.id])).get(row.metric.id)
    if item is None or item.metric.building_revision_id is not None:
        return  # a rule that is not built yet says nothing
    as_of = datetime.fromisoformat(sealed.row.evidence["as_of"])
    cycle = row.key_result.cycle if await needs_cycle(session, item) else ""
    computed = await compute(session, item, cycle=cycle, as_of=as_of)
    last = sealed.restatements[-1] if sealed.restatements else None
    before = sealed.row.value if last is None else last.value_now
    if computed.value == before:
        return
    since = sealed.close.closed_at if last is None else last.at
    reason = await _reason(session, sealed, item, computed, as_of, since)
    restated = Restatement(
        sealed_id=sealed.row.id, at=now, value_before=before, value_now=computed.value, reason=reason
    )
    await closes.append_restatement(session, restated)
    _log(row, before, computed.value, reason)


def _log(row: KeyResultRow, before: Decimal | None, now: Decimal | None, reason: str) -> None:
    name = f"{row.team.name}/{row.key_result.name}"
    log.info("key_result.restated", key_result=name, cycle=row.key_result.cycle, reason=reason)


async def _reason(
    session: Session, sealed: Sealed, item: RevisedMetric, computed: Computed, as_of: datetime, since: datetime
) -> str:
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
