"""Which values are moments: RFC 3339 and its common variants, and epochs."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)? ?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
_FULL = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:?\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Epochs from here on are milliseconds: as seconds they would lie beyond the year 5000.
_MILLISECONDS_FROM = 100_000_000_000


def parse_moment(value: object) -> datetime | None:
    """The aware UTC moment that a value names, None where it names none.

    RFC 3339, ISO 8601 with an offset like `-0400`, epoch seconds or milliseconds (numbers); without an offset it is
    UTC, and a date alone is its midnight in UTC. Digits below the microsecond are cut off.
    """
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return _from_epoch(value)
    if isinstance(value, str) and len(value) <= 64 and _ISO.fullmatch(value.strip()):
        return _from_iso(value.strip())
    return None


def full_timestamp(value: object) -> datetime | None:
    """The moment of a text that is a whole RFC 3339 timestamp (a date, a time and an offset), None for all others."""
    if isinstance(value, str) and 20 <= len(value) <= 40 and _FULL.fullmatch(value):
        return _from_iso(value)
    return None


def format_moment(moment: datetime) -> str:
    """RFC 3339 in UTC, with microseconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _from_iso(text: str) -> datetime | None:
    try:
        return _utc(datetime.fromisoformat(text.upper().replace(" +", "+").replace(" -", "-").replace(" Z", "Z")))
    except ValueError:
        return None


def _from_epoch(value: int | Decimal) -> datetime | None:
    if isinstance(value, Decimal) and not value.is_finite():
        return None
    scale = 1_000 if abs(Decimal(value)) >= _MILLISECONDS_FROM else 1_000_000
    try:
        return _EPOCH + timedelta(microseconds=int(value * scale))
    except OverflowError:
        return None


def _utc(moment: datetime) -> datetime | None:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None
