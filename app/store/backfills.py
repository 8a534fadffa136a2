"""Wishes for history from before there were samples, and how far each has come."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import BackfillJob, Connection, Dataset, Fact, KeyResult, Metric, Plan, Sample, Team

OPEN = ("waiting", "running")
#: The quality of a sample that was computed afterwards, from records and their transitions.
RECONSTRUCTED = "reconstructed"


async def append_job(session: AsyncSession, job: BackfillJob) -> None:
    session.add(job)
    await session.flush()


async def get_job(session: AsyncSession, team_id: int, job_id: int) -> BackfillJob | None:
    query = select(BackfillJob).where(col(BackfillJob.id) == job_id, col(BackfillJob.team_id) == team_id)
    return (await session.scalars(query)).first()


async def list_jobs(session: AsyncSession, team_id: int, *, before: int | None, limit: int) -> list[BackfillJob]:
    """A team's jobs, newest first."""
    query = select(BackfillJob).where(col(BackfillJob.team_id) == team_id)
    if before is not None:
        query = query.where(col(BackfillJob.id) < before)
    return list(await session.scalars(query.order_by(col(BackfillJob.id).desc()).limit(limit)))


async def open_jobs(session: AsyncSession, team_id: int | None = None) -> list[BackfillJob]:
    """The jobs that are not done, oldest first."""
    query = select(BackfillJob).where(col(BackfillJob.state).in_(OPEN)).order_by(col(BackfillJob.id))
    if team_id is not None:
        query = query.where(col(BackfillJob.team_id) == team_id)
    return list(await session.scalars(query))


async def half_told(session: AsyncSession) -> set[int]:
    """The metrics whose history is being told: up to some day, and not yet from there to their first sample."""
    return {job.metrics[0] for job in await open_jobs(session) if job.day is not None and job.metrics}


async def read_job(session: AsyncSession, job_id: int) -> tuple[BackfillJob | None, Team | None]:
    """An open job and its team."""
    query = select(BackfillJob).where(col(BackfillJob.id) == job_id, col(BackfillJob.state).in_(OPEN))
    job = (await session.scalars(query)).first()
    return job, None if job is None else await session.get(Team, job.team_id)


async def hold_job(session: AsyncSession, job_id: int) -> tuple[BackfillJob, Team] | None:
    """The job, held until the transaction ends, and its team; None where another worker holds it, or it is done."""
    query = select(BackfillJob).where(col(BackfillJob.id) == job_id, col(BackfillJob.state).in_(OPEN))
    job = (await session.scalars(query.with_for_update(skip_locked=True))).first()
    team = None if job is None else await session.get(Team, job.team_id)
    return None if job is None or team is None else (job, team)


async def team_metrics(session: AsyncSession, team_id: int) -> list[Metric]:
    query = select(Metric).where(col(Metric.team_id) == team_id).order_by(col(Metric.is_inline), col(Metric.name))
    return list(await session.scalars(query))


async def cycles_of_metric(session: AsyncSession, metric_ids: Collection[int]) -> set[str]:
    """The cycles of every key result, current or not, that asks for one of these metrics."""
    query = select(col(KeyResult.cycle)).where(col(KeyResult.metric_id).in_(metric_ids)).distinct()
    return set(await session.scalars(query))


async def unread_datasets(session: AsyncSession, dataset_ids: Collection[int]) -> dict[str, str | None]:
    """The pulled datasets among these that no complete read has gone through yet, under their present scope, by name:
    why none will before somebody acts, or None where one is to come."""
    query = (
        select(col(Dataset.name), Plan, Connection)
        .join(Plan, col(Plan.dataset_id) == col(Dataset.id))
        .join(Connection, col(Connection.id) == col(Plan.connection_id))
        .where(col(Dataset.id).in_(dataset_ids), col(Plan.cursor).is_(None))
        .order_by(col(Dataset.name))
    )
    found: dict[str, str | None] = {}
    for name, plan, connection in await session.execute(query):
        found[name] = None
        if connection.paused_code is not None:
            found[name] = connection.paused_reason or f"the connection {connection.name} is paused"
        elif plan.paused_code is not None:
            found[name] = plan.failing_reason or "it is not read"
    return found


async def earliest_fact(session: AsyncSession, revision_id: int) -> datetime | None:
    """The first moment that a revision's facts tell of."""
    query = select(func.min(col(Fact.at)), func.min(col(Fact.since)), func.min(col(Fact.valid_from))).where(
        col(Fact.revision_id) == revision_id
    )
    found = [moment for moment in (await session.execute(query)).one() if moment is not None]
    return min(found, default=None)


async def earliest_sample(session: AsyncSession, metric_id: int) -> datetime | None:
    """When a metric was first measured."""
    query = select(func.min(col(Sample.observed_at))).where(
        col(Sample.metric_id) == metric_id, col(Sample.quality) != RECONSTRUCTED, col(Sample.value).is_not(None)
    )
    return await session.scalar(query)


async def observed(
    session: AsyncSession, metric_id: int, cycle: str, start: datetime, end: datetime
) -> list[tuple[datetime, str]]:
    """(moment, quality) of the samples within a span, its end included."""
    query = select(col(Sample.observed_at), col(Sample.quality)).where(
        col(Sample.metric_id) == metric_id,
        col(Sample.cycle) == cycle,
        col(Sample.observed_at) >= start,
        col(Sample.observed_at) <= end,
    )
    return [(row[0], row[1]) for row in await session.execute(query.order_by(col(Sample.id)))]


async def measured_before(session: AsyncSession, metric_id: int, cycle: str, moment: datetime) -> Sample | None:
    """The newest measured sample before a moment."""
    query = select(Sample).where(
        col(Sample.metric_id) == metric_id,
        col(Sample.cycle) == cycle,
        col(Sample.quality) != RECONSTRUCTED,
        col(Sample.observed_at) < moment,
    )
    return (
        await session.scalars(query.order_by(col(Sample.observed_at).desc(), col(Sample.id).desc()).limit(1))
    ).first()
