"""The work logged on a dataset's issues: read by the issues, then by what changed; deleted, moved and out of sight."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.contract import Absence, Cursor, Page, RecordChange, Toolbox
from connectors.errors import AuthenticationError, QueryError, UnexpectedResponseError
from connectors.jira import JIRA, JiraConfig, JiraDataset
from connectors.jira.session import JiraSession
from connectors.jira.worklogs import changed_since
from connectors.secrets import bind
from tests.connectors.jira.conftest import NOW, Connect, jira_config, small_site
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.fakes.jira_data_center import TOKEN as PAT
from tests.fakes.jira_data_center import JiraDataCenterFake
from tests.fakes.jira_issues import FLUID_STATUSES, SYSTEM_FIELDS, issue
from tests.fakes.jira_streams import Worklogs, milliseconds

DATASET = JiraDataset(stream="worklogs", project="ERP")
OLD = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LIST, UPDATED, DELETED = f"{API}/worklog/list", f"{API}/worklog/updated", f"{API}/worklog/deleted"


@pytest.fixture
def fake() -> JiraCloudFake:
    """Five issues of ERP with two hours and a half logged on the first three, and one of HR with an hour."""
    found = small_site(5)
    found.create(
        issue(
            9,
            "HR-1",
            {
                "project": {"id": "2", "key": "HR", "name": "People"},
                "status": FLUID_STATUSES[0],
                "created": "2026-01-01T00:00:00.000+0000",
                "updated": "2026-01-01T00:00:00.000+0000",
            },
        ),
        OLD,
    )
    for id, on, seconds in (
        (101, "1", 3_600),
        (102, "1", 1_800),
        (103, "2", 2_700),
        (104, "3", 900),
        (105, "9", 3_600),
    ):
        found.worklogs.log(id, on, OLD, seconds)
    return found


async def read(session: JiraSession, cursor: Cursor | None = None, dataset: JiraDataset = DATASET) -> list[Page]:
    assert JIRA.read is not None
    return [page async for page in JIRA.read(session, dataset, cursor)]


def records(pages: list[Page]) -> dict[str, RecordChange]:
    return {change.entity: change for page in pages for change in page.changes}


def seconds(pages: list[Page]) -> dict[str, Any]:
    return {entity: record.fields["time_spent"] for entity, record in records(pages).items()}


async def fetched(session: JiraSession, known: dict[str, str]) -> tuple[set[str], dict[str, Absence], list[str]]:
    assert JIRA.fetch is not None
    pages = [page async for page in JIRA.fetch(session, DATASET, known, None)]
    absent = {entity: why for page in pages for entity, why in page.absent.items()}
    return set(records(pages)), absent, [warning for page in pages for warning in page.warnings]


async def swept(session: JiraSession, dataset: JiraDataset = DATASET) -> set[str]:
    assert JIRA.sweep is not None
    return {entity async for batch in JIRA.sweep(session, dataset) for entity in batch}


# --- everything -------------------------------------------------------------------------------------------------------


async def test_a_record_says_how_long_when_on_what_and_by_which_account(connect: Connect, fake: JiraCloudFake) -> None:
    fake.worklogs.edit(102, OLD + timedelta(days=1), started="2026-10-31T23:30:00.000-0400")
    pages = await read(await connect(fake))
    assert seconds(pages) == {"worklog/101": 3_600, "worklog/102": 1_800, "worklog/103": 2_700, "worklog/104": 900}
    assert records(pages)["worklog/102"] == RecordChange(
        entity="worklog/102",
        name="ERP-1 #102",
        version=milliseconds(OLD + timedelta(days=1)) * 1_000,
        created=OLD,
        fields={
            "issue": "ERP-1",
            "project": "ERP",
            "author": "5b10a2844c20165700ede21g",
            "started": "2026-11-01T03:30:00Z",
            "time_spent": 1_800,
            "created": "2026-11-02T09:00:00Z",
            "updated": "2026-11-03T09:00:00Z",
        },
        link="https://acme.atlassian.net/browse/ERP-1?focusedWorklogId=102",
    )


async def test_no_name_and_no_comment_is_kept(connect: Connect, fake: JiraCloudFake) -> None:
    fake.worklogs.edit(101, OLD, comment={"type": "doc", "version": 1, "content": [{"type": "text", "text": "secret"}]})
    kept = repr(await read(await connect(fake)))
    assert "A Person" not in kept
    assert "secret" not in kept


async def test_only_issues_that_time_was_spent_on_are_read(connect: Connect, fake: JiraCloudFake) -> None:
    await read(await connect(fake))
    (asked,) = [request.body for request in fake.requests if request.path == f"{API}/issue/bulkfetch"]
    assert asked == {"issueIdsOrKeys": ["1", "2", "3"], "fields": ["worklog"]}


@pytest.mark.parametrize("count", [20, 21, 1_001, 2_000])
async def test_an_issue_with_more_than_come_with_it_is_asked_for_all(
    connect: Connect, fake: JiraCloudFake, count: int
) -> None:
    at = "2026-11-02T09:00:00.000+0000"
    fake.worklogs.held = {
        number: {"id": str(number), "issueId": "1", "timeSpentSeconds": number}
        | dict.fromkeys(("started", "created", "updated"), at)
        for number in range(1, count + 1)
    }
    fake.worklogs.edit(1, OLD)
    pages = await read(await connect(fake))
    assert sum(seconds(pages).values()) == count * (count + 1) // 2
    assert fake.count(f"{API}/issue/1/worklog") == (0 if count == 20 else -(-count // 1_000))


async def test_an_answer_without_the_worklogs_is_no_loss(connect: Connect, fake: JiraCloudFake) -> None:
    for one in fake.issues.values():
        one["fields"]["worklog"] = [{"id": "101"}]  # another shape, as the document's example of an issue has it
    assert len(records(await read(await connect(fake)))) == 4


async def test_an_issue_that_goes_while_it_is_read_takes_its_worklogs_along(
    connect: Connect, fake: JiraCloudFake
) -> None:
    fake.issues["1"]["fields"]["worklog"] = None
    fake.faults = [jira_faults.status(f"{API}/issue/1/worklog", 404)]
    assert set(records(await read(await connect(fake)))) == {"worklog/103", "worklog/104"}


@pytest.mark.parametrize("missing", ["id", "issueId", "started", "timeSpentSeconds", "updated", "created"])
async def test_a_worklog_of_another_shape_fails_the_read(connect: Connect, fake: JiraCloudFake, missing: str) -> None:
    session = await connect(fake)
    cursor = (await read(session))[-1].cursor
    fake.worklogs.edit(101, NOW - timedelta(minutes=2))
    short = {name: value for name, value in fake.worklogs.held[101].items() if name != missing}
    fake.faults = [jira_faults.edited(LIST, lambda page: [short])]
    with pytest.raises(UnexpectedResponseError, match="worklogs"):
        await read(session, cursor)


@pytest.mark.parametrize(
    ("author", "kept"),
    [
        ({"accountId": "557058:1", "displayName": "D"}, "557058:1"),
        ({"key": "JIRAUSER10100", "name": "dana", "displayName": "D"}, "JIRAUSER10100"),
        ({"name": "dana", "displayName": "D"}, "dana"),
        ({"displayName": "Former user"}, None),
        (None, None),
    ],
)
async def test_whose_it_is_is_an_id(connect: Connect, fake: JiraCloudFake, author: object, kept: str | None) -> None:
    fake.worklogs.edit(101, OLD, author=author)
    assert records(await read(await connect(fake)))["worklog/101"].fields["author"] == kept


async def test_a_field_that_no_worklog_has_is_told(connect: Connect, fake: JiraCloudFake) -> None:
    dataset = JiraDataset(stream="worklogs", project="ERP", fields=("Story Points", "started", "link"))
    pages = await read(await connect(fake), dataset=dataset)
    assert pages[-1].warnings == ["Jira's worklogs have no field 'Story Points': it is always null."]


async def test_a_token_that_is_wrong_reads_nothing_and_says_so(connect: Connect, fake: JiraCloudFake) -> None:
    with pytest.raises(AuthenticationError):
        await read(await connect(fake, token="wrong"))


@pytest.mark.parametrize(
    ("scope", "entities"),
    [
        ({"jql": "key = ERP-1 OR key = ERP-2 ORDER BY key"}, {"worklog/101", "worklog/102", "worklog/103"}),
        ({"filter": "Second"}, {"worklog/103"}),
        ({"board": "Desk"}, {"worklog/104"}),
        ({"project": "HR"}, {"worklog/105"}),
        ({"project": "ERP", "board": 1, "jql": "key != ERP-3"}, set()),
    ],
)
async def test_the_work_is_that_on_the_issues_of_the_scope(
    connect: Connect, fake: JiraCloudFake, scope: dict[str, Any], entities: set[str]
) -> None:
    fake.filters = {"Second": "key = ERP-2", "10100": "key = ERP-3"}
    fake.boards = {1: {"id": 1, "name": "Desk", "filter": "10100"}}
    dataset = JiraDataset.model_validate({"stream": "worklogs", **scope})
    session = await connect(fake)
    assert set(records(await read(session, dataset=dataset))) == entities
    assert await swept(session, dataset) == entities
    cursor = (await read(session, dataset=dataset))[-1].cursor
    for id in (101, 102, 103, 104, 105):
        fake.worklogs.edit(id, NOW - timedelta(minutes=2))
    assert set(records(await read(session, cursor, dataset))) == entities


# --- what changed -----------------------------------------------------------------------------------------------------


async def test_what_changed_is_read_and_nothing_else(connect: Connect, fake: JiraCloudFake) -> None:
    now = NOW
    session = await connect(fake, now=lambda: now)
    fake.now = lambda: now
    cursor = (await read(session))[-1].cursor
    now += timedelta(hours=1)
    fake.worklogs.log(106, "4", now - timedelta(minutes=30), 60)
    fake.worklogs.edit(103, now - timedelta(minutes=29), timeSpentSeconds=5)
    fake.worklogs.log(107, "9", now - timedelta(minutes=28), 60)
    fake.requests.clear()
    pages = await read(session, cursor)
    assert seconds(pages) == {"worklog/106": 60, "worklog/103": 5}
    assert [request.path for request in fake.requests] == [
        UPDATED,
        DELETED,
        LIST,
        f"{API}/issue/bulkfetch",
        f"{API}/search/jql",
    ]
    now += timedelta(hours=1)
    fake.requests.clear()
    assert seconds(await read(session, pages[-1].cursor)) == {}
    assert [request.path for request in fake.requests] == [UPDATED, DELETED]


async def test_what_changes_while_or_just_before_it_is_read_is_read_by_the_next(
    connect: Connect, fake: JiraCloudFake
) -> None:
    now = NOW
    session = await connect(fake, now=lambda: now)
    fake.now = lambda: now
    cursor = (await read(session))[-1].cursor
    now += timedelta(hours=1)
    # Jira keeps back what changed within the last minute: this read can not see it.
    fake.worklogs.log(106, "4", now - timedelta(seconds=30), 60)
    pages = await read(session, cursor)
    assert seconds(pages) == {}
    now += timedelta(minutes=1)
    pages = await read(session, pages[-1].cursor)
    assert seconds(pages) == {"worklog/106": 60}


@pytest.mark.parametrize("skew", [timedelta(hours=2), timedelta(hours=-2)])
async def test_a_clock_that_is_off_loses_nothing(connect: Connect, fake: JiraCloudFake, skew: timedelta) -> None:
    now = NOW
    session = await connect(fake, now=lambda: now)
    fake.now = lambda: now + skew
    cursor = (await read(session))[-1].cursor
    fake.worklogs.log(106, "4", fake.now() + timedelta(minutes=1), 60)
    now += timedelta(minutes=5)
    assert seconds(await read(session, cursor)).get("worklog/106") == 60


async def test_the_mark_is_never_before_the_last_one(connect: Connect, fake: JiraCloudFake) -> None:
    now = NOW
    session = await connect(fake, now=lambda: now)
    cursor = (await read(session))[-1].cursor
    now -= timedelta(days=1)
    assert (await read(session, cursor))[-1].cursor == cursor


async def test_a_deleted_worklog_is_told_of(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    cursor = (await read(session))[-1].cursor
    fake.worklogs.delete(102, NOW - timedelta(minutes=2))
    fake.worklogs.delete(105, NOW - timedelta(minutes=2))  # of no issue of the dataset: the host knows what it has
    fake.worklogs.delete(101, NOW - timedelta(hours=2))  # before what was read
    pages = await read(session, cursor)
    assert pages[-1].deleted == ["worklog/102", "worklog/105"]
    assert await swept(session) == {"worklog/103", "worklog/104"}


async def test_another_query_reads_everything_again(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    cursor = (await read(session))[-1].cursor
    other = JiraDataset(stream="worklogs", project="ERP", jql="key = ERP-1")
    pages = await read(session, cursor, other)
    assert set(records(pages)) == {"worklog/101", "worklog/102"}
    assert pages[-1].warnings == ["The dataset's query changed: all worklogs were read again."]
    assert len(records(await read(session, {"watermark": "soon"}))) == 4


async def test_an_index_that_lags_hides_no_work(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    cursor = (await read(session))[-1].cursor
    fake.index_lag = timedelta(hours=12)
    fake.edit("HR-1", NOW - timedelta(minutes=3), project={"id": "1", "key": "ERP", "name": "Resource planning"})
    fake.named("HR-1")["key"] = "ERP-9"
    fake.worklogs.edit(105, NOW - timedelta(minutes=2))
    assert records(await read(session, cursor))["worklog/105"].fields["issue"] == "ERP-9"


# --- pages of what changed --------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.lists(st.integers(0, 12), min_size=1, max_size=30),
    page_size=st.integers(2, 7),
    is_inclusive=st.booleans(),
    since=st.integers(-1, 13),
)
async def test_pages_of_equal_moments_lose_nothing_and_say_so_where_they_must(
    moments: list[int], page_size: int, is_inclusive: bool, since: int
) -> None:
    """Whether Jira's lists begin with the moment that is asked for, or after it, its document does not say."""
    start = datetime(2026, 11, 1, tzinfo=UTC)
    site = small_site(1)
    book = site.worklogs = Worklogs(site.issues, lambda: NOW)
    book.page_size, book.is_inclusive = page_size, is_inclusive
    for id, moment in enumerate(moments, 1):
        book.log(id, "1", start + timedelta(milliseconds=moment), 60)
    asked = milliseconds(start) + since
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site)) as http:
        session = JiraSession(jira_config(), Toolbox(http=http, now=lambda: NOW))
        found = await changed_since(session, "updated", asked)
    wanted = {id for id, moment in enumerate(moments, 1) if moment >= since + (0 if is_inclusive else 1)}
    assert len(found.ids) == len(set(found.ids))
    assert set(found.ids) <= wanted
    assert set(found.ids) == wanted or not found.is_whole
    largest = max(moments.count(moment) for moment in moments)
    assert found.is_whole or largest * 2 >= page_size  # only a crowd at one moment is not told to its end


