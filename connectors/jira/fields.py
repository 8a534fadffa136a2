"""Which fields a dataset reads, found by the names people see. Pure."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache, partial
from typing import Annotated, Any, TypedDict

import msgspec

from connectors.contract import JsonValue
from connectors.errors import QueryError, UnexpectedResponseError
from connectors.jira.payloads import (
    FetchedIssues,
    FieldDetails,
    FieldSchema,
    Issue,
    IssueError,
    IssuePage,
    Named,
    in_utc,
    moment,
    moment_text,
    opened,
    part_of,
    readable,
)
from connectors.jira.texts import KnownTexts

_SPRINT = "com.pyxis.greenhopper.jira:gh-sprint"

# The record's name of a field → Jira's id of it. Always read.
_SYSTEM = {
    "type": "issuetype",
    "project": "project",
    "status": "status",
    "priority": "priority",
    "resolution": "resolution",
    "labels": "labels",
    "created": "created",
    "updated": "updated",
    "resolved": "resolutiondate",
    "assignee": "assignee",
    "components": "components",
}
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
# What is decoded of these: of most things their names are found by their text.
_SHAPES: dict[str, Any] = {
    **dict.fromkeys(("issuetype", "project", "status", "priority", "resolution", "assignee"), msgspec.Raw),
    "components": list[Named] | None,
    "created": _Moment,
    "updated": _Moment,
    "resolutiondate": _Moment | None,
}
_MOMENTS = frozenset({"created", "updated", "resolved"})
_MOMENT_SCHEMA = FieldSchema(type="datetime")


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """The fields of a dataset: Jira's id and schema for each name that a record has them under."""

    columns: tuple[tuple[str, str, FieldSchema | None], ...]
    # Name, id, and what makes of a value what people see, and of one that was kept as it came.
    _shown: tuple[tuple[str, str, Callable[[Any], JsonValue], KnownTexts[JsonValue]], ...] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        shown = tuple((name, field_id, *_shown_by(name, schema)) for name, field_id, schema in self.columns)
        object.__setattr__(self, "_shown", shown)

    @property
    def ids(self) -> list[str]:
        """What to ask Jira for, each once."""
        return list(dict.fromkeys(field_id for _, field_id, _ in self.columns))

    def shape(self, page: type[FetchedIssues] | type[IssuePage]) -> Any:
        """A page of issues of which only the names of things are decoded: most of its bytes are icons and addresses."""
        return _shapes(tuple(self.ids))[page]

    def fingerprint(self, jql: str) -> str:
        """Changes when records read by another plan or query can not be told from ours: time to read all again."""
        text = json.dumps([jql, [[name, field_id] for name, field_id, _ in self.columns]], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def values(self, issue: Issue) -> dict[str, JsonValue]:
        """The issue's fields as people see them; absent ones are None."""
        found: dict[str, JsonValue] = {"key": issue.key}
        held = issue.fields
        for name, field_id, shown, known in self._shown:
            value = held.get(field_id)
            if type(value) is msgspec.Raw:
                found[name] = known[bytes(value)]
            else:
                found[name] = None if value is None else shown(value)
        return found


def _project(value: Any) -> JsonValue:
    return part_of(value, "key") or readable(value)


_PROJECTS = KnownTexts(lambda text: _project(opened(text)), 1_024)
_NAMES = KnownTexts(lambda text: readable(opened(text)), 4_096)


def _shown_by(name: str, schema: FieldSchema | None) -> tuple[Callable[[Any], JsonValue], KnownTexts[JsonValue]]:
    if name == "project":
        return _project, _PROJECTS
    if schema is not None and schema.type == "datetime":
        return moment_text, _NAMES
    return partial(readable, schema=schema), _NAMES


def plan_fields(names: Sequence[str], details: Sequence[FieldDetails]) -> FieldPlan:
    """The default fields and `names`; QueryError for a name that no field or more than one has."""
    by_id = {detail.id: detail for detail in details}
    columns = [
        (name, field_id, _MOMENT_SCHEMA if name in _MOMENTS else by_id[field_id].schema if field_id in by_id else None)
        for name, field_id in _SYSTEM.items()
    ]
    sprint = next((detail for detail in details if detail.schema and detail.schema.custom == _SPRINT), None)
    if sprint:
        columns.append(("sprint", sprint.id, sprint.schema))
    taken = {name for name, _, _ in columns} | {"key"}
    for name in dict.fromkeys(names):
        if name not in taken:
            detail = _find(name, details, by_id)
            columns.append((name, detail.id, detail.schema))
    return FieldPlan(tuple(columns))


def _find(name: str, details: Sequence[FieldDetails], by_id: dict[str, FieldDetails]) -> FieldDetails:
    if name in by_id:
        return by_id[name]
    found = [detail for detail in details if detail.name == name]
    found = found or [detail for detail in details if detail.name.casefold() == name.casefold()]
    if len(found) > 1:
        ids = " and ".join(sorted(detail.id for detail in found))
        raise QueryError(f"Jira has {len(found)} fields named {name!r}: {ids}. Name the one that is meant by its id.")
    if not found:
        known = {detail.name.casefold(): detail.name for detail in details}
        close = get_close_matches(name.casefold(), known, n=1)
        hint = f" Did you mean {known[close[0]]!r}?" if close else ""
        raise QueryError(f"Jira has no field named {name!r} that the account can see.{hint}")
    return found[0]


@lru_cache(maxsize=64)
def _shapes(ids: tuple[str, ...]) -> dict[type, Any]:
    # A dictionary whose keys are the fields asked for; the rest is skipped.
    fields = TypedDict("fields", {one: _SHAPES.get(one, Any) for one in ids}, total=False)  # type: ignore[misc]
    issue = msgspec.defstruct("Issue", [("id", str), ("key", str), ("fields", fields)], frozen=True)
    issues = list[issue]  # type: ignore[valid-type]
    errors: tuple[Any, Any] = (list[IssueError], msgspec.field(default_factory=list))
    return {
        FetchedIssues: msgspec.defstruct("FetchedIssues", [("issues", issues), ("issueErrors", *errors)]),
        IssuePage: msgspec.defstruct(
            "IssuePage", [("issues", issues), ("nextPageToken", str | None, None), ("isLast", bool | None, None)]
        ),
    }


def moment_of(issue: Issue, field_id: str) -> datetime:
    """A moment that every issue has (`created`, `updated`); UnexpectedResponseError where it is missing."""
    value: Any = issue.fields.get(field_id)
    if type(value) is datetime:
        return in_utc(value)
    if not isinstance(value, str):
        raise UnexpectedResponseError(f"Jira sent the issue {issue.key[:60]!r} without {field_id!r}.")
    return moment(value)
