"""The terms of key results: target, baseline, guardrails and metric, from a moment on."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import KeyResultTerms


async def terms_of(session: AsyncSession, key_result_ids: Collection[int]) -> dict[int, list[KeyResultTerms]]:
    """Every change of terms by key result, oldest first."""
    query = (
        select(KeyResultTerms)
        .where(col(KeyResultTerms.key_result_id).in_(key_result_ids))
        .order_by(col(KeyResultTerms.since), col(KeyResultTerms.id))
    )
    found: dict[int, list[KeyResultTerms]] = {}
    for row in await session.scalars(query):
        found.setdefault(row.key_result_id, []).append(row)
    return found


async def append_terms(
    session: AsyncSession, key_result_id: int, *, since: datetime, spec: dict[str, Any], author: str
) -> None:
    """From now on these terms hold."""
    session.add(KeyResultTerms(key_result_id=key_result_id, since=since, spec=spec, author=author))
    await session.flush()


async def amend_terms(session: AsyncSession, row: KeyResultTerms, **more: Any) -> None:
    """Note what was in force under these terms, before others take their place."""
    row.spec = row.spec | more
    await session.flush()
