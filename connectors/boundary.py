"""What a connector hands over is checked here, before anything of it is stored.

Each `check_*` returns what it was given, or raises UnexpectedResponseError with the place and the reason, never the
value. Connectors are trusted with the network, not with the shape of what they return: a float, a naive moment or a NaN
that gets into the database can not be found again.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from connectors.contract import (
    Changed,
    Cursor,
    Event,
    Ignored,
    JsonValue,
    Measurement,
    Page,
    Parsed,
    Pushed,
    RecordChange,
    Transition,
)
from connectors.decoding import MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT
from connectors.errors import UnexpectedResponseError

ItemT = TypeVar("ItemT")

MAX_TEXT = 1_000_000
MAX_ITEMS = 1_000_000
MAX_NAME = 1_000
MAX_CURSOR_TEXT = 100_000
MAX_VERSION = 2**63 - 1  # what a BIGINT holds
CATEGORIES = frozenset({"to_do", "in_progress", "done"})
ABSENCES = frozenset({"deleted", "out_of_scope", "unseen"})
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def check_measurement(measurement: Measurement) -> Measurement:
    """A measurement with an exact, finite value or a reason for its absence, and an aware moment."""
    if not isinstance(measurement, Measurement):
        raise _unexpected("The measurement", "is not a Measurement")
    if measurement.value is None:
        _check_text(measurement.reason, "The measurement's reason", MAX_TEXT)
    else:
        _check_decimal(measurement.value, "The measured value")
        _check_optional_text(measurement.reason, "The measurement's reason", MAX_TEXT)
    _check_moment(measurement.observed_at, "The measurement's moment")
    _check_text(measurement.query, "The measurement's query", MAX_TEXT)
    _check_optional_text(measurement.link, "The measurement's link", MAX_TEXT)
    _check_optional_text(measurement.digest, "The measurement's digest", MAX_NAME)
    if not isinstance(measurement.is_exact, bool):
        raise _unexpected("The measurement's exactness", "is neither true nor false")
    return measurement


def check_page(page: Page) -> Page:
    """A page whose changes can be stored as they are; each entity is on it once."""
    if not isinstance(page, Page):
        raise _unexpected("The page", "is not a Page")
    check_changes(page.changes)
    if page.cursor is not None:
        check_cursor(page.cursor)
    for warning in _items(page.warnings, "The page's warnings"):
        _check_text(warning, "A warning of the page", MAX_TEXT)
    if not isinstance(page.absent, Mapping):
        raise _unexpected("The page's absent entities", "are not a mapping")
    for entity, absence in page.absent.items():
        _check_text(entity, "An absent entity", MAX_NAME)
        if absence not in ABSENCES:
            raise _unexpected("An entity's absence", f"is none of {', '.join(sorted(ABSENCES))}")
    for entity in _items(page.deleted, "The page's deleted entities"):
        _check_text(entity, "A deleted entity", MAX_NAME)
    return page


def check_entities(entities: Sequence[str]) -> Sequence[str]:
    """A batch of a sweep: ids that can be stored."""
    for entity in _items(entities, "The entities"):
        _check_text(entity, "A swept entity", MAX_NAME)
    return entities


def check_changes(changes: Sequence[RecordChange]) -> Sequence[RecordChange]:
    """Record changes that can be stored as they are, each entity once."""
    entities: set[str] = set()
    for change in _items(changes, "The changes"):
        check_change(change)
        if change.entity in entities:
            raise _unexpected("An entity", "comes twice on one page")
        entities.add(change.entity)
    return changes


def check_change(change: RecordChange) -> RecordChange:
    """One record change: names that are text, a version that orders, aware moments, exact fields."""
    if not isinstance(change, RecordChange):
        raise _unexpected("A change", "is not a RecordChange")
    _check_text(change.entity, "A record's entity", MAX_NAME)
    _check_text(change.name, "A record's name", MAX_NAME)
    if type(change.version) is not int or not 0 <= change.version <= MAX_VERSION:
        raise _unexpected("A record's version", "is not a whole number of 63 bits")
    if change.created is not None:
        _check_moment(change.created, "A record's creation")
    if not isinstance(change.fields, Mapping):
        raise _unexpected("A record's fields", "are not a mapping")
    for key, value in change.fields.items():
        _check_text(key, "A record's field name", MAX_NAME)
        if type(value) is str:
            _check_text(value, "A record's field", MAX_TEXT, may_be_empty=True)
        elif value is not None:
            _check_json(value, "A record's field")
    for transition in _items(change.transitions, "A record's transitions"):
        _check_transition(transition)
    _check_optional_text(change.link, "A record's link", MAX_TEXT)
    if not isinstance(change.is_deleted, bool):
        raise _unexpected("A record's deletion", "is neither true nor false")
    return change


def check_parsed(parsed: Parsed) -> Parsed:
    """What a delivery was parsed to, as something that can be stored."""
    match parsed:
        case Event(body=body, headers=headers, name=event_name):
            _check_json(body, "The event's body")
            _check_optional_text(event_name, "The event's name", MAX_NAME)
            if not isinstance(headers, Mapping):
                raise _unexpected("The event's headers", "are not a mapping")
            for name, value in headers.items():
                _check_text(name, "An event's header name", MAX_NAME)
                _check_text(value, "An event's header", MAX_TEXT, may_be_empty=True)
        case Changed(entities=entities, deleted=deleted):
            for entity in (*_items(entities, "The changed entities"), *_items(deleted, "The deleted entities")):
                _check_text(entity, "A changed entity", MAX_NAME)
        case Pushed(changes=changes):
            check_changes(changes)
        case Ignored(reason=reason):
            _check_text(reason, "The reason to ignore", MAX_TEXT)
        case _:
            raise _unexpected("What the delivery says", "is not of a known kind")
    return parsed


def check_cursor(cursor: Cursor) -> Cursor:
    """A cursor that is small JSON with names for keys."""
    if not isinstance(cursor, dict):
        raise _unexpected("The cursor", "is not an object")
    _check_json(cursor, "The cursor", MAX_CURSOR_TEXT)
    return cursor


def _check_transition(transition: Transition) -> None:
    if not isinstance(transition, Transition):
        raise _unexpected("A transition", "is not a Transition")
    _check_text(transition.field, "A transition's field", MAX_NAME)
    _check_moment(transition.at, "A transition's moment")
    if type(transition.order) is not int or not 0 <= transition.order <= MAX_VERSION:
        raise _unexpected("A transition's order", "is not a whole number of 63 bits")
    for side in (transition.before, transition.after):
        _check_optional_text(side, "A transition's value", MAX_TEXT)
    for category in (transition.before_category, transition.after_category):
        if category is not None and category not in CATEGORIES:
            raise _unexpected("A transition's category", f"is none of {', '.join(sorted(CATEGORIES))}")


def _check_json(value: JsonValue, place: str, max_text: int = MAX_TEXT) -> None:
    """JSON without floats, by levels, so that neither depth nor a cycle can overflow the stack or run on."""
    level: list[object] = [value]
    seen = 0
    for _ in range(MAX_DEPTH + 1):
        seen += len(level)
        if seen > MAX_ITEMS:
            raise _unexpected(place, f"holds more than {MAX_ITEMS} values")
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                for key in item:
                    _check_text(key, f"{place}: a key", MAX_NAME, may_be_empty=True)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str):
                _check_text(item, place, max_text, may_be_empty=True)
            elif isinstance(item, Decimal):
                _check_decimal(item, place)
            elif isinstance(item, int):
                if abs(item) >= 10**MAX_DIGITS:
                    raise _unexpected(place, f"holds a number of more than {MAX_DIGITS} digits")
            elif item is not None:
                raise _unexpected(place, f"holds a {type(item).__name__}, which is not exact JSON")
        if not below:
            return
        level = below
    raise _unexpected(place, f"is nested deeper than {MAX_DEPTH} levels")


def _check_decimal(value: object, place: str) -> None:
    if not isinstance(value, Decimal):
        raise _unexpected(place, f"is a {type(value).__name__} and not a Decimal")
    if not value.is_finite():
        raise _unexpected(place, "is not finite")
    _, digits, exponent = value.as_tuple()
    if len(digits) > MAX_DIGITS + 10 or abs(int(exponent)) > 2 * MAX_EXPONENT or abs(value.adjusted()) > MAX_EXPONENT:
        raise _unexpected(place, "is out of range")


def _check_moment(value: object, place: str) -> None:
    if not isinstance(value, datetime):
        raise _unexpected(place, f"is a {type(value).__name__} and not a datetime")
    if value.tzinfo is not UTC and value.utcoffset() != timedelta(0):
        raise _unexpected(place, "is not in UTC")
    if not EARLIEST <= value <= LATEST:
        raise _unexpected(place, "is out of range")


def _check_text(value: object, place: str, limit: int, *, may_be_empty: bool = False) -> None:
    # Nearly all text is this, and a page has tens of thousands: what is ASCII need not be encoded to be known as text.
    if type(value) is str and value.isascii() and "\0" not in value and (0 < len(value) <= limit):
        return
    if not isinstance(value, str):
        raise _unexpected(place, f"is a {type(value).__name__} and not text")
    if not value and not may_be_empty:
        raise _unexpected(place, "is empty")
    if len(value) > limit:
        raise _unexpected(place, f"is longer than {limit} characters")
    if "\0" in value or not _is_unicode(value):
        raise _unexpected(place, "holds a NUL or half a surrogate pair")


def _check_optional_text(value: object, place: str, limit: int) -> None:
    if value is not None:
        _check_text(value, place, limit, may_be_empty=True)


def _is_unicode(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _items(value: Sequence[ItemT], place: str) -> Sequence[ItemT]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise _unexpected(place, "are not a list")
    return value


def _unexpected(place: str, problem: str) -> UnexpectedResponseError:
    return UnexpectedResponseError(f"{place} {problem}.")
