"""Issues asked for by their ids: which are there, which are not in the dataset any more, which are gone; and sweeps."""

from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import Cursor, Page, RecordChange
from connectors.errors import ConnectorError, QueryError, UnavailableError
from connectors.jira import JiraDataset
from connectors.jira.reading import fetch_issues, read_issues, sweep_issues
from connectors.jira.session import JiraSession
from tests.connectors.jira.conftest import NOW, Connect, small_site
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake

FETCH = f"{API}/issue/bulkfetch"
SEARCH = f"{API}/search/jql"
CHANGELOGS = f"{API}/changelog/bulkfetch"
OPEN = JiraDataset(jql="project = ERP AND status != Closed")
OTHER = {"id": "2", "key": "HR", "name": "People"}


async def _fetch(
    session: JiraSession, known: dict[str, str], dataset: JiraDataset = OPEN, cursor: Cursor | None = None
) -> tuple[dict[str, RecordChange], dict[str, str], list[str]]:
    """The records by id, what became of the others, and the warnings."""
    pages = [page async for page in fetch_issues(session, dataset, known, cursor)]
    found = {change.entity: change for page in pages for change in page.changes}
    absent: dict[str, str] = {}
    for page in pages:
        absent |= page.absent
    assert found.keys().isdisjoint(absent)
    return found, absent, [warning for page in pages for warning in page.warnings]


async def _swept(session: JiraSession, dataset: JiraDataset = OPEN) -> list[str]:
    return [entity async for batch in sweep_issues(session, dataset) for entity in batch]


def _known(*numbers: int) -> dict[str, str]:
    return {str(number): f"ERP-{number}" for number in numbers}


async def test_each_issue_that_is_asked_for_is_a_record_or_absent_for_a_reason(connect: Connect) -> None:
    fake = small_site(10)
    fake.create({**fake.named("ERP-10"), "id": "11", "key": "HR-1"} | {"fields": _fields(fake, project=OTHER)}, NOW)
    fake.delete("ERP-2", NOW)
    fake.move("ERP-3", "Closed", NOW)
    fake.move_to_project("ERP-4", OTHER, "HR-2", NOW)
    fake.move("ERP-5", "Resolved", NOW)
    found, absent, warnings = await _fetch(await connect(fake), _known(1, 2, 3, 4, 5) | {"99": ""})
    assert absent == {"2": "deleted", "3": "out_of_scope", "4": "out_of_scope", "99": "deleted"}
    assert sorted(found) == ["1", "5"]
    assert found["5"].transitions[-1].after == "Resolved"
    assert warnings == []


async def test_what_is_in_scope_is_told_by_the_issue_and_not_by_an_old_index(connect: Connect) -> None:
    fake = small_site(200)
    fake.index_lag = timedelta(hours=12)
    fake.ids_page_size = 20  # so that an answer has several pages
    for number in range(1, 101):
        fake.move(f"ERP-{number}", "Closed", NOW)
    found, absent, _ = await _fetch(await connect(fake), _known(*range(1, 201)))
    assert absent == dict.fromkeys(map(str, range(1, 101)), "out_of_scope")
    assert sorted(found, key=int) == [str(number) for number in range(101, 201)]
    assert all(len(request.body.get("reconcileIssues", ())) <= 50 for request in fake.requests if request.body)


async def test_a_renamed_projects_issues_are_there_under_their_new_keys(connect: Connect) -> None:
    fake = small_site(3)
    fake.rename_project("ERP", "ARP")
    fake.delete("ARP-3", NOW)
    found, absent, warnings = await _fetch(await connect(fake), _known(1, 2, 3), JiraDataset(jql="status = Resolved"))
    assert absent == {"1": "out_of_scope", "2": "out_of_scope", "3": "deleted"}
    found, _, _ = await _fetch(await connect(fake), _known(1), JiraDataset(jql="project = ARP"))
    assert (found["1"].name, found["1"].link) == ("ARP-1", "https://acme.atlassian.net/browse/ARP-1")
    assert warnings == []


async def test_of_a_project_that_is_out_of_sight_nothing_is_called_deleted(connect: Connect) -> None:
    fake = small_site(6)
    for number in (4, 5, 6):
        fake.move_to_project(f"ERP-{number}", OTHER, f"HR-{number}", NOW)
    fake.hidden_projects = {"HR"}
    known = _known(1, 2) | {"4": "HR-4", "5": "HR-5"}
    found, absent, warnings = await _fetch(await connect(fake), known, JiraDataset(jql="priority = Major"))
    assert absent == {"4": "unseen", "5": "unseen"}
    assert sorted(found) == ["1", "2"]
    assert len(warnings) == 1
    assert "project HR" in warnings[0]


@pytest.mark.parametrize(
    ("fate", "is_administrator", "absence", "words"),
    [
        ("deleted", True, "deleted", "was deleted"),
        ("archived", True, "unseen", "was archived"),
        ("deleted", False, "unseen", "can not see"),
        (None, True, "unseen", "can not see"),
    ],
)
async def test_a_project_that_is_gone_is_told_from_one_that_is_out_of_sight(
    connect: Connect, fate: str | None, is_administrator: bool, absence: str, words: str
) -> None:
    fake = small_site(6)
    for number in (4, 5, 6):
        fake.move_to_project(f"ERP-{number}", OTHER, f"HR-{number}", NOW)
    fake.hidden_projects = {"HR"}
    fake.gone_projects = {"HR": fate} if fate else {}
    fake.is_administrator = is_administrator
    known = _known(1) | {"4": "HR-4", "5": "HR-5"}
    found, absent, warnings = await _fetch(await connect(fake), known, JiraDataset(jql="priority = Major"))
    assert absent == {"4": absence, "5": absence}
    assert sorted(found) == ["1"]
    (warning,) = warnings
    assert words in warning
    assert "project HR" in warning


