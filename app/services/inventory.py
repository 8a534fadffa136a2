"""What is configured, as readers get it: teams, datasets, connections, runs."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal

from app.domain.language import CalendarSpec
from app.errors import InvalidInput
from app.services.definitions import team_timezone
from app.services.queries import query_text
from app.services.replays import refusals_of
from app.services.sources import connection_health
from app.services.views import (
    ConnectionView,
    DatasetView,
    PaceView,
    RecordView,
    RunView,
    TeamView,
    WebhookDrift,
)
from app.store import deliveries, evidence, organisation, plans, records
from app.store.database import Session
from app.store.pull_health import PlanPace, PullHealth, paces, pull_health
from app.store.tables import Connection, Event, Record, Team

_HOUR, _WEEK = timedelta(hours=1), timedelta(days=7)


def _team_view(team: Team) -> TeamView:
    spec = team.spec
    return TeamView(
        id=team.name,
        title=spec.get("title") or team.name,
        parent=spec.get("parent") or team.inherited.get("parent"),
        timezone=team_timezone(team),
        calendar=CalendarSpec.model_validate(spec.get("calendar", {})).model_dump(mode="json"),
        managed_by=team.managed_by,
        version=team.version,
    )


async def list_teams(
    session: Session, *, after: str = "", limit: int = 100, hidden: Collection[str] = ()
) -> tuple[list[TeamView], str | None]:
    """A page of teams by name, and the name to go on after."""
    found = await organisation.list_teams(session, after=after, limit=limit + 1, hidden=hidden)
    return [_team_view(team) for team in found[:limit]], found[limit - 1].name if len(found) > limit else None


async def get_team(session: Session, name: str) -> TeamView | None:
    team = await organisation.get_team(session, name)
    return None if team is None else _team_view(team)


async def list_datasets(
    session: Session,
    *,
    team: str | None = None,
    name: str | None = None,
    after: int = 0,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> tuple[list[DatasetView], int | None]:
    """A page of datasets with how much each holds, and the id to go on after."""
    found = await organisation.list_datasets(session, team=team, name=name, after=after, limit=limit + 1, hidden=hidden)
    page = found[:limit]
    counts = await records.count_content(session, [dataset.id for dataset, _, _ in page])
    views = [
        DatasetView(
            id=f"{owner.name}/{dataset.name}",
            connection=f"{owner.name}/{connection.name}",
            shape=dataset.shape,
            definition=dataset.spec,
            records=counts.get(dataset.id, 0),
            managed_by=dataset.managed_by,
            version=dataset.version,
        )
        for dataset, owner, connection in page
    ]
    return views, page[-1][0].id if len(found) > limit else None


async def list_records(
    session: Session,
    team: str,
    name: str,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    after: int = 0,
    limit: int = 100,
) -> tuple[list[RecordView], int | None] | None:
    """A page of what a dataset holds, and the id to go on after; None where there is no such dataset. Events are kept
    for good, so those of a past moment can be told; of entities only the newest version is."""
    found = await organisation.list_datasets(session, team=team, name=name, limit=1)
    if not found:
        return None
    dataset = found[0][0]
    rows: Sequence[Record | Event]
    if as_of is None and known_at is None:
        rows = await records.list_content(session, dataset, after=after, limit=limit + 1)
    elif dataset.shape == "events":
        rows = await evidence.events_then(
            session, dataset, as_of=as_of, known_at=known_at, after=after, limit=limit + 1
        )
    else:
        pointer = "/known_at" if as_of is None else "/as_of"
        detail = "Of an entity only the newest version is kept; explain tells what it added to a number then."
        raise InvalidInput.at(pointer, "not_kept", detail, "query")
    views = [
        RecordView(entity=row.entity, name=row.entity, at=row.at, event=row.event, fields=row.body, link=row.link)
        if isinstance(row, Event)
        else RecordView(
            entity=row.entity,
            name=row.name,
            at=row.created,
            fields=row.fields,
            link=row.link,
            is_deleted=row.is_deleted,
            is_out_of_scope=row.is_out_of_scope,
        )
        for row in rows[:limit]
    ]
    return views, rows[limit - 1].id if len(rows) > limit else None


async def list_connections(
    session: Session,
    *,
    takes_webhooks: frozenset[str],
    team: str | None = None,
    after: int = 0,
    limit: int = 100,
    hidden: Collection[str] = (),
    now: datetime | None = None,
) -> tuple[list[ConnectionView], int | None]:
    """A page of connections with their health, and the id to go on after. `takes_webhooks` names the connectors that
    have a hook address. With `now` it says how reading them went of late."""
    found = await organisation.list_connections(session, team=team, after=after, limit=limit + 1, hidden=hidden)
    page = found[:limit]
    views = await _connection_views(session, page, takes_webhooks, now)
    return views, page[-1][0].id if len(found) > limit else None


async def get_connection(
    session: Session, team: str, name: str, *, takes_webhooks: frozenset[str], now: datetime | None = None
) -> ConnectionView | None:
    """One connection with its health."""
    found = await organisation.get_connection(session, team, name)
    if found is None:
        return None
    (view,) = await _connection_views(session, [found], takes_webhooks, now)
    reads = []
    if now is not None:
        reads = [_pace_view(team, one) for one in await paces(session, found[0].id, now - _HOUR)]
    return view.model_copy(update={"refused": await refusals_of(session, found[0].id), "reads": reads})


def _pace_view(team: str, pace: PlanPace) -> PaceView:
    return PaceView(
        dataset=None if pace.dataset is None else f"{team}/{pace.dataset}",
        query=query_text(pace.query),
        every_seconds=pace.cadence_seconds,
        requests_last_hour=pace.requests,
        runs_last_hour=pace.runs,
    )


async def _connection_views(
    session: Session, page: list[tuple[Connection, Team]], takes_webhooks: frozenset[str], now: datetime | None
) -> list[ConnectionView]:
    ids = [connection.id for connection, _ in page]
    reads: dict[int, PullHealth] = {}
    if now is not None:
        reads = await pull_health(session, ids, requests_since=now - _HOUR, drift_since=now - _WEEK)
    due = await plans.next_due(session, ids)
    counts = await deliveries.count_outcomes(session, ids)
    views = []
    for connection, team in page:
        health, reason = connection_health(connection)
        hook = f"/v1/hooks/{team.name}/{connection.name}" if connection.connector in takes_webhooks else None
        read = reads.get(connection.id, PullHealth())
        views.append(
            ConnectionView(
                id=f"{team.name}/{connection.name}",
                connector=connection.connector,
                definition=connection.spec,
                health=health,
                reason=reason,
                last_success_at=connection.last_success_at,
                last_delivery_at=connection.last_delivery_at,
                next_due_at=_next_due(connection, due.get(connection.id), now),
                hook_url=hook,
                deliveries=counts.get(connection.id, {}),
                requests_last_hour=read.requests,
                requests_per_hour=_budget(connection),
                silent_until=_silent_until(connection, now),
                owner=connection.owner,
                drift=_drift(read),
                warnings=read.warnings,
                managed_by=connection.managed_by,
                version=connection.version,
            )
        )
    return views


def _budget(connection: Connection) -> int | None:
    budget = connection.spec.get("requests_per_hour")
    return budget if isinstance(budget, int) else None


def _silent_until(connection: Connection, now: datetime | None) -> datetime | None:
    """Until when nothing is asked: at the tool's word, or because it is away."""
    until = max((at for at in (connection.silent_until, connection.away_until) if at is not None), default=None)
    return until if now is not None and until is not None and now < until else None


