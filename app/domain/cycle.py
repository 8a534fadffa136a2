"""The cycles that objectives live in: a month, a quarter, a half or a year.

Quarters, halves and years count from the fiscal year's first month, and a fiscal year is named by the calendar year it
begins in: with a fiscal year from April, `2026-Q1` is April to June 2026 and `2026` ends in March 2027. `2026-11` is
always the calendar month.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from app.domain.window import TimeSpan, add_months, local_day, month_start, period_start, start_of_day

CycleKind: TypeAlias = Literal["month", "quarter", "half", "year"]

_NAME = re.compile(r"([0-9]{4})(?:-(?:Q([1-4])|H([12])|(0[1-9]|1[0-2])))?")
_MONTHS: dict[CycleKind, int] = {"month": 1, "quarter": 3, "half": 6, "year": 12}


@dataclass(frozen=True, slots=True)
class Cycle:
    """A named span: `start` (included) and `end` (excluded) are local midnights in UTC."""

    name: str
    start: datetime
    end: datetime

    @property
    def span(self) -> TimeSpan:
        return TimeSpan(self.start, self.end)


@lru_cache(maxsize=1_024)
def parse_cycle(name: str, zone: ZoneInfo, fiscal_year_start: int = 1) -> Cycle:
    """The cycle of a name such as `2026-Q4`, `2026-H1`, `2026` or `2026-11`; ValueError for any other."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is not a cycle: 2026-Q4, 2026-H1, 2026 or 2026-11 is expected")
    year = int(match[1]) * 12
    if match[4]:
        first, months = year + int(match[4]) - 1, 1
    elif match[2]:
        first, months = year + fiscal_year_start - 1 + 3 * (int(match[2]) - 1), 3
    elif match[3]:
        first, months = year + fiscal_year_start - 1 + 6 * (int(match[3]) - 1), 6
    else:
        first, months = year + fiscal_year_start - 1, 12
    try:
        return _cycle(name, month_start(first), months, zone)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name!r} is out of range") from error


def dated_cycle(name: str, start: date, end: date, zone: ZoneInfo) -> Cycle:
    """A cycle of one's own, from one local day up to another."""
    return Cycle(name, start_of_day(start, zone), start_of_day(end, zone))


def current_cycle(now: datetime, zone: ZoneInfo, kind: CycleKind = "quarter", fiscal_year_start: int = 1) -> Cycle:
    """The cycle of a kind that holds the moment; ValueError at the ends of the calendar."""
    months = _MONTHS[kind]
    first = period_start(local_day(now, zone), months, fiscal_year_start)
    if kind == "month":
        return _cycle(f"{first:%Y-%m}", first, months, zone)
    # Months since January of the year that the fiscal year began in.
    year, position = divmod(first.year * 12 + first.month - fiscal_year_start, 12)
    suffix = {"quarter": f"-Q{position // 3 + 1}", "half": f"-H{position // 6 + 1}", "year": ""}[kind]
    return _cycle(f"{year:04d}{suffix}", first, months, zone)


def _cycle(name: str, first: date, months: int, zone: ZoneInfo) -> Cycle:
    return Cycle(name, start_of_day(first, zone), start_of_day(add_months(first, months), zone))
