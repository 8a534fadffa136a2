"""Which metric reads which, and who asks for it: formulas, guardrails, key results, across teams."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.tables import GuardrailMetric, KeyResult, Metric, MetricInput, Team


def _is_live() -> ColumnElement[bool]:
    return or_(
        col(Metric.revision_id) == col(MetricInput.revision_id),
        col(Metric.building_revision_id) == col(MetricInput.revision_id),
    )


async def save_inputs(session: AsyncSession, revision_id: int, inputs: Mapping[str, int]) -> None:
    """Keep the metrics that a formula's revision reads, by the names it uses."""
    for name, metric_id in inputs.items():
        session.add(MetricInput(revision_id=revision_id, name=name, metric_id=metric_id))
    await session.flush()


async def inputs_of(session: AsyncSession, revision_ids: Collection[int]) -> dict[int, dict[str, int | None]]:
    """By revision: the metrics that it reads by name; None for one that is no more."""
    query = select(MetricInput).where(col(MetricInput.revision_id).in_(revision_ids)).order_by(col(MetricInput.name))
    found: dict[int, dict[str, int | None]] = {}
    for row in await session.scalars(query):
        found.setdefault(row.revision_id, {})[row.name] = row.metric_id
    return found


async def readers_of(session: AsyncSession, metric_ids: Collection[int]) -> dict[int, set[int]]:
    """The formulas that read these metrics, directly or through others: what each of them reads of them and of each
    other. Formulas that are current or being built count."""
    found: dict[int, set[int]] = {}
    seen, waiting = set(metric_ids), set(metric_ids)
    while waiting:
        query = (
            select(col(Metric.id), col(MetricInput.metric_id))
            .join(MetricInput, _is_live())
            .where(col(MetricInput.metric_id).in_(waiting))
        )
        pairs = [(reader, read) for reader, read in await session.execute(query) if read is not None]
        for reader, metric_id in pairs:
            found.setdefault(reader, set()).add(metric_id)
        waiting = {reader for reader, _ in pairs} - seen
        seen |= waiting
    return found


async def live_formulas(session: AsyncSession) -> dict[str, set[str]]:
    """Every formula's metrics, all as `team/name`."""
    reader_team, read_team = Team.__table__.alias(), Team.__table__.alias()  # type: ignore[attr-defined]
    read = Metric.__table__.alias()  # type: ignore[attr-defined]
    query = (
        select(reader_team.c.name, col(Metric.name), read_team.c.name, read.c.name)
        .join(MetricInput, _is_live())
        .join(reader_team, reader_team.c.id == col(Metric.team_id))
        .join(read, read.c.id == col(MetricInput.metric_id))
        .join(read_team, read_team.c.id == read.c.team_id)
    )
    found: dict[str, set[str]] = {}
    for team, name, other, metric in await session.execute(query):
        found.setdefault(f"{team}/{name}", set()).add(f"{other}/{metric}")
    return found


async def named_metrics(session: AsyncSession) -> dict[str, str]:
    """The unit of every named metric, by `team/name`."""
    query = (
        select(col(Team.name), col(Metric.name), col(Metric.unit))
        .join(Team, col(Team.id) == col(Metric.team_id))
        .where(col(Metric.is_inline).is_(False))
    )
    return {f"{team}/{name}": unit for team, name, unit in await session.execute(query)}


async def set_guardrails(session: AsyncSession, key_result_id: int, metrics: Mapping[str, int]) -> None:
    """Keep the metrics that a key result's guardrails watch, and no other."""
    await session.execute(delete(GuardrailMetric).where(col(GuardrailMetric.key_result_id) == key_result_id))
    for name, metric_id in metrics.items():
        session.add(GuardrailMetric(key_result_id=key_result_id, name=name, metric_id=metric_id))
    await session.flush()


@dataclass(frozen=True, slots=True)
class Asking:
    """A key result that wants a metric's value, for itself or (`is_guardrail`) to watch it."""

    metric_id: int
    key_result: KeyResult
    is_guardrail: bool


