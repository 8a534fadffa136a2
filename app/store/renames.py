"""Where the name of an object is written down, apart from its own row."""

from typing import Any, TypeAlias

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import (
    Audit,
    Connection,
    Dataset,
    FrozenBaseline,
    GuardrailMetric,
    KeyResult,
    Metric,
    MetricInput,
    MetricPart,
    MetricRevision,
    Objective,
    Team,
)

Row: TypeAlias = Connection | Dataset | Metric | Objective | KeyResult
_TABLES: dict[str, type[Row]] = {
    "connection": Connection,
    "dataset": Dataset,
    "metric": Metric,
    "objective": Objective,
    "key_result": KeyResult,
}


async def rows_named(
    session: AsyncSession, kind: str, team_id: int, name: str, *, is_inline: bool = False
) -> list[Row]:
    """A team's rows of a kind under a name: of an objective or key result one for every cycle."""
    table = _TABLES[kind]
    query = select(table).where(col(table.team_id) == team_id, col(table.name) == name)
    if kind == "metric":
        query = query.where(col(Metric.is_inline).is_(is_inline))
    return list(await session.scalars(query.order_by(col(table.id))))


async def datasets_of(session: AsyncSession, connection_id: int) -> list[Dataset]:
    return list(await session.scalars(select(Dataset).where(col(Dataset.connection_id) == connection_id)))


async def team_revisions(session: AsyncSession, team_id: int) -> list[tuple[Metric, MetricRevision]]:
    """Every revision of every metric of a team, inline ones too."""
    query = (
        select(Metric, MetricRevision)
        .join(MetricRevision, col(MetricRevision.metric_id) == col(Metric.id))
        .where(col(Metric.team_id) == team_id)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def revisions_of_dataset(session: AsyncSession, dataset_id: int) -> list[tuple[Metric, MetricRevision]]:
    """Every revision that reads a dataset."""
    query = (
        select(Metric, MetricRevision)
        .join(MetricRevision, col(MetricRevision.metric_id) == col(Metric.id))
        .where(
            col(MetricRevision.id).in_(
                select(col(MetricPart.revision_id)).where(col(MetricPart.dataset_id) == dataset_id)
            )
        )
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def inputs_naming(
    session: AsyncSession, metric_id: int
) -> list[tuple[MetricInput, MetricRevision, Metric, Team]]:
    """The formulas' revisions, of any team, that read a metric."""
    query = (
        select(MetricInput, MetricRevision, Metric, Team)
        .join(MetricRevision, col(MetricRevision.id) == col(MetricInput.revision_id))
        .join(Metric, col(Metric.id) == col(MetricRevision.metric_id))
        .join(Team, col(Team.id) == col(Metric.team_id))
        .where(col(MetricInput.metric_id) == metric_id)
        .order_by(col(MetricInput.revision_id))
    )
    return [(row[0], row[1], row[2], row[3]) for row in await session.execute(query)]


async def key_results_naming(session: AsyncSession, metric_id: int) -> list[tuple[KeyResult, Team]]:
    """The key results, of any team and cycle, that ask for a metric or watch it."""
    watching = select(col(GuardrailMetric.key_result_id)).where(col(GuardrailMetric.metric_id) == metric_id)
    query = (
        select(KeyResult, Team)
        .join(Team, col(Team.id) == col(KeyResult.team_id))
        .where((col(KeyResult.metric_id) == metric_id) | col(KeyResult.id).in_(watching))
        .order_by(col(KeyResult.id))
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def rename_guardrail(session: AsyncSession, key_result_id: int, old: str, new: str) -> None:
    """A guardrail goes by another name, and so does the baseline that was frozen for it."""
    await session.execute(
        update(GuardrailMetric)
        .where(col(GuardrailMetric.key_result_id) == key_result_id, col(GuardrailMetric.name) == old)
        .values(name=new)
    )
    await session.execute(
        update(FrozenBaseline)
        .where(col(FrozenBaseline.key_result_id) == key_result_id, col(FrozenBaseline.guardrail) == old)
        .values(guardrail=new)
    )


async def all_objectives(session: AsyncSession) -> list[tuple[Objective, Team]]:
    """Every objective of every team and cycle."""
    query = select(Objective, Team).join(Team, col(Team.id) == col(Objective.team_id)).order_by(col(Objective.id))
    return [(row[0], row[1]) for row in await session.execute(query)]


async def last_rename(session: AsyncSession, kind: str, identity: str) -> Any:
    """What the object that went by a name was renamed to, None where none was: the newest entry counts."""
    query = (
        select(col(Audit.after))
        .where(col(Audit.object_kind) == kind, col(Audit.object_id) == identity, col(Audit.action) == "rename")
        .order_by(col(Audit.id).desc())
        .limit(1)
    )
    return (await session.scalars(query)).first()


async def team_key_results(session: AsyncSession, team_id: int) -> list[KeyResult]:
    """A team's key results of every cycle."""
    return list(await session.scalars(select(KeyResult).where(col(KeyResult.team_id) == team_id)))
