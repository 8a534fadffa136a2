"""Answers kept under a caller's `Idempotency-Key`, so that a POST sent twice has one effect."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.deliveries import upsert
from app.store.tables import IdempotencyKey

#: The status of a key whose first request is still at work.
IN_PROGRESS = 0


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a key was first used for (`digest` of the request) and how it was answered."""

    digest: str
    status: int
    body: bytes
    created_at: datetime


async def claim_key(
    session: AsyncSession, token_id: int, key: str, *, digest: str, at: datetime, abandoned_before: datetime
) -> KeptAnswer | None:
    """Claim `key` for a request; None where it is ours, else what is kept of it.

    A claim from before `abandoned_before` that never got its answer is taken over.
    """
    await session.execute(
        delete(IdempotencyKey).where(
            col(IdempotencyKey.token_id) == token_id,
            col(IdempotencyKey.key) == key,
            col(IdempotencyKey.status) == IN_PROGRESS,
            col(IdempotencyKey.created_at) < abandoned_before,
        )
    )
    statement = (
        upsert(session, IdempotencyKey)
        .values(token_id=token_id, key=key, digest=digest, status=IN_PROGRESS, body=b"", created_at=at)
        .on_conflict_do_nothing(index_elements=["token_id", "key"])
        .returning(col(IdempotencyKey.token_id))
    )
    if (await session.execute(statement)).first() is not None:
        return None
    kept = await session.scalar(
        select(IdempotencyKey).where(col(IdempotencyKey.token_id) == token_id, col(IdempotencyKey.key) == key)
    )
    return None if kept is None else KeptAnswer(kept.digest, kept.status, kept.body, kept.created_at)


async def save_answer(session: AsyncSession, token_id: int, key: str, *, status: int, body: bytes) -> None:
    """Keep the answer of a claimed key."""
    await session.execute(
        update(IdempotencyKey)
        .where(col(IdempotencyKey.token_id) == token_id, col(IdempotencyKey.key) == key)
        .values(status=status, body=body)
    )


async def release_key(session: AsyncSession, token_id: int, key: str) -> None:
    """Forget a claim whose request had no effect, so that it may be tried again."""
    await session.execute(
        delete(IdempotencyKey).where(
            col(IdempotencyKey.token_id) == token_id,
            col(IdempotencyKey.key) == key,
            col(IdempotencyKey.status) == IN_PROGRESS,
        )
    )


async def delete_keys_before(session: AsyncSession, moment: datetime) -> None:
    """Forget keys that are older than their retention."""
    await session.execute(delete(IdempotencyKey).where(col(IdempotencyKey.created_at) < moment))
