"""Counts by JQL: exact ones issue by issue, estimates, windows in the account's zone."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.contract import Window
from connectors.errors import AuthenticationError, ConnectorError, QueryError, UnexpectedResponseError
from connectors.jira import JiraQuery
from connectors.jira.connector import measure
from tests.connectors.jira.conftest import NOW, Connect
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.fakes.jira_issues import SiteData

SEARCH = f"{API}/search/jql"
ALWAYS = Window(None, None)


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, str]]:
    """The FLUID file itself, for counts made without the connector, the fake or JQL."""
    with (shared_data / "jira" / "fluid-issues-to-2012.ndjson").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("jql", "holds"),
    [
        ("project = FLUID", lambda row: True),
        ("project = FLUID AND status = Closed", lambda row: row["status"] == "Closed"),
        ("status in (Open, Reopened)", lambda row: row["status"] in ("Open", "Reopened")),
        (
            "priority = Blocker AND resolution IS EMPTY",
            lambda row: row["priority"] == "Blocker" and "resolution" not in row,
        ),
        ("project = FLUID AND NOT (type = Bug OR type = Task)", lambda row: row["type"] not in ("Bug", "Task")),
        ("statusCategory != Done ORDER BY priority DESC, key", lambda row: row["status"] != "Closed"),
        ('project = FLUID AND resolution = "Won\'t Fix"', lambda row: row.get("resolution") == "Won't Fix"),
        ("key in (FLUID-1, fluid-10, FLUID-999999)", lambda row: row["title"] in ("FLUID-1", "FLUID-10")),
    ],
)
async def test_an_exact_count_is_the_count(
    connect: Connect,
    recorded_fluid: SiteData,
    rows: list[dict[str, str]],
    jql: str,
    holds: Callable[[dict[str, str]], bool],
) -> None:
    fake = JiraCloudFake.of(recorded_fluid)
    found = await measure(await connect(fake), JiraQuery(jql=jql), ALWAYS)
    assert found.value == sum(1 for row in rows if holds(row))
    assert found.value is not None
    assert found.value > 0
    assert found.is_exact
    assert found.observed_at == NOW


async def test_a_count_reads_ids_only_and_as_many_a_page_as_there_may_be(
    connect: Connect, recorded_fluid: SiteData
) -> None:
    fake = JiraCloudFake.of(recorded_fluid)
    await measure(await connect(fake), JiraQuery(jql="project = FLUID"), ALWAYS)
    assert [request.body["fields"] for request in fake.requests] == [["id"]]
    assert fake.requests[0].body["maxResults"] == 5_000


async def test_every_page_counts_once(connect: Connect, recorded_fluid: SiteData) -> None:
    fake = JiraCloudFake.of(recorded_fluid, ids_page_size=100)
    # The second page comes with the first one's rows before its own, as when rows move while they are paged.
    first = [{"id": str(10_001 + number)} for number in range(50)]
    fake.faults = [jira_faults.edited(SEARCH, lambda page: {**page, "issues": first + page["issues"]}, first=2)]
    found = await measure(await connect(fake), JiraQuery(jql="project = FLUID"), ALWAYS)
    assert found.value == 4_284
    assert fake.count(SEARCH) == 43


@pytest.mark.parametrize("zone", ["UTC", "America/Toronto", "Asia/Kolkata", "Pacific/Kiritimati"])
async def test_a_window_is_half_open_in_whatever_zone_the_account_is(
    connect: Connect, recorded_fluid: SiteData, rows: list[dict[str, str]], zone: str
) -> None:
    team = ZoneInfo("Europe/Berlin")
    start, end = datetime(2009, 4, 1, tzinfo=team), datetime(2009, 7, 1, tzinfo=team)
    fake = JiraCloudFake.of(recorded_fluid)
    fake.zone = zone
    session = await connect(fake)
    query = JiraQuery(jql="project = FLUID AND created >= {from} AND created < {to}")
    found = await measure(session, query, Window(start, end, "Europe/Berlin"))
    assert found.value == sum(start <= datetime.fromisoformat(row["date"]) < end for row in rows)
    assert found.value == Decimal(456)


async def test_windows_side_by_side_share_no_issue_and_lose_none(
    connect: Connect, recorded_fluid: SiteData, rows: list[dict[str, str]]
) -> None:
    session = await connect(JiraCloudFake.of(recorded_fluid))
    query = JiraQuery(jql="created >= {from} AND created < {to}")
    edges = [None, *(datetime(2007, 1, 1, 5, 30, 17, tzinfo=UTC) + timedelta(days=301) * n for n in range(8)), None]
    counts = [(await measure(session, query, Window(a, b))).value or 0 for a, b in pairwise(edges)]
    assert sum(counts) == len(rows)
    assert sum(count > 0 for count in counts) > 5


async def test_the_query_is_shown_as_sent_and_linked_without_our_order(
    connect: Connect, recorded_fluid: SiteData
) -> None:
    query = JiraQuery(jql="status = Closed AND created >= {from} ORDER BY rank")
    found = await measure(
        await connect(JiraCloudFake.of(recorded_fluid)), query, Window(datetime(2011, 1, 1, 5, tzinfo=UTC), None)
    )
    assert found.query == 'status = Closed AND created >= "2011-01-01 00:00" ORDER BY created ASC, key ASC'
    assert found.link is not None
    assert found.link.startswith("https://acme.atlassian.net/issues/?jql=status%20%3D%20Closed%20AND%20created")


async def test_an_estimate_is_one_request_and_says_that_it_is_one(connect: Connect, recorded_fluid: SiteData) -> None:
    fake = JiraCloudFake.of(recorded_fluid)
    query = JiraQuery(jql="project = FLUID ORDER BY key", exact=False)
    found = await measure(await connect(fake), query, ALWAYS)
    assert (found.value, found.is_exact, found.query) == (Decimal(4_284), False, "project = FLUID")
    assert fake.count() == 1


@pytest.mark.parametrize(
    ("jql", "window"),
    [
        ("project = FLUID", Window(NOW - timedelta(days=30), NOW)),
        ("created < {to}", Window(NOW - timedelta(days=30), NOW)),
        ("created >= {from}", Window(NOW - timedelta(days=90), NOW - timedelta(days=60))),
        ("project = FLUID", Window(None, NOW - timedelta(days=60))),
    ],
)
async def test_a_query_that_would_ignore_its_window_is_an_error(
    connect: Connect, recorded_fluid: SiteData, jql: str, window: Window
) -> None:
    fake = JiraCloudFake.of(recorded_fluid)
    with pytest.raises(QueryError, match="in it"):
        await measure(await connect(fake), JiraQuery(jql=jql), window)
    assert fake.count() == 0


@pytest.mark.parametrize(
    ("jql", "words"),
    [
        ("sprinkles = 5", "Field 'sprinkles' does not exist"),
        ("project = NOPE", "The value 'NOPE' does not exist for the field 'project'"),
        ("ORDER BY key", "Unbounded JQL queries are not allowed"),
        ("project = FLUID AND", "Error in the JQL Query"),
        ("created > yesterdayish", "Date value 'yesterdayish'"),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
async def test_a_wrong_query_is_told_in_jiras_words(
    connect: Connect, recorded_fluid: SiteData, jql: str, words: str, exact: bool
) -> None:
    with pytest.raises(QueryError, match=words):
        await measure(await connect(JiraCloudFake.of(recorded_fluid)), JiraQuery(jql=jql, exact=exact), ALWAYS)


async def test_a_wrong_token_is_an_error_and_not_a_count_of_what_strangers_see(
    connect: Connect, recorded_fluid: SiteData
) -> None:
    session = await connect(JiraCloudFake.of(recorded_fluid), token="revoked-canary")
    for exact in (True, False):
        with pytest.raises(AuthenticationError) as caught:
            await measure(session, JiraQuery(jql="status = Closed", exact=exact), ALWAYS)
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        jira_faults.login_page(SEARCH, first=3),
        jira_faults.truncated(SEARCH, first=3),
        jira_faults.repeated_token(SEARCH),
        jira_faults.status(SEARCH, 500, first=3),
        jira_faults.status(SEARCH, 429, first=3),
        jira_faults.status(SEARCH, 401, first=3),
        jira_faults.edited(SEARCH, lambda page: {"isLast": True}, first=3),
        jira_faults.edited(SEARCH, lambda page: {**page, "nextPageToken": None}, first=3),
        jira_faults.edited(SEARCH, lambda page: {**page, "issues": [{"key": "A-1"}]}, first=3),
    ],
    ids=["login", "truncated", "repeated token", "500", "429", "401", "no issues", "no token", "no id"],
)
async def test_a_count_that_breaks_off_is_no_count(
    connect: Connect, recorded_fluid: SiteData, fault: jira_faults.Fault
) -> None:
    fake = JiraCloudFake.of(recorded_fluid, ids_page_size=1_000)
    fault.seen = 0
    fake.faults = [fault]
    with pytest.raises(ConnectorError):
        await measure(await connect(fake), JiraQuery(jql="project = FLUID"), ALWAYS)


async def test_an_empty_page_with_a_token_is_only_a_pause(connect: Connect, recorded_fluid: SiteData) -> None:
    fake = JiraCloudFake.of(recorded_fluid, ids_page_size=5_000)
    fake.ids_page_size = 0  # every page is empty and names the next
    session = await connect(fake)
    with pytest.raises(UnexpectedResponseError, match="does not end"):
        await measure(session, JiraQuery(jql="project = FLUID"), ALWAYS)
    fake.ids_page_size = 5_000
    token = fake.page_token([fake.named("FLUID-1")])
    fake.faults = [jira_faults.edited(SEARCH, lambda page: {"issues": [], "isLast": False, "nextPageToken": token})]
    found = await measure(session, JiraQuery(jql="project = FLUID"), ALWAYS)
    assert found.value == 1


@pytest.mark.parametrize("account", [{}, {"timeZone": None}, {"timeZone": "Mars/Olympus"}, {"timeZone": "../etc"}])
async def test_without_the_accounts_zone_no_date_is_sent(
    connect: Connect, recorded_fluid: SiteData, account: dict[str, str]
) -> None:
    fake = JiraCloudFake.of(recorded_fluid)
    fake.faults = [jira_faults.edited(f"{API}/myself", lambda _: account)]
    with pytest.raises(UnexpectedResponseError, match="zone"):
        await measure(await connect(fake), JiraQuery(jql="created >= {from}"), Window(NOW, None))
    assert fake.count(SEARCH) == 0
