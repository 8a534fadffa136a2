"""Days as people type them: `31.12.2026`, `Dec 31, 2026`, `2026/12/31`."""

import re
from collections.abc import Iterable
from datetime import date, time
from typing import Literal

from connectors.spreadsheet.units import MONTHS, folded

DateOrder = Literal["dmy", "mdy"]

_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]\d{2}:\d{2}.*)?")
_CLOCK = re.compile(
    r"(?P<day>.*\d)(?:[Tt]|,? )\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_NUMBERS = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})")


class DateError(ValueError):
    """A text that is no day; the message is for the user."""


class AmbiguousDateError(DateError):
    """A text that is one day with the day before the month, and another with the month before the day."""


def date_order(texts: Iterable[str]) -> DateOrder | None:
    """Whether a sheet writes the day before the month, by the days that can be read in one way only; None where they
    say nothing, or both."""
    found: set[DateOrder] = set()
    for text in texts:
        match = _NUMBERS.fullmatch(text.strip())
        if match is None:
            continue
        first, second = int(match[1]), int(match[3])
        if match[2] == "." or first > 12:
            found.add("dmy")
        elif second > 12:
            found.add("mdy")
    return next(iter(found)) if len(found) == 1 else None


def read_day(text: str, order: DateOrder | None) -> date:
    """The day that a text names. Raises DateError."""
    text = text.strip()
    if match := _ISO.fullmatch(text):
        return _day(int(match[1]), int(match[2]), int(match[3]))
    if match := _NUMBERS.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), _full_year(match[4])
        if match[2] == "." or first > 12:
            return _day(year, second, first)
        if second > 12 or first == second:
            return _day(year, first, second)
        if order is None:
            raise AmbiguousDateError("can be read in two ways")
        return _day(year, second, first) if order == "dmy" else _day(year, first, second)
    words = folded(text).split()
    months = [MONTHS[word] for word in words if word in MONTHS]
    numbers = [int(re.sub(r"\D", "", word)) for word in words if re.fullmatch(r"\d{1,4}(?:st|nd|rd|th)?", word)]
    days, years = [n for n in numbers if 1 <= n <= 31], [n for n in numbers if n >= 1900]
    if len(months) == 1 and len(days) == 1 and len(years) == 1 and len(words) <= 4:
        return _day(years[0], months[0], days[0])
    raise DateError("is not a day such as 2026-12-31")


def read_moment(text: str, order: DateOrder | None) -> tuple[date, time | None]:
    """The day that a text names, and the time where it has one: `31.12.2026 14:30`, `12/31/2026 2:30 PM`. Raises
    DateError."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return read_day(text, order), None
    hour = int(found["hour"])
    if found["half"]:
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    try:
        clock = time(hour, int(found["minute"]), int(found["second"] or 0))
    except ValueError:
        raise DateError("has no time of a day") from None
    return read_day(found["day"], order), clock


def _day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise DateError("is not a day of the calendar") from None


def _full_year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)
