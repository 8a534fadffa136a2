"""Local days as whole numbers, and the days that a window covers whole.

A roll-up has a row for each local day, for each span of 32 days, and one for everything, so that any window is the sum
of a few rows whatever its length.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from app.domain.window import start_of_day

SPAN = 32
"""Days in a span: the first day of each is a multiple of it."""
EVERYTHING = 0
"""`days` of the one row that holds all days."""

_LAST = date.max.toordinal()
# Below and above every day there is.
_BEFORE, _AFTER = 0, (_LAST // SPAN + 2) * SPAN


class Days:
    """The local days of a zone, by ordinal (1 is 1 January of year 1).

    A moment's day is the last one that has begun, so `at >= start(day)` says exactly that the moment's day is `day` or
    a later one, also on days that the clocks of a zone left out.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._starts: dict[int, datetime] = {}

    def of(self, at: datetime) -> int:
        """The ordinal of the day that holds an aware moment; at the ends of the calendar the nearest day."""
        day = at.toordinal()
        while day > 1 and at < self.start(day):
            day -= 1
        while day < _LAST and at >= self.start(day + 1):
            day += 1
        return day

    def start(self, day: int) -> datetime:
        """When the day begins (UTC); the calendar's end where that lies beyond it."""
        known = self._starts.get(day)
        if known is None:
            known = self._starts[day] = self._start(day)
        return known

    def _start(self, day: int) -> datetime:
        try:
            return start_of_day(date.fromordinal(day), self._zone)
        except (OverflowError, ValueError):
            return datetime.min.replace(tzinfo=UTC) if day <= 2 else datetime.max.replace(tzinfo=UTC)


@lru_cache(maxsize=256)
def days_in(zone: ZoneInfo) -> Days:
    return Days(zone)


@dataclass(frozen=True, slots=True)
class Cover:
    """What adds up to a window: rows of days and of spans, and the part-days at its edges, whose facts are read.

    `days` are two half-open ranges of days, `spans` one of spans by their first day. `[start, end)` are the whole
    days together, None where the window is unbounded.
    """

    is_everything: bool
    days: tuple[tuple[int, int], tuple[int, int]]
    spans: tuple[int, int]
    start: datetime | None
    end: datetime | None
    edges: tuple[tuple[datetime, datetime], ...]


_NOTHING = (0, 0)


def cover(start: datetime | None, end: datetime | None, days: Days) -> Cover | None:
    """How the roll-up covers `[start, end)`; None when there is no whole day in it."""
    if start is None and end is None:
        return Cover(True, (_NOTHING, _NOTHING), _NOTHING, None, None, ())
    edges: list[tuple[datetime, datetime]] = []
    first, last = _BEFORE, _AFTER
    whole_start = whole_end = None
    if start is not None:
        first = days.of(start)
        if days.start(first) != start:
            first += 1
            edges.append((start, days.start(first)))
        whole_start = days.start(first)
    if end is not None:
        last = days.of(end)
        whole_end = days.start(last)
        if whole_end != end:
            edges.append((whole_end, end))
    if first >= last:
        return None
    lower, upper = -(-first // SPAN) * SPAN, last // SPAN * SPAN
    if lower < upper:
        ranges = ((first, lower), (upper, last))
        return Cover(False, ranges, (lower, upper), whole_start, whole_end, tuple(edges))
    return Cover(False, ((first, last), _NOTHING), _NOTHING, whole_start, whole_end, tuple(edges))
