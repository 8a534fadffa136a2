"""The organisation's words and configuration: teams, connections, datasets, metrics, objectives, key results."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, Text, bindparam, exists, func, literal, or_, select, tuple_, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.store.deliveries import upsert
from app.store.tables import (
    CheckIn,
    Connection,
    CycleClose,
    Dataset,
    FrozenBaseline,
    GuardrailMetric,
    KeyResult,
    Metric,
    MetricPart,
    MetricRevision,
    Objective,
    Plan,
    Sample,
    SealedKeyResult,
    Team,
)
from app.store.tables import CurrentSample as Current
from app.store.types import Moment


@dataclass(slots=True)
class TeamRows:
    """Everything a team has configured, by name. `metrics` holds named ones, `inline_metrics` those of a key result;
    `objectives` and `key_results` the current instances only."""

    team: Team
    connections: dict[str, Connection] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    inline_metrics: dict[str, Metric] = field(default_factory=dict)
    objectives: dict[str, Objective] = field(default_factory=dict)
    key_results: dict[str, KeyResult] = field(default_factory=dict)


async def get_team(session: AsyncSession, name: str) -> Team | None:
    return (await session.scalars(select(Team).where(col(Team.name) == name))).first()


async def lock_team(session: AsyncSession, name: str) -> Team | None:
    """The team, held until the transaction ends: one change of its configuration at a time."""
    return (await session.scalars(select(Team).where(col(Team.name) == name).with_for_update())).first()


async def create_team(session: AsyncSession, **values: Any) -> Team | None:
    """A new team, held until the transaction ends; None where somebody else has just created it."""
    created = upsert(session, Team).values(**values).on_conflict_do_nothing(index_elements=["name"])
    identity = await session.scalar(created.returning(col(Team.id)))
    return None if identity is None else await session.get(Team, identity)


async def list_teams(
    session: AsyncSession, *, after: str = "", limit: int = 1000, hidden: Collection[str] = ()
) -> list[Team]:
    query = select(Team).where(col(Team.name) > after).order_by(col(Team.name)).limit(limit)
    if hidden:
        query = query.where(col(Team.name).not_in(hidden))
    return list(await session.scalars(query))


async def private_teams(session: AsyncSession) -> set[str]:
    """The names of teams that keep to themselves."""
    query = select(col(Team.name), col(Team.spec)).where(type_coerce(col(Team.spec), Text).contains('"private"'))
    return {name for name, spec in await session.execute(query) if spec.get("private")}


async def load_team(session: AsyncSession, team: Team) -> TeamRows:
    """The team's rows, in the order they were written down."""
    rows = TeamRows(team)
    for connection in await session.scalars(
        select(Connection).where(col(Connection.team_id) == team.id).order_by(col(Connection.id))
    ):
        rows.connections[connection.name] = connection
    for dataset in await session.scalars(
        select(Dataset).where(col(Dataset.team_id) == team.id).order_by(col(Dataset.id))
    ):
        rows.datasets[dataset.name] = dataset
    for metric in await session.scalars(select(Metric).where(col(Metric.team_id) == team.id).order_by(col(Metric.id))):
        (rows.inline_metrics if metric.is_inline else rows.metrics)[metric.name] = metric
    for objective in await session.scalars(
        select(Objective)
        .where(col(Objective.team_id) == team.id, col(Objective.is_current).is_(True))
        .order_by(col(Objective.position), col(Objective.id))
    ):
        rows.objectives[objective.name] = objective
    for key_result in await session.scalars(
        select(KeyResult)
        .where(col(KeyResult.team_id) == team.id, col(KeyResult.is_current).is_(True))
        .order_by(col(KeyResult.position), col(KeyResult.id))
    ):
        rows.key_results[key_result.name] = key_result
    return rows


