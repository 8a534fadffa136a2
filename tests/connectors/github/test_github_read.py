"""Pull requests and issues as records: all of them at first, what changed afterwards, and nothing lost in between."""

import csv
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from connectors.boundary import check_page
from connectors.contract import Cursor, Page, RecordChange
from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.github import GitHubConfig, GitHubDataset
from connectors.github.connector import browse, check, discover, open_github
from connectors.github.payloads import approvals_of, record_of
from connectors.github.reading import read
from connectors.http import create_client, parse_policy, toolbox
from connectors.secrets import bind
from tests.fakes.github import REPOSITORY, START, TOKEN, GitHubFake, issue, pull, rfc3339

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
CONFIG = {"token": {"env": "GITHUB_TOKEN"}}


def dataset(stream: str = "pull_requests", **more: Any) -> GitHubDataset:
    return GitHubDataset.model_validate({"stream": stream, "repository": REPOSITORY, **more})


async def run(site: Any, hook: Any, config: Mapping[str, Any] = CONFIG, now: datetime = NOW) -> Any:
    bound = bind(GitHubConfig.model_validate(config), lambda _: TOKEN)
    async with (
        create_client(parse_policy(""), transport=httpx.MockTransport(site)) as client,
        open_github(bound, toolbox(client, lambda: now)) as session,
    ):
        return await hook(session)


async def pages_of(
    site: Any, kept: GitHubDataset, cursor: Cursor | None = None, now: datetime = NOW
) -> tuple[dict[str, RecordChange], Page]:
    """The records of a read by their names, and its last page."""

    async def hook(session: Any) -> list[Page]:
        return [check_page(page) async for page in read(session, kept, cursor)]

    pages: list[Page] = await run(site, hook, now=now)
    changes = [change for page in pages for change in page.changes]
    assert len({change.entity for change in changes}) == len(changes)
    return {change.name: change for change in changes}, pages[-1]


# --- a first read ----------------------------------------------------------------------------------------------------


async def test_every_pull_request_of_every_page_is_a_record() -> None:
    merged = START + timedelta(days=3)
    site = GitHubFake(pulls=[pull(number, merged=merged if number % 2 else None) for number in range(1, 251)])
    found, last = await pages_of(site, dataset())
    assert len(found) == 250
    assert [request.url.params["page"] for request in site.requests] == ["1", "2", "3"]
    record = found["#7"]
    assert (record.entity, record.link) == ("7", "https://github.com/acme/erp/pull/7")
    assert record.created == START + timedelta(hours=7)
    assert dict(record.fields) == {
        "number": 7,
        "title": "Change 7",
        "state": "closed",
        "author": "dana",
        "labels": ["erp"],
        "assignees": [],
        "milestone": None,
        "created_at": "2026-10-01T07:00:00Z",
        "updated_at": "2026-10-04T00:00:00Z",
        "closed_at": "2026-10-04T00:00:00Z",
        "merged_at": "2026-10-04T00:00:00Z",
        "merged": True,
        "draft": False,
        "base": "main",
        "head": "change-7",
    }
    assert (found["#8"].fields["merged"], found["#8"].fields["merged_at"]) == (False, None)
    assert last.cursor == {"since": "2026-10-11T10:00:00Z"}


async def test_issues_come_without_the_pull_requests_among_them() -> None:
    site = GitHubFake(pulls=[pull(1)], issues=[issue(2), issue(3, state="closed", state_reason="not_planned")])
    found, _ = await pages_of(site, dataset("issues"))
    assert set(found) == {"#2", "#3"}
    assert (found["#3"].fields["state_reason"], found["#3"].fields["comments"]) == ("not_planned", 0)


async def test_since_leaves_out_what_is_older_and_the_pages_with_it() -> None:
    site = GitHubFake(pulls=[pull(number) for number in range(1, 501)])
    found, _ = await pages_of(site, dataset(since="2026-10-20"))
    assert set(found) == {f"#{number}" for number in range(19 * 24, 501)}
    assert len(site.requests) == 1
    with pytest.raises(ValidationError, match="a day such as"):
        dataset(since="20. Oktober")


async def test_approvals_are_read_only_where_they_are_asked_for() -> None:
    def review(who: int, state: str) -> dict[str, Any]:
        return {"user": {"id": who}, "state": state}

    site = GitHubFake(
        pulls=[pull(number) for number in range(1, 8)],
        reviews={
            1: [review(1, "APPROVED"), review(2, "APPROVED"), review(1, "COMMENTED")],
            2: [review(1, "APPROVED"), review(1, "CHANGES_REQUESTED")],
            3: [review(1, "CHANGES_REQUESTED"), review(1, "APPROVED"), review(2, "DISMISSED")],
            4: [review(1, "COMMENTED"), {"user": None, "state": "APPROVED"}],
        },
    )
    plain, _ = await pages_of(site, dataset())
    assert all("approvals" not in record.fields for record in plain.values())
    assert len(site.requests) == 1
    found, last = await pages_of(site, dataset(fields=["merged_at", "approvals", "mergd_at"]))
    assert [found[f"#{number}"].fields["approvals"] for number in range(1, 8)] == [2, 0, 1, 1, 0, 0, 0]
    assert last.warnings == ["GitHub's pull requests have no field 'mergd_at': it is always null."]


