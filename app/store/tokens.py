"""API tokens: digests only, and what each may do."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import Team, Token


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token's row with its team's name (None: every team)."""

    id: int
    name: str
    scopes: tuple[str, ...]
    team: str | None
    created_at: datetime
    revoked_at: datetime | None


_joined: Any = select(
    col(Token.id),
    col(Token.name),
    col(Token.scopes),
    col(Team.name),
    col(Token.created_at),
    col(Token.revoked_at),
).outerjoin(Team, col(Team.id) == col(Token.team_id))
# Every request asks this: written down once, it costs half.
_BY_DIGEST: Any = _joined.where(col(Token.digest) == bindparam("digest"), col(Token.revoked_at).is_(None))


def _stored(row: Any) -> StoredToken:
    return StoredToken(row[0], row[1], tuple(row[2]), row[3], row[4], row[5])


async def get_by_digest(session: AsyncSession, digest: str) -> StoredToken | None:
    """The token with that sha256 digest that is not revoked."""
    row = (await session.execute(_BY_DIGEST, {"digest": digest})).first()
    return None if row is None else _stored(row)


async def list_tokens(session: AsyncSession, *, team: str | None, after: int, limit: int) -> list[StoredToken]:
    """Tokens with an id beyond `after`, oldest first; of one team, or of all with None."""
    query = _joined.where(col(Token.id) > after).order_by(col(Token.id)).limit(limit)
    if team is not None:
        query = query.where(col(Team.name) == team)
    found = await session.execute(query)
    return [_stored(row) for row in found]


async def get_token(session: AsyncSession, token_id: int) -> StoredToken | None:
    """One token by id, revoked or not."""
    row = (await session.execute(_joined.where(col(Token.id) == token_id))).first()
    return None if row is None else _stored(row)


async def append_token(
    session: AsyncSession,
    *,
    name: str,
    digest: str,
    scopes: Collection[str],
    team_id: int | None,
    created_at: datetime,
    created_by: str,
) -> int:
    """Keep a new token; returns its id."""
    token = Token(
        name=name,
        digest=digest,
        scopes=sorted(scopes),
        team_id=team_id,
        created_at=created_at,
        created_by=created_by,
    )
    session.add(token)
    await session.flush()
    return token.id


async def revoke_token(session: AsyncSession, token_id: int, at: datetime) -> bool:
    """Revoke a token that is not revoked yet; False where there is nothing to revoke."""
    revoked = await session.scalars(
        update(Token)
        .where(col(Token.id) == token_id, col(Token.revoked_at).is_(None))
        .values(revoked_at=at)
        .returning(col(Token.id))
    )
    return revoked.first() is not None


async def has_admin_of_all_teams(session: AsyncSession) -> bool:
    """Whether a token that may do everything exists and is not revoked."""
    found = await session.execute(
        select(col(Token.scopes)).where(col(Token.team_id).is_(None), col(Token.revoked_at).is_(None))
    )
    return any("admin" in scopes for (scopes,) in found)


async def team_id_of(session: AsyncSession, team: str) -> int | None:
    """The id of a team by its name."""
    found: int | None = await session.scalar(select(col(Team.id)).where(col(Team.name) == team))
    return found
