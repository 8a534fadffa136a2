"""Who did what, when, from what to what, and why. Rows are only ever added."""

from collections.abc import Collection
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Audit

#: Why the request at hand changes things, as its sender said: set at the door, so that no use case can forget it.
given_reason: ContextVar[str | None] = ContextVar("given_reason", default=None)


async def append_audit(
    session: AsyncSession,
    *,
    at: datetime,
    actor: str,
    action: str,
    object_kind: str,
    object_id: str,
    before: Any = None,
    after: Any = None,
    reason: str | None = None,
) -> None:
    """Add one entry. `before` and `after` are specs as stored: secrets appear in them as references only. Without a
    reason of its own, it has that of the request."""
    entry = Audit(
        at=at,
        actor=actor,
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        before=before,
        after=after,
        reason=reason or given_reason.get(),
    )
    session.add(entry)
    await session.flush()


async def list_audit(
    session: AsyncSession,
    *,
    team: str | None,
    kind: str | None,
    object_id: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None,
    limit: int,
) -> list[Audit]:
    """Entries newest first, with an id below `before`; of one team's objects (`team` or `team/…`), or of all; from
    `since` on, and before `until`."""
    query = _of_team(select(Audit), team).order_by(col(Audit.id).desc()).limit(limit)
    for column, value in (
        (col(Audit.object_kind), kind),
        (col(Audit.object_id), object_id),
        (col(Audit.actor), actor),
        (col(Audit.action), action),
    ):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(col(Audit.at) >= since)
    if until is not None:
        query = query.where(col(Audit.at) < until)
    if before is not None:
        query = query.where(col(Audit.id) < before)
    return list(await session.scalars(query))


def _of_team(query: Select[tuple[Audit]], team: str | None) -> Select[tuple[Audit]]:
    if team is None:
        return query
    # `_` is a wildcard of LIKE and is in names, so it is escaped.
    return query.where(or_(col(Audit.object_id) == team, col(Audit.object_id).startswith(f"{team}/", autoescape=True)))


async def edits_since(
    session: AsyncSession, kind: str, object_ids: Collection[str], since: datetime
) -> list[tuple[str, Any, Any]]:
    """The updates of objects from a moment on, oldest first: (object, before, after)."""
    query = (
        select(col(Audit.object_id), col(Audit.before), col(Audit.after))
        .where(
            col(Audit.object_kind) == kind,
            col(Audit.object_id).in_(object_ids),
            col(Audit.action) == "update",
            col(Audit.at) >= since,
        )
        .order_by(col(Audit.id))
    )
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


async def last_change(session: AsyncSession, team: str) -> Audit | None:
    """The newest change of what a team has configured; None where there was none."""
    query = _of_team(select(Audit), team).where(
        col(Audit.action).in_(("create", "update", "delete", "rename")),
        col(Audit.object_kind).in_(("team", "connection", "dataset", "metric", "objective", "key_result")),
    )
    found: list[Audit] = list(await session.scalars(query.order_by(col(Audit.id).desc()).limit(1)))
    return found[0] if found else None
