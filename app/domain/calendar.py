"""Business time: the working hours of the week's working days without public holidays, in the team's timezone.

An instant is business time when its local wall clock is within the hours of a working day; what is counted is elapsed
real time. So a night shift is an hour shorter or longer when clocks change.
"""

import re
from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.language import CalendarSpec
from app.domain.window import DAY, MICROSECOND, clock_change

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
# Instants and spans are whole microseconds in here: exact, and quick to search.
_SECOND, _MINUTE, _DAY = 1_000_000, 60_000_000, 86_400_000_000
_OF_EVERY_YEAR = len("12-24")
_SUBDIVISION = re.compile("[A-Z0-9]{1,3}")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# No public holiday or clock change is known outside these years; there, days are nominal, so that a mistaken date
# costs no more than a real one.
_KNOWN_YEARS = range(1900, 2200)
# A day from the ends of the calendar every instant has a local date.
_FIRST, _LAST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)
_EXACT = Context(prec=28)


def _public_holidays(country: str, **options: Any) -> Any:
    # Imported here: it takes a tenth of a second, and most commands and many teams never need it.
    from holidays import country_holidays

    return country_holidays(country, **options)


def check_calendar(spec: CalendarSpec) -> str | None:
    """What is wrong with a calendar, in one sentence; None when it is sound."""
    if not spec.workweek:
        return "the working week has no day"
    opening, closing = _hours(spec)
    if closing > 24 * 60:
        return f"hours end at 24:00 at the latest, not as in {spec.hours!r}"
    if closing <= opening:
        return f"hours must end after they begin, on the same day: {spec.hours!r}"
    for text in spec.half_days:
        # The 29th of February is a day of some years.
        try:
            date.fromisoformat(text if len(text) > _OF_EVERY_YEAR else f"2000-{text}")
        except ValueError:
            return f"there is no day {text!r}"
    if spec.holidays is not None:
        country, _, subdivision = spec.holidays.partition("-")
        try:
            known = _public_holidays(country)
        except NotImplementedError:
            return f"no public holidays are known for {country!r} (an ISO 3166 country, such as DE or DE-BE)"
        if subdivision and subdivision not in known.subdivisions:
            regions = ", ".join(f"{country}-{code}" for code in known.subdivisions if _SUBDIVISION.fullmatch(code))
            return f"no public holidays are known for {spec.holidays!r}; known: {regions or country}"
    return None


@lru_cache(maxsize=256)
def business_calendar(spec: CalendarSpec, zone: ZoneInfo) -> "BusinessCalendar":
    """The calendar of a specification, shared so that its years are laid out once."""
    return BusinessCalendar(spec, zone)


