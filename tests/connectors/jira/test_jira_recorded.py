"""What was recorded beside the issues of DevLake and FLUID: changelog pages, a board with its issues, fields of two
sites' issue types. Each is read as the connector reads it, and once more in the plainest way."""

import csv
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from connectors.contract import RecordChange, Toolbox
from connectors.errors import QueryError
from connectors.jira import JIRA, JiraConfig, JiraDataset
from connectors.jira.fields import plan_fields
from connectors.jira.histories import StatusCategories, status_transitions
from connectors.jira.payloads import (
    ChangeHistory,
    FieldDetails,
    StatusDetails,
    readable,
)
from connectors.jira.reading import read_issues
from connectors.secrets import bind
from tests.connectors.jira.conftest import NOW, Connect
from tests.fakes.jira_cloud import JiraCloudFake
from tests.fakes.jira_data_center import TOKEN, JiraDataCenterFake
from tests.fakes.jira_issues import SYSTEM_FIELDS, SiteData, load_devlake

Move = tuple[datetime, str | None, str | None]


def _rows(file: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 30)
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(line for line in lines if line.strip()))


def _plainly(saves: list[Any]) -> list[Move]:
    found = [
        (datetime.fromisoformat(save["created"]).astimezone(UTC), int(save["id"]), item["fromString"], item["toString"])
        for save in saves
        for item in save["items"]
        if item["field"] == "status"
    ]
    return [(at, before, after) for at, _, before, after in sorted(found, key=lambda one: one[:2])]


def _moves(change: RecordChange) -> list[Move]:
    return [(one.at, one.before, one.after) for one in change.transitions]


def test_recorded_changelog_pages_are_their_status_changes(shared_data: Path) -> None:
    folder = shared_data / "jira" / "devlake"
    saves: dict[int, list[Any]] = defaultdict(list)
    for row in _rows(folder / "_raw_jira_api_issue_changelogs.csv"):
        saves[json.loads(row["input"])["issue_id"]].append(json.loads(row["data"]))
    details = [StatusDetails(one["id"], one["name"]) for one in load_devlake(folder).statuses]
    categories = StatusCategories((one.id, one.name, one.category) for one in details)
    total = 0
    for found in saves.values():
        histories = [msgspec.json.decode(json.dumps(save), type=ChangeHistory) for save in found]
        # In whatever order the pages bring them, and twice.
        (transitions,) = status_transitions([[*reversed(histories), histories[0]]], categories)
        assert [(one.at, one.before, one.after) for one in transitions] == _plainly(found)
        total += len(transitions)
    assert sum(map(len, saves.values())) == 279
    assert total == sum(len(_plainly(found)) for found in saves.values()) == 10


@pytest.fixture
def board(shared_data: Path) -> SiteData:
    """The recorded board's issues, with their statuses, oldest history first."""
    folder = shared_data / "jira" / "board-sample"
    issues = []
    for file in sorted((folder / "sample_issues").glob("*.json")):
        recorded = json.loads(file.read_text(encoding="utf-8"))
        histories = sorted(recorded["changelog"]["histories"], key=lambda one: int(one["id"]))
        issues.append({**recorded, "changelog": histories})
    statuses = json.loads((folder / "sample_statuses.json").read_text(encoding="utf-8"))
    return SiteData(issues, statuses, [*SYSTEM_FIELDS], "America/Toronto")


async def test_a_recorded_board_is_its_issues_with_their_histories(
    connect: Connect, board: SiteData, shared_data: Path
) -> None:
    configuration = json.loads(
        (shared_data / "jira/board-sample/sample_board_1_configuration.json").read_text(encoding="utf-8")
    )
    cloud = JiraCloudFake.of(board)
    cloud.boards = {1: {"id": 1, "name": configuration["name"], "filter": configuration["filter"]["id"]}}
    cloud.filters = {configuration["filter"]["id"]: "project = SP"}
    session = await connect(cloud)
    pages = [page async for page in read_issues(session, JiraDataset(board="SP board"), None)]
    found = {change.name: change for page in pages for change in page.changes}
    assert sorted(found) == ["SP-1", "SP-11", "SP-2", "SP-5", "SP-7", "SP-8"]
    for issue in board.issues:
        assert _moves(found[issue["key"]]) == _plainly(issue["changelog"])
        assert found[issue["key"]].fields["status"] == issue["fields"]["status"]["name"]
    server = JiraDataCenterFake(list(board.issues), board.statuses, board.fields, now=lambda: NOW)
    server.inline_histories = 2
    given = {"url": "https://jira.acme.example", "token": {"env": "JIRA_PAT"}}
    config = bind(JiraConfig.model_validate(given), lambda reference: TOKEN)
    assert JIRA.open is not None
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(server)) as http,
        JIRA.open(config, Toolbox(http=http, now=lambda: NOW)) as dc,
    ):
        pages = [page async for page in read_issues(dc, JiraDataset(project="SP"), None)]
        assert {change.name: _moves(change) for page in pages for change in page.changes} == {
            name: _moves(change) for name, change in found.items()
        }


