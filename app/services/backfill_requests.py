"""Asking for history from before there were samples, and following how far it has come; `backfill` does the work."""

from datetime import date, timedelta

from app.domain.window import local_day
from app.errors import InvalidInput, NotFound
from app.services.context import Services
from app.services.definitions import team_zone
from app.services.views.backfill import BackfillView
from app.store import audit, organisation
from app.store import backfills as store
from app.store.database import Session
from app.store.tables import BackfillJob, Team

#: How far back history may be asked for.
LONGEST = timedelta(days=3660)


async def request_backfill(
    services: Services, team: str, since: date, *, metric: str | None = None, actor: str
) -> BackfillView:
    """Ask for the history of a team's metrics, or of one, since a local day. An open job for the same is that job."""
    now = services.clock()
    async with services.database.writing() as session:
        owner = await organisation.lock_team(session, team)
        if owner is None:
            raise NotFound
        today = local_day(now, team_zone(owner))
        if not today - LONGEST <= since < today:
            raise InvalidInput.at("/since", "since", "A day before today is expected, at most ten years back.")
        metrics = [
            row.id
            for row in await store.team_metrics(session, owner.id)
            if metric is None or (row.name == metric and not row.is_inline)
        ]
        if metric is not None and not metrics:
            raise NotFound
        total = len(metrics) * (today - since).days
        for job in await store.open_jobs(session, owner.id):
            if (job.since, job.total) == (since.isoformat(), total) and set(job.metrics) <= set(metrics):
                return _view(owner, job)
        job = BackfillJob(
            team_id=owner.id,
            since=since.isoformat(),
            metrics=metrics,
            state="waiting" if metrics else "done",
            total=total,
            notes=[],
            created_at=now,
            created_by=actor,
            finished_at=None if metrics else now,
        )
        await store.append_job(session, job)
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="backfill",
            object_kind="team" if metric is None else "metric",
            object_id=team if metric is None else f"{team}/{metric}",
            after={"since": since.isoformat(), "job": job.id},
        )
        return _view(owner, job)


async def get_backfill(session: Session, team: str, job_id: int) -> BackfillView | None:
    """How far a job has come."""
    owner = await organisation.get_team(session, team)
    job = None if owner is None else await store.get_job(session, owner.id, job_id)
    return None if owner is None or job is None else _view(owner, job)


def _view(team: Team, job: BackfillJob) -> BackfillView:
    return BackfillView(
        id=job.id,
        team=team.name,
        since=date.fromisoformat(job.since),
        state=job.state,
        done=job.done,
        total=job.total,
        samples=job.samples,
        notes=job.notes,
        created_at=job.created_at,
        created_by=job.created_by,
        finished_at=job.finished_at,
    )