def test_the_newest_opinion_of_each_reviewer_counts() -> None:
    assert approvals_of([]) == 0
    many = [{"user": {"id": number}, "state": "APPROVED"} for number in range(150)]
    assert approvals_of(many) == 150


# --- the reads that follow -------------------------------------------------------------------------------------------


async def test_what_was_updated_since_is_read_and_no_more() -> None:
    site = GitHubFake(pulls=[pull(number) for number in range(1, 501)])
    _, last = await pages_of(site, dataset())
    site.requests.clear()
    site.pulls[3] = pull(4, merged=START + timedelta(days=30))
    site.pulls.append(pull(501, updated=START + timedelta(days=31)))
    found, last = await pages_of(site, dataset(), last.cursor)
    assert set(found) == {"#4", "#501", "#500"}  # the newest once more: clocks and replicas differ
    assert found["#4"].fields["merged"] is True
    assert len(site.requests) == 1
    assert last.cursor == {"since": "2026-11-01T00:00:00Z"}


async def test_issues_are_asked_for_since_then() -> None:
    site = GitHubFake(issues=[issue(number) for number in range(1, 301)])
    _, last = await pages_of(site, dataset("issues"))
    site.requests.clear()
    site.issues[0] = issue(1, updated=START + timedelta(days=30), state="closed")
    found, _ = await pages_of(site, dataset("issues"), last.cursor)
    assert set(found) == {"#1", "#300"}
    assert site.requests[0].url.params["since"] == "2026-10-13T11:50:00Z"


async def test_nothing_is_lost_that_moves_while_it_is_read() -> None:
    """Between two pages the last row of the list is updated, and something new comes: rows move to later pages."""
    site = GitHubFake(pulls=[pull(number) for number in range(1, 301)])

    def stir(request: httpx.Request) -> None:
        page = int(request.url.params["page"])
        if page > 1:
            site.pulls.append(pull(300 + page, updated=NOW + timedelta(seconds=page)))
            site.pulls[0] = pull(1, updated=NOW + timedelta(seconds=page))

    site.before = stir  # type: ignore[assignment]
    found, last = await pages_of(site, dataset())
    assert set(found) >= {f"#{number}" for number in range(1, 301)}
    site.before = lambda request: None
    assert last.cursor is not None
    assert str(last.cursor["since"]) <= str(rfc3339(NOW))
    again, _ = await pages_of(site, dataset(), last.cursor, now=NOW + timedelta(minutes=5))
    newest = {f"#{row['number']}": row["updated_at"] for row in site.pulls}
    seen = {name: record.fields["updated_at"] for name, record in {**found, **again}.items()}
    assert seen == newest


async def test_a_cursor_of_something_else_is_not_gone_on_from() -> None:
    with pytest.raises(UnexpectedResponseError, match="cursor"):
        await pages_of(GitHubFake(), dataset(), {"since": 7})


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (httpx.Response(401, json={"message": "Bad credentials"}), AuthenticationError, "Bad credentials"),
        (httpx.Response(404, json={"message": "Not Found"}), QueryError, "no repository acme/erp, or the token"),
        (httpx.Response(301, json={"message": "Moved Permanently"}), QueryError, "has moved repository acme/erp"),
        (httpx.Response(302, headers={"location": "http://169.254.169.254/"}), UnexpectedResponseError, "redirect"),
        (httpx.Response(410, json={"message": "Issues are disabled for this repo"}), QueryError, "are disabled"),
        (httpx.Response(403, json={"message": "Resource protected by organization SAML enforcement."}),
         AccessDeniedError, "SSO"),
        (httpx.Response(403, json={"message": "Resource not accessible by personal access token"}),
         AccessDeniedError, "not accessible by personal access token"),
        (httpx.Response(502, text="<html>"), UnavailableError, "HTTP 502"),
        (httpx.Response(200, json={"message": "odd"}), UnexpectedResponseError, "no list of objects"),
        (httpx.Response(200, json=[{"number": 1}]), UnexpectedResponseError, "no updated_at"),
        (httpx.Response(200, json=[pull(1) | {"number": "1"}]), UnexpectedResponseError, "no number"),
        (httpx.Response(200, text='[{"number": 1'), UnexpectedResponseError, "well-formed"),
    ],
)  # fmt: skip
async def test_failures_are_named_by_their_remedy(
    answer: httpx.Response, error: type[ConnectorError], says: str
) -> None:
    with pytest.raises(error, match=says):
        await pages_of(lambda request: answer, dataset())