async def get_connection(session: AsyncSession, team: str, name: str) -> tuple[Connection, Team] | None:
    query = (
        select(Connection, Team)
        .join(Team, col(Team.id) == col(Connection.team_id))
        .where(col(Team.name) == team, col(Connection.name) == name)
    )
    row = (await session.execute(query)).first()
    return None if row is None else (row[0], row[1])


async def connections_by_id(session: AsyncSession, ids: Collection[int]) -> dict[int, tuple[Connection, Team]]:
    query = (
        select(Connection, Team).join(Team, col(Team.id) == col(Connection.team_id)).where(col(Connection.id).in_(ids))
    )
    return {row[0].id: (row[0], row[1]) for row in await session.execute(query)}


async def list_connections(
    session: AsyncSession,
    *,
    team: str | None = None,
    after: int = 0,
    limit: int = 1000,
    hidden: Collection[str] = (),
) -> list[tuple[Connection, Team]]:
    query = (
        select(Connection, Team)
        .join(Team, col(Team.id) == col(Connection.team_id))
        .where(col(Connection.id) > after)
        .order_by(col(Connection.id))
        .limit(limit)
    )
    if team is not None:
        query = query.where(col(Team.name) == team)
    if hidden:
        query = query.where(col(Team.name).not_in(hidden))
    return [(row[0], row[1]) for row in await session.execute(query)]


async def note_deliveries(session: AsyncSession, received: Mapping[int, datetime]) -> None:
    """The newest accepted delivery of connections; an older one never overwrites a newer one."""
    for connection_id, moment in received.items():
        await session.execute(
            update(Connection)
            .where(
                col(Connection.id) == connection_id,
                or_(col(Connection.last_delivery_at).is_(None), col(Connection.last_delivery_at) < moment),
            )
            .values(last_delivery_at=moment)
        )


async def note_success(session: AsyncSession, connection_id: int, now: datetime) -> None:
    """The connection works: whatever was wrong with it is over."""
    await session.execute(
        update(Connection)
        .where(col(Connection.id) == connection_id)
        .values(last_success_at=now, failing_since=None, failing_code=None, failing_reason=None)
        .values(away_runs=0, away_until=None)
    )


async def note_failure(
    session: AsyncSession, connection_id: int, code: str, reason: str, now: datetime, *, is_away: bool = False
) -> int:
    """The connection fails, since now if it worked before. `is_away`: its tool did not answer; returns how many runs in
    a row that is so."""
    values: dict[str, Any] = {
        "away_runs": col(Connection.away_runs) + (1 if is_away else 0),
        "failing_since": func.coalesce(col(Connection.failing_since), literal(now, Moment())),
        "failing_code": code,
        "failing_reason": reason,
    }
    failing = update(Connection).where(col(Connection.id) == connection_id).values(**values)
    return await session.scalar(failing.returning(col(Connection.away_runs))) or 0


async def pause_connection(session: AsyncSession, connection_id: int, code: str, reason: str) -> datetime | None:
    """Pull nothing of a connection until it is mended; since when it has been failing."""
    paused = update(Connection).where(col(Connection.id) == connection_id)
    since: datetime | None = await session.scalar(
        paused.values(paused_code=code, paused_reason=reason).returning(col(Connection.failing_since))
    )
    return since


async def resume_connections(session: AsyncSession, connection_ids: Collection[int]) -> None:
    """Pull these connections again. A tool that asked for silence itself is left alone all the same."""
    mended = update(Connection).where(col(Connection.id).in_(connection_ids))
    await session.execute(mended.values(paused_code=None, paused_reason=None, away_until=None, away_runs=0))


async def silence_connection(session: AsyncSession, connection_id: int, until: datetime) -> None:
    """The tool wants to be asked nothing before a moment; an earlier one never shortens a later one."""
    is_earlier = or_(col(Connection.silent_until).is_(None), col(Connection.silent_until) < until)
    of_it = update(Connection).where(col(Connection.id) == connection_id, is_earlier)
    await session.execute(of_it.values(silent_until=until))


