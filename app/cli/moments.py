"""Moments as people say them on a command line."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

from app.cli.output import CALL_IS_WRONG, CommandError
from app.domain.moments import format_moment

_SPANS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_WORDS = {"hour": "h", "day": "d", "week": "w"}
_AGO = re.compile(r"(?:last\s+|(\d{1,4})\s*)(h|d|w|hours?|days?|weeks?|months?)(?:\s+ago)?")


def past_moment(text: str, now: datetime) -> str:
    """What the API takes for `last week`, `3 days ago`, `12h`, `yesterday`, a date (its beginning here) or a moment.

    The id of a sample stays what it is. `now` is aware, in the local zone. CommandError for anything else.
    """
    said = text.strip().lower()
    if said.isdecimal():
        return said
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if said in ("today", "yesterday"):
        return format_moment(today if said == "today" else _local(today.date() - timedelta(days=1), now))
    match = _AGO.fullmatch(said)
    if match is not None:
        number, unit = int(match[1] or 1), match[2].rstrip("s")
        if unit == "month":
            return format_moment(_months_before(now, number))
        return format_moment(now - number * _SPANS[_WORDS.get(unit, unit)])
    try:
        if len(said) == len("2026-11-15"):
            return format_moment(_local(date.fromisoformat(said), now))
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise CommandError(
            f'no moment is named {text!r}; such are: "last week", yesterday, 3d, 2026-11-15, 2026-11-15T09:00:00Z',
            CALL_IS_WRONG,
        ) from None
    return format_moment(moment.replace(tzinfo=now.tzinfo) if moment.tzinfo is None else moment.astimezone(UTC))


def _local(day: date, now: datetime) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=now.tzinfo)


def _months_before(now: datetime, number: int) -> datetime:
    """The same day so many months before, or the last one of a shorter month."""
    year, month = divmod(now.year * 12 + now.month - 1 - number, 12)
    if year < 1:
        return datetime.min.replace(tzinfo=UTC)
    return now.replace(year=year, month=month + 1, day=min(now.day, monthrange(year, month + 1)[1]))