class BusinessCalendar:
    """A calendar that measures. Years are laid out when first touched; then a question is two look-ups a year."""

    def __init__(self, spec: CalendarSpec, zone: ZoneInfo) -> None:
        """ValueError for a calendar that `check_calendar` objects to."""
        objection = check_calendar(spec)
        if objection is not None:
            raise ValueError(objection)
        opening, closing = _hours(spec)
        self._zone = zone
        self._opening, self._closing = opening * _MINUTE, closing * _MINUTE
        self._workdays = frozenset(_WEEKDAYS.index(day) for day in spec.workweek)
        self._region = spec.holidays
        self._half_days = frozenset(spec.half_days)
        self._years: dict[int, _Year] = {}

    @property
    def nominal_day(self) -> int:
        """The seconds of a working day by the wall clock: what one business day is."""
        return (self._closing - self._opening) // _SECOND

    def seconds_between(self, start: datetime, end: datetime) -> Decimal:
        """The business seconds from one aware moment to another, exact to the microsecond; negative when reversed."""
        if end < start:
            return -self.seconds_between(end, start)
        start, end = (min(max(moment, _FIRST), _LAST) for moment in (start, end))
        first, last = (start - DAY).year, (end + DAY).year
        since, until = (start - _EPOCH) // MICROSECOND, (end - _EPOCH) // MICROSECOND
        # A local year begins and ends within a day of the UTC one, so only these can be touched in part.
        partial = {first, start.year, (start + DAY).year, (end - DAY).year, end.year, last}
        elapsed = sum(self._year(year).between(since, until) for year in partial)
        elapsed += sum(self._total(year) for year in range(first, last + 1) if year not in partial)
        if elapsed % _SECOND == 0:
            return Decimal(elapsed // _SECOND)
        return Decimal(elapsed).scaleb(-6, _EXACT).normalize(_EXACT)

    def _year(self, year: int) -> "_Year":
        if year not in self._years:
            self._years[year] = _Year(self._open_intervals(year))
        return self._years[year]

    def _total(self, year: int) -> int:
        if year in _KNOWN_YEARS:
            return self._year(year).total
        first = date(year, 1, 1)
        weeks, rest = divmod((date(year, 12, 31) - first).days + 1, 7)
        days = weeks * len(self._workdays) + sum((first.weekday() + i) % 7 in self._workdays for i in range(rest))
        return days * (self._closing - self._opening)

    def _open_intervals(self, year: int) -> list[tuple[int, int]]:
        """The business intervals of a local year, in microseconds since 1970 UTC, in order."""
        is_known = year in _KNOWN_YEARS
        holidays = self._holidays(year) if is_known else frozenset()
        first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
        constant = self._offset(first, 0)
        intervals: list[tuple[int, int]] = []
        for day in range(first, last + 1):
            # Ordinal 1 is a Monday.
            if (day - 1) % 7 not in self._workdays or day in holidays:
                continue
            before, after = (self._offset(day, 0), self._offset(day + 1, 1)) if is_known else (constant, constant)
            midnight = (day - _EPOCH_DAY) * _DAY
            opening, closing = midnight + self._opening, midnight + self._closing
            if is_known and self._is_half(date.fromordinal(day)):
                closing = (opening + closing) // 2
            if before == after:
                intervals.append((opening - before, closing - before))
                continue
            change = self._change(midnight, before, after)
            pieces = (
                (opening - before, min(closing - before, change)),
                (max(opening - after, change), closing - after),
            )
            intervals.extend((start, end) for start, end in pieces if start < end)
        return sorted(intervals)

    def _is_half(self, day: date) -> bool:
        return bool(self._half_days) and not self._half_days.isdisjoint((f"{day:%m-%d}", day.isoformat()))

    def _offset(self, day: int, fold: int) -> int:
        """The UTC offset at a local midnight; fold 0 is that before a change at midnight, 1 that after it (PEP 495)."""
        midnight = datetime.combine(date.fromordinal(day), time(fold=fold), self._zone)
        return (midnight.utcoffset() or timedelta(0)) // MICROSECOND

    def _change(self, midnight: int, before: int, after: int) -> int:
        """The instant at which the offset changes during a local day."""
        low, high = midnight - max(before, after), midnight + _DAY - min(before, after)
        change = clock_change(_EPOCH + low * MICROSECOND, _EPOCH + high * MICROSECOND, self._zone)
        return (change - _EPOCH) // MICROSECOND

    def _holidays(self, year: int) -> frozenset[int]:
        if self._region is None:
            return frozenset()
        country, _, subdivision = self._region.partition("-")
        days = _public_holidays(country, subdiv=subdivision or None, years=year)
        return frozenset(day.toordinal() for day in days)


class _Year:
    """The business intervals of a year with their running total, all in microseconds."""

    def __init__(self, intervals: list[tuple[int, int]]) -> None:
        self._starts = [start for start, _ in intervals]
        self._ends = [end for _, end in intervals]
        self._before = [0, *accumulate(end - start for start, end in intervals)]
        self.total = self._before[-1]

    def between(self, since: int, until: int) -> int:
        return self._up_to(until) - self._up_to(since)

    def _up_to(self, moment: int) -> int:
        index = bisect_right(self._starts, moment)
        if index == 0:
            return 0
        # The interval that began last counts as far as the moment reaches into it.
        return self._before[index] - max(self._ends[index - 1] - moment, 0)


def _hours(spec: CalendarSpec) -> tuple[int, int]:
    """Opening and closing in minutes of the day."""
    opening, closing = (text.split(":") for text in spec.hours.split("-"))
    return int(opening[0]) * 60 + int(opening[1]), int(closing[0]) * 60 + int(closing[1])
