"""Seeing what has changed: every key result's standing against what was last told of it.

A transition is written with its way through every channel in one transaction, and what was told moves on with it; so it
is told once, whoever looks, and whatever dies. In quiet hours nothing is told: afterwards only what still differs is.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from app.domain.notice import Change, Standing, Watch, is_wanted, observe, quiet_until
from app.domain.notify import NotifySpec
from app.services.context import Services
from app.services.definitions import team_zone
from app.services.notify.channels import notify_spec
from app.services.notify.payloads import change_json, standing_from, standing_json, standing_of
from app.services.read import Judged, judge_rows
from app.store import changes, organisation, outbox
from app.store.changes import Place
from app.store.database import Session, is_unavailable
from app.store.organisation import KeyResultFilter
from app.store.tables import Notice, Team, ToldStanding

log = structlog.get_logger(__name__)

#: How often is looked, whatever happens; and how often at most, where something has been recorded.
LOOK_EVERY = timedelta(minutes=1)
LOOK_SOON = timedelta(seconds=10)
BATCH = 100
_looked: WeakKeyDictionary[object, tuple[datetime, Place]] = WeakKeyDictionary()


async def watch_due(services: Services) -> int:
    """Look once a minute, and soon after something was recorded; returns how many transitions were written."""
    now, engine = services.clock(), services.database.engine
    last = _looked.get(engine)
    if last is not None and last[0] <= now < last[0] + LOOK_SOON:
        return 0
    async with services.database.reading() as session:
        place = await changes.newest_place(session)
    if last is not None and last[0] <= now < last[0] + LOOK_EVERY and last[1] == place:
        return 0
    _looked[engine] = (now, place)
    return await watch(services)


async def watch(services: Services) -> int:
    """Look at every team that is told anything; returns how many transitions were written."""
    async with services.database.reading() as session:
        teams = await told_teams(session)
        ids = [team.id for team, _ in teams]
        is_left = await outbox.has_others(session, ids)
    if is_left:
        async with services.database.writing() as session:
            await outbox.forget_others(session, ids)
    written = 0
    for team, spec in teams:
        try:
            written += await _watch_team(services, team, spec)
        except Exception as error:
            if is_unavailable(error):
                raise
            # It holds up no other team, and is tried again at the next look.
            log.exception("notify.watch_failed", team=team.name)
    return written


async def told_teams(session: Session) -> list[tuple[Team, NotifySpec]]:
    """The teams that are told something, with how."""
    found = [(team, notify_spec(team)) for team in await organisation.list_teams(session, limit=100_000)]
    return [(team, spec) for team, spec in found if spec is not None and spec.channels]


async def judged_of(session: Session, team: Team, now: datetime) -> list[Judged]:
    """A team's current key results, judged."""
    rows = await organisation.key_result_rows(session, KeyResultFilter(team=team.name))
    judged: list[Judged] = []
    for start in range(0, len(rows), BATCH):
        judged += await judge_rows(session, rows[start : start + BATCH], now=now)
    return judged


async def _watch_team(services: Services, team: Team, spec: NotifySpec) -> int:
    now = services.clock()
    async with services.database.reading() as session:
        judged = await judged_of(session, team, now)
        kept = await outbox.standings(session, [item.row.key_result.id for item in judged])
    is_quiet = quiet_until(now, spec.quiet_hours, team_zone(team)) is not None
    fresh = [item for item in judged if item.row.key_result.id not in kept]
    moved = []
    for item in judged:
        row = kept.get(item.row.key_result.id)
        if row is not None and (moves := _moves(row, item, spec, now, is_quiet=is_quiet)) is not None:
            moved.append((row, item, *moves))
    if not (fresh or moved):
        return 0
    async with services.database.writing() as session:
        await outbox.begin_watch(
            session,
            [
                {
                    "key_result_id": item.row.key_result.id,
                    "told": standing_json(standing_of(item.view)),
                    "watched_since": now,
                }
                for item in fresh
            ],
        )
        return sum([await _write(session, team, spec, *one, now=now) for one in moved])


def watch_of(row: ToldStanding) -> Watch:
    """What is known of a standing, as the domain has it."""
    return Watch(
        told=standing_from(row.told),
        waiting=None if row.waiting is None else standing_from(row.waiting),
        waiting_since=row.waiting_since,
        away_since=row.away_since,
    )


def _moves(
    row: ToldStanding, item: Judged, spec: NotifySpec, now: datetime, *, is_quiet: bool
) -> tuple[Watch, Change | None] | None:
    """What one look makes of it; None where nothing is to be written."""
    before = watch_of(row)
    after, change = observe(before, standing_of(item.view), now=now, settle=spec.settle)
    if change is not None and is_quiet:
        return None  # it goes on waiting, and is looked at again when the quiet hours are over
    return None if after == before else (after, change)


async def _write(
    session: Session,
    team: Team,
    spec: NotifySpec,
    row: ToldStanding,
    item: Judged,
    after: Watch,
    change: Change | None,
    *,
    now: datetime,
) -> int:
    values: dict[str, Any] = {
        "told": standing_json(after.told),
        "waiting": None if after.waiting is None else standing_json(after.waiting),
        "waiting_since": after.waiting_since,
        "away_since": after.away_since,
    }
    notice = None
    if change is not None:
        values["version"] = row.version + 1
        if is_wanted(change, spec.only, is_open=row.opened_by is not None):
            notice = Notice(
                uid=uuid.uuid4().hex,
                key=f"change/{row.key_result_id}/{row.version + 1}",
                team_id=team.id,
                kind="key_result.changed",
                subject=item.view.id,
                at=now,
                payload=change_json(item.view, change, now),
                resolves=row.opened_by if not change.after.is_problem else None,
            )
        values["opened_by"] = _opened_by(row, change.after, notice)
    if not await outbox.note_standing(session, row.key_result_id, row.version, values):
        return 0  # another worker has told it
    if notice is None:
        return 0
    return int(await outbox.append_notice(session, notice, spec.channels))


def _opened_by(row: ToldStanding, after: Standing, notice: Notice | None) -> str | None:
    """The first notice of a problem, for as long as there is one."""
    if not after.is_problem:
        return None
    return row.opened_by or (None if notice is None else notice.uid)


def pending(
    kept: dict[int, ToldStanding], judged: Sequence[Judged], spec: NotifySpec, now: datetime
) -> list[tuple[Judged, Change, datetime]]:
    """What differs from what was told: each key result, its change, and when it is told if it still stands then."""
    found = []
    for item in judged:
        row = kept.get(item.row.key_result.id)
        standing = standing_of(item.view)
        if row is None or (known := watch_of(row)).told == standing:
            continue
        since = known.waiting_since if known.waiting == standing and known.waiting_since is not None else now
        change = Change(known.told, standing, since)
        if is_wanted(change, spec.only, is_open=row.opened_by is not None):
            found.append((item, change, max(now, since + spec.settle)))
    return found