async def test_an_issue_that_goes_between_two_requests_does_no_harm(connect: Connect) -> None:
    fake = small_site(3)

    def delete(answer: Any) -> Any:
        if "ERP-2" in {issue["key"] for issue in fake.issues.values()}:
            fake.delete("ERP-2", NOW)
        return answer

    fake.faults = [jira_faults.edited(FETCH, delete)]
    found, absent, _ = await _fetch(await connect(fake), _known(1, 2, 3))
    assert sorted(found) == ["1", "3"]
    assert absent == {"2": "deleted"}


async def test_an_issue_that_goes_between_search_and_changelog_does_no_harm(connect: Connect) -> None:
    fake = small_site(3)

    def delete(answer: Any) -> Any:
        fake.delete("ERP-2", NOW)
        return answer

    fake.faults = [
        jira_faults.edited(SEARCH, delete),
        jira_faults.status(CHANGELOGS, 400, words="An issue does not exist or can not be seen."),
    ]
    session = await connect(fake)
    pages: list[Page] = [page async for page in read_issues(session, OPEN, None)]
    found = {change.entity: change for page in pages for change in page.changes}
    assert sorted(found) == ["1", "3"]
    assert all(len(change.transitions) == 1 for change in found.values())


async def test_what_jira_can_not_give_for_now_is_asked_for_again_and_never_called_deleted(connect: Connect) -> None:
    def without_two(page: Any) -> Any:
        issues = [issue for issue in page["issues"] if issue["id"] != "2"]
        return {"issues": issues, "issueErrors": [{"id": "2", "errorMessage": "Timed out."}]}

    fake = small_site(3)
    fake.faults = [jira_faults.edited(FETCH, without_two)]
    found, absent, _ = await _fetch(await connect(fake), _known(1, 2, 3))
    assert (sorted(found), absent) == (["1", "2", "3"], {})
    fake.faults = [jira_faults.edited(FETCH, without_two, times=9)]
    with pytest.raises(UnavailableError, match="Timed out"):
        await _fetch(await connect(fake), _known(1, 2, 3))
    fake.faults = [jira_faults.edited(FETCH, lambda page: {**page, "issueErrors": [{"errorMessage": "?"}]}, times=9)]
    with pytest.raises(UnavailableError):
        await _fetch(await connect(fake), _known(1, 2, 3))


@pytest.mark.parametrize("path", [FETCH, SEARCH, CHANGELOGS])
async def test_a_failure_is_never_an_absence(connect: Connect, path: str) -> None:
    fake = small_site(3)
    fake.delete("ERP-2", NOW)
    for fault in (jira_faults.status(path, 503, times=9), jira_faults.login_page(path), jira_faults.truncated(path)):
        fake.faults = [fault]
        with pytest.raises(ConnectorError):
            await _fetch(await connect(fake), _known(1, 2, 3))
    fake.faults = [jira_faults.status(f"{API}/project/ERP", 500)]
    with pytest.raises(UnavailableError):
        await _fetch(await connect(fake), _known(1, 2, 3))


async def test_a_query_that_is_wrong_is_said_to_be(connect: Connect) -> None:
    with pytest.raises(QueryError, match="colour"):
        await _fetch(await connect(small_site(3)), _known(1), JiraDataset(jql="colour = red"))


@pytest.mark.parametrize("entity", ["ERP-1", "1) OR (id = 2", "", "-1", "٣"])
async def test_an_id_that_is_no_number_is_sent_to_nobody(connect: Connect, entity: str) -> None:
    fake = small_site(3)
    assert await _fetch(await connect(fake), {entity: ""}) == ({}, {entity: "out_of_scope"}, [])
    assert fake.requests == []


async def test_with_a_cursor_a_fetch_of_one_issue_is_three_requests(connect: Connect) -> None:
    fake = small_site(3)
    cursor = None
    async for page in read_issues(await connect(fake), OPEN, None):
        cursor = page.cursor
    fake.requests.clear()
    await _fetch(await connect(fake), _known(1), cursor=cursor)
    assert sorted(request.path for request in fake.requests) == [CHANGELOGS, FETCH, SEARCH]


async def test_a_sweep_is_ids_alone_and_each_once(connect: Connect) -> None:
    fake = small_site(12_000)
    fake.move("ERP-7", "Closed", NOW)
    ids = await _swept(await connect(fake))
    assert len(ids) == len(set(ids)) == 11_999
    assert [request.path for request in fake.requests] == [SEARCH] * 3
    assert {tuple(request.body["fields"]) for request in fake.requests} == {("id",)}


def _fields(fake: JiraCloudFake, **changed: Any) -> dict[str, Any]:
    return {**fake.named("ERP-10")["fields"], **changed}
