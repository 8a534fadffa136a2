"""What was touched: every write to a table that a key result's judgement is made of leaves a word of it, by trigger.

So whoever keeps judgements knows which to make anew, whichever process wrote what. A word is a kind and a reference
(an id, or what a plan reads). They are read by place: on SQLite, where one writes at a time, the newest id; on
PostgreSQL the snapshot, which tells of every transaction whether it was seen, however late it commits.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.inputs import readers_of
from app.store.tables import (
    Dataset,
    GuardrailMetric,
    KeyResult,
    Metric,
    MetricPart,
    Plan,
    SealedKeyResult,
)
from app.store.touch_triggers import ACCESS, ALL

#: Seconds for which words are kept: nobody asks for what is older.
KEPT = 3_600
#: So many words at once are "everything".
MOST = 5_000

_NEWEST_ID = text("SELECT COALESCE(MAX(id), 0) FROM touch")
_SNAPSHOT = text("SELECT pg_current_snapshot()::text")
_AFTER_ID = text("SELECT id, kind, ref FROM touch WHERE id > :place ORDER BY id LIMIT :most")
_NOT_SEEN = text(
    "SELECT pg_current_snapshot()::text, kind, ref"
    " FROM touch, (SELECT CAST(CAST(:place AS text) AS pg_snapshot) AS seen) AS place"
    " WHERE writer >= CAST(CAST(pg_snapshot_xmin(seen) AS text) AS bigint)"
    " AND NOT pg_visible_in_snapshot(CAST(CAST(writer AS text) AS xid8), seen) LIMIT :most"
)


@dataclass(frozen=True, slots=True)
class Touched:
    """What was touched, by kind, and the place to go on from."""

    place: str
    references: dict[str, set[str]]


async def place_now(session: AsyncSession) -> str:
    """Where to go on from for whoever knows everything that this session sees."""
    if session.get_bind().dialect.name == "sqlite":
        return str(await session.scalar(_NEWEST_ID))
    return str(await session.scalar(_SNAPSHOT))


async def touched_since(session: AsyncSession, place: str) -> Touched:
    """What was touched after a place no older than KEPT seconds, as far as this session sees; more than MOST words are
    the one word ALL."""
    if session.get_bind().dialect.name == "sqlite":
        rows = (await session.execute(_AFTER_ID, {"place": int(place), "most": MOST})).all()
    else:
        rows = (await session.execute(_NOT_SEEN, {"place": place, "most": MOST})).all()
    following = str(rows[-1][0]) if rows else place
    references: dict[str, set[str]] = {}
    for _, kind, reference in rows:
        references.setdefault(kind, set()).add(reference)
    if len(rows) == MOST:
        return Touched(await place_now(session), {ALL: {"0"}, ACCESS: {"0"}})
    return Touched(following, references)


async def purge(session: AsyncSession, now: datetime) -> int:
    """Drop the words that nobody asks for any more; how many that were. The newest one stays, so that no id comes
    twice."""
    statement = text("DELETE FROM touch WHERE at < :before AND id < (SELECT MAX(id) FROM touch)")
    result = await session.execute(statement, {"before": int(now.timestamp()) - KEPT})
    return int(result.rowcount)  # type: ignore[attr-defined]


async def key_results_touched(session: AsyncSession, references: dict[str, set[str]]) -> set[int]:
    """The ids of the key results that those words may be about, some of which may be gone. Not for the kind ALL."""
    ids = {kind: {int(one) for one in found} for kind, found in references.items() if kind != "source"}
    found = ids.get("key_result", set()) | await _sealed(session, ids)
    if objectives := ids.get("objective"):
        found |= set(
            await session.scalars(select(col(KeyResult.id)).where(col(KeyResult.objective_id).in_(objectives)))
        )
    metrics = ids.get("metric", set()) | await _metrics_fed(session, ids, references.get("source", set()))
    if metrics:
        metrics |= (await readers_of(session, metrics)).keys()
        watching = select(col(GuardrailMetric.key_result_id)).where(col(GuardrailMetric.metric_id).in_(metrics))
        asking = or_(col(KeyResult.metric_id).in_(metrics), col(KeyResult.id).in_(watching))
        found |= set(await session.scalars(select(col(KeyResult.id)).where(asking)))
    return found


async def _sealed(session: AsyncSession, ids: dict[str, set[int]]) -> set[int]:
    """The key results of touched closes, and of sealed ones with a touched restatement."""
    sealed, closes = ids.get("sealed", set()), ids.get("close", set())
    if not sealed and not closes:
        return set()
    is_touched = or_(col(SealedKeyResult.id).in_(sealed), col(SealedKeyResult.close_id).in_(closes))
    return set(await session.scalars(select(col(SealedKeyResult.key_result_id)).where(is_touched)))


async def _metrics_fed(session: AsyncSession, ids: dict[str, set[int]], sources: Collection[str]) -> set[int]:
    """The metrics of touched revisions, and those that read a touched dataset, query or connection."""
    revisions = set(ids.get("revision", ()))
    datasets = ids.get("dataset", set()) | {int(one[1:]) for one in sources if one[0] == "d"}
    digests = {one[1:] for one in sources if one[0] == "q"}
    if connections := ids.get("connection"):
        datasets |= set(
            await session.scalars(select(col(Dataset.id)).where(col(Dataset.connection_id).in_(connections)))
        )
        plans = select(col(Plan.dataset_id), col(Plan.query_digest)).where(col(Plan.connection_id).in_(connections))
        for dataset_id, digest in await session.execute(plans):
            datasets |= set() if dataset_id is None else {dataset_id}
            digests |= set() if digest is None else {digest}
    if datasets or digests:
        reads = or_(col(MetricPart.dataset_id).in_(datasets), col(MetricPart.query_digest).in_(digests))
        revisions |= set(await session.scalars(select(col(MetricPart.revision_id)).where(reads)))
    if not revisions:
        return set()
    is_live = or_(col(Metric.revision_id).in_(revisions), col(Metric.building_revision_id).in_(revisions))
    return set(await session.scalars(select(col(Metric.id)).where(is_live)))
