"""Issues for the fake, from what was recorded: DevLake's tables of a real site, and the FLUID tracker."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_CATEGORIES: dict[str, Json] = {
    "new": {"id": 2, "key": "new", "name": "To Do", "colorName": "blue-gray"},
    "indeterminate": {"id": 4, "key": "indeterminate", "name": "In Progress", "colorName": "yellow"},
    "done": {"id": 3, "key": "done", "name": "Done", "colorName": "green"},
}

#: Fields that every site has, as `GET /rest/api/3/field` lists them.
SYSTEM_FIELDS: tuple[Json, ...] = tuple(
    {"id": id, "key": id, "name": name, "custom": False, "navigable": True, "schema": {**schema, "system": id}}
    for id, name, schema in (
        ("summary", "Summary", {"type": "string"}),
        ("project", "Project", {"type": "project"}),
        ("issuetype", "Issue Type", {"type": "issuetype"}),
        ("status", "Status", {"type": "status"}),
        ("priority", "Priority", {"type": "priority"}),
        ("resolution", "Resolution", {"type": "resolution"}),
        ("labels", "Labels", {"type": "array", "items": "string"}),
        ("created", "Created", {"type": "datetime"}),
        ("updated", "Updated", {"type": "datetime"}),
        ("resolutiondate", "Resolved", {"type": "datetime"}),
        ("assignee", "Assignee", {"type": "user"}),
        ("reporter", "Reporter", {"type": "user"}),
        ("components", "Components", {"type": "array", "items": "component"}),
        ("fixVersions", "Fix versions", {"type": "array", "items": "version"}),
        ("duedate", "Due date", {"type": "date"}),
        ("timespent", "Time Spent", {"type": "number"}),
    )
)


def custom_field(number: int, name: str, kind: str, *, items: str | None = None, custom: str = "float") -> Json:
    """A custom field as the site lists it."""
    schema: Json = {"type": kind, "custom": custom, "customId": number}
    if items:
        schema["items"] = items
    id = f"customfield_{number}"
    return {"id": id, "key": id, "name": name, "custom": True, "navigable": True, "schema": schema}


SPRINT = custom_field(10020, "Sprint", "array", items="json", custom="com.pyxis.greenhopper.jira:gh-sprint")
# The recording holds no list of fields of its site; by its values this one is an estimate in points.
STORY_POINTS = custom_field(10024, "Story Points", "number")


def status(id: str, name: str, category: str) -> Json:
    """A status as the site lists it; `category` is `new`, `indeterminate` or `done`."""
    return {"id": id, "name": name, "description": "", "statusCategory": _CATEGORIES[category]}


@dataclass
class SiteData:
    """A Jira site's issues (each with its `changelog`, oldest history first), statuses, fields and time zone."""

    issues: list[Json]
    statuses: list[Json]
    fields: list[Json] = field(default_factory=lambda: [*SYSTEM_FIELDS])
    zone: str = "UTC"


def issue(id: int, key: str, fields: Json, histories: Sequence[Json] = ()) -> Json:
    """An issue of the fake."""
    return {"id": str(id), "key": key, "fields": fields, "changelog": list(histories)}


def status_change(id: int, at: str, before: Json, after: Json) -> Json:
    """A history with one change of status; `at` as Jira writes moments."""
    item = {
        "field": "status",
        "fieldId": "status",
        "fieldtype": "jira",
        "from": before["id"],
        "fromString": before["name"],
        "to": after["id"],
        "toString": after["name"],
    }
    return {"id": str(id), "created": at, "items": [item]}


def load_devlake(folder: Path) -> SiteData:
    """The recorded issues with their inline changelogs (`_raw_jira_api_issues.csv`) and the site's statuses."""
    statuses = [json.loads(row) for row in _column(folder / "_raw_jira_api_status.csv")]
    issues = []
    for text in _column(folder / "_raw_jira_api_issues.csv"):
        recorded = json.loads(text)
        histories = sorted(recorded["changelog"]["histories"], key=lambda one: int(one["id"]))
        issues.append(issue(int(recorded["id"]), recorded["key"], recorded["fields"], histories))
    return SiteData(issues, statuses, [*SYSTEM_FIELDS, SPRINT, STORY_POINTS], "Asia/Shanghai")


def _column(path: Path) -> list[str]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8", newline="") as lines:
        return [row["data"] for row in csv.DictReader(lines)]


FLUID_STATUSES = (
    status("1", "Open", "new"),
    status("4", "Reopened", "indeterminate"),
    status("5", "Resolved", "done"),
    status("6", "Closed", "done"),
)


def load_fluid(path: Path) -> SiteData:
    """The 4,284 issues of the FLUID tracker (`fluid-issues-to-2012.ndjson`).

    No history was recorded, so one is made: every issue is created Open, and one that is now in another status moved
    there when it was last updated; Closed and Resolved ones with a resolution were resolved at that moment. Ids count
    up in the order of the file from 10001.
    """
    by_name = {one["name"]: one for one in FLUID_STATUSES}
    issues = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 10_001):
            row = json.loads(line)
            now = by_name[row["status"]]
            is_resolved = now["statusCategory"]["key"] == "done" and row.get("resolution")
            fields = {
                "summary": row["summary"],
                "project": {"id": "10000", "key": row["project"]["key"], "name": row["project"]["title"]},
                "issuetype": {"name": row["type"]},
                "priority": _named(row.get("priority")),
                "status": now,
                "resolution": _named(row.get("resolution")),
                "labels": [],
                "created": row["date"],
                "updated": row["updated"],
                "resolutiondate": row["updated"] if is_resolved else None,
                "assignee": _user(row.get("assignee")),
                "reporter": _user(row.get("reporter")),
                "components": _all_named(row.get("components", ())),
                "fixVersions": _all_named(row.get("fixVersions", ())),
            }
            moves = [] if now["name"] == "Open" else [status_change(number, row["updated"], by_name["Open"], now)]
            issues.append(issue(number, row["title"], fields, moves))
    return SiteData(issues, list(FLUID_STATUSES), [*SYSTEM_FIELDS, SPRINT], "America/Toronto")


def _named(name: str | None) -> Json | None:
    return {"name": name} if name else None


def _all_named(names: Iterable[str]) -> list[Json]:
    return [{"name": name} for name in names]


def _user(name: str | None) -> Json | None:
    return {"displayName": name} if name else None