async def leave_alone(session: AsyncSession, connection_id: int, until: datetime) -> None:
    """The tool is away: it is tried again at a moment, if nobody asks for it before."""
    of_it = update(Connection).where(col(Connection.id) == connection_id)
    await session.execute(of_it.values(away_until=until))


async def silent_until(session: AsyncSession, connection_id: int) -> datetime | None:
    """Until when nothing is asked of a connection's tool."""
    found: datetime | None = await session.scalar(
        select(col(Connection.silent_until)).where(col(Connection.id) == connection_id)
    )
    return found


async def fed_datasets(session: AsyncSession, connection_ids: Collection[int]) -> list[Dataset]:
    """The datasets that webhooks of these connections feed, with events or with hints of what to read again."""
    query = select(Dataset).where(col(Dataset.connection_id).in_(connection_ids))
    return list(await session.scalars(query.order_by(col(Dataset.id))))


async def list_datasets(
    session: AsyncSession,
    *,
    team: str | None = None,
    name: str | None = None,
    after: int = 0,
    limit: int = 1000,
    hidden: Collection[str] = (),
) -> list[tuple[Dataset, Team, Connection]]:
    query = (
        select(Dataset, Team, Connection)
        .join(Team, col(Team.id) == col(Dataset.team_id))
        .join(Connection, col(Connection.id) == col(Dataset.connection_id))
        .where(col(Dataset.id) > after)
        .order_by(col(Dataset.id))
        .limit(limit)
    )
    if team is not None:
        query = query.where(col(Team.name) == team)
    if name is not None:
        query = query.where(col(Dataset.name) == name)
    if hidden:
        query = query.where(col(Team.name).not_in(hidden))
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


# --- metrics ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RevisedMetric:
    """A metric with one of its revisions, the team it belongs to and the parts that revision reads."""

    metric: Metric
    revision: MetricRevision
    team: Team
    parts: dict[str, MetricPart]


async def revised_metrics(
    session: AsyncSession, metric_ids: Collection[int], *, building: bool = False
) -> dict[int, RevisedMetric]:
    """Metrics with their current revision (or, with `building`, the one that is being built)."""
    pointer = col(Metric.building_revision_id) if building else col(Metric.revision_id)
    return await _revised(session, _with_parts(pointer).where(col(Metric.id).in_(metric_ids)))


async def revised_named(session: AsyncSession, names: Collection[tuple[str, str]]) -> dict[int, RevisedMetric]:
    """Named metrics by (team, name), with their current revision, by id."""
    query = _with_parts(col(Metric.revision_id)).where(
        tuple_(col(Team.name), col(Metric.name)).in_(list(names)), col(Metric.is_inline).is_(False)
    )
    return await _revised(session, query)


def _with_parts(pointer: Any) -> Any:
    return (
        select(Metric, MetricRevision, Team, MetricPart)
        .join(MetricRevision, col(MetricRevision.id) == pointer)
        .join(Team, col(Team.id) == col(Metric.team_id))
        .outerjoin(MetricPart, col(MetricPart.revision_id) == col(MetricRevision.id))
        .order_by(col(Metric.id), col(MetricPart.part))
    )


async def _revised(session: AsyncSession, query: Any) -> dict[int, RevisedMetric]:
    found: dict[int, RevisedMetric] = {}
    for metric, revision, team, part in await session.execute(query):
        item = found.setdefault(metric.id, RevisedMetric(metric, revision, team, {}))
        if part is not None:
            item.parts[part.part] = part
    return found


