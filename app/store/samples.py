"""Values of metrics: what tools computed, what people asserted, and the samples made of facts."""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete, func, literal, select, tuple_, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.deliveries import upsert
from app.store.tables import AssertedValue, CurrentSample, FrozenBaseline, Measurement, Metric, MetricRevision, Sample

#: The quality of a sample that says again, later, what a past moment's value was.
RESTATED = "restated"

_LAST_MOMENT = timedelta(microseconds=1)
_DAY_MICROSECONDS = 86_400_000_000


async def append_measurement(session: AsyncSession, measurement: Measurement) -> None:
    session.add(measurement)
    await session.flush()


async def latest_measurement(
    session: AsyncSession,
    query_digest: str,
    cycle: str,
    *,
    as_of: datetime,
    known_at: datetime | None = None,
    window: tuple[datetime | None, datetime | None] | None = None,
) -> Measurement | None:
    """The newest measurement observed by `as_of` and recorded by `known_at`; of that very window, where it is given."""
    query = select(Measurement).where(
        col(Measurement.query_digest) == query_digest,
        col(Measurement.cycle) == cycle,
        col(Measurement.observed_at) <= as_of,
    )
    if known_at is not None:
        query = query.where(col(Measurement.recorded_at) <= known_at)
    if window is not None:
        start, end = window
        query = query.where(
            col(Measurement.window_start).is_(None) if start is None else col(Measurement.window_start) == start,
            col(Measurement.window_end).is_(None) if end is None else col(Measurement.window_end) == end,
        )
    query = query.order_by(col(Measurement.observed_at).desc(), col(Measurement.id).desc()).limit(1)
    return (await session.scalars(query)).first()


async def latest_asserted(
    session: AsyncSession, metric_id: int, *, as_of: datetime, known_at: datetime | None = None
) -> AssertedValue | None:
    """The value asserted for the newest day that had come by `as_of`; of one day the newest word counts. At a day's
    last moment its value counts, though it is kept as of the day's end."""
    query = select(AssertedValue).where(
        col(AssertedValue.metric_id) == metric_id,
        col(AssertedValue.is_override).is_(False),
        col(AssertedValue.effective_at) <= as_of + _LAST_MOMENT,
    )
    if known_at is not None:
        query = query.where(col(AssertedValue.recorded_at) <= known_at)
    query = query.order_by(col(AssertedValue.day).desc(), col(AssertedValue.id).desc()).limit(1)
    return (await session.scalars(query)).first()


async def asserted_for_day(session: AsyncSession, metric_id: int, day: str) -> AssertedValue | None:
    """The newest value asserted for one day."""
    query = (
        select(AssertedValue)
        .where(
            col(AssertedValue.metric_id) == metric_id,
            col(AssertedValue.day) == day,
            col(AssertedValue.is_override).is_(False),
        )
        .order_by(col(AssertedValue.id).desc())
        .limit(1)
    )
    return (await session.scalars(query)).first()


async def append_asserted(session: AsyncSession, value: AssertedValue) -> None:
    session.add(value)
    await session.flush()


async def current_samples(session: AsyncSession, metric_ids: Collection[int]) -> dict[tuple[int, str], Sample]:
    """The current sample of metrics, by (metric, cycle)."""
    query = (
        select(col(CurrentSample.metric_id), col(CurrentSample.cycle), Sample)
        .join(Sample, col(Sample.id) == col(CurrentSample.sample_id))
        .where(col(CurrentSample.metric_id).in_(metric_ids))
    )
    return {(row[0], row[1]): row[2] for row in await session.execute(query)}


async def append_past_sample(session: AsyncSession, sample: Sample) -> None:
    """Add a sample of a past moment; what is current stays, and what is made of the metric's history is made anew."""
    session.add(sample)
    await session.flush()
    table = Metric.__table__  # type: ignore[attr-defined]
    following = update(table).where(table.c.id == sample.metric_id).values(history_version=table.c.history_version + 1)
    await session.execute(following)


async def append_sample(session: AsyncSession, sample: Sample) -> None:
    """Add a sample and make it the current one of its metric and cycle."""
    session.add(sample)
    await session.flush()
    statement = upsert(session, CurrentSample).values(
        metric_id=sample.metric_id, cycle=sample.cycle, sample_id=sample.id
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["metric_id", "cycle"], set_={"sample_id": statement.excluded.sample_id}
        )
    )


async def sample_before(session: AsyncSession, metric_id: int, cycle: str, *, as_of: datetime) -> Sample | None:
    """The newest sample observed by `as_of`."""
    query = (
        select(Sample)
        .where(col(Sample.metric_id) == metric_id, col(Sample.cycle) == cycle, col(Sample.observed_at) <= as_of)
        .order_by(col(Sample.observed_at).desc(), col(Sample.id).desc())
        .limit(1)
    )
    return (await session.scalars(query)).first()


async def sample_preceding(session: AsyncSession, sample: Sample) -> Sample | None:
    """The sample before one, of the same metric and cycle; what was reconstructed or restated since is none."""
    query = (
        select(Sample)
        .where(
            col(Sample.metric_id) == sample.metric_id,
            col(Sample.cycle) == sample.cycle,
            col(Sample.id) < sample.id,
            col(Sample.quality).not_in(("reconstructed", RESTATED)),
        )
        .order_by(col(Sample.id).desc())
        .limit(1)
    )
    return (await session.scalars(query)).first()


