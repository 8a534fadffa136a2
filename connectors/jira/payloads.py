"""What Jira Cloud's REST API v3 answers, as types, and as records. Pure.

The shapes follow Atlassian's OpenAPI document; a member that is required here is one we can not do without.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from connectors.contract import JsonValue
from connectors.errors import UnexpectedResponseError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MICROSECOND = timedelta(microseconds=1)
# Milliseconds before 2106: a float of their seconds is within half a microsecond.
_EXACT_AS_SECONDS = 2**32 * 1_000
_MOMENTS = list[datetime]

#: Jira's keys of the three status categories; `undefined` is no category.
CATEGORIES = {"new": "to_do", "indeterminate": "in_progress", "done": "done"}

PayloadT = TypeVar("PayloadT")


class Issue(msgspec.Struct, frozen=True):
    id: str
    key: str
    fields: dict[str, Any]


class IssueId(msgspec.Struct, frozen=True):
    id: str


class IssuePage(msgspec.Struct, frozen=True):
    issues: list[Issue]
    nextPageToken: str | None = None
    isLast: bool | None = None


class IssueIdPage(msgspec.Struct, frozen=True):
    issues: list[IssueId]
    nextPageToken: str | None = None
    isLast: bool | None = None


class IssueError(msgspec.Struct, frozen=True):
    id: str | None = None
    errorMessage: str | None = None


class FetchedIssues(msgspec.Struct, frozen=True):
    """`issueErrors` are issues that could not be given for now; those that are not there, or not to be seen, are in
    neither list."""

    issues: list[Issue]
    issueErrors: list[IssueError] = []


class Count(msgspec.Struct, frozen=True):
    count: int


# Most of what is decoded is these; they hold nothing that could lead back to them, so the collector need not look.


class ChangeItem(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"before_id": "from", "before": "fromString", "after_id": "to", "after": "toString"},
):
    field: str | None = None
    fieldId: str | None = None
    before_id: str | None = None
    before: str | None = None
    after_id: str | None = None
    after: str | None = None


class ChangeHistory(msgspec.Struct, frozen=True, gc=False):
    """One save of an issue. `created` is epoch milliseconds from the bulk resource, ISO 8601 from the others."""

    id: str
    created: str | int
    items: list[ChangeItem] = []


class BulkHistory(msgspec.Struct, frozen=True, gc=False):
    """As `ChangeHistory`, its items as they came: of one field, the same few come again and again."""

    id: str
    created: str | int
    items: msgspec.Raw = msgspec.Raw(b"[]")


class IssueChangelog(msgspec.Struct, frozen=True, gc=False):
    issueId: str
    changeHistories: list[BulkHistory]


class ChangelogPage(msgspec.Struct, frozen=True):
    issueChangeLogs: list[IssueChangelog]
    nextPageToken: str | None = None


class FieldSchema(msgspec.Struct, frozen=True):
    type: str | None = None
    items: str | None = None
    custom: str | None = None


class FieldDetails(msgspec.Struct, frozen=True):
    id: str
    name: str
    custom: bool = False
    schema: FieldSchema | None = None


class StatusCategory(msgspec.Struct, frozen=True):
    key: str


class StatusDetails(msgspec.Struct, frozen=True):
    id: str
    name: str
    statusCategory: StatusCategory | None = None

    @property
    def category(self) -> str | None:
        """`to_do`, `in_progress` or `done`, or None."""
        return CATEGORIES.get(self.statusCategory.key) if self.statusCategory else None


class Account(msgspec.Struct, frozen=True):
    timeZone: str | None = None
    displayName: str | None = None
    accountId: str | None = None


class ServerInformation(msgspec.Struct, frozen=True):
    serverTitle: str | None = None
    version: str | None = None
    versionNumbers: list[int] = []
    deploymentType: str | None = None
    baseUrl: str | None = None


class Project(msgspec.Struct, frozen=True):
    id: str
    key: str
    name: str


class ProjectFate(msgspec.Struct, frozen=True):
    key: str
    archived: bool = False
    deleted: bool = False


class ProjectPage(msgspec.Struct, frozen=True):
    values: list[ProjectFate] = []


class Named(msgspec.Struct, frozen=True):
    """A thing that has a name among much else: a status, a user, an option."""

    id: Any = None
    key: Any = None
    name: Any = None
    displayName: Any = None
    value: Any = None
    child: Any = None


def opened(value: msgspec.Raw | bytes) -> Any:
    """What was kept as it came: a `Named`, or whatever else it is."""
    text = bytes(value)
    try:
        return decoder_of(Named | None).decode(text)
    except msgspec.ValidationError:
        return decode(text, Any, "issues")


def part_of(value: Any, name: str) -> Any:
    """A member of something that has a name; None where it is nothing of the kind."""
    if type(value) is msgspec.Raw:
        value = opened(value)
    if type(value) is Named:
        return getattr(value, name)
    return value.get(name) if isinstance(value, dict) else None


def _exact(text: str) -> Decimal:
    number = Decimal(text)
    # Beyond any number a field holds, and a number like 1e999999999 would cost a fortune to write out.
    if len(text) > 100 or abs(number.adjusted()) > 400:
        raise ValueError("a number out of range")
    return number


@lru_cache(maxsize=256)
def decoder_of(shape: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of a shape; making one costs as much as decoding a page."""
    return msgspec.json.Decoder(shape, float_hook=_exact)


