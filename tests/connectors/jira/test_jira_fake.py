"""The fake is worth believing: its JQL, its refusals, its limits, and the judge that watches both sides."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.connectors.jira.conftest import NOW
from tests.fakes import jira_jql
from tests.fakes.jira_cloud import API, EMAIL, TOKEN, JiraCloudFake
from tests.fakes.jira_issues import FLUID_STATUSES, SYSTEM_FIELDS, issue, status_change
from tests.fakes.jira_openapi import DOCUMENT, OpenApiChecker

ROWS = [
    # number, status, priority, resolution, type, created
    (1, "Open", "Major", None, "Bug", "2026-11-20T10:00:00.000+0000"),
    (2, "Closed", "Minor", "Fixed", "Bug", "2026-11-21T10:00:00.000+0000"),
    (3, "Resolved", "Major", "Won't Fix", "Task", "2026-11-22T04:30:00.000+0000"),
]
STATUS = {one["name"]: one for one in FLUID_STATUSES}


def _issues() -> list[dict[str, Any]]:
    return [
        issue(
            number,
            f"ERP-{number}",
            {
                "project": {"id": "1", "key": "ERP", "name": "Resource planning"},
                "status": STATUS[status],
                "priority": {"name": priority},
                "resolution": {"name": resolution} if resolution else None,
                "issuetype": {"name": kind},
                "labels": ["late", "Näher"] if number == 3 else [],
                "created": created,
                "updated": created,
                "resolutiondate": created if resolution else None,
            },
            [status_change(number, created, STATUS["Open"], STATUS[status])],
        )
        for number, status, priority, resolution, kind, created in ROWS
    ]


SITE = jira_jql.Site(
    ZoneInfo("America/New_York"), NOW, frozenset({"erp", "1"}), frozenset(name.casefold() for name in STATUS)
)


@pytest.mark.parametrize(
    ("jql", "numbers"),
    [
        ("project = ERP", [3, 2, 1]),
        ("PROJECT=erp order BY key", [1, 2, 3]),
        ('project = "ERP" ORDER BY priority ASC, created DESC', [3, 1, 2]),
        ("status = Open OR status = Closed AND priority = Major", [1]),
        ("(status = Open OR status = Closed) AND priority = Minor", [2]),
        ("NOT status = Open", [3, 2]),
        ("status not in (Open, Closed)", [3]),
        ("statusCategory = Done", [3, 2]),
        ("resolution IS EMPTY", [1]),
        ("resolution is not null", [3, 2]),
        ('resolution = "Won\'t Fix"', [3]),
        ("resolution != Fixed", [3]),  # an empty one is neither equal nor unequal
        ("labels = näher", [3]),
        ("labels IS EMPTY", [2, 1]),
        ("id in (1, ERP-3)", [3, 1]),
        ('created >= "2026-11-21"', [3, 2]),
        ('created >= "2026-11-22"', []),  # 04:30 UTC is still the 21st in New York
        ("created >= '2026/11/21 05:00' AND created < \"2026-11-21 23:30\"", [2]),
        ("created >= -24h", [3, 2]),
        ("created <= -1d", [1]),
        ("created < now()", [3, 2, 1]),
        ("resolved IS EMPTY", [1]),
    ],
)
def test_jql_means_what_it_means_in_jira(jql: str, numbers: list[int]) -> None:
    query = jira_jql.parse(jql, SITE)
    found: list[Any] = [one for one in _issues() if query.matches(one)]
    query.order(found)
    assert [int(one["id"]) for one in found] == numbers


@pytest.mark.parametrize(
    "jql",
    [
        "",
        "ORDER BY key",
        "project = ERP ORDER BY a",
        "project = ERP ORDER BY key, key, key, key, key, key, key, key",
        "project ERP",
        "project = ERP AND",
        "project = ERP status = Open",
        "(project = ERP",
        "status = Unheard",
        "status > Open",
        "created ~ 5",
        "created > 'yesterday'",
        "{from} = 5",
        "project = 'ERP",
    ],
)
def test_what_jira_refuses_is_refused(jql: str) -> None:
    with pytest.raises(jira_jql.JqlError):
        jira_jql.parse(jql, SITE)


def _client(app: Any, token: str = TOKEN) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=f"https://acme.atlassian.net{API}", auth=(EMAIL, token)
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/search/jql", {"jql": "project = ERP"}, 200),
        ("POST", "/search/jql", {"jql": "project = ERP", "startAt": 0}, 400),
        ("POST", "/search/jql", {}, 400),
        ("POST", "/search/jql", {"jql": "project = ERP", "maxResults": 5_001}, 400),
        ("POST", "/search/jql", {"jql": "project = ERP", "nextPageToken": "made up"}, 400),
        ("POST", "/search/approximate-count", {"jql": "ORDER BY key"}, 400),
        ("POST", "/changelog/bulkfetch", {"issueIdsOrKeys": ["ERP-1"]}, 200),
        ("POST", "/changelog/bulkfetch", {"issueIdsOrKeys": []}, 400),
        ("POST", "/changelog/bulkfetch", {"issueIdsOrKeys": ["1"] * 1_001}, 400),
        ("POST", "/changelog/bulkfetch", {"issueIdsOrKeys": ["1"], "fieldIds": list("abcdefghijk")}, 400),
        ("POST", "/search", {"jql": "project = ERP"}, 410),
        ("GET", "/issue/ERP-9/changelog", None, 404),
        ("GET", "/nothing", None, 404),
    ],
)
async def test_limits_are_atlassians(method: str, path: str, body: Any, status: int) -> None:
    fake = JiraCloudFake(_issues(), FLUID_STATUSES, SYSTEM_FIELDS)
    async with _client(fake) as client:
        assert (await client.request(method, path, json=body)).status_code == status


async def test_a_stranger_sees_nothing_and_is_told_by_a_header() -> None:
    fake = JiraCloudFake(_issues(), FLUID_STATUSES, SYSTEM_FIELDS)
    async with _client(fake, token="wrong") as client:
        answer = await client.post("/search/jql", json={"jql": "status = Open"})
        assert (answer.status_code, answer.json()["issues"]) == (200, [])
        assert answer.headers["x-seraph-loginreason"] == "AUTHENTICATED_FAILED"
        assert (await client.get("/myself")).status_code == 401


async def test_a_page_has_a_hundred_rows_with_fields_whatever_was_asked() -> None:
    issues = [{**_issues()[0], "id": str(number), "key": f"ERP-{number}"} for number in range(1, 251)]
    fake = JiraCloudFake(issues, FLUID_STATUSES, SYSTEM_FIELDS)
    request: dict[str, Any] = {"jql": "project = ERP ORDER BY key", "fields": ["status"], "maxResults": 200}
    sizes, keys = [], []
    async with _client(fake) as client:
        while True:
            page = (await client.post("/search/jql", json=request)).json()
            sizes.append(len(page["issues"]))
            keys += [one["key"] for one in page["issues"]]
            if page["isLast"]:
                break
            request["nextPageToken"] = page["nextPageToken"]
        assert sizes == [100, 100, 50]
        assert keys == [f"ERP-{number}" for number in range(1, 251)]
        page = (await client.post("/search/jql", json={"jql": "project = ERP", "maxResults": 5_000})).json()
    assert len(page["issues"]) == 250
    assert page["issues"][0].keys() == {"id"}


async def test_histories_of_one_issue_are_paged_too() -> None:
    fake = JiraCloudFake(_issues(), FLUID_STATUSES, SYSTEM_FIELDS, now=lambda: NOW)
    for minute in range(120):
        at = datetime(2026, 11, 22, 8 + minute // 60, minute % 60, tzinfo=UTC)
        fake.move("ERP-1", "Closed" if minute % 2 else "Open", at)
    async with _client(fake) as client:
        first = (await client.get("/issue/ERP-1/changelog", params={"maxResults": 1_000})).json()
        second = (await client.get("/issue/ERP-1/changelog", params={"startAt": 100})).json()
    assert (len(first["values"]), first["total"], first["isLast"]) == (100, 121, False)
    assert (len(second["values"]), second["isLast"]) == (21, True)


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/search/jql", {"jql": "project = ERP", "startAt": 0}, "startAt"),
        ("POST", "/search/jql", {"jql": "project = ERP", "maxResults": "50"}, "integer"),
        ("POST", "/changelog/bulkfetch", {"issueIdsOrKeys": ["1"] * 1_001}, "is too long"),
        ("POST", "/changelog/bulkfetch", {"fieldIds": ["status"]}, "required"),
        ("GET", "/field?expand=all", None, "unknown parameter"),
        ("GET", "/issue/1/changelog?startAt=x", None, "no integer"),
        ("DELETE", "/status", None, "no such operation"),
        ("GET", "/myself", {"x": 1}, "takes no body"),
    ],
)
async def test_the_judge_sees_what_atlassian_would_not_take(
    shared_data: Path, method: str, path: str, body: Any, words: str
) -> None:
    fake = JiraCloudFake(_issues(), FLUID_STATUSES, SYSTEM_FIELDS)
    checker = OpenApiChecker(fake, shared_data / DOCUMENT)
    async with _client(checker) as client:
        await client.request(method, path, json=body)
    assert len(checker.request_violations) == 1
    assert words in checker.request_violations[0]


async def test_the_judge_sees_an_answer_that_is_not_atlassians(shared_data: Path) -> None:
    fake = JiraCloudFake(_issues(), [{"id": 5, "name": "Open"}], [{"id": "x", "title": "X"}])
    checker = OpenApiChecker(fake, shared_data / DOCUMENT)
    async with _client(checker) as client:
        await client.get("/status")
        await client.get("/field")
        await client.get("/serverInfo")
    assert checker.checked_answers == 3
    assert len(checker.answer_violations) == 2