async def live_parts(session: AsyncSession, dataset_ids: Collection[int]) -> list[tuple[MetricPart, int]]:
    """The parts that read these datasets, of revisions that are current or being built, with their metric's id."""
    query = (
        select(MetricPart, col(Metric.id))
        .join(
            Metric,
            or_(
                col(Metric.revision_id) == col(MetricPart.revision_id),
                col(Metric.building_revision_id) == col(MetricPart.revision_id),
            ),
        )
        .where(col(MetricPart.dataset_id).in_(dataset_ids))
        .order_by(col(MetricPart.revision_id), col(MetricPart.part))
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def metrics_asking(session: AsyncSession, query_digest: str) -> list[int]:
    """The metrics whose current revision asks that query."""
    query = (
        select(col(Metric.id))
        .join(MetricPart, col(Metric.revision_id) == col(MetricPart.revision_id))
        .where(col(MetricPart.query_digest) == query_digest)
        .distinct()
    )
    return list(await session.scalars(query))


async def serve_revision(session: AsyncSession, metric_id: int, revision_id: int) -> bool:
    """Make a revision that was built the metric's current one; False where another one is to be built by now."""
    served = await session.execute(
        update(Metric)
        .where(col(Metric.id) == metric_id, col(Metric.building_revision_id) == revision_id)
        .values(revision_id=revision_id, building_revision_id=None)
        .returning(col(Metric.id))
    )
    return served.first() is not None


async def metrics_to_build(session: AsyncSession) -> list[int]:
    query = select(col(Metric.id)).where(col(Metric.building_revision_id).is_not(None)).order_by(col(Metric.id))
    return list(await session.scalars(query))


async def build_progress(session: AsyncSession, revision_id: int) -> tuple[int, str | None]:
    """How many parts of a revision are extracted, and the last entity of the one that is being walked."""
    query = select(col(MetricRevision.built_parts), col(MetricRevision.built_through))
    row = (await session.execute(query.where(col(MetricRevision.id) == revision_id))).one()
    return row[0], row[1]


async def note_build_progress(session: AsyncSession, revision_id: int, parts: int, through: str | None) -> None:
    await session.execute(
        update(MetricRevision)
        .where(col(MetricRevision.id) == revision_id)
        .values(built_parts=parts, built_through=through)
    )


async def metrics_due(session: AsyncSession, now: datetime, limit: int) -> list[int]:
    """The metrics whose window has moved with the clock."""
    query = (
        select(col(Metric.id))
        .where(col(Metric.next_evaluation_at) <= now)
        .order_by(col(Metric.next_evaluation_at))
        .limit(limit)
    )
    return list(await session.scalars(query))


async def rest_metric(session: AsyncSession, metric_id: int, until: datetime) -> None:
    """The clock does not move this metric before then."""
    await session.execute(update(Metric).where(col(Metric.id) == metric_id).values(next_evaluation_at=until))


async def newest_revision(session: AsyncSession, metric_id: int) -> MetricRevision | None:
    query = select(MetricRevision).where(col(MetricRevision.metric_id) == metric_id)
    return (await session.scalars(query.order_by(col(MetricRevision.number).desc()).limit(1))).first()


async def revision_at(session: AsyncSession, metric_id: int, moment: datetime) -> MetricRevision | None:
    """The revision that was served at a moment (the first one for moments before it): that of the newest sample, for a
    revision is made before it is built, and evaluated as soon as it is current. A metric that nobody has asked for in
    its cycle has no sample: then the newest one that was made by then, and is not still being built."""
    query = select(MetricRevision).where(col(MetricRevision.metric_id) == metric_id)
    sampled = query.join(Sample, col(Sample.revision_id) == col(MetricRevision.id))
    served = sampled.where(col(Sample.recorded_at) <= moment).order_by(col(Sample.id).desc())
    found = (await session.scalars(served.limit(1))).first()
    if found is None and (await session.scalars(sampled.limit(1))).first() is None:
        current = select(col(Metric.revision_id)).where(col(Metric.id) == metric_id).scalar_subquery()
        made = query.where(col(MetricRevision.created_at) <= moment, col(MetricRevision.id) <= current)
        found = (await session.scalars(made.order_by(col(MetricRevision.number).desc()).limit(1))).first()
    return found or (await session.scalars(query.order_by(col(MetricRevision.number)).limit(1))).first()


async def get_metric(session: AsyncSession, team: str, name: str) -> Metric | None:
    query = (
        select(Metric)
        .join(Team, col(Team.id) == col(Metric.team_id))
        .where(col(Team.name) == team, col(Metric.name) == name, col(Metric.is_inline).is_(False))
    )
    return (await session.scalars(query)).first()


async def metrics_named(session: AsyncSession, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], Metric]:
    """Named metrics by (team, name)."""
    query = (
        select(col(Team.name), Metric)
        .join(Team, col(Team.id) == col(Metric.team_id))
        .where(tuple_(col(Team.name), col(Metric.name)).in_(list(names)), col(Metric.is_inline).is_(False))
    )
    return {(row[0], row[1].name): row[1] for row in await session.execute(query)}


