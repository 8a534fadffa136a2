"""Which span of time a metric looks at.

Spans are half-open and in UTC; days, months and quarters are those of the team's timezone. A local day begins at the
first instant that carries its date, also where clocks skip or repeat midnight.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

from app.domain.language import ToDate, Trailing, WindowSpec

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
SUB_DAY_STEP = timedelta(minutes=1)
"""How often a window that moves with the clock is worth evaluating again."""

_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """`[start, end)` in aware UTC; None is unbounded on that side."""

    start: datetime | None
    end: datetime | None

    def contains(self, moment: datetime) -> bool:
        """Whether the moment lies in the span: the start does, the end does not."""
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)

    def elapsed(self, at: datetime) -> Fraction | None:
        """The fraction of the span that has passed at a moment, 0 to 1; None when it is unbounded or empty."""
        if self.start is None or self.end is None or self.end <= self.start:
            return None
        passed = (min(max(at, self.start), self.end) - self.start) // MICROSECOND
        return Fraction(passed, (self.end - self.start) // MICROSECOND)


UNBOUNDED = TimeSpan(None, None)


def clock_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC, whole seconds) between two instants of different UTC offset at which the offset changes."""
    low, high = int(before.timestamp()), int(after.timestamp())
    offset = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


@lru_cache(maxsize=4096)
def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant (UTC) of a local date; OverflowError at the very ends of the calendar."""
    midnight = datetime.combine(day, time(), zone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    # The clocks skip this midnight, so the day begins where they jump. PEP 495: fold=1 counts with the offset after
    # the gap and so lies before it.
    return clock_change(midnight.replace(fold=1).astimezone(UTC), instant, zone)


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The local date whose day holds the moment; ValueError for a naive moment or one at the ends of the calendar."""
    if at.tzinfo is None:
        raise ValueError("an aware moment is expected")
    try:
        day = at.astimezone(zone).date()
        # Clocks that go back across midnight repeat the end of a day after the next one has begun.
        return day + DAY if at >= start_of_day(day + DAY, zone) else day
    except OverflowError as error:
        raise ValueError(f"{at.isoformat()} is out of range") from error


def period_start(day: date, months: int, fiscal_year_start: int = 1) -> date:
    """The first day of the period of 1, 3, 6 or 12 months that holds the day, counted from the fiscal year's start."""
    shift = fiscal_year_start - 1
    index = day.year * 12 + day.month - 1 - shift
    return month_start(index - index % months + shift)


def month_start(index: int) -> date:
    """The first day of month `year * 12 + month - 1`; ValueError outside the calendar."""
    return date(index // 12, index % 12 + 1, 1)


def add_months(day: date, months: int) -> date:
    """The first day of the month so many months after the day's; ValueError outside the calendar."""
    return month_start(day.year * 12 + day.month - 1 + months)


def resolve(
    window: WindowSpec,
    *,
    at: datetime,
    zone: ZoneInfo,
    cycle: TimeSpan | None = None,
    fiscal_year_start: int = 1,
) -> TimeSpan:
    """The span that a window means at a moment; ValueError when it needs a cycle and there is none.

    Trailing days are whole local days, today included; one in hours or minutes ends at the moment. `to_date` is the
    whole current period: what lies after the moment is not known yet. Edges beyond the calendar are unbounded.
    """
    if isinstance(window, Trailing):
        if not window.is_in_days:
            return TimeSpan(_before(at, window.span), at)
        today = local_day(at, zone)
        return TimeSpan(_midnight(today, 1 - window.span // DAY, zone), _midnight(today, 1, zone))
    if window == "now" or window == "all":
        return UNBOUNDED
    if not isinstance(window, ToDate) or window.to_date == "cycle":
        if cycle is None:
            raise ValueError("this window needs a cycle")
        return cycle
    months = _MONTHS[window.to_date]
    first = period_start(local_day(at, zone), months, fiscal_year_start)
    try:
        end = start_of_day(add_months(first, months), zone)
    except (OverflowError, ValueError):
        return TimeSpan(_midnight(first, 0, zone), None)
    return TimeSpan(_midnight(first, 0, zone), end)


def next_edge(
    window: WindowSpec,
    *,
    at: datetime,
    zone: ZoneInfo,
    cycle: TimeSpan | None = None,
    fiscal_year_start: int = 1,
) -> datetime | None:
    """The first moment after `at` when the resolved window moves, None when it never does.

    A trailing span in hours or minutes moves all the time: its next edge is a minute away.
    """
    if isinstance(window, Trailing) and not window.is_in_days:
        return at + SUB_DAY_STEP
    if isinstance(window, Trailing) or (isinstance(window, ToDate) and window.to_date != "cycle"):
        return resolve(window, at=at, zone=zone, fiscal_year_start=fiscal_year_start).end
    return None


def _before(at: datetime, span: timedelta) -> datetime | None:
    try:
        return at - span
    except OverflowError:
        return None


def _midnight(day: date, offset: int, zone: ZoneInfo) -> datetime | None:
    try:
        return start_of_day(day + timedelta(days=offset), zone)
    except OverflowError:
        return None