def _next_due(connection: Connection, due: datetime | None, now: datetime | None) -> datetime | None:
    until = _silent_until(connection, now)
    return due if due is None or until is None else max(due, until)


def _drift(read: PullHealth) -> WebhookDrift | None:
    """What webhooks missed; None where none are expected."""
    if read.changed is None:
        return None
    changed, missed = read.changed, min(read.untold, read.changed)
    if not changed:
        summary = "Nothing changed in seven days."
    elif not missed:
        summary = f"Webhooks told of all {changed} changes of the last seven days."
    else:
        share = (Decimal(missed) * 100 / changed).quantize(Decimal("0.1"), ROUND_UP)
        summary = f"Webhooks missed {share} % of {changed} changes of the last seven days; reads mended them."
    return WebhookDrift(changed=changed, missed=missed, summary=summary)


async def list_runs(
    session: Session,
    *,
    team: str | None = None,
    connection: str | None = None,
    outcome: str | None = None,
    before: int | None = None,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> tuple[list[RunView], int | None]:
    """A page of runs, newest first, and the id to go on before."""
    found = await plans.list_runs(
        session, team=team, connection=connection, outcome=outcome, before=before, limit=limit + 1, hidden=hidden
    )
    views = [
        RunView(
            id=run.id,
            plan=run.plan_id,
            connection=name,
            dataset=dataset,
            is_full=run.is_full,
            kind=run.kind,
            outcome=run.outcome,
            started_at=run.started_at,
            finished_at=run.finished_at,
            duration_seconds=None if run.finished_at is None else (run.finished_at - run.started_at).total_seconds(),
            calls=run.calls,
            records=run.records,
            changed=run.changed,
            untold=run.untold,
            warnings=run.warnings or [],
            error_code=run.error_code,
            error=run.error,
        )
        for run, name, dataset in found[:limit]
    ]
    return views, found[limit - 1][0].id if len(found) > limit else None
