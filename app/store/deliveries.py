"""Deliveries, their place in line, and what became of them for each dataset."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Connection, Dataset, Delivery, Intake, Team

#: How bodies are compressed once they are applied (RFC 1952), which keeps their length at the end.
GZIP = "gzip"
_SMALL = 200
#: As the partial index has it, to the letter: to `is_pending IS 1` SQLite finds it by reading every delivery there is.
_PENDING = text("delivery.is_pending")


class NewDelivery(NamedTuple):
    """A verified webhook, as bytes. `digest` is of the body; `dedupe_key` the sender's id, or that digest."""

    connection_id: int
    dedupe_key: str
    digest: str
    received_at: datetime
    headers: Sequence[tuple[str, str]]
    body: bytes


class Stored(NamedTuple):
    """What the store made of it: `is_new` False for a redelivery, `is_conflict` where its body differs."""

    id: int
    is_new: bool
    is_conflict: bool


def upsert(session: AsyncSession, table: Any) -> Any:
    """An INSERT that knows `ON CONFLICT`, in the session's dialect."""
    dialect = session.get_bind().dialect.name
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


async def pending_deliveries(session: AsyncSession, limit: int, *, after: int = 0) -> list[Delivery]:
    """The oldest deliveries that wait to be applied."""
    found = await session.scalars(
        select(Delivery).where(_PENDING, col(Delivery.id) > after).order_by(col(Delivery.id)).limit(limit)
    )
    return list(found)


async def take_pending(
    session: AsyncSession, ids: Collection[int], bodies: Mapping[int, bytes] | None = None
) -> set[int]:
    """Mark deliveries as applied; returns those that still waited: one effect, whoever else tries. `bodies` are the
    compressed ones: the row is written anew anyhow."""
    waiting = select(col(Delivery.id)).where(col(Delivery.id).in_(ids), col(Delivery.is_pending).is_(True))
    taken = set(await session.scalars(waiting.order_by(col(Delivery.id)).with_for_update()))
    smaller = [identity for identity in sorted(taken) if bodies and identity in bodies]
    if smaller and bodies:
        table = Delivery.__table__  # type: ignore[attr-defined]
        statement = (
            update(table)
            .where(table.c.id == bindparam("taken"))
            .values(is_pending=False, body=bindparam("smaller"), encoding=GZIP)
        )
        rows = [{"taken": identity, "smaller": bodies[identity]} for identity in smaller]
        await (await session.connection()).execute(statement, rows)
    rest = taken.difference(smaller)
    if rest:
        await session.execute(update(Delivery).where(col(Delivery.id).in_(rest)).values(is_pending=False))
    return taken


async def settled_datasets(session: AsyncSession, delivery_ids: Collection[int]) -> set[tuple[int, int]]:
    """The (delivery, dataset) pairs that already have an outcome."""
    found = await session.execute(
        select(col(Intake.delivery_id), col(Intake.dataset_id)).where(col(Intake.delivery_id).in_(delivery_ids))
    )
    return {(row[0], row[1]) for row in found}