@pytest.mark.parametrize("kind", ["cloud", "server"])
def test_recorded_fields_are_found_by_the_names_people_see(shared_data: Path, kind: str) -> None:
    recorded: dict[str, FieldDetails] = {}
    for file in (shared_data / "jira" / "rest-metadata").glob(f"{kind}-get-create-issue-metadata*.json"):
        for project in json.loads(file.read_text(encoding="utf-8"))["projects"]:
            for issue_type in project["issuetypes"]:
                for id, one in issue_type["fields"].items():
                    recorded[id] = msgspec.convert(
                        {"id": id, "name": one["name"], "schema": one["schema"]}, FieldDetails
                    )
    assert len(recorded) > 15
    names = Counter(one.name.casefold() for one in recorded.values())
    for one in recorded.values():
        if names[one.name.casefold()] > 1 and [other.name for other in recorded.values()].count(one.name) > 1:
            with pytest.raises(QueryError, match=one.id):
                plan_fields([one.name], list(recorded.values()))
        else:
            assert one.id in plan_fields([one.name], list(recorded.values())).ids


def test_recorded_custom_fields_in_chinese_are_found_by_their_names(shared_data: Path) -> None:
    rows = _rows(shared_data / "jira/devlake/_raw_jira_api_issue_fields.csv")
    details = [msgspec.json.decode(row["data"], type=FieldDetails) for row in rows]
    assert "cu用户单选" in {one.name for one in details}
    for one in details:
        assert one.id in plan_fields([one.name], details).ids


@pytest.mark.parametrize("kind", ["cloud", "server"])
def test_recorded_options_are_their_values(shared_data: Path, kind: str) -> None:
    """What a field may hold, as its values come in issues."""
    seen = 0
    for file in (shared_data / "jira" / "rest-metadata").glob(f"{kind}-get-create-issue-metadata*.json"):
        for project in json.loads(file.read_text(encoding="utf-8"))["projects"]:
            for issue_type in project["issuetypes"]:
                for one in issue_type["fields"].values():
                    for option in one.get("allowedValues", ()):
                        shown = readable(option)
                        assert shown in (option.get("value"), option.get("name"), option.get("key"))
                        assert shown
                        seen += 1
    assert seen > 20


SCOPES = {"read:jira-work", "read:jira-user"}
ASKED = [
    ("post", "/rest/api/3/search/jql"),
    ("post", "/rest/api/3/search/approximate-count"),
    ("post", "/rest/api/3/issue/bulkfetch"),
    ("post", "/rest/api/3/changelog/bulkfetch"),
    ("get", "/rest/api/3/field"),
    ("get", "/rest/api/3/status"),
    ("get", "/rest/api/3/project"),
    ("get", "/rest/api/3/project/{projectIdOrKey}"),
    ("get", "/rest/api/3/project/search"),
    ("get", "/rest/api/3/myself"),
    ("get", "/rest/api/3/serverInfo"),
]


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_the_two_scopes_of_the_guide_let_all_of_it_be_read(shared_data: Path, method: str, path: str) -> None:
    file = shared_data / "jira/openapi/jira-cloud-platform-v3.2025-09.json"
    operation = json.loads(file.read_text(encoding="utf-8"))["paths"][path][method]
    ways = [one["OAuth2"] for one in operation["security"] if "OAuth2" in one]
    assert any(SCOPES.issuperset(way) for way in ways)
    # The `jira` package lists projects by the older of two resources.
    assert not operation.get("deprecated") or path == "/rest/api/3/project"
