"""What was last told of each key result, the notices, and their way through each channel."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.deliveries import upsert
from app.store.tables import KeyResult, Notice, Outbox, Team, ToldStanding

WAITING, SENT, DEAD = "waiting", "sent", "dead"
#: The errors that say that a channel is away, and not that a notice is wrong.
_AWAY = ("rate_limited", "unavailable", "transient")


@dataclass(frozen=True, slots=True)
class Sending:
    """A notice that was claimed for one channel. `attempt` is the claim's fencing token, `failures` what came before;
    `is_repeat`: an earlier claim ended without a word, so that it may have been sent."""

    id: int
    attempt: int
    failures: int
    is_repeat: bool
    channel: str
    notice: Notice
    team: Team


# --- what was told ---------------------------------------------------------------------------------------------------


async def standings(session: AsyncSession, key_result_ids: Collection[int]) -> dict[int, ToldStanding]:
    """What was last told of these key results."""
    found = await session.scalars(select(ToldStanding).where(col(ToldStanding.key_result_id).in_(key_result_ids)))
    return {row.key_result_id: row for row in found}


async def begin_watch(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Watch key results from now on: how they stand counts as told. One that is watched already stays as it is."""
    if rows:
        statement = upsert(session, ToldStanding).values([{"version": 0, **row} for row in rows])
        await session.execute(statement.on_conflict_do_nothing(index_elements=["key_result_id"]))


async def note_standing(session: AsyncSession, key_result_id: int, version: int, values: Mapping[str, Any]) -> bool:
    """Write what one look made of a standing; False where somebody else has told a change meanwhile."""
    return await _changed(
        session,
        update(ToldStanding)
        .where(col(ToldStanding.key_result_id) == key_result_id, col(ToldStanding.version) == version)
        .values(**values),
    )


async def forget_others(session: AsyncSession, team_ids: Collection[int]) -> None:
    """Forget what was told of key results that are not current, or of other teams: they begin anew some day."""
    await session.execute(delete(ToldStanding).where(_is_other(team_ids)))


async def has_others(session: AsyncSession, team_ids: Collection[int]) -> bool:
    """Whether there is anything to forget."""
    return (
        await session.execute(select(col(ToldStanding.version)).where(_is_other(team_ids)).limit(1))
    ).first() is not None


def _is_other(team_ids: Collection[int]) -> ColumnElement[bool]:
    is_other = or_(col(KeyResult.team_id).not_in(team_ids), col(KeyResult.is_current).is_(False))
    return col(ToldStanding.key_result_id).in_(select(col(KeyResult.id)).where(is_other))


async def watched_since(session: AsyncSession, team_id: int) -> datetime | None:
    """Since when a team has been watched; None where nothing of it is."""
    query = select(func.min(col(ToldStanding.watched_since))).join(
        KeyResult, col(KeyResult.id) == col(ToldStanding.key_result_id)
    )
    found: datetime | None = await session.scalar(query.where(col(KeyResult.team_id) == team_id))
    return found


# --- notices ---------------------------------------------------------------------------------------------------------


async def append_notice(session: AsyncSession, notice: Notice, channels: Collection[str]) -> bool:
    """Keep a notice and put it on its way; False where there is one of its key."""
    values = notice.model_dump(exclude={"id"})
    statement = (
        upsert(session, Notice)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(col(Notice.id))
    )
    found = (await session.execute(statement)).first()
    if found is None:
        return False
    away = await _away_until(session, notice.team_id)
    session.add_all(
        Outbox(
            notice_id=found[0],
            team_id=notice.team_id,
            channel=channel,
            state=WAITING,
            next_attempt_at=max(notice.at, away.get(channel, notice.at)),
        )
        for channel in channels
    )
    await session.flush()
    return True


async def _away_until(session: AsyncSession, team_id: int) -> dict[str, datetime]:
    """The channels of a team that are away, and until when each is left alone: what comes later waits behind."""
    query = select(col(Outbox.channel), func.max(col(Outbox.next_attempt_at))).where(
        col(Outbox.team_id) == team_id, col(Outbox.state) == WAITING, col(Outbox.error_code).in_(_AWAY)
    )
    return {row[0]: row[1] for row in await session.execute(query.group_by(col(Outbox.channel)))}


async def has_notice(session: AsyncSession, key: str) -> bool:
    """Whether there is a notice of that key."""
    return await session.scalar(select(col(Notice.id)).where(col(Notice.key) == key)) is not None


async def newest_key(session: AsyncSession, team_id: int, kind: str) -> str | None:
    """The key of the newest notice of a kind that a team was told."""
    query = select(col(Notice.key)).where(col(Notice.team_id) == team_id, col(Notice.kind) == kind)
    found: str | None = await session.scalar(query.order_by(col(Notice.id).desc()).limit(1))
    return found


async def receipt_of(session: AsyncSession, uid: str, channel: str) -> str | None:
    """What a channel gave for an earlier notice, so that a later one can refer to it."""
    query = select(col(Outbox.receipt)).join(Notice, col(Notice.id) == col(Outbox.notice_id))
    found: str | None = await session.scalar(query.where(col(Notice.uid) == uid, col(Outbox.channel) == channel))
    return found