def spent(seconds: int) -> dict[str, str]:
    """The headers of an hour that is used up, and begins anew in so many seconds."""
    return {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + seconds)}


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait"),
    [
        (403, spent(900), "API rate limit exceeded", 900),
        (429, spent(-5), "API rate limit exceeded", 0),
        (403, {"retry-after": "61"}, "You have exceeded a secondary rate limit.", 61),
        (429, {"retry-after": "7"}, "slow down", 7),
        (403, {}, "You have exceeded a secondary rate limit.", None),
        (403, spent(0) | {"x-ratelimit-reset": "never"}, "API rate limit exceeded", None),
    ],
)
async def test_limits_say_when_to_come_back(
    status: int, headers: dict[str, str], message: str, wait: int | None
) -> None:
    answer = httpx.Response(status, headers=headers, json={"message": message})
    with pytest.raises(RateLimitedError, match=message) as caught:
        await pages_of(lambda request: answer, dataset())
    assert caught.value.retry_after == (None if wait is None else timedelta(seconds=wait))


async def test_a_page_or_a_review_that_fails_fails_the_read() -> None:
    site = GitHubFake(pulls=[pull(number) for number in range(1, 201)])
    site.before = lambda request: httpx.Response(500) if request.url.params["page"] == "2" else None
    with pytest.raises(UnavailableError):
        await pages_of(site, dataset())
    site.before = lambda request: httpx.Response(500) if request.url.path.endswith("/9/reviews") else None
    with pytest.raises(UnavailableError):
        await pages_of(site, dataset(fields=["approvals"]))


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_check_and_discover() -> None:
    site = GitHubFake()
    checked = await run(site, check)
    assert checked.summary == "Connected to GitHub at https://api.github.com as krsync-bot."
    assert [(one.kind, one.id, one.detail) for one in await run(site, discover)] == [
        ("repository", REPOSITORY, "private")
    ]


async def test_the_token_of_an_app_has_no_account() -> None:
    def app(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/user":
            return httpx.Response(403, json={"message": "Resource not accessible by integration"})
        return httpx.Response(200, json={"rate": {"limit": 5000}})

    assert (await run(app, check)).summary.endswith("as an app.")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"token": "ghp_literal"}, "never a literal"),
        ({**CONFIG, "url": "http://github.acme.example/api/v3"}, "https:// is required"),
        ({**CONFIG, "url": "https://a:b@github.acme.example"}, "no user"),
        ({**CONFIG, "url": "github.acme.example"}, "such as https://"),
    ],
)
def test_connections_that_are_not_taken(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        GitHubConfig.model_validate(config)


@pytest.mark.parametrize("repository", ["erp", "acme/", "acme/erp/x", "../etc", "a b/c", "-a/b"])
def test_repositories_that_are_none(repository: str) -> None:
    with pytest.raises(ValidationError):
        GitHubDataset.model_validate({"stream": "issues", "repository": repository})


def test_where_a_person_sees_it() -> None:
    config = GitHubConfig.model_validate(CONFIG)
    assert browse(config, dataset()) == "https://github.com/acme/erp/pulls"
    own = GitHubConfig.model_validate({**CONFIG, "url": "https://github.acme.example/api/v3/"})
    assert browse(own, dataset("issues")) == "https://github.acme.example/acme/erp/issues"


@pytest.mark.parametrize(("name", "stream"), [("pull_requests", "pull_requests"), ("issues", "issues")])
def test_recorded_rows_are_records(shared_data: Path, name: str, stream: str) -> None:
    csv.field_size_limit(sys.maxsize)
    with (shared_data / "github" / f"_raw_github_api_{name}.csv").open(encoding="utf-8") as file:
        rows = [json.loads(row["data"]) for row in csv.DictReader(file)]
    assert len(rows) > 20
    records = [record_of(row, stream, None) for row in rows]
    check_page(Page(list({record.entity: record for record in records}.values())))
    for row, record in zip(rows, records, strict=True):
        assert record.fields["title"] == row["title"]
        assert record.fields["closed_at"] == row["closed_at"]
        if stream == "pull_requests":
            assert record.fields["merged"] is (row["merged_at"] is not None)


def test_recorded_reviews_are_counted(shared_data: Path) -> None:
    csv.field_size_limit(sys.maxsize)
    with (shared_data / "github" / "_raw_github_api_pull_request_reviews.csv").open(encoding="utf-8") as file:
        rows = [json.loads(row["data"]) for row in csv.DictReader(file)]
    opinions = [row for row in rows if row["state"] in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")]
    last = {row["user"]["id"]: row["state"] for row in opinions}
    assert len(rows) > 10
    assert approvals_of(rows) == list(last.values()).count("APPROVED")