async def with_revision(session: AsyncSession, item: RevisedMetric, revision: MetricRevision) -> RevisedMetric:
    """A metric under another of its revisions."""
    query = select(MetricPart).where(col(MetricPart.revision_id) == revision.id)
    parts = {part.part: part for part in await session.scalars(query)}
    return RevisedMetric(item.metric, revision, item.team, parts)


async def list_metric_ids(
    session: AsyncSession,
    *,
    team: str | None = None,
    name: str | None = None,
    after: int = 0,
    limit: int = 1000,
    hidden: Collection[str] = (),
) -> list[int]:
    query = select(col(Metric.id)).where(col(Metric.is_inline).is_(False), col(Metric.id) > after)
    if team is not None or hidden:
        query = query.join(Team, col(Team.id) == col(Metric.team_id)).where(col(Team.name).not_in(hidden))
    if team is not None:
        query = query.where(col(Team.name) == team)
    if name is not None:
        query = query.where(col(Metric.name) == name)
    return list(await session.scalars(query.order_by(col(Metric.id)).limit(limit)))


# --- key results, as readers want them -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceRow:
    """What feeds one part of a metric, and how that is doing."""

    part: str
    connection: Connection | None
    dataset: Dataset | None
    plan: Plan | None


@dataclass(slots=True)
class KeyResultRow:
    """A key result of `team` with its metric, which may be of another one (`metric_team`), and its last check-in.

    `is_sealed` by a close that stands, and `has_baselines` that are frozen: where not, nothing of it has to be asked.
    """

    key_result: KeyResult
    objective: Objective
    team: Team
    metric: Metric
    metric_team: Team
    revision: MetricRevision | None
    sample: Sample | None
    check_in: CheckIn | None
    is_sealed: bool
    has_baselines: bool
    sources: list[SourceRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyResultFilter:
    """What the database can filter by; None means any. `after` is the (team, name, cycle) to go on after; nothing of
    `hidden` teams is found."""

    team: str | None = None
    name: str | None = None
    cycle: str | None = None
    objective: str | None = None
    metric: str | None = None
    metric_team: str | None = None
    ids: Collection[int] | None = None
    objective_ids: Collection[int] | None = None
    after: tuple[str, str, str] | None = None
    current_only: bool = True
    hidden: Collection[str] = ()

    def given(self) -> dict[str, Any]:
        """What it filters by, but for `after` and `current_only`: values by name."""
        found = {name: getattr(self, name) for name in _CONDITIONS}
        found["hidden"] = self.hidden or None
        return {name: value for name, value in found.items() if value is not None}


#: The team of a key result's metric, beside the key result's own.
_MetricTeam = aliased(Team)
#: By what of a filter is given: what it asks for, with a parameter of its name.
_CONDITIONS = {
    "team": col(Team.name) == bindparam("team"),
    "name": col(KeyResult.name) == bindparam("name"),
    "cycle": col(KeyResult.cycle) == bindparam("cycle"),
    "objective": col(Objective.name) == bindparam("objective"),
    "metric": col(Metric.name) == bindparam("metric"),
    "metric_team": col(_MetricTeam.name) == bindparam("metric_team"),
    "ids": col(KeyResult.id).in_(bindparam("ids", expanding=True)),
    "objective_ids": col(KeyResult.objective_id).in_(bindparam("objective_ids", expanding=True)),
    "hidden": col(Team.name).not_in(bindparam("hidden", expanding=True)),
}


@cache
def _all_key_result_rows() -> Select[Any, *tuple[Any, ...]]:
    """Made once: forty expressions take longer to write down than to run for one key result."""
    plan_of_part = or_(
        col(Plan.dataset_id) == col(MetricPart.dataset_id),
        (col(Plan.query_digest) == col(MetricPart.query_digest))
        & (col(Plan.cycle) == func.coalesce(col(Current.cycle), col(Plan.cycle))),
    )
    is_own = col(CheckIn.key_result_id) == col(KeyResult.id)
    newest_check_in = select(func.max(col(CheckIn.id))).where(is_own).correlate(KeyResult).scalar_subquery()
    is_sealed = exists().where(
        col(SealedKeyResult.key_result_id) == col(KeyResult.id),
        col(CycleClose.id) == col(SealedKeyResult.close_id),
        col(CycleClose.reopened_at).is_(None),
    )
    has_baselines = exists().where(col(FrozenBaseline.key_result_id) == col(KeyResult.id))
    return (
        select(
            KeyResult,
            Objective,
            Team,
            Metric,
            _MetricTeam,
            MetricRevision,
            Sample,
            CheckIn,
            is_sealed,
            has_baselines,
            MetricPart,
            Plan,
            Dataset,
            Connection,
        )
        .join(Objective, col(Objective.id) == col(KeyResult.objective_id))
        .join(Team, col(Team.id) == col(KeyResult.team_id))
        .join(Metric, col(Metric.id) == col(KeyResult.metric_id))
        .join(_MetricTeam, col(_MetricTeam.id) == col(Metric.team_id))
        .outerjoin(
            MetricRevision,
            col(MetricRevision.id) == func.coalesce(col(Metric.revision_id), col(Metric.building_revision_id)),
        )
        .outerjoin(
            Current,
            (col(Current.metric_id) == col(Metric.id))
            & or_(col(Current.cycle) == "", col(Current.cycle) == col(KeyResult.cycle)),
        )
        .outerjoin(Sample, col(Sample.id) == col(Current.sample_id))
        .outerjoin(CheckIn, col(CheckIn.id) == newest_check_in)
        .outerjoin(MetricPart, col(MetricPart.revision_id) == col(MetricRevision.id))
        .outerjoin(Plan, plan_of_part)
        .outerjoin(Dataset, col(Dataset.id) == col(MetricPart.dataset_id))
        .outerjoin(
            Connection,
            col(Connection.id) == func.coalesce(col(Plan.connection_id), col(Dataset.connection_id)),
        )
        .order_by(
            col(Team.name),
            col(KeyResult.name),
            col(KeyResult.cycle),
            col(Sample.id).desc(),  # a window that came to need a cycle, or no more, leaves a sample of the other kind
            col(MetricPart.part),
            col(Plan.id),
        )
    )


@cache
def _some_key_result_rows(given: frozenset[str], *, current_only: bool) -> Select[Any, *tuple[Any, ...]]:
    """Those that agree with what is given of a filter, as parameters of its names."""
    query = _all_key_result_rows()
    if current_only:
        query = query.where(col(KeyResult.is_current).is_(True))
    for name in given:
        query = query.where(_CONDITIONS[name])
    return query


async def key_result_rows(session: AsyncSession, wanted: KeyResultFilter) -> list[KeyResultRow]:
    """Key results with all that a judgement needs but guardrails, ordered by (team, name, cycle): one query."""
    given = wanted.given()
    query = _some_key_result_rows(frozenset(given), current_only=wanted.current_only)
    if wanted.after is not None:
        team, name, cycle = wanted.after
        query = query.where(
            or_(
                col(Team.name) > team,
                (col(Team.name) == team) & (col(KeyResult.name) > name),
                (col(Team.name) == team) & (col(KeyResult.name) == name) & (col(KeyResult.cycle) > cycle),
            )
        )
    rows: dict[int, KeyResultRow] = {}
    for key_result, *its_own, part, plan, dataset, connection in await session.execute(query, given):
        row = rows.get(key_result.id)
        if row is None:
            row = rows[key_result.id] = KeyResultRow(key_result, *its_own)
        if part is not None and all(source.part != part.part for source in row.sources):
            row.sources.append(SourceRow(part.part, connection, dataset, plan))
    return list(rows.values())


async def metric_sources(session: AsyncSession, revision_ids: Collection[int]) -> dict[int, list[SourceRow]]:
    """By revision: what feeds each of its parts."""
    query = (
        select(MetricPart, Plan, Dataset, Connection)
        .outerjoin(
            Plan,
            or_(
                col(Plan.dataset_id) == col(MetricPart.dataset_id),
                col(Plan.query_digest) == col(MetricPart.query_digest),
            ),
        )
        .outerjoin(Dataset, col(Dataset.id) == col(MetricPart.dataset_id))
        .outerjoin(
            Connection,
            col(Connection.id) == func.coalesce(col(Plan.connection_id), col(Dataset.connection_id)),
        )
        .where(col(MetricPart.revision_id).in_(revision_ids))
        .order_by(col(MetricPart.part), col(Plan.id))
    )
    sources: dict[int, list[SourceRow]] = {}
    for part, plan, dataset, connection in await session.execute(query):
        found = sources.setdefault(part.revision_id, [])
        if all(source.part != part.part for source in found):
            found.append(SourceRow(part.part, connection, dataset, plan))
    return sources


async def awaiting_baselines(session: AsyncSession, team_id: int | None = None) -> list[tuple[KeyResult, Team]]:
    """Key results with a baseline that has still to be measured and frozen; with `team_id`, those of that team or of
    its metrics."""
    query = (
        select(KeyResult, Team)
        .join(Team, col(Team.id) == col(KeyResult.team_id))
        .join(Metric, col(Metric.id) == col(KeyResult.metric_id))
        .where(col(KeyResult.awaits_baseline).is_(True), col(KeyResult.is_current).is_(True))
        .order_by(col(KeyResult.id))
    )
    if team_id is not None:
        watching = (
            select(col(GuardrailMetric.key_result_id))
            .join(Metric, col(Metric.id) == col(GuardrailMetric.metric_id))
            .where(col(Metric.team_id) == team_id)
        )
        query = query.where(
            or_(col(KeyResult.team_id) == team_id, col(Metric.team_id) == team_id, col(KeyResult.id).in_(watching))
        )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def list_objectives(
    session: AsyncSession,
    *,
    team: str | None = None,
    name: str | None = None,
    cycle: str | None = None,
    focus: str | None = None,
    after: int = 0,
    limit: int = 1000,
    current_only: bool = True,
    hidden: Collection[str] = (),
) -> Sequence[tuple[Objective, Team]]:
    query = (
        select(Objective, Team)
        .join(Team, col(Team.id) == col(Objective.team_id))
        .where(col(Objective.id) > after)
        .order_by(col(Objective.id))
        .limit(limit)
    )
    if hidden:
        query = query.where(col(Team.name).not_in(hidden))
    if current_only:
        query = query.where(col(Objective.is_current).is_(True))
    if focus is not None:
        # A quote within a text is stored with a backslash before it, so this finds the key and nothing else.
        query = query.where(type_coerce(col(Objective.spec), Text).contains(f'"focus":"{focus}"', autoescape=True))
    for column, value in ((col(Team.name), team), (col(Objective.name), name), (col(Objective.cycle), cycle)):
        if value is not None:
            query = query.where(column == value)
    return [(row[0], row[1]) for row in await session.execute(query)]