async def list_notices(
    session: AsyncSession,
    *,
    team: str | None = None,
    state: str | None = None,
    before: int | None = None,
    notice_id: int | None = None,
    hidden: Collection[str] = (),
    limit: int = 100,
) -> list[tuple[Notice, str, list[Outbox]]]:
    """Notices with their team's name and what became of them in each channel, newest first."""
    query = select(Notice, col(Team.name)).join(Team, col(Team.id) == col(Notice.team_id))
    if team is not None:
        query = query.where(col(Team.name) == team)
    if hidden:
        query = query.where(col(Team.name).not_in(hidden))
    if before is not None:
        query = query.where(col(Notice.id) < before)
    if notice_id is not None:
        query = query.where(col(Notice.id) == notice_id)
    if state is not None:
        query = query.where(col(Notice.id).in_(select(col(Outbox.notice_id)).where(col(Outbox.state) == state)))
    found = [(row[0], row[1]) for row in await session.execute(query.order_by(col(Notice.id).desc()).limit(limit))]
    ways: dict[int, list[Outbox]] = {notice.id: [] for notice, _ in found}
    rows = await session.scalars(select(Outbox).where(col(Outbox.notice_id).in_(ways)).order_by(col(Outbox.channel)))
    for row in rows:
        ways[row.notice_id].append(row)
    return [(notice, name, ways[notice.id]) for notice, name in found]


async def purge_notices(session: AsyncSession, before: datetime) -> None:
    """Drop notices of before that moment that are not on their way any more."""
    waiting = select(col(Outbox.notice_id)).where(col(Outbox.state) == WAITING)
    await session.execute(delete(Notice).where(col(Notice.at) < before, col(Notice.id).not_in(waiting)))


# --- on their way ----------------------------------------------------------------------------------------------------


async def count_waiting(session: AsyncSession, team_id: int) -> int:
    """How many of a team's notices are on their way, each counted once."""
    query = select(func.count(col(Outbox.notice_id).distinct()))
    return await session.scalar(query.where(col(Outbox.team_id) == team_id, col(Outbox.state) == WAITING)) or 0


async def has_due(session: AsyncSession, now: datetime) -> bool:
    """Whether anything is due, without a lock."""
    query = select(col(Outbox.id)).where(
        col(Outbox.state) == WAITING, col(Outbox.next_attempt_at) <= now, _is_free(now)
    )
    return (await session.execute(query.limit(1))).first() is not None


async def claim_due(session: AsyncSession, now: datetime, until: datetime, limit: int) -> list[Sending]:
    """Claim what is due, oldest first, until a moment by which it is sent or anybody's again. What lies behind an
    older one of the same team and channel that is being sent stays where it is."""
    busy = select(col(Outbox.team_id), col(Outbox.channel)).where(
        col(Outbox.state) == WAITING, col(Outbox.lease_until) > now
    )
    taken = {(row[0], row[1]) for row in await session.execute(busy)}
    query = (
        select(Outbox)
        .where(col(Outbox.state) == WAITING, col(Outbox.next_attempt_at) <= now, _is_free(now))
        .order_by(col(Outbox.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if taken:
        query = query.where(tuple_(col(Outbox.team_id), col(Outbox.channel)).not_in(sorted(taken)))
    rows = list(await session.scalars(query))
    if not rows:
        return []
    told = select(Notice).where(col(Notice.id).in_({row.notice_id for row in rows}))
    notices = {row.id: row for row in await session.scalars(told)}
    owners = select(Team).where(col(Team.id).in_({row.team_id for row in rows}))
    teams = {row.id: row for row in await session.scalars(owners)}
    found = []
    for row in rows:
        is_repeat = row.lease_until is not None
        row.attempts += 1
        row.lease_until = until
        found.append(
            Sending(
                row.id, row.attempts, row.failures, is_repeat, row.channel, notices[row.notice_id], teams[row.team_id]
            )
        )
    await session.flush()
    return found


async def settle(session: AsyncSession, sending: Sending, **values: Any) -> bool:
    """Write what became of a claim and give it back; False where it was somebody else's by then."""
    return await _changed(
        session,
        update(Outbox)
        .where(col(Outbox.id) == sending.id, col(Outbox.attempts) == sending.attempt, col(Outbox.state) == WAITING)
        .values(lease_until=None, **values),
    )


async def postpone(session: AsyncSession, team_id: int, channel: str, until: datetime) -> None:
    """Let everything of a team wait for one channel until a moment."""
    await session.execute(
        update(Outbox)
        .where(
            col(Outbox.team_id) == team_id,
            col(Outbox.channel) == channel,
            col(Outbox.state) == WAITING,
            col(Outbox.next_attempt_at) < until,
        )
        .values(next_attempt_at=until)
    )


async def reopen(session: AsyncSession, notice_id: int, channels: Collection[str], now: datetime) -> None:
    """Send a notice again through every channel it has, and through those it has not gone through yet."""
    await session.execute(
        update(Outbox)
        .where(col(Outbox.notice_id) == notice_id, col(Outbox.state) != WAITING)
        .values(state=WAITING, failures=0, next_attempt_at=now, lease_until=None, sent_at=None)
        .values(error=None, error_code=None)
    )
    notice = await session.get_one(Notice, notice_id)
    known = set(await session.scalars(select(col(Outbox.channel)).where(col(Outbox.notice_id) == notice_id)))
    session.add_all(
        Outbox(notice_id=notice_id, team_id=notice.team_id, channel=channel, state=WAITING, next_attempt_at=now)
        for channel in channels
        if channel not in known
    )
    await session.flush()


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(col(Outbox.lease_until).is_(None), col(Outbox.lease_until) <= now)


async def _changed(session: AsyncSession, statement: Any) -> bool:
    result = await session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount > 0
