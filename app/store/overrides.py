"""Values that people put in the place of automated ones: appended, and noted when they end."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import AssertedValue, Sample


@dataclass(frozen=True, slots=True)
class Override:
    """A value with the sample whose place it took."""

    row: AssertedValue
    sample: Sample


async def active_overrides(session: AsyncSession, metric_ids: Collection[int]) -> dict[tuple[int, str], Override]:
    """What stands in an automated value's place now, by (metric, cycle)."""
    query = _overrides(metric_ids).where(col(AssertedValue.expired_at).is_(None))
    return {(row[0].metric_id, row[1].cycle): Override(row[0], row[1]) for row in await session.execute(query)}


async def overrides_at(
    session: AsyncSession, metric_ids: Collection[int], *, as_of: datetime, known_at: datetime | None = None
) -> dict[tuple[int, str], Override]:
    """What stood in an automated value's place at a moment, as known at `known_at`, by (metric, cycle)."""
    query = _overrides(metric_ids).where(
        col(AssertedValue.effective_at) <= as_of,
        or_(col(AssertedValue.expired_at).is_(None), col(AssertedValue.expired_at) > as_of),
    )
    if known_at is not None:
        query = query.where(col(AssertedValue.recorded_at) <= known_at)
    return {(row[0].metric_id, row[1].cycle): Override(row[0], row[1]) for row in await session.execute(query)}


def _overrides(metric_ids: Collection[int]) -> Select[AssertedValue, Sample]:
    return (
        select(AssertedValue, Sample)
        .join(Sample, col(Sample.id) == col(AssertedValue.overridden_sample_id))
        .where(col(AssertedValue.metric_id).in_(metric_ids), col(AssertedValue.is_override).is_(True))
        .order_by(col(AssertedValue.id))
    )


async def expire_override(session: AsyncSession, override_id: int, now: datetime) -> None:
    """The automated value has moved on, or another word was given."""
    await session.execute(update(AssertedValue).where(col(AssertedValue.id) == override_id).values(expired_at=now))
