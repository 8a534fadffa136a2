"""Who did what, when, from what to what. Rows are only ever added."""

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Audit


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
    """Add one entry. `before` and `after` are specs as stored: secrets appear in them as references only."""
    entry = Audit(
        at=at,
        actor=actor,
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        before=before,
        after=after,
        reason=reason,
    )
    session.add(entry)
    await session.flush()


async def list_audit(
    session: AsyncSession, *, team: str | None, kind: str | None, before: int | None, limit: int
) -> list[Audit]:
    """Entries newest first, with an id below `before`; of one team's objects (`team` or `team/…`), or of all."""
    query = select(Audit).order_by(col(Audit.id).desc()).limit(limit)
    if team is not None:
        # `_` is a wildcard of LIKE and is in names, so it is escaped.
        query = query.where(
            or_(col(Audit.object_id) == team, col(Audit.object_id).startswith(f"{team}/", autoescape=True))
        )
    if kind is not None:
        query = query.where(col(Audit.object_kind) == kind)
    if before is not None:
        query = query.where(col(Audit.id) < before)
    return list(await session.scalars(query))