def decode(body: bytes, shape: type[PayloadT], what: str) -> PayloadT:
    """`body` as `shape`, numbers with a point as `Decimal`; UnexpectedResponseError for anything else."""
    try:
        decoded: PayloadT = decoder_of(shape).decode(body)  # type: ignore[arg-type]
        return decoded
    except msgspec.ValidationError as error:
        raise UnexpectedResponseError(f"Jira's {what} has another shape than expected: {error}") from error
    except (ValueError, RecursionError, ArithmeticError) as error:
        page = body.lstrip()[:1] == b"<"
        found = "a web page (a login page?)" if page else "something that is not whole JSON"
        raise UnexpectedResponseError(f"Jira answered {found} where its {what} was expected.") from error


def moment(value: str | int) -> datetime:
    """A Jira timestamp in UTC: `2007-06-26T10:32:10.000-0400`, or the milliseconds since 1970 of bulk changelogs.

    The document's example of bulk changelogs gives a number where its schema says a string, so both are read.
    """
    if type(value) is not int:
        return _moment_of_text(str(value))
    try:
        return _EPOCH + value * _MILLISECOND
    except OverflowError as error:
        raise UnexpectedResponseError(f"Jira sent a moment that can not be read: {str(value)[:40]!r}.") from error


def moments(values: Sequence[str | int]) -> list[datetime]:
    """As `moment`, of many: milliseconds are read by the decoder, in a fifth of the time."""
    try:
        if min(values) >= 0 and max(values) < _EXACT_AS_SECONDS:  # type: ignore[operator]
            seconds = [value / 1_000 for value in values]  # type: ignore[operator]
            return msgspec.convert(seconds, _MOMENTS, strict=False)
    except (TypeError, ValueError):  # text among them, or none at all
        pass
    return [moment(value) for value in values]


def in_utc(at: datetime) -> datetime:
    """The same moment in UTC; UnexpectedResponseError where that is beyond what a date can hold."""
    if at.tzinfo is UTC:
        return at
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise UnexpectedResponseError(f"Jira sent a moment that can not be read: {at}.") from error


@lru_cache(maxsize=4096)  # an issue's moments are read for its fields and for what it is ordered by
def _moment_of_text(value: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnexpectedResponseError(f"Jira sent a moment that can not be read: {value[:40]!r}.") from error
    raise UnexpectedResponseError(f"Jira sent a moment without its offset from UTC: {value[:40]!r}.")


def microseconds(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return (at - _EPOCH) // _MILLISECOND


def from_milliseconds(value: int) -> datetime:
    """The moment `value` milliseconds after 1970."""
    return _EPOCH + value * _MILLISECOND


def moment_text(value: Any) -> JsonValue:
    """A moment as people see it, in UTC; what is none stays what it is."""
    return _written(in_utc(value)) if type(value) is datetime else readable(value, _MOMENT_SCHEMA)


def rfc3339(at: datetime) -> str:
    """`at` in UTC as RFC 3339 with `Z`."""
    return _written(at.astimezone(UTC))


def _written(at: datetime) -> str:
    text: str = msgspec.to_builtins(at)
    return text


_MOMENT_SCHEMA = FieldSchema(type="datetime")
# What names a thing, most telling first: an option's value, a user's display name, anything else's name.
_NAMING = ("value", "displayName", "name", "key", "id")


def readable(value: Any, schema: FieldSchema | None = None) -> JsonValue:
    """A field's value as people see it: what Jira wraps in an object becomes its name, moments become UTC.

    A value that does not fit its schema stays what it is: judging it is the metric's.
    """
    if value is None:
        return None
    if type(value) is list:
        return _each(value, schema) if value else []
    if type(value) is msgspec.Raw:
        return readable(opened(value))
    if type(value) is Named:
        for name in (value.value, value.displayName, value.name, value.key, value.id):
            if name is not None and not isinstance(name, (dict, list)):
                return _with_child(name, value.child) if name is value.value else name
        return None
    kind = schema.type if schema else None
    if type(value) is str and kind != "datetime":
        return value
    if isinstance(value, dict):
        return _named(value)
    if kind == "datetime" and isinstance(value, str):
        try:
            return rfc3339(moment(value))
        except UnexpectedResponseError:
            return value
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    plain: JsonValue = value
    return plain


def _each(values: list[Any], schema: FieldSchema | None) -> JsonValue:
    items = FieldSchema(type=schema.items) if schema and schema.items else None
    return [readable(item, items) for item in values]


def _with_child(named: Any, child: Any) -> JsonValue:
    """A cascading option is its parent's value with the child's in it."""
    if isinstance(child, dict) and child.get("value") is not None:
        return f"{named} - {child['value']}"
    text: JsonValue = named
    return text


def _named(value: Mapping[str, Any]) -> JsonValue:
    for key in _NAMING:
        named = value.get(key)
        if named is not None and not isinstance(named, (dict, list)):
            return _with_child(named, value.get("child") if key == "value" else None)
    return {key: readable(item) for key, item in value.items()}