async def list_samples(
    session: AsyncSession,
    metric_id: int,
    cycle: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    step: timedelta | None = None,
    qualities: Collection[str] | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[tuple[Sample, int]]:
    """Samples in the order they were recorded, each with its revision's number; with `step`, the last word about each
    span of that length since the epoch; with `qualities`, only those."""
    query = (
        select(Sample, col(MetricRevision.number))
        .join(MetricRevision, col(MetricRevision.id) == col(Sample.revision_id))
        .where(col(Sample.metric_id) == metric_id, col(Sample.cycle) == cycle, col(Sample.id) > after)
        .order_by(col(Sample.id))
        .limit(limit)
    )
    if since is not None:
        query = query.where(col(Sample.observed_at) >= since)
    if until is not None:
        query = query.where(col(Sample.observed_at) < until)
    if qualities is not None:
        query = query.where(col(Sample.quality).in_(qualities))
    if step is not None:
        whole = query.limit(None).order_by(None)
        # The newest observation counts: one that was reconstructed later is no later word.
        newest = whole.with_only_columns(func.max(col(Sample.observed_at))).group_by(_span(session, step))
        last = whole.where(col(Sample.observed_at).in_(newest)).with_only_columns(func.max(col(Sample.id)))
        query = query.where(col(Sample.id).in_(last.group_by(col(Sample.observed_at))))
    return [(row[0], row[1]) for row in await session.execute(query)]


async def values_of(
    session: AsyncSession,
    series: Collection[tuple[int, str]],
    *,
    since: datetime,
    until: datetime,
    known_at: datetime | None = None,
    daily: bool = False,
) -> dict[tuple[int, str], list[tuple[datetime, Decimal]]]:
    """The known values of metrics by (metric, cycle), in order of their moments, from `since` to `until` (included) as
    recorded by `known_at`: one query. `daily` takes the last word about each day (UTC)."""
    wanted = select(col(Sample.id)).where(
        tuple_(col(Sample.metric_id), col(Sample.cycle)).in_(list(series)),
        col(Sample.value).is_not(None),
        col(Sample.observed_at) >= since,
        col(Sample.observed_at) <= until,
    )
    if known_at is not None:
        wanted = wanted.where(col(Sample.recorded_at) <= known_at)
    if daily:
        wanted = wanted.with_only_columns(func.max(col(Sample.id))).group_by(
            col(Sample.metric_id), col(Sample.cycle), _day(session, col(Sample.observed_at))
        )
    query = (
        select(col(Sample.metric_id), col(Sample.cycle), col(Sample.observed_at), col(Sample.value))
        .where(col(Sample.id).in_(wanted))
        .order_by(col(Sample.observed_at), col(Sample.id))
    )
    found: dict[tuple[int, str], list[tuple[datetime, Decimal]]] = {}
    for metric_id, cycle, at, value in await session.execute(query):
        if value is not None:
            found.setdefault((metric_id, cycle), []).append((at, value))
    return found


def _span(session: AsyncSession, step: timedelta) -> Any:
    """The span of that length since the epoch that a sample lies in, for grouping."""
    length = literal(step // timedelta(microseconds=1), BigInteger())
    if session.get_bind().dialect.name == "postgresql":
        return func.floor(func.extract("epoch", col(Sample.observed_at)) * literal(1_000_000, BigInteger()) / length)
    return type_coerce(col(Sample.observed_at), BigInteger()) // length


def _day(session: AsyncSession, moment: Any) -> Any:
    """The UTC day of a stored moment, for grouping: SQLite keeps microseconds."""
    if session.get_bind().dialect.name == "postgresql":
        return func.date_trunc("day", func.timezone("UTC", moment))
    return type_coerce(moment, BigInteger()) // _DAY_MICROSECONDS


_FROZEN = select(FrozenBaseline).where(col(FrozenBaseline.key_result_id).in_(bindparam("ids", expanding=True)))


async def frozen_baselines(
    session: AsyncSession, key_result_ids: Collection[int]
) -> dict[tuple[int, str], FrozenBaseline]:
    """Frozen baselines by (key result, guardrail metric; "" for the key result's own)."""
    if not key_result_ids:
        return {}
    rows = await session.scalars(_FROZEN, {"ids": list(key_result_ids)})
    return {(row.key_result_id, row.guardrail): row for row in rows}


async def delete_baseline(session: AsyncSession, key_result_id: int) -> None:
    """Drop a key result's own frozen baseline."""
    await session.execute(
        delete(FrozenBaseline).where(
            col(FrozenBaseline.key_result_id) == key_result_id, col(FrozenBaseline.guardrail) == ""
        )
    )


async def freeze_baseline(session: AsyncSession, row: dict[str, Any]) -> None:
    """Keep a baseline; one that is frozen already under the same rule stays as it is."""
    statement = upsert(session, FrozenBaseline).values(**row)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["key_result_id", "guardrail"],
            set_={name: getattr(statement.excluded, name) for name in ("rule", "value", "evidence", "frozen_at")},
            where=col(FrozenBaseline.rule) != statement.excluded.rule,
        )
    )