async def test_a_crowd_at_one_moment_has_everything_read(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    cursor = (await read(session))[-1].cursor
    fake.worklogs.page_size = 2
    for id in (101, 102, 103, 104):
        fake.worklogs.edit(id, NOW - timedelta(minutes=2))
    assert set(records(await read(session, cursor))) == {"worklog/101", "worklog/102", "worklog/103", "worklog/104"}


@pytest.mark.parametrize("word", ["lastPage", "isLastPage", None])
async def test_the_last_page_is_known_by_either_word_or_its_length(
    connect: Connect, fake: JiraCloudFake, word: str | None
) -> None:
    def said(page: dict[str, Any]) -> dict[str, Any]:
        is_last = page.pop("lastPage")
        return page | ({word: is_last} if word else {})

    session = await connect(fake)
    fake.faults = [jira_faults.edited(UPDATED, said)]
    assert (await changed_since(session, "updated", 0)).ids == [101, 102, 103, 104, 105]


async def test_a_list_that_promises_more_and_gives_nothing_fails(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    fake.faults = [jira_faults.edited(UPDATED, lambda page: {**page, "values": [], "lastPage": False})]
    with pytest.raises(UnexpectedResponseError, match="sends none"):
        await changed_since(session, "updated", 0)


async def test_many_that_changed_are_asked_for_in_bulks(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    cursor = (await read(session))[-1].cursor
    at = NOW - timedelta(minutes=2)
    day = at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    for id in range(1_000, 2_100):
        fake.worklogs.held[id] = {"id": str(id), "issueId": "1", "started": day, "timeSpentSeconds": 60}
        fake.worklogs.held[id] |= {"created": day, "updated": day.replace(".000", f".{id % 100:03}")}
    assert len(records(await read(session, cursor))) == 1_100
    assert all(len(request.body["ids"]) <= 1_000 for request in fake.requests if request.path == LIST)


# --- by id ------------------------------------------------------------------------------------------------------------


async def test_what_is_asked_for_by_its_id_is_there_gone_or_of_another_dataset(
    connect: Connect, fake: JiraCloudFake
) -> None:
    session = await connect(fake)
    fake.worklogs.delete(104, NOW)
    known = {
        "worklog/101": "ERP-1 #101",
        "worklog/104": "ERP-3 #104",
        "worklog/105": "",
        "worklog/999": "",
        "1": "ERP-1",  # an issue, of when the dataset kept issues
        "sprint/101": "Sprint",
        "worklog/1 OR 1": "x",
    }
    assert await fetched(session, known) == (
        {"worklog/101"},
        {
            "worklog/104": "deleted",
            "worklog/105": "out_of_scope",
            "worklog/999": "deleted",
            "1": "out_of_scope",
            "sprint/101": "out_of_scope",
            "worklog/1 OR 1": "out_of_scope",
        },
        [],
    )


async def test_a_worklog_that_moved_to_another_issue_goes_with_it(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    before = records(await read(session))["worklog/101"]
    fake.worklogs.move(101, "2")  # its version stays: nothing tells of the move
    after = records(await read(session))["worklog/101"]
    assert (before.fields["issue"], after.fields["issue"]) == ("ERP-1", "ERP-2")
    assert (before.version, after.name) == (after.version, "ERP-2 #101")
    fake.worklogs.move(101, "9")
    assert await fetched(session, {"worklog/101": "ERP-2 #101"}) == (set(), {"worklog/101": "out_of_scope"}, [])


async def test_work_on_an_issue_that_moved_away_is_out_of_scope(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    people = {"id": "2", "key": "HR", "name": "People"}
    fake.move_to_project("ERP-1", people, "HR-2", NOW)
    known = {"worklog/101": "ERP-1 #101", "worklog/102": "ERP-1 #102"}
    assert await fetched(session, known) == (set(), dict.fromkeys(known, "out_of_scope"), [])


async def test_a_project_out_of_sight_takes_no_work_away(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    cursor = (await read(session, dataset=JiraDataset(stream="worklogs", jql="timespent IS NOT EMPTY")))[-1].cursor
    fake.hidden_projects = {"ERP"}
    known = {"worklog/101": "ERP-1 #101", "worklog/104": "ERP-3 #104"}
    assert JIRA.fetch is not None
    dataset = JiraDataset(stream="worklogs", jql="timespent IS NOT EMPTY")
    pages = [page async for page in JIRA.fetch(session, dataset, known, None)]
    assert {entity: why for page in pages for entity, why in page.absent.items()} == dict.fromkeys(known, "unseen")
    assert "can not see the project ERP any more" in " ".join(pages[-1].warnings)
    # Jira's lists tell of it all the same: it is not of the dataset while its issue can not be seen.
    fake.worklogs.edit(101, NOW - timedelta(minutes=2))
    assert seconds(await read(session, cursor, dataset)) == {}


async def test_work_that_is_restricted_to_others_counts_as_gone(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    fake.worklogs.hidden.add(101)
    fake.worklogs.edit(102, OLD)
    assert await swept(session) == {"worklog/102", "worklog/103", "worklog/104"}
    assert await fetched(session, {"worklog/101": "ERP-1 #101"}) == (set(), {"worklog/101": "deleted"}, [])


async def test_an_issue_that_goes_between_the_requests_is_asked_for_again(
    connect: Connect, fake: JiraCloudFake
) -> None:
    session = await connect(fake)
    fake.faults = [jira_faults.status(f"{API}/search/jql", 400, words="A value with ID '7' does not exist")]
    assert (await fetched(session, {"worklog/101": ""}))[0] == {"worklog/101"}
    fake.faults = [jira_faults.status(f"{API}/search/jql", 400, words="No such field", times=3)]
    with pytest.raises(QueryError, match="No such field"):
        await fetched(session, {"worklog/101": ""})


# --- Data Center ------------------------------------------------------------------------------------------------------


async def test_data_center_gives_the_same() -> None:
    server = JiraDataCenterFake(
        list(small_site(5).issues.values()), FLUID_STATUSES, SYSTEM_FIELDS, now=lambda: NOW, most_rows=2
    )
    for number in range(1, 6):
        server.worklogs.log(100 + number, str(number), OLD, 60 * number, author={"key": "JIRAUSER10100"})
    for number in range(30):
        server.worklogs.log(200 + number, "3", OLD, 1)
    given = {"url": "https://jira.acme.example", "token": {"env": "JIRA_TOKEN"}}
    config = bind(JiraConfig.model_validate(given), lambda reference: PAT)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server)) as http:
        assert JIRA.open is not None
        async with JIRA.open(config, Toolbox(http=http, now=lambda: NOW)) as session:
            pages = await read(session)
            assert sum(seconds(pages).values()) == 60 * 15 + 30
            assert await swept(session) == records(pages).keys()
            server.worklogs.edit(101, NOW - timedelta(minutes=2), timeSpentSeconds=7)
            server.worklogs.delete(102, NOW - timedelta(minutes=2))
            again = await read(session, pages[-1].cursor)
            assert seconds(again) == {"worklog/101": 7}
            assert again[-1].deleted == ["worklog/102"]
            found = await fetched(session, {"worklog/101": "ERP-1 #101", "worklog/102": "ERP-2 #102"})
            assert found == ({"worklog/101"}, {"worklog/102": "deleted"}, [])
    assert {request.path.split("/")[3] for request in server.requests} == {"2"}


# --- recorded ---------------------------------------------------------------------------------------------------------


async def test_recorded_worklogs_are_read_as_they_are(connect: Connect, shared_data: Path) -> None:
    with (shared_data / "jira/devlake/_raw_jira_api_worklogs.csv").open(encoding="utf-8", newline="") as lines:
        recorded = {row["id"]: row for row in (json.loads(line["data"]) for line in csv.DictReader(lines))}
    ids = sorted({int(row["issueId"]) for row in recorded.values()})
    day = {"created": "2020-01-01T00:00:00.000+0800", "updated": "2020-01-01T00:00:00.000+0800"}
    project = {"project": {"id": "1", "key": "EE", "name": "EE"}, **day}
    site = JiraCloudFake(
        [issue(id, f"EE-{number}", dict(project)) for number, id in enumerate(ids, 1)],
        FLUID_STATUSES,
        SYSTEM_FIELDS,
        now=lambda: NOW,
    )
    site.worklogs.held = {int(id): row for id, row in recorded.items()}
    site.worklogs.edit(10010, datetime(2020, 6, 16, tzinfo=UTC))
    session = await connect(site)
    pages = await read(session, dataset=JiraDataset(stream="worklogs", project="EE"))
    assert seconds(pages) == {f"worklog/{id}": row["timeSpentSeconds"] for id, row in recorded.items()}
    assert records(pages)["worklog/10010"].fields["started"] == "2020-06-15T09:07:00Z"
    assert records(pages)["worklog/10010"].fields["author"] == "5ecfbd0a47d31e0c2a15fd87"
