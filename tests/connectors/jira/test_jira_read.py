"""Reading datasets: everything, then what changed; whole histories; nothing of a read that breaks off."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Cursor, Page, RecordChange
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.jira import JiraDataset
from connectors.jira.reading import OVERLAP, read_issues
from connectors.jira.session import JiraSession
from tests.connectors.jira.conftest import NOW, Connect, small_site
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.fakes.jira_issues import SiteData, status

SEARCH = f"{API}/search/jql"
FETCH = f"{API}/issue/bulkfetch"
CHANGELOGS = f"{API}/changelog/bulkfetch"
FLUID = JiraDataset(jql="project = FLUID")
ERP = JiraDataset(jql="project = ERP")


async def _read(
    session: JiraSession, dataset: JiraDataset, cursor: Cursor | None = None
) -> tuple[dict[str, RecordChange], Page]:
    """The records by entity, and the last page."""
    found: dict[str, RecordChange] = {}
    last = Page(())
    async for page in read_issues(session, dataset, cursor):
        for change in page.changes:
            assert change.entity not in found
            found[change.entity] = change
        last = page
    # A cursor is kept as JSON.
    return found, Page(last.changes, json.loads(json.dumps(last.cursor)), last.warnings)


async def _collect(source: AsyncIterator[Page], into: list[Page]) -> None:
    async for page in source:
        into.append(page)  # noqa: PERF401  (what came before a failure counts too)


# --- FLUID: 4,284 issues ---------------------------------------------------------------------------------------------


async def test_a_full_read_is_the_file(connect: Connect, recorded_fluid: SiteData, shared_data: Path) -> None:
    fake = JiraCloudFake.of(recorded_fluid)
    found, last = await _read(await connect(fake, now=fake.now), FLUID)
    with (shared_data / "jira" / "fluid-issues-to-2012.ndjson").open(encoding="utf-8") as lines:
        rows = {row["title"]: row for row in map(json.loads, lines)}
    assert len(found) == len(rows) == 4_284
    for change in found.values():
        row = rows[change.name]
        created, updated = datetime.fromisoformat(row["date"]), datetime.fromisoformat(row["updated"])
        assert change.created == created
        assert change.version == (updated - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        assert change.link == f"https://acme.atlassian.net/browse/{row['title']}"
        assert not change.is_deleted
        fields = change.fields
        assert fields["status"] == row["status"]
        assert fields["status_category"] == {"Open": "to_do", "Reopened": "in_progress"}.get(row["status"], "done")
        assert fields["priority"] == row.get("priority")
        assert fields["resolution"] == row.get("resolution")
        assert fields["type"] == row["type"]
        assert fields["project"] == "FLUID"
        assert fields["assignee"] == row.get("assignee")
        assert fields["components"] == row["components"]
        assert [(one.before, one.after, one.at) for one in change.transitions] == (
            [] if row["status"] == "Open" else [("Open", row["status"], updated)]
        )
    assert fake.count(SEARCH) == 1  # ids alone
    assert fake.count(FETCH) == 43
    assert fake.count(CHANGELOGS) == 9
    assert fake.count() == 1 + 43 + 9 + 3  # and the account, its fields and statuses
    assert last.changes == ()
    assert last.warnings == []


async def test_after_one_percent_changed_only_that_is_read(connect: Connect, fluid: SiteData) -> None:
    clock = NOW
    fake = JiraCloudFake.of(fluid, now=lambda: clock)
    session = await connect(fake, now=lambda: clock)
    before, first = await _read(session, FLUID)
    touched = {str(number) for number in range(10_001, 14_285, 100)}
    for number, entity in enumerate(sorted(touched)):
        fake.move(fake.issues[entity]["key"], "Reopened", NOW + timedelta(hours=1, seconds=number))
    clock = NOW + timedelta(hours=2)
    fake.requests.clear()
    after, second = await _read(await connect(fake, now=lambda: clock), FLUID, first.cursor)
    assert set(after) == touched
    assert fake.count(SEARCH) == fake.count(CHANGELOGS) == 1
    assert fake.count() == 2 + 3  # the fields and statuses are asked for anew every hour
    for entity, change in after.items():
        assert change.version > before[entity].version
        assert change.fields["status"] == "Reopened"
        assert change.transitions[-1].after == "Reopened"
        assert [one.order for one in change.transitions] == list(range(len(change.transitions)))
    clock += timedelta(minutes=30)
    nothing, third = await _read(await connect(fake, now=lambda: clock), FLUID, second.cursor)
    assert nothing == {}
    assert third.cursor is not None
    assert third.cursor["watermark"] == (clock - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


async def test_one_percent_of_ten_thousand_costs_a_fiftieth_of_the_requests(connect: Connect) -> None:
    clock = NOW
    fake = small_site(10_000, now=lambda: clock)
    _, last = await _read(await connect(fake, now=lambda: clock), ERP)
    full = fake.count()
    clock += timedelta(minutes=30)
    for number in range(1, 101):
        fake.edit(f"ERP-{number}", NOW + timedelta(minutes=5))
    fake.requests.clear()
    found, last = await _read(await connect(fake, now=lambda: clock), ERP, last.cursor)
    assert len(found) == 100
    assert fake.count() * 50 <= full
    fake.requests.clear()
    clock += timedelta(minutes=15)
    found, _ = await _read(await connect(fake, now=lambda: clock), ERP, last.cursor)
    assert (found, fake.count()) == ({}, 1)


@pytest.mark.parametrize("zone", ["UTC", "America/Toronto", "Asia/Kolkata", "Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("our_error", [timedelta(0), timedelta(hours=2), timedelta(hours=-2)])
async def test_what_changes_around_a_read_is_never_lost(connect: Connect, zone: str, our_error: timedelta) -> None:
    # Clocks go back on this night in Toronto: 05:30 and 06:30 UTC are both 01:30 there.
    clock = datetime(2026, 11, 1, 5, 30, 40, tzinfo=UTC)
    fake = small_site(600, zone, now=lambda: clock)
    session = await connect(fake, now=lambda: clock + our_error)
    pages = read_issues(session, ERP, None)
    first = await anext(pages)
    assert first.changes[0].name == "ERP-1"
    # Read already, and changed while the rest is being read.
    clock += timedelta(minutes=90)
    fake.edit("ERP-1", clock)
    clock += timedelta(minutes=90)
    last = first
    async for page in pages:
        last = page
    fake.edit("ERP-600", clock)
    clock += timedelta(seconds=30)
    found, _ = await _read(await connect(fake, now=lambda: clock + our_error), ERP, last.cursor)
    assert {change.name for change in found.values()} >= {"ERP-1", "ERP-600"}


async def test_the_index_may_lag_behind_by_the_overlap(connect: Connect) -> None:
    clock = NOW
    fake = small_site(10, now=lambda: clock)
    _, first = await _read(await connect(fake, now=lambda: clock), ERP)
    # Updated before that read began, and visible only now.
    fake.edit("ERP-4", clock - OVERLAP + timedelta(seconds=1))
    fake.edit("ERP-5", clock - OVERLAP - timedelta(minutes=2))
    found, _ = await _read(await connect(fake, now=lambda: clock), ERP, first.cursor)
    assert [change.name for change in found.values()] == ["ERP-4"]


@pytest.mark.parametrize("lag", [timedelta(minutes=9), timedelta(hours=1), timedelta(hours=12)])
async def test_an_index_that_lags_for_hours_hides_a_change_only_that_long(connect: Connect, lag: timedelta) -> None:
    clock = NOW
    fake = small_site(10, now=lambda: clock)
    _, last = await _read(await connect(fake, now=lambda: clock), ERP)
    fake.index_lag = lag
    clock += timedelta(minutes=15)
    fake.move("ERP-4", "Reopened", clock)
    changed_at, known_at = clock, None
    session = await connect(fake, now=lambda: clock)
    while clock <= changed_at + lag + timedelta(minutes=75):
        clock += timedelta(minutes=15)
        found, last = await _read(session, ERP, last.cursor)
        if "4" in found and found["4"].fields["status"] == "Reopened":
            known_at = known_at or clock
    assert known_at is not None


async def test_what_is_read_by_id_is_as_new_as_jira_has_it_though_its_index_is_old(connect: Connect) -> None:
    clock = NOW
    fake = small_site(10, now=lambda: clock)
    fake.index_lag = timedelta(hours=12)
    fake.move("ERP-4", "Reopened", clock)
    found, _ = await _read(await connect(fake, now=lambda: clock), ERP)
    assert found["4"].fields["status"] == found["4"].transitions[-1].after == "Reopened"


async def test_a_status_made_after_the_sites_were_remembered_has_its_category(connect: Connect) -> None:
    clock = NOW
    fake = small_site(10, now=lambda: clock)
    _, last = await _read(await connect(fake, now=lambda: clock), ERP)
    clock += timedelta(minutes=20)
    fake.statuses.append(status("77", "Warten", "indeterminate"))
    fake.move("ERP-4", "Warten", clock)
    found, last = await _read(await connect(fake, now=lambda: clock), ERP, last.cursor)
    assert found["4"].transitions[-1].after_category == found["4"].fields["status_category"] == "in_progress"
    assert last.warnings == []


async def test_a_status_that_is_called_otherwise_by_now_is_told_with_its_count(connect: Connect) -> None:
    fake = small_site(10)
    fake.statuses.append(status("77", "進行中", "indeterminate"))
    for number in (3, 4):
        fake.move(f"ERP-{number}", "進行中", NOW)
    fake.statuses[-1] = {**fake.statuses[-1], "name": "处理中"}
    found, last = await _read(await connect(fake), ERP)
    assert (found["3"].transitions[-1].after, found["3"].transitions[-1].after_category) == ("進行中", "in_progress")
    assert found["3"].fields["status_category"] == "in_progress"
    assert last.warnings == ["The status '進行中' is called '处理中' by now: 2 changes into it bear its old name."]


@pytest.mark.parametrize(
    "changed",
    [JiraDataset(jql="project = ERP AND key != ERP-1"), JiraDataset(jql="project = ERP", fields=("Due date",))],
)
async def test_another_query_or_other_fields_read_everything_again(connect: Connect, changed: JiraDataset) -> None:
    session = await connect(small_site(50))
    _, first = await _read(session, ERP)
    unchanged, _ = await _read(session, ERP, first.cursor)
    found, last = await _read(session, changed, first.cursor)
    assert unchanged == {}
    assert len(found) == (50 if changed.fields else 49)
    assert "read again" in last.warnings[0]


@pytest.mark.parametrize("cursor", [{}, {"watermark": "soon"}, {"watermark": True, "fields": "x"}, {"fields": None}])
async def test_a_cursor_that_says_nothing_reads_everything(connect: Connect, cursor: Cursor) -> None:
    found, _ = await _read(await connect(small_site(10)), ERP, cursor)
    assert len(found) == 10


async def test_a_users_order_and_or_do_no_harm_to_an_incremental_read(connect: Connect) -> None:
    clock = NOW
    fake = small_site(10, now=lambda: clock)
    dataset = JiraDataset(jql="key = ERP-1 OR key = ERP-2 ORDER BY priority DESC")
    _, first = await _read(await connect(fake, now=lambda: clock), dataset)
    clock += timedelta(days=1)
    fake.edit("ERP-2", clock)
    found, _ = await _read(await connect(fake, now=lambda: clock), dataset, first.cursor)
    assert [change.name for change in found.values()] == ["ERP-2"]


# --- what breaks off --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (jira_faults.status(SEARCH, 500, first=3), UnavailableError),
        (jira_faults.status(SEARCH, 503, first=3), UnavailableError),
        (jira_faults.status(SEARCH, 429, first=3, retry_after="3"), RateLimitedError),
        (jira_faults.status(SEARCH, 401, first=3), AuthenticationError),
        (jira_faults.status(SEARCH, 410, first=3), UnexpectedResponseError),
        (jira_faults.status(SEARCH, 400, first=3, words="The provided nextPageToken has expired."), UnavailableError),
        (jira_faults.login_page(SEARCH, first=3), UnexpectedResponseError),
        (jira_faults.truncated(SEARCH, first=3), UnexpectedResponseError),
        (jira_faults.repeated_token(SEARCH), ConnectorError),
        (jira_faults.edited(SEARCH, lambda page: {**page, "nextPageToken": None}, first=3), UnexpectedResponseError),
        (jira_faults.status(FETCH, 500, first=3), UnavailableError),
        (jira_faults.status(FETCH, 400, first=3), QueryError),
        (jira_faults.login_page(FETCH, first=3), UnexpectedResponseError),
        (jira_faults.truncated(FETCH, first=5), UnexpectedResponseError),
        (jira_faults.edited(FETCH, lambda page: {}), UnexpectedResponseError),
        (jira_faults.status(CHANGELOGS, 500), UnavailableError),
        (jira_faults.truncated(CHANGELOGS), UnexpectedResponseError),
        (jira_faults.edited(CHANGELOGS, lambda page: {}), UnexpectedResponseError),
        (jira_faults.edited(CHANGELOGS, lambda page: {**page, "nextPageToken": "again"}, times=99), ConnectorError),
        (jira_faults.status(f"{API}/status", 500), UnavailableError),
        (jira_faults.login_page(f"{API}/field"), UnexpectedResponseError),
    ],
    ids=lambda value: f"{value.path.rpartition('/')[2]}" if isinstance(value, jira_faults.Fault) else value.__name__,
)
async def test_a_read_that_fails_anywhere_raises_and_never_ends_well(
    connect: Connect, fault: jira_faults.Fault, error: type[ConnectorError]
) -> None:
    fake = small_site(500, ids_page_size=100)
    fault.seen = 0
    fake.faults = [fault]
    pages: list[Page] = []
    with pytest.raises(error):
        await _collect(read_issues(await connect(fake), ERP, None), pages)
    assert all(page.cursor is None for page in pages)
    assert not [task for task in asyncio.all_tasks() if "page" in repr(task.get_coro())]


async def test_page_three_of_five_fails_and_nothing_of_it_is_handed_over(connect: Connect) -> None:
    fake = small_site(500, ids_page_size=100)
    fake.faults = [jira_faults.status(SEARCH, 502, first=3)]
    pages: list[Page] = []
    with pytest.raises(UnavailableError):
        await _collect(read_issues(await connect(fake), ERP, None), pages)
    assert pages == []
    assert fake.count(SEARCH) == 3


async def test_a_wrong_token_never_reads_an_empty_dataset(connect: Connect) -> None:
    with pytest.raises(AuthenticationError):
        await _read(await connect(small_site(10), token="revoked"), ERP)


async def test_jira_says_what_is_wrong_with_a_dataset(connect: Connect) -> None:
    with pytest.raises(QueryError, match="Field 'colour' does not exist"):
        await _read(await connect(small_site(10)), JiraDataset(jql="colour = red"))
    with pytest.raises(QueryError, match="Unbounded JQL queries are not allowed here"):
        await _read(await connect(small_site(10)), JiraDataset(jql="ORDER BY created"))
    with pytest.raises(QueryError, match="Did you mean 'Priority'"):
        await _read(await connect(small_site(10)), JiraDataset(jql="project = ERP", fields=("Pirority",)))


# --- side by side, and flat ------------------------------------------------------------------------------------------


async def test_the_search_goes_on_while_changelogs_are_on_their_way_but_not_for_ever(connect: Connect) -> None:
    fake = small_site(5_000)
    gate = asyncio.Event()
    fake.faults = [jira_faults.held(CHANGELOGS, gate)]
    pages = read_issues(await connect(fake), ERP, None)
    first = asyncio.ensure_future(anext(pages))
    seen = -1
    while fake.count() != seen:  # until nothing moves any more
        seen = fake.count()
        for _ in range(200):
            await asyncio.sleep(0)
    assert not first.done()
    assert fake.count(CHANGELOGS) == 9  # nine batches of 500; the last one waits
    assert fake.count(FETCH) == 45
    gate.set()
    page = await first
    assert [change.name for change in page.changes] == [f"ERP-{number}" for number in range(1, 501)]
    await pages.aclose()


async def test_a_reader_that_stops_early_leaves_no_request_behind(connect: Connect) -> None:
    fake = small_site(3_000)
    pages = read_issues(await connect(fake), ERP, None)
    await anext(pages)
    await pages.aclose()
    count = fake.count()
    for _ in range(200):
        await asyncio.sleep(0)
    assert fake.count() == count


async def test_an_issue_that_comes_twice_is_handed_over_once_and_newest(connect: Connect) -> None:
    fake = small_site(150)
    newer = {
        **fake.named("ERP-1"),
        "fields": {**fake.named("ERP-1")["fields"], "updated": "2026-11-21T00:00:00.000+0000"},
    }
    newer.pop("changelog")
    fake.faults = [jira_faults.edited(FETCH, lambda page: {**page, "issues": [*page["issues"], newer]}, first=2)]
    found, _ = await _read(await connect(fake), ERP)
    assert len(found) == 150
    assert found["1"].fields["updated"] == "2026-11-21T00:00:00Z"


async def test_an_empty_page_with_a_token_is_not_the_end_and_not_for_ever(connect: Connect) -> None:
    fake = small_site(30, ids_page_size=10)

    def nothing_yet(page: dict[str, object]) -> dict[str, object]:
        return {"issues": [], "isLast": False, "nextPageToken": fake.page_token(list(fake.issues.values()))}

    fake.faults = [jira_faults.edited(SEARCH, nothing_yet)]
    found, _ = await _read(await connect(fake), ERP)
    assert len(found) == 30
    fake.faults = [jira_faults.edited(SEARCH, nothing_yet, times=1_000)]
    with pytest.raises(UnexpectedResponseError, match="does not end"):
        await _read(await connect(fake), ERP)


async def test_a_burst_is_waited_for_and_the_read_goes_on(connect: Connect) -> None:
    fake = small_site(600)
    burst: dict[str, Any] = {"ratelimit_reason": "jira-burst-based", "retry_after": "0"}
    fake.faults = [jira_faults.status(FETCH, 429, times=5, **burst), jira_faults.status(CHANGELOGS, 429, **burst)]
    found, _ = await _read(await connect(fake), ERP)
    assert len(found) == 600
    # A bucket that gives few tokens at a time slows a read down as often as it likes.
    fake.faults = [jira_faults.status(FETCH, 429, first=turn, **burst) for turn in range(1, 60, 2)]
    found, _ = await _read(await connect(fake), ERP)
    assert len(found) == 600
    # One that does not end ends the read, for the service to come back later.
    fake.faults = [jira_faults.status(FETCH, 429, times=1_000, **burst)]
    with pytest.raises(RateLimitedError, match="too many at a time"):
        await _read(await connect(fake), ERP)


# --- histories -------------------------------------------------------------------------------------------------------


async def test_a_history_of_sixty_one_changes_is_whole_however_it_is_paged(connect: Connect) -> None:
    fake = small_site(3, changelog_page_size=7)
    for number in range(60):  # and the one it has
        at = NOW - timedelta(minutes=61 - number)
        fake.move("ERP-2", "Reopened" if number % 2 else "Resolved", at)
    found, _ = await _read(await connect(fake), ERP)
    transitions = found["2"].transitions
    assert len(transitions) == 61
    assert [one.order for one in transitions] == list(range(61))
    assert all(a.after == b.before and a.at < b.at for a, b in pairwise(transitions))
    assert transitions[0].before_category == "to_do"
    assert [one.after_category for one in transitions[:2]] == ["in_progress", "done"]


async def test_recorded_histories_are_the_record(connect: Connect, devlake: SiteData, shared_data: Path) -> None:
    """Against the recorded CSV itself, read here once more and in the plainest way."""
    fake = JiraCloudFake.of(devlake, changelog_page_size=10)
    dataset = JiraDataset(jql="project in (EE, K5)", fields=("Story Points",))
    found, last = await _read(await connect(fake), dataset)
    with (shared_data / "jira/devlake/_raw_jira_api_issues.csv").open(encoding="utf-8", newline="") as lines:
        recorded = [json.loads(row["data"]) for row in csv.DictReader(lines)]
    assert len(found) == len(recorded) == 33
    changes = 0
    for row in recorded:
        record = found[row["id"]]
        expected = sorted(
            (datetime.fromisoformat(history["created"]), int(history["id"]), item["fromString"], item["toString"])
            for history in row["changelog"]["histories"]
            for item in history["items"]
            if item["field"] == "status"
        )
        assert [(one.at, one.before, one.after) for one in record.transitions] == [
            (at, before, after) for at, _, before, after in expected
        ]
        points = row["fields"].get("customfield_10024")
        # One of them was recorded as the text "-1": it stays text, and is the metric's to judge.
        assert record.fields["Story Points"] == points
        assert not isinstance(record.fields["Story Points"], float)
        changes += len(expected)
    assert changes == 165
    assert any("'Ready for Dev' has no category any more: 6 changes" in warning for warning in last.warnings)
    assert found["10063"].fields["sprint"] == ["EE Sprint 7"]
    assert found["10063"].fields["resolved"] == "2020-06-19T06:31:18.495000Z"


async def test_only_what_is_needed_is_asked_for(connect: Connect, devlake: SiteData) -> None:
    fake = JiraCloudFake.of(devlake)
    await _read(await connect(fake), JiraDataset(jql="project = EE", fields=("Story Points",)))
    asked = next(request.body for request in fake.requests if request.path == FETCH)
    assert "customfield_10024" in asked["fields"]
    assert "customfield_10020" in asked["fields"]
    assert not {"*all", "summary", "description", "comment"} & set(asked["fields"])
    changelogs = next(request.body for request in fake.requests if request.path == CHANGELOGS)
    assert changelogs["fieldIds"] == ["status"]
