"""What happened since a place that a listener knows: new samples and new audit entries, both append-only.

Nothing is written for it: the tables that tell what was known when tell listeners too. On PostgreSQL a row may appear
after one with a higher id, from a transaction that took longer: whoever follows remembers which ids it has not seen and
asks for those again (`missing`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from app.store.tables import Audit, Connection, GuardrailMetric, KeyResult, Metric, Objective, Sample, Team


@dataclass(frozen=True, slots=True)
class Place:
    """The newest sample and the newest audit entry that a listener knows."""

    sample: int = 0
    audit: int = 0


class NewSample(NamedTuple):
    """A sample that a listener has not seen; history that is rebuilt is news once it is whole."""

    id: int
    metric_id: int
    quality: str


class NewEntry(NamedTuple):
    """An audit entry that a listener has not seen. `name` is `team/name`, or what its kind is named by."""

    id: int
    kind: str
    name: str
    action: str


async def newest_place(session: AsyncSession) -> Place:
    """Where a listener begins that wants only what is to come."""
    sample = await session.scalar(select(func.max(col(Sample.id))))
    entry = await session.scalar(select(func.max(col(Audit.id))))
    return Place(sample or 0, entry or 0)


async def sample_ids_after(session: AsyncSession, after: int) -> list[int]:
    """The ids of samples after an id, oldest first."""
    return list(await session.scalars(select(col(Sample.id)).where(col(Sample.id) > after).order_by(col(Sample.id))))


async def audit_ids_after(session: AsyncSession, after: int) -> list[int]:
    """The ids of audit entries after an id, oldest first."""
    return list(await session.scalars(select(col(Audit.id)).where(col(Audit.id) > after).order_by(col(Audit.id))))


async def samples_after(
    session: AsyncSession, after: int, limit: int, missing: Collection[int] = ()
) -> list[NewSample]:
    """Samples after an id, and those of the missing that have come, oldest first."""
    query = (
        select(col(Sample.id), col(Sample.metric_id), col(Sample.quality))
        .where(_after(col(Sample.id), after, missing))
        .order_by(col(Sample.id))
        .limit(limit)
    )
    return [NewSample(*row) for row in await session.execute(query)]


async def audits_after(session: AsyncSession, after: int, limit: int, missing: Collection[int] = ()) -> list[NewEntry]:
    """Audit entries after an id, and those of the missing that have come, oldest first."""
    query = (
        select(col(Audit.id), col(Audit.object_kind), col(Audit.object_id), col(Audit.action))
        .where(_after(col(Audit.id), after, missing))
        .order_by(col(Audit.id))
        .limit(limit)
    )
    return [NewEntry(*row) for row in await session.execute(query)]


def _after(column: Mapped[int], after: int, missing: Collection[int]) -> ColumnElement[bool]:
    return or_(column > after, column.in_(missing)) if missing else column > after


async def key_results_over(session: AsyncSession, metric_ids: Collection[int]) -> set[int]:
    """The current key results that ask for one of these metrics, or have a guardrail on one."""
    if not metric_ids:
        return set()
    watching = select(col(GuardrailMetric.key_result_id)).where(col(GuardrailMetric.metric_id).in_(metric_ids))
    query = select(col(KeyResult.id)).where(
        col(KeyResult.is_current), or_(col(KeyResult.metric_id).in_(metric_ids), col(KeyResult.id).in_(watching))
    )
    return set(await session.scalars(query))


async def metrics_named(session: AsyncSession, names: Collection[tuple[str, str]]) -> set[int]:
    """The metrics of these (team, name)."""
    if not names:
        return set()
    query = select(col(Metric.id)).join(Team, col(Team.id) == col(Metric.team_id))
    return set(await session.scalars(query.where(tuple_(col(Team.name), col(Metric.name)).in_(list(names)))))


async def key_results_named(session: AsyncSession, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The current key results of these (team, name)."""
    if not names:
        return {}
    query = (
        select(col(Team.name), col(KeyResult.name), col(KeyResult.id))
        .join(Team, col(Team.id) == col(KeyResult.team_id))
        .where(col(KeyResult.is_current), tuple_(col(Team.name), col(KeyResult.name)).in_(list(names)))
    )
    return {(team, name): identity for team, name, identity in await session.execute(query)}


async def objectives_named(session: AsyncSession, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The current objectives of these (team, name)."""
    if not names:
        return {}
    query = (
        select(col(Team.name), col(Objective.name), col(Objective.id))
        .join(Team, col(Team.id) == col(Objective.team_id))
        .where(col(Objective.is_current), tuple_(col(Team.name), col(Objective.name)).in_(list(names)))
    )
    return {(team, name): identity for team, name, identity in await session.execute(query)}


async def key_results_of_objectives(session: AsyncSession, objective_ids: Collection[int]) -> set[int]:
    """The current key results of objectives."""
    if not objective_ids:
        return set()
    query = select(col(KeyResult.id)).where(col(KeyResult.is_current), col(KeyResult.objective_id).in_(objective_ids))
    return set(await session.scalars(query))


async def connections_with_teams(session: AsyncSession) -> list[tuple[Connection, str]]:
    """Every connection with its team's name."""
    query = select(Connection, col(Team.name)).join(Team, col(Team.id) == col(Connection.team_id))
    return [(connection, team) for connection, team in await session.execute(query)]
