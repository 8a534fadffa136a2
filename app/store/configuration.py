"""What a change of configuration does to rows beyond its own: secrets, plans, instances of earlier cycles."""

from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.plans import is_needed
from app.store.tables import (
    Dataset,
    KeyResult,
    Metric,
    MetricPart,
    Objective,
    Plan,
    Record,
)


async def resume_plans(session: AsyncSession, connection_id: int, now: datetime) -> None:
    """A connection was changed: its plans are tried again now, those that were paused for their query too."""
    await session.execute(
        update(Plan)
        .where(col(Plan.connection_id) == connection_id, is_needed())
        .values(next_due_at=now, paused_code=None, failures=0)
    )


async def restart_plan(session: AsyncSession, dataset_id: int, now: datetime) -> None:
    """A dataset's scope was changed: it is read whole, and what that read does not find was left out by the change."""
    await session.execute(
        update(Plan)
        .where(col(Plan.dataset_id) == dataset_id)
        .values(cursor=None, full_due_at=None, next_due_at=now, paused_code=None, failures=0)
    )
    await session.execute(update(Record).where(col(Record.dataset_id) == dataset_id).values(missed_sweeps=1))


async def objective_instance(session: AsyncSession, team_id: int, name: str, cycle: str) -> Objective | None:
    """An objective as it was, or is, in a cycle."""
    query = select(Objective).where(
        col(Objective.team_id) == team_id, col(Objective.name) == name, col(Objective.cycle) == cycle
    )
    return (await session.scalars(query)).first()


async def key_result_instance(session: AsyncSession, team_id: int, name: str, cycle: str) -> KeyResult | None:
    """A key result as it was, or is, in a cycle."""
    query = select(KeyResult).where(
        col(KeyResult.team_id) == team_id, col(KeyResult.name) == name, col(KeyResult.cycle) == cycle
    )
    return (await session.scalars(query)).first()


async def is_metric_used(session: AsyncSession, metric_id: int) -> bool:
    """Whether a key result of any cycle asks for the metric."""
    query = select(col(KeyResult.id)).where(col(KeyResult.metric_id) == metric_id).limit(1)
    return (await session.execute(query)).first() is not None


async def is_objective_used(session: AsyncSession, objective_id: int) -> bool:
    """Whether key results belong to the objective."""
    query = select(col(KeyResult.id)).where(col(KeyResult.objective_id) == objective_id).limit(1)
    return (await session.execute(query)).first() is not None


async def is_source_used(session: AsyncSession, kind: str, identity: int) -> bool:
    """Whether a metric that is current or being built reads the dataset, or anything of the connection."""
    live = or_(
        col(Metric.revision_id) == col(MetricPart.revision_id),
        col(Metric.building_revision_id) == col(MetricPart.revision_id),
    )
    query = select(col(MetricPart.part)).join(Metric, live)
    if kind == "dataset":
        query = query.where(col(MetricPart.dataset_id) == identity)
    else:
        datasets = select(col(Dataset.id)).where(col(Dataset.connection_id) == identity)
        queries = select(col(Plan.query_digest)).where(
            col(Plan.connection_id) == identity, col(Plan.query_digest).is_not(None)
        )
        query = query.where(or_(col(MetricPart.dataset_id).in_(datasets), col(MetricPart.query_digest).in_(queries)))
    return (await session.execute(query.limit(1))).first() is not None


async def measured_periods(session: AsyncSession, team_id: int) -> set[str]:
    """The periods that the baselines of a team's key results, of any cycle, are measured over."""
    specs = await session.scalars(select(col(KeyResult.spec)).where(col(KeyResult.team_id) == team_id))
    baselines = [spec.get("baseline") for spec in specs]
    return {baseline["measure"] for baseline in baselines if isinstance(baseline, dict)}
