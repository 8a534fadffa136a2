"""Path and query parameters, read strictly: known ones only, each once, and nothing that merely looks like a number."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import Path, Request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.domain.names import NAME_PATTERN
from app.errors import FieldError, InvalidInput

MAX_LIMIT = 1000

_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_LARGEST_ID = 2**63 - 1


def _whole(text: object) -> object:
    if isinstance(text, str):
        if not _INTEGER.fullmatch(text):
            raise PydanticCustomError("integer", "a whole number is expected")
        return int(text)
    return text


def _moment(text: object) -> object:
    if not isinstance(text, str):
        return text
    if not _MOMENT.fullmatch(text):
        raise PydanticCustomError(
            "moment", "an RFC 3339 moment with its zone is expected: 2026-11-22T09:30:00Z (in a URL, + is written %2B)"
        )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise PydanticCustomError("moment", "there is no such moment") from error
    if not 1900 <= moment.year <= 2999:
        raise PydanticCustomError("moment", "a moment from 1900 to 2999 is expected")
    return moment.astimezone(UTC)


def _since(text: object) -> object:
    if not isinstance(text, str) or not text.isdecimal():
        return _moment(text)
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= _LARGEST_ID:
        raise PydanticCustomError("sample", "a moment or the id of a sample is expected")
    return int(text)


def _day(text: object) -> object:
    if isinstance(text, str):
        if not _DAY.fullmatch(text):
            raise PydanticCustomError("day", "a day is expected: 2026-11-22")
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise PydanticCustomError("day", "there is no such day") from error
        if not 1900 <= day.year <= 2999:
            raise PydanticCustomError("day", "a day from 1900 to 2999 is expected")
        return day
    return text


def _flag(text: object) -> object:
    if isinstance(text, str):
        if text not in ("true", "false"):
            raise PydanticCustomError("flag", "true or false is expected")
        return text == "true"
    return text


def _plain(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise PydanticCustomError("text", "text without control characters is expected")
    return text


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Since = Annotated[
    Annotated[datetime, Strict()] | Annotated[int, Strict()],
    BeforeValidator(_since),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 1}]}),
]
AsOf = Annotated[Moment | None, Field(description="True at this moment, as far as is known; not one to come.")]
KnownAt = Annotated[Moment | None, Field(description="Only what was recorded by this moment.")]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Words = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_plain)]
Limit = Annotated[
    int,
    BeforeValidator(_whole),
    Field(ge=1, le=MAX_LIMIT, description="How many at most, 1 to 1000."),
]
Cursor = Annotated[str | None, Field(description="The `next` of the page before.", max_length=1024)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Identity = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=_LARGEST_ID)]
NameText = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=63)]
CycleText = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{4}(-(Q[1-4]|H[12]|0[1-9]|1[0-2]))?|[a-z][a-z0-9_]*)$", max_length=63),
]
ReferenceText = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)?$", max_length=127)]

TeamName = Annotated[NameText, Path(description="The team's name.", examples=["operations"])]
ObjectName = Annotated[NameText, Path(description="The name within the team.", examples=["onboarding_time"])]
IdPath = Annotated[Identity, Path(description="The id.", examples=[1])]
DayPath = Annotated[Day, Path(description="A local day of the team.", examples=["2026-11-22"])]


class StrictQuery(BaseModel):
    """The query parameters of an operation: unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def refuse_future(as_of: datetime | None, now: datetime) -> None:
    """Nothing is true yet at a moment to come: a cycle's verdict, judged there, would be a forecast shown as a fact."""
    if as_of is not None and as_of > now:
        raise InvalidInput.at("/as_of", "future", "This moment is still to come.", "query")


class PageQuery(StrictQuery):
    """A page of a list."""

    limit: Limit = 100
    after: Cursor = None


class TeamPageQuery(PageQuery):
    """A page of a list, of one team or of all."""

    team: NameText | None = None


async def strict_query(request: Request) -> None:
    """Refuse parameters that the operation does not know, that are given twice, or that are not UTF-8 text."""
    known = _known_parameters(request)
    errors: list[FieldError] = []
    seen: set[str] = set()
    for name, value in _pairs(request.scope.get("query_string", b"")):
        if name is None or value is None:
            errors.append(FieldError("", "encoding", "Parameters are percent-encoded UTF-8.", "query"))
        elif name not in known:
            # The name is the caller's own text: it is not repeated here.
            errors.append(FieldError("", "unknown_parameter", f"Known here: {', '.join(known) or 'none'}.", "query"))
        elif name in seen:
            errors.append(FieldError(f"/{name}", "repeated", "It is given more than once.", "query"))
        elif "\0" in value:
            errors.append(FieldError(f"/{name}", "text", "Text without NUL is expected.", "query"))
        else:
            seen.add(name)
    if errors:
        raise InvalidInput(errors=errors[:20])


def _pairs(query: bytes) -> list[tuple[str | None, str | None]]:
    pairs = []
    for item in query.split(b"&"):
        if item:
            name, _, value = item.partition(b"=")
            pairs.append((_decoded(name), _decoded(value)))
    return pairs


def _decoded(raw: bytes) -> str | None:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        return None


def _known_parameters(request: Request) -> list[str]:
    fields: list[Any] = request.scope["route"].dependant.query_params
    names: list[str] = []
    for field in fields:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names += [item.alias or name for name, item in annotation.model_fields.items()]
        else:
            names.append(field.alias)
    return names
