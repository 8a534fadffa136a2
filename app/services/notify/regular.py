"""What is told by the calendar: the weekly digest, and the health check of mid-cycle. Each once, by its key."""

import uuid
from datetime import date, datetime, timedelta
from weakref import WeakKeyDictionary

import structlog

from app.domain.notice import DIGEST_GRACE, last_digest
from app.domain.notify import NotifySpec
from app.services.context import Services
from app.services.definitions import team_zone
from app.services.health_check import AUTOMATIC
from app.services.notify.payloads import JsonObject, digest_json, health_check_json
from app.services.notify.watch import judged_of, told_teams
from app.services.read import judge_rows
from app.services.views import HealthCheckView
from app.store import health_checks, organisation, outbox
from app.store.database import Session, is_unavailable
from app.store.organisation import KeyResultFilter
from app.store.tables import Notice, Team

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=30)
#: How old a health check may be that is still told: one from before the team was told anything is no news.
HEALTH_CHECK_GRACE = timedelta(days=2)
NOTICES_KEPT = timedelta(days=400)
_looked: WeakKeyDictionary[object, datetime] = WeakKeyDictionary()


async def tell_regularly(services: Services) -> int:
    """Write the digests and health checks that are due; returns how many."""
    now, engine = services.clock(), services.database.engine
    last = _looked.get(engine)
    if last is not None and last <= now < last + LOOK_EVERY:
        return 0
    _looked[engine] = now
    async with services.database.reading() as session:
        teams = await told_teams(session)
    written = 0
    for team, spec in teams:
        try:
            written += await _tell_digest(services, team, spec, now)
            written += await _tell_health_checks(services, team, spec, now)
        except Exception as error:
            if is_unavailable(error):
                raise
            log.exception("notify.regular_failed", team=team.name)
    if last is None or last.date() != now.date():
        async with services.database.writing() as session:
            await outbox.purge_notices(session, now - NOTICES_KEPT)
    return written


async def _tell_digest(services: Services, team: Team, spec: NotifySpec, now: datetime) -> int:
    if spec.digest is None:
        return 0
    day, moment = last_digest(now, spec.digest, team_zone(team))
    if now - moment > DIGEST_GRACE:
        return 0
    key = f"digest/{team.id}/{day}"
    async with services.database.reading() as session:
        since = await outbox.watched_since(session, team.id)
        if since is None or since > moment or await _told_within(session, team, key, day):
            return 0
        payload = await digest(session, team, now)
    if not payload["key_results"]:
        return 0
    notice = _notice(team, "team.digest", key, payload, now)
    async with services.database.writing() as session:
        return int(await outbox.append_notice(session, notice, spec.channels))


async def _told_within(session: Session, team: Team, key: str, day: str) -> bool:
    """Whether that week's digest was told. A weekday that is changed within the week makes no second one."""
    newest = await outbox.newest_key(session, team.id, "team.digest")
    if newest is None:
        return False
    told = date.fromisoformat(newest.rpartition("/")[2])
    return newest == key or date.fromisoformat(day) - told < timedelta(days=6)


async def digest(session: Session, team: Team, now: datetime) -> JsonObject:
    """The week of a team, as of now."""
    judged = await judged_of(session, team, now)
    judged.sort(key=lambda item: (item.row.objective.position, item.row.key_result.position))
    rows = await organisation.key_result_rows(session, KeyResultFilter(team=team.name))
    week_ago = now - timedelta(days=7)
    known = [row for row in rows if row.key_result.created_at <= week_ago]
    before = await judge_rows(session, known, now=now, as_of=week_ago, known_at=week_ago)
    return digest_json(
        team.name,
        team.spec.get("title") or team.name,
        judged,
        {item.row.key_result.id: item.view for item in before},
        now=now,
    )


async def _tell_health_checks(services: Services, team: Team, spec: NotifySpec, now: datetime) -> int:
    if not spec.health_check:
        return 0
    written = 0
    async with services.database.reading() as session:
        since = await outbox.watched_since(session, team.id)
        found = await health_checks.health_checks_since(session, team.id, now - HEALTH_CHECK_GRACE)
        due = [
            row
            for row in found
            if since is not None
            and row.made_by == AUTOMATIC
            and row.made_at >= since
            and not await outbox.has_notice(session, f"health_check/{row.id}")
        ]
    for row in due:
        view = HealthCheckView.model_validate({**row.report, "id": row.id, "is_stored": True})
        notice = _notice(team, "team.health_check", f"health_check/{row.id}", health_check_json(view), now)
        async with services.database.writing() as session:
            written += await outbox.append_notice(session, notice, spec.channels)
    return written


def _notice(team: Team, kind: str, key: str, payload: JsonObject, now: datetime) -> Notice:
    return Notice(uid=uuid.uuid4().hex, key=key, team_id=team.id, kind=kind, subject=team.name, at=now, payload=payload)
