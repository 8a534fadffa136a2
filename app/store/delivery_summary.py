"""Deliveries counted by what became of them, and what the door refused."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.deliveries import upsert
from app.store.tables import Connection, Dataset, Delivery, Intake, Refusal, Team


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How often one event ended one way in a dataset; `dataset` None: no dataset reads the connection."""

    connection: str
    dataset: str | None
    event: str | None
    outcome: str
    reason: str | None
    count: int
    last_delivery: int
    last_received_at: datetime


async def count_by_event(
    session: AsyncSession, *, team: str | None, connection: str | None, hidden: Collection[str] = (), limit: int = 500
) -> list[OutcomeCount]:
    """What became of the deliveries that are kept, by connection, dataset, event, outcome and reason; the most frequent
    first, at most `limit`."""
    newest, count = func.max(col(Delivery.id)), func.count()
    matched = (
        select(
            col(Team.name),
            col(Connection.name),
            col(Dataset.name),
            col(Intake.event),
            col(Intake.outcome),
            col(Intake.reason),
            count,
            newest,
        )
        .join(Connection, col(Connection.id) == col(Delivery.connection_id))
        .join(Team, col(Team.id) == col(Connection.team_id))
        .join(Intake, col(Intake.delivery_id) == col(Delivery.id))
        .join(Dataset, col(Dataset.id) == col(Intake.dataset_id))
        .group_by(
            col(Team.name),
            col(Connection.name),
            col(Dataset.name),
            col(Intake.event),
            col(Intake.outcome),
            col(Intake.reason),
        )
    )
    unmatched = (
        select(col(Team.name), col(Connection.name), count, newest)
        .join(Connection, col(Connection.id) == col(Delivery.connection_id))
        .join(Team, col(Team.id) == col(Connection.team_id))
        .outerjoin(Intake, col(Intake.delivery_id) == col(Delivery.id))
        .where(col(Delivery.is_pending).is_(False), col(Intake.delivery_id).is_(None))
        .group_by(col(Team.name), col(Connection.name))
    )

    def narrowed(query: Any) -> Any:
        if team is not None:
            query = query.where(col(Team.name) == team)
        if connection is not None:
            query = query.where(col(Connection.name) == connection)
        if hidden:
            query = query.where(col(Team.name).not_in(hidden))
        return query.order_by(count.desc()).limit(limit)

    rows: list[Any] = [(f"{row[0]}/{row[1]}", *row[2:]) for row in await session.execute(narrowed(matched))]
    rows += [
        (f"{row[0]}/{row[1]}", None, None, "unmatched", None, row[2], row[3])
        for row in await session.execute(narrowed(unmatched))
    ]
    ids = {row[-1] for row in rows}
    received = select(col(Delivery.id), col(Delivery.received_at)).where(col(Delivery.id).in_(ids))
    moments = {row[0]: row[1] for row in await session.execute(received)}
    counts = [
        OutcomeCount(name, dataset, event, outcome, reason, number, last, moments[last])
        for name, dataset, event, outcome, reason, number, last in rows
    ]
    return sorted(counts, key=lambda item: (-item.count, item.connection, item.dataset or ""))[:limit]


@dataclass(frozen=True, slots=True)
class Refused:
    """Requests of one kind that the door did not take, since it last told."""

    count: int
    first_at: datetime
    last_at: datetime


async def add_refusals(session: AsyncSession, refused: Mapping[tuple[int, str], Refused]) -> None:
    """Add to what is known of connections' refusals, by (connection, code). Connections that are gone are left out."""
    there = set(
        await session.scalars(select(col(Connection.id)).where(col(Connection.id).in_({key[0] for key in refused})))
    )
    for (connection_id, code), item in refused.items():
        if connection_id not in there:
            continue
        statement = upsert(session, Refusal).values(
            connection_id=connection_id, code=code, count=item.count, first_at=item.first_at, last_at=item.last_at
        )
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["connection_id", "code"],
                set_={"count": col(Refusal.count) + item.count, "last_at": item.last_at},
            )
        )


async def list_refusals(session: AsyncSession, connection_id: int) -> list[Refusal]:
    """What the door refused of a connection, the newest first."""
    query = select(Refusal).where(col(Refusal.connection_id) == connection_id).order_by(col(Refusal.last_at).desc())
    return list(await session.scalars(query))
