"""What is worth telling, and when: transitions that have settled, never levels.

A key result's standing is compared with the one that was last told. What differs waits until it has stood for the
team's `settle` time; what goes back before is never told. One that keeps changing among others is told all the same
once it has been away for six times as long.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from app.domain.notify import DigestSpec, parse_quiet_hours

Direction: TypeAlias = Literal["worse", "better", "resolved", "changed"]

#: Words that say that the value can not be relied on.
SILENT = frozenset({"stale", "no_data", "error"})
_INACTIVE = frozenset({"paused", "dropped"})
_BADNESS = {
    "met": 0,
    "on_track": 0,
    "not_started": 0,
    "behind": 1,
    "unknown": 1,
    "stale": 2,
    "no_data": 2,
    "at_risk": 3,
    "error": 3,
    "missed": 4,
    "void": 4,
}
_LONGEST_WAIT = 6
#: How late a weekly digest may still come, where nobody was there to send it on time.
DIGEST_GRACE = timedelta(days=2)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a key result stands, as far as it is told: its headline, and the guardrails that are broken (sorted)."""

    word: str
    broken: tuple[str, ...] = ()

    @property
    def is_problem(self) -> bool:
        """Whether somebody has to look at it."""
        return bool(self.broken) or _BADNESS.get(self.word, 0) > 0


@dataclass(frozen=True, slots=True)
class Watch:
    """What was last told of a key result, what waits to be told since when, and since when it has been away from what
    was told."""

    told: Standing
    waiting: Standing | None = None
    waiting_since: datetime | None = None
    away_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A transition that has settled: `since` is when it was first seen."""

    before: Standing
    after: Standing
    since: datetime

    @property
    def direction(self) -> Direction:
        """`resolved`: the value can be relied on again, or nothing is wrong any more."""
        before, after = self.before, self.after
        if before.word in _INACTIVE or after.word in _INACTIVE:
            return "changed"
        if before.is_problem and not after.is_problem:
            return "resolved"
        weights = [(_BADNESS.get(one.word, 0), len(one.broken)) for one in (before, after)]
        if weights[0] == weights[1]:
            return "changed"
        return "worse" if weights[1] > weights[0] else "better"


def observe(watch: Watch, standing: Standing, *, now: datetime, settle: timedelta) -> tuple[Watch, Change | None]:
    """What is known after one look, and the transition where one has settled."""
    if standing == watch.told:
        return replace(watch, waiting=None, waiting_since=None, away_since=None), None
    away = watch.away_since or now
    since = watch.waiting_since if watch.waiting == standing and watch.waiting_since is not None else now
    if now - since >= settle or now - away >= _LONGEST_WAIT * settle:
        return Watch(standing), Change(watch.told, standing, since)
    return Watch(watch.told, standing, since, away), None


def is_wanted(change: Change, only: tuple[str, ...] | None, *, is_open: bool) -> bool:
    """Whether the team wants to hear of it. `is_open`: a problem that was told is not resolved yet; its end is told
    too."""
    if only is None or change.after.word in only:
        return True
    if "guardrail" in only and change.before.broken != change.after.broken:
        return True
    return is_open and not change.after.is_problem


def quiet_until(now: datetime, hours: str | None, zone: ZoneInfo) -> datetime | None:
    """When the quiet hours end that `now` lies in (UTC); None outside of them. Half-open, in local time."""
    if hours is None:
        return None
    begin, end = parse_quiet_hours(hours)
    local = now.astimezone(zone)
    clock, day = local.time().replace(tzinfo=None), local.date()
    if begin < end:
        is_quiet = begin <= clock < end
    else:
        is_quiet = clock >= begin or clock < end
        if clock >= begin:
            day += timedelta(days=1)
    if not is_quiet:
        return None
    ends = [datetime.combine(day, end.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1)]
    # The night on which clocks are set back has some times twice: it is the later one where the first has passed.
    return next((moment for moment in ends if moment > now), ends[-1])


def last_digest(now: datetime, spec: DigestSpec, zone: ZoneInfo) -> tuple[str, datetime]:
    """The newest weekly moment that is not to come (UTC), and its local day, which names the digest."""
    local = now.astimezone(zone)
    back = (local.weekday() - _WEEKDAYS.index(spec.weekday)) % 7
    hour, minute = (int(part) for part in spec.at.split(":"))
    for days in (back, back + 7):
        day = local.date() - timedelta(days=days)
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
        if moment <= now:
            return day.isoformat(), moment
    raise AssertionError("a week ago lies in the past")


def next_digest(now: datetime, spec: DigestSpec, zone: ZoneInfo) -> datetime:
    """The next weekly moment (UTC)."""
    day, _ = last_digest(now, spec, zone)
    following = datetime.fromisoformat(day) + timedelta(days=7)
    hour, minute = (int(part) for part in spec.at.split(":"))
    return following.replace(hour=hour, minute=minute, tzinfo=zone).astimezone(UTC)


#: The waits before each further attempt: the schedule that Standard Webhooks recommends.
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability
_WAITS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000)
MOST_ATTEMPTS = len(_WAITS) + 1


def retry_wait(attempts: int, share: int) -> timedelta | None:
    """How long to wait after so many attempts; None: no further one. `share` (0 to 99) spreads receivers' load over
    ±20 %."""
    if attempts >= MOST_ATTEMPTS:
        return None
    return timedelta(milliseconds=_WAITS[max(attempts, 1) - 1] * (800 + 4 * share))
