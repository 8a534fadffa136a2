"""Numbers and records in JSON answers, and what a refusal says. Pure."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from connectors.aggregates import Aggregate, aggregate
from connectors.answer import Answer
from connectors.contract import JsonValue, RecordChange
from connectors.decoding import MAX_DIGITS
from connectors.errors import QueryError, UnexpectedResponseError
from connectors.http_json.models import HttpJsonDataset
from connectors.paths import FieldPath, parse_path

# The number that a text is, as JSON writes numbers: APIs put decimals into quotes so that nobody makes floats of them.
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Epochs from here on are milliseconds: as seconds they would lie beyond the year 5000.
_MILLISECONDS_FROM = 100_000_000_000
#: Where APIs say what is wrong, the fullest first: RFC 9457, OAuth, and what most others do.
_WORDS = ("detail", "error_description", "message", "error", "title", "errors")


def answer_of(document: JsonValue, path: FieldPath, how: Aggregate | None, text: str) -> Answer:
    """The number at a path that teams wrote as `text`, or those at one with `[*]` as one number.

    QueryError where there is something else than a number; UnexpectedResponseError where the path leads into a
    document that has no parts at all.
    """
    if path and not isinstance(document, dict | list):
        raise UnexpectedResponseError(f"The answer is a single value where {text} was expected in it.")
    nothing = Answer(None, f"the answer has nothing at {text}")
    found = [value for value in _values(document, path) if value is not None]
    if how is None:
        return Answer(_number(found[0], text)) if found else nothing
    if not found and not _is_empty_list(document, path):
        return nothing  # a list that went by another name is not an empty one
    value = aggregate(how, [_number(one, text) for one in found]) if how != "count" else Decimal(len(found))
    return nothing if value is None else Answer(value)


def _is_empty_list(document: JsonValue, path: FieldPath) -> bool:
    """Whether the list that the first `[*]` is of is there, and is empty."""
    lists = list(_values(document, path[: path.index(None)]))
    return bool(lists) and all(isinstance(one, list) and not one for one in lists)


def _values(value: JsonValue, path: Sequence[str | int | None]) -> Iterator[JsonValue]:
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if step is None and isinstance(value, list):
        for item in value:
            yield from _values(item, rest)
    elif isinstance(step, int) and isinstance(value, list):
        yield from (one for item in value[step : step + 1] for one in _values(item, rest))
    elif isinstance(step, str) and isinstance(value, dict) and step in value:
        yield from _values(value[step], rest)


def _number(value: JsonValue, text: str) -> Decimal:
    if isinstance(value, str):
        if len(value) <= MAX_DIGITS and _NUMBER.fullmatch(value.strip()):
            return Decimal(value.strip())
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise QueryError(f"The answer has {_kind(value)} at {text} where a number is asked for.")


def _kind(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list):
        return "a list (take [*] and an aggregate of it)"
    return "an object" if isinstance(value, dict) else "a text that is no number"


# --- lists -----------------------------------------------------------------------------------------------------------


def list_at(body: JsonValue, path: FieldPath, text: str) -> list[JsonValue]:
    """The list at a path that teams wrote as `text`; UnexpectedResponseError where there is none."""
    found = next(_values(body, path), None)
    if not isinstance(found, list):
        raise UnexpectedResponseError(f"The answer has no list at {text}.")
    return found


def text_at(value: JsonValue, path: FieldPath) -> str | None:
    """The text or whole number at a path, as text; None where nothing is there, or something else."""
    found = next(_values(value, path), None)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return str(found) or None


def record_of(item: JsonValue, dataset: HttpJsonDataset) -> RecordChange:
    """An item of a list as a record; UnexpectedResponseError for one that is no object, or has no id."""
    entity = text_at(item, parse_path(dataset.id, "item"))
    if entity is None or not isinstance(item, dict):
        raise UnexpectedResponseError(f"An item of the list has nothing at {dataset.id}.")
    page = None if dataset.page is None else text_at(item, parse_path(dataset.page, "item"))
    created = None if dataset.created is None else next(_values(item, parse_path(dataset.created, "item")), None)
    return RecordChange(
        entity=entity,
        name=entity,
        version=0,
        created=_moment(created),
        fields=item,
        link=page if page is not None and page.startswith(("https://", "http://")) else None,
    )


def _moment(value: JsonValue) -> datetime | None:
    """A moment as APIs write them: ISO 8601, or seconds or milliseconds since 1970; without an offset it is UTC."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            number = Decimal(value)
            return _EPOCH + timedelta(milliseconds=int(number if abs(number) >= _MILLISECONDS_FROM else number * 1000))
    except (ValueError, OverflowError):
        pass
    return None


# --- refusals --------------------------------------------------------------------------------------------------------


def words_of(body: JsonValue) -> str | None:
    """What an API says is wrong, on one line; None where it says nothing."""
    for _ in range(5):  # `{"errors": [{"message": …}]}`
        if isinstance(body, str):
            return " ".join(body.split()) or None
        if isinstance(body, list):
            body = body[0] if body else None
        elif isinstance(body, dict):
            body = next((body[key] for key in _WORDS if body.get(key)), None)
    return None