async def append_intakes(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Write outcomes: delivery_id, dataset_id, outcome, reason, recorded_at."""
    if rows:
        await session.execute(insert(Intake.__table__), rows)  # type: ignore[attr-defined]


async def reopen_deliveries(
    session: AsyncSession,
    *,
    connection_id: int,
    dataset_id: int | None = None,
    delivery_id: int | None = None,
    outcomes: Collection[str] | None = None,
    event: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Put deliveries back in line, for one dataset or all, one delivery or all; returns how many. `event` is the tool's
    word, `since` and `until` bound when they were received (half-open)."""
    chosen = select(col(Delivery.id)).where(col(Delivery.connection_id) == connection_id)
    if delivery_id is not None:
        chosen = chosen.where(col(Delivery.id) == delivery_id)
    if since is not None:
        chosen = chosen.where(col(Delivery.received_at) >= since)
    if until is not None:
        chosen = chosen.where(col(Delivery.received_at) < until)
    if event is not None:
        chosen = chosen.where(col(Delivery.id).in_(select(col(Intake.delivery_id)).where(col(Intake.event) == event)))
    if outcomes is not None:
        matching = select(col(Intake.delivery_id)).where(col(Intake.outcome).in_(outcomes))
        if dataset_id is not None:
            matching = matching.where(col(Intake.dataset_id) == dataset_id)
        chosen = chosen.where(col(Delivery.id).in_(matching))
    dropped = delete(Intake).where(col(Intake.delivery_id).in_(chosen))
    if dataset_id is not None:
        dropped = dropped.where(col(Intake.dataset_id) == dataset_id)
    if outcomes is not None:
        dropped = dropped.where(col(Intake.outcome).in_(outcomes))
    ids = list(await session.scalars(chosen))
    await session.execute(dropped)
    for start in range(0, len(ids), 5000):
        await session.execute(
            update(Delivery).where(col(Delivery.id).in_(ids[start : start + 5000])).values(is_pending=True)
        )
    return len(ids)


async def has_pending(session: AsyncSession, connection_id: int) -> bool:
    """Whether deliveries of a connection wait to be applied."""
    query = select(col(Delivery.id)).where(col(Delivery.connection_id) == connection_id, _PENDING)
    return (await session.execute(query.limit(1))).first() is not None


async def count_pending(session: AsyncSession) -> int:
    """How many deliveries wait."""
    return await session.scalar(select(func.count()).select_from(Delivery).where(_PENDING)) or 0


async def get_delivery(session: AsyncSession, connection_id: int, delivery_id: int) -> Delivery | None:
    """One delivery of a connection."""
    query = select(Delivery).where(col(Delivery.connection_id) == connection_id, col(Delivery.id) == delivery_id)
    found: Delivery | None = await session.scalar(query)
    return found


async def has_delivery(session: AsyncSession, connection_id: int, dedupe_key: str) -> bool:
    """Whether a delivery of this key is stored."""
    query = select(col(Delivery.id)).where(
        col(Delivery.connection_id) == connection_id, col(Delivery.dedupe_key) == dedupe_key
    )
    return (await session.execute(query)).first() is not None


def packed(delivery: Delivery) -> bytes | None:
    """The body compressed, None where it is already or where that gains nothing."""
    if delivery.encoding is not None or len(delivery.body) < _SMALL:
        return None
    work = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    found = work.compress(delivery.body) + work.flush()
    return found if len(found) < len(delivery.body) else None


def body_of(delivery: Delivery) -> bytes:
    """The body as it was stored at the door, whether it is compressed by now or not."""
    return zlib.decompress(delivery.body, zlib.MAX_WBITS | 16) if delivery.encoding == GZIP else delivery.body


def size_of(delivery: Delivery) -> int:
    """How many bytes the body has, compressed or not."""
    return int.from_bytes(delivery.body[-4:], "little") if delivery.encoding == GZIP else len(delivery.body)


async def list_deliveries(
    session: AsyncSession,
    *,
    team: str | None = None,
    connection: str | None = None,
    outcome: str | None = None,
    delivery_id: int | None = None,
    before: int | None = None,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> list[tuple[Delivery, str, int]]:
    """Deliveries newest first with `team/connection` and their size."""
    query = (
        select(Delivery, col(Team.name), col(Connection.name))
        .join(Connection, col(Connection.id) == col(Delivery.connection_id))
        .join(Team, col(Team.id) == col(Connection.team_id))
        .order_by(col(Delivery.id).desc())
        .limit(limit)
    )
    if team is not None:
        query = query.where(col(Team.name) == team)
    if connection is not None:
        query = query.where(col(Connection.name) == connection)
    if hidden:
        query = query.where(col(Team.name).not_in(hidden))
    if delivery_id is not None:
        query = query.where(col(Delivery.id) == delivery_id)
    if before is not None:
        query = query.where(col(Delivery.id) < before)
    if outcome == "pending":
        query = query.where(_PENDING)
    elif outcome is not None:
        matching = select(col(Intake.delivery_id)).where(col(Intake.outcome) == outcome)
        query = query.where(col(Delivery.id).in_(matching))
    return [(row[0], f"{row[1]}/{row[2]}", size_of(row[0])) for row in await session.execute(query)]


async def intakes_of(session: AsyncSession, delivery_ids: Collection[int]) -> list[tuple[Intake, str]]:
    """The outcomes of deliveries with the dataset's name."""
    found = await session.execute(
        select(Intake, col(Dataset.name))
        .join(Dataset, col(Dataset.id) == col(Intake.dataset_id))
        .where(col(Intake.delivery_id).in_(delivery_ids))
        .order_by(col(Dataset.name))
    )
    return [(row[0], row[1]) for row in found]


async def purge_deliveries(session: AsyncSession, *, before: datetime | None, limit: int) -> int:
    """Drop the oldest deliveries that are applied: at most `limit`, and with `before` only those received before it.
    What they brought stays. Returns how many."""
    query = select(col(Delivery.id), col(Delivery.received_at)).where(col(Delivery.is_pending).is_(False))
    oldest = await session.execute(query.order_by(col(Delivery.id)).limit(limit))
    ids = [row[0] for row in oldest if before is None or row[1] < before]
    if ids:
        await session.execute(delete(Intake).where(col(Intake.delivery_id).in_(ids)))
        await session.execute(delete(Delivery).where(col(Delivery.id).in_(ids)))
    return len(ids)


async def stored_bytes(session: AsyncSession) -> int:
    """How many bytes the kept bodies take."""
    return await session.scalar(select(func.coalesce(func.sum(func.length(col(Delivery.body))), 0))) or 0


async def count_outcomes(session: AsyncSession, connection_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """By connection: how many deliveries wait (`pending`) and how many outcomes of each kind there are."""
    counts: dict[int, dict[str, int]] = {}
    waiting = await session.execute(
        select(col(Delivery.connection_id), func.count())
        .where(col(Delivery.connection_id).in_(connection_ids), _PENDING)
        .group_by(col(Delivery.connection_id))
    )
    for connection_id, count in waiting:
        counts.setdefault(connection_id, {})["pending"] = count
    settled = await session.execute(
        select(col(Delivery.connection_id), col(Intake.outcome), func.count())
        .join(Intake, col(Intake.delivery_id) == col(Delivery.id))
        .where(col(Delivery.connection_id).in_(connection_ids))
        .group_by(col(Delivery.connection_id), col(Intake.outcome))
    )
    for connection_id, outcome, count in settled:
        counts.setdefault(connection_id, {})[outcome] = count
    return counts
