"""Days and cycles of OKRs as people type them: those of any sheet, `Q4 2026`, `4. Quartal 2026`, `2026/H2`."""

import re
from datetime import date, timedelta

from connectors.spreadsheet import dates
from connectors.spreadsheet.dates import AmbiguousDateError, DateError, DateOrder
from connectors.spreadsheet.units import MONTHS, folded

_QUARTER = re.compile(
    r"(?:q|quarter|quartal|t|trim|trimestre)\s?([1-4])\b|\b([1-4])\s?(?:st|nd|rd|th)?\s?(?:q|quarter|quartal)\b"
)
_HALF = re.compile(r"(?:h|half|hj|halbjahr|semester)\s?([12])\b|\b([12])\s?(?:st|nd)?\s?(?:h|half|hj|halbjahr)\b")
_YEAR = re.compile(r"\b(?:fy|gj)?\s?(20\d{2})\b")
#: What beside a year is some part of it, though none that is understood: `Q5`, `2026-13`, `summer`.
_PART = re.compile(
    r"[0-9]|\bq\w?\b|\b(?:early|mid|late|end|spring|summer|autumn|fall|winter|anfang|mitte|ende|fruhjahr|fruhling|sommer|herbst)\b"
)
_SHORT_YEAR = re.compile(r"['’/ ](\d{2})$|\b(?:fy|gj)\s?(\d{2})\b")


def read_day(text: str, order: DateOrder | None) -> date:
    """As that of any sheet; of a day that can be read in two ways it says which option settles it."""
    try:
        return dates.read_day(text, order)
    except AmbiguousDateError as error:
        raise DateError(f"{error}: say --dates dmy or --dates mdy") from None


def read_cycle(text: str, year: int | None = None) -> str:
    """The cycle that a text names, as the team file writes it: `2026-Q4`, `2026-H1`, `2026`, `2026-11`.

    `year` is taken where the text has none. Raises DateError.
    """
    found = find_cycle(text, year)
    if found is None:
        raise DateError("is not a cycle such as 2026-Q4, 2026-H1, 2026 or 2026-11")
    return found


def find_cycle(text: str, year: int | None = None) -> str | None:
    """The cycle that is named somewhere in a text, or None. Raises DateError where its year is missing."""
    text = text.strip()
    if re.fullmatch(r"20\d{2}(-(Q[1-4]|H[12]|0[1-9]|1[0-2]))?", text):
        return text
    if match := re.fullmatch(r"(0?[1-9]|1[0-2])[/.-](20\d{2})|(20\d{2})[/.](0?[1-9]|1[0-2])", text):
        return f"{match[2] or match[3]}-{int(match[1] or match[4]):02}"
    plain = folded(re.sub(r"(?<=\d)(?=[A-Za-z])|(?<=20\d\d)(?=[QqHh])", " ", text))
    quarters, half = [int(found[1] or found[2]) for found in _QUARTER.finditer(plain)], _HALF.search(plain)
    months = [MONTHS[word] for word in plain.split() if word in MONTHS]
    if quarters:
        months = [] if quarters[0] == quarters[-1] else [3 * quarters[0] - 2, 3 * quarters[-1]]
    named = _YEAR.search(plain)
    if len(set(_YEAR.findall(plain))) > 1:
        return None
    short = None if named else _SHORT_YEAR.search(plain)
    if named:
        year = int(named[1])
    elif short and (quarters or half or months or short[2]):
        year = 2000 + int(short[1] or short[2])
    part = None
    if quarters:
        part = f"Q{quarters[0]}"
    elif half:
        part = f"H{half[1] or half[2]}"
    elif months:
        part = f"{months[0]:02}"
    if part is None:
        rest = plain.replace(named[0], "") if named else ""
        is_whole = len(plain.split()) <= 2 and _PART.search(rest) is None
        return str(year) if (named or (short and short[2])) and is_whole else None
    if year is None:
        raise DateError("does not say its year: say --cycle 2026-Q4, or write the year")
    if not half and len(months) > 1:
        return cycle_of(date(year, months[0], 1), _last_day(year, months[-1])) if months[0] <= months[-1] else None
    return f"{year}-{part}"


def _last_day(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def cycle_of(start: date, end: date) -> str | None:
    """The calendar's quarter, half, year or month from the first day to the last, both included; None for other
    spans."""
    after = end + timedelta(days=1)
    if start.day != 1 or after.day != 1:
        return None
    months = (after.year - start.year) * 12 + after.month - start.month
    if months == 1:
        return f"{start.year}-{start.month:02}"
    if months == 3 and start.month % 3 == 1:
        return f"{start.year}-Q{(start.month + 2) // 3}"
    if months == 6 and start.month % 6 == 1:
        return f"{start.year}-H{(start.month + 5) // 6}"
    return str(start.year) if months == 12 and start.month == 1 else None


def quarter_of(day: date) -> str:
    """The calendar quarter that a day is in."""
    return f"{day.year}-Q{(day.month + 2) // 3}"


def span_of(cycle: str) -> tuple[date, date] | None:
    """The first and the last day of a cycle by the calendar year; None for a cycle of one's own."""
    match = re.fullmatch(r"(\d{4})(?:-(?:Q([1-4])|H([12])|(\d{2})))?", cycle)
    if match is None:
        return None
    year = int(match[1])
    if match[2]:
        first, months = 3 * int(match[2]) - 2, 3
    elif match[3]:
        first, months = 6 * int(match[3]) - 5, 6
    elif match[4]:
        first, months = int(match[4]), 1
    else:
        first, months = 1, 12
    return date(year, first, 1), _last_day(year, first + months - 1)
