"""The outbox as people see it: what was told, what is on its way, what would be told; and sending again."""

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from app.domain.notice import next_digest, quiet_until
from app.domain.notify import NotifySpec
from app.errors import Conflict
from app.services.context import Services
from app.services.definitions import team_zone
from app.services.notify.channels import destinations, notify_spec
from app.services.notify.messages import message
from app.services.notify.owners import KIND as OWNERS
from app.services.notify.payloads import change_json
from app.services.notify.regular import digest
from app.services.notify.watch import judged_of, pending, told_teams
from app.services.views.notices import DigestPreviewView, NoticeView, NoticeWayView, PreviewedView, PreviewView
from app.store import audit, organisation, outbox
from app.store.database import Session
from app.store.tables import Notice, Outbox, Team


async def notice_views(
    session: Session,
    *,
    team: str | None = None,
    state: str | None = None,
    before: int | None = None,
    notice_id: int | None = None,
    hidden: Collection[str] = (),
    limit: int = 100,
) -> list[NoticeView]:
    """Notices, newest first."""
    found = await outbox.list_notices(
        session, team=team, state=state, before=before, notice_id=notice_id, hidden=hidden, limit=limit
    )
    zones: dict[str, ZoneInfo] = {}
    for _, name, _ in found:
        if name not in zones:
            owner = await organisation.get_team(session, name)
            zones[name] = ZoneInfo("UTC") if owner is None else team_zone(owner)
    return [_view(notice, name, ways, zones[name]) for notice, name, ways in found]


async def replay_notice(services: Services, notice_id: int, *, actor: str) -> NoticeView:
    """Send a notice again through every channel that its team is told by now. The id that receivers know it by stays:
    who has it already takes it no second time. Conflict where the team is told nothing any more."""
    async with services.database.writing() as session:
        now = services.clock()
        ((notice, name, ways),) = await outbox.list_notices(session, notice_id=notice_id)
        owner = await organisation.get_team(session, name)
        assert owner is not None
        spec = notify_spec(owner)
        channels = ("email",) if notice.kind == OWNERS else () if spec is None else spec.channels
        if not channels:
            raise Conflict("Its team is told by no channel any more: set one in `notify` first.", code="not_told")
        await outbox.reopen(session, notice_id, channels, now)
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="replay",
            object_kind="notification",
            object_id=f"{name}/{notice.id}",
            before={way.channel: way.state for way in ways},
        )
    async with services.database.reading() as session:
        (view,) = await notice_views(session, notice_id=notice_id)
    return view


async def preview(
    session: Session, *, now: datetime, team: str | None = None, hidden: Collection[str] = ()
) -> list[PreviewView]:
    """What each team that is told anything would be told, by name; sends and writes nothing."""
    teams = [
        (owner, spec)
        for owner, spec in await told_teams(session)
        if owner.name not in hidden and team in (None, owner.name)
    ]
    return [await _preview(session, owner, spec, now) for owner, spec in sorted(teams, key=lambda one: one[0].name)]


async def _preview(session: Session, team: Team, spec: NotifySpec, now: datetime) -> PreviewView:
    zone = team_zone(team)
    judged = await judged_of(session, team, now)
    kept = await outbox.standings(session, [item.row.key_result.id for item in judged])
    changes = []
    for item, change, at in pending(kept, judged, spec, now):
        words = message("key_result.changed", change_json(item.view, change, now), zone)
        told_at = quiet_until(at, spec.quiet_hours, zone) or at
        changes.append(
            PreviewedView(key_result=item.view.id, summary=words.subject, lines=list(words.lines), told_at=told_at)
        )
    weekly = None
    if spec.digest is not None and judged:
        words = message("team.digest", await digest(session, team, now), zone)
        at = next_digest(now, spec.digest, zone)
        weekly = DigestPreviewView(at=at, summary=words.subject, lines=list(words.lines))
    return PreviewView(
        team=team.name,
        destinations=destinations(spec),
        quiet_until=quiet_until(now, spec.quiet_hours, zone),
        changes=changes,
        digest=weekly,
        waiting=await outbox.count_waiting(session, team.id),
    )


def _view(notice: Notice, team: str, ways: list[Outbox], zone: ZoneInfo) -> NoticeView:
    return NoticeView(
        id=notice.id,
        message_id=f"msg_{notice.uid}",
        team=team,
        kind=notice.kind,
        subject=notice.subject,
        at=notice.at,
        summary=message(notice.kind, notice.payload, zone).subject,
        resolves=None if notice.resolves is None else f"msg_{notice.resolves}",
        channels=[
            NoticeWayView(
                channel=way.channel,
                state=way.state,
                failures=way.failures,
                next_attempt_at=way.next_attempt_at if way.state == outbox.WAITING else None,
                sent_at=way.sent_at,
                error_code=way.error_code,
                error=way.error,
            )
            for way in ways
        ],
        data=notice.payload,
    )