async def askers_of(session: AsyncSession, metric_ids: Collection[int]) -> list[Asking]:
    """The current key results, of any team, that want these metrics themselves."""
    own = select(KeyResult).where(col(KeyResult.metric_id).in_(metric_ids), col(KeyResult.is_current).is_(True))
    watching = (
        select(KeyResult, col(GuardrailMetric.metric_id))
        .join(GuardrailMetric, col(GuardrailMetric.key_result_id) == col(KeyResult.id))
        .where(col(GuardrailMetric.metric_id).in_(metric_ids), col(KeyResult.is_current).is_(True))
    )
    found = [Asking(row.metric_id, row, False) for row in await session.scalars(own)]
    return found + [Asking(row[1], row[0], True) for row in await session.execute(watching)]


async def users_of(session: AsyncSession, metric_id: int) -> list[str]:
    """Who needs a metric: key results of any cycle and guardrails and formulas, as `team/name`, sorted."""
    queries = (
        select(col(Team.name), col(KeyResult.name))
        .join(Team, col(Team.id) == col(KeyResult.team_id))
        .where(col(KeyResult.metric_id) == metric_id),
        select(col(Team.name), col(KeyResult.name))
        .join(Team, col(Team.id) == col(KeyResult.team_id))
        .join(GuardrailMetric, col(GuardrailMetric.key_result_id) == col(KeyResult.id))
        .where(col(GuardrailMetric.metric_id) == metric_id, col(KeyResult.is_current).is_(True)),
        select(col(Team.name), col(Metric.name))
        .join(Team, col(Team.id) == col(Metric.team_id))
        .join(MetricInput, _is_live())
        .where(col(MetricInput.metric_id) == metric_id),
    )
    return sorted({f"{row[0]}/{row[1]}" for query in queries for row in await session.execute(query)})


async def wanted_by(session: AsyncSession, team: str) -> set[str]:
    """The metrics that a team's current key results measure and their guardrails watch, as `team/name`."""
    wanting = select(col(KeyResult.id)).join(Team, col(Team.id) == col(KeyResult.team_id))
    wanting = wanting.where(col(Team.name) == team, col(KeyResult.is_current).is_(True))
    named = select(col(Team.name), col(Metric.name)).join(Metric, col(Metric.team_id) == col(Team.id))
    queries = (
        named.join(KeyResult, col(KeyResult.metric_id) == col(Metric.id)).where(col(KeyResult.id).in_(wanting)),
        named.join(GuardrailMetric, col(GuardrailMetric.metric_id) == col(Metric.id)).where(
            col(GuardrailMetric.key_result_id).in_(wanting)
        ),
    )
    return {f"{row[0]}/{row[1]}" for query in queries for row in await session.execute(query)}


async def teams_read_by(session: AsyncSession, team_id: int) -> dict[int, Team]:
    """The other teams whose metrics a team's key results, guardrails and formulas read, directly or through others."""
    direct = select(col(KeyResult.metric_id)).where(col(KeyResult.team_id) == team_id, col(KeyResult.is_current))
    watched = (
        select(col(GuardrailMetric.metric_id))
        .join(KeyResult, col(KeyResult.id) == col(GuardrailMetric.key_result_id))
        .where(col(KeyResult.team_id) == team_id, col(KeyResult.is_current))
    )
    own = select(col(Metric.id)).where(col(Metric.team_id) == team_id)
    seen: set[int] = set()
    waiting = {identity for query in (direct, watched, own) for identity in await session.scalars(query)}
    while waiting:
        seen |= waiting
        query = (
            select(col(MetricInput.metric_id))
            .join(Metric, _is_live())
            .where(col(Metric.id).in_(waiting), col(MetricInput.metric_id).is_not(None))
        )
        waiting = {identity for identity in await session.scalars(query) if identity is not None} - seen
    teams = (
        select(Team)
        .join(Metric, col(Metric.team_id) == col(Team.id))
        .where(col(Metric.id).in_(seen), col(Team.id) != team_id)
        .distinct()
    )
    return {team.id: team for team in await session.scalars(teams)}
