"""A tool that fails in every way it can: what was true stays, with a reason, and is asked again when it makes sense."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.services.connect import check_connection
from app.services.pull import pull_plan, request_refresh
from connectors.errors import AuthenticationError
from tests.conftest import FakeClock
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.fakes.jira_faults import Fault
from tests.services.story import TEAM, Story, jira_site, ticket

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SEARCH = f"{API}/search/jql"
HOUR = timedelta(hours=1)

FILE = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
metrics:
  unfinished: {unit: tickets, records: {dataset: tickets, where: "record.status != 'Done'"}, window: all}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      backlog: {metric: unfinished, baseline: 10, target: 0, fresh_within: 1h}
"""
WITH_QUERY = FILE.replace(
    "objectives:",
    '  counted: {unit: tickets, query: {connection: jira, jql: "project = HELP AND status != Done"}}\nobjectives:',
).replace("fresh_within: 1h}", "fresh_within: 1h}\n      asked: {metric: counted, baseline: 10, target: 0}")


@pytest.fixture
def site(clock: FakeClock) -> JiraCloudFake:
    """Five open tickets on pages of two."""
    return jira_site(clock, *(ticket(number, MONDAY + timedelta(days=number)) for number in range(1, 6)))


async def read_once(story: Story, site: JiraCloudFake, file: str = FILE) -> None:
    """A first whole read; then every ticket is finished, so that the next read has three pages of news."""
    await story.apply(file)
    assert set(await story.pull()) == {"succeeded"}
    story.clock.advance(timedelta(minutes=1))
    for number in range(1, 6):
        site.move(f"HELP-{number}", "Done", story.clock())


def answer(code: int, **headers: str) -> Fault:
    return jira_faults.status(SEARCH, code, words="Something is wrong.", first=1, times=1, **headers)


def endless(site: JiraCloudFake) -> Fault:
    site._tokens["again"] = ([], 0)  # known to the site, or it would refuse the token itself
    return jira_faults.repeated_token(SEARCH)


FAILURES: dict[str, tuple[Callable[[JiraCloudFake], Fault], str]] = {
    "a login page": (lambda _: jira_faults.login_page(SEARCH), "unexpected_response"),
    "half of the JSON": (lambda _: jira_faults.truncated(SEARCH), "unexpected_response"),
    "the third page fails": (lambda _: jira_faults.status(SEARCH, 502, first=3), "unavailable"),
    "the third page is cut": (lambda _: jira_faults.truncated(SEARCH, first=3), "unexpected_response"),
    "a page token that repeats": (endless, "unexpected_response"),
    "histories fail": (lambda _: jira_faults.status(f"{API}/changelog/bulkfetch", 500), "unavailable"),
    "histories are cut": (lambda _: jira_faults.truncated(f"{API}/changelog/bulkfetch"), "unexpected_response"),
    "issues fail": (lambda _: jira_faults.status(f"{API}/issue/bulkfetch", 503), "unavailable"),
    "issues are cut": (lambda _: jira_faults.truncated(f"{API}/issue/bulkfetch"), "unexpected_response"),
    "not found": (lambda _: answer(404), "unexpected_response"),
    "a redirect": (lambda _: answer(302, location="http://169.254.169.254/latest"), "unexpected_response"),
    "a limit": (lambda _: answer(429), "rate_limited"),
    "a limit as 403": (lambda _: answer(403, retry_after="60"), "rate_limited"),
    "away": (lambda _: answer(503), "unavailable"),
    "a bad credential": (lambda _: answer(401), "authentication"),
    "a right withdrawn": (lambda _: answer(403), "access_denied"),
    "a query that is refused": (lambda _: answer(400), "query"),
}


async def test_an_incomplete_read_changes_nothing_but_the_reason(jira_story: Story, site: JiraCloudFake) -> None:
    await read_once(jira_story, site)
    before = [await jira_story.count(table) for table in ("fact", "sample")]
    for name, (fault, code) in FAILURES.items():
        site.faults = [fault(site)]
        await request_refresh(jira_story.services, TEAM, "unfinished", "dana")
        assert await jira_story.later(minutes=2) == ["failed"], name

        run = (await jira_story.runs())[-1]
        assert (run.error_code, run.changed, run.finished_at) == (code, 0, jira_story.clock()), name
        assert run.error, name
        assert await jira_story.count("staged_change") == 0, name
        assert [await jira_story.count(table) for table in ("fact", "sample")] == before, name
        backlog = await jira_story.key_result("backlog")
        assert (backlog.value, backlog.freshness.level, backlog.freshness.reason) == (Decimal(5), "fresh", run.error), (
            name
        )

    # Nothing mends the last one: the value ages, and says why.
    jira_story.clock.advance(HOUR)
    aged = await jira_story.key_result("backlog")
    assert (aged.value, aged.freshness.level, aged.freshness.reason) == (backlog.value, "error", run.error)
    assert aged.freshness.age_seconds == 3_660 + len(FAILURES) * 120


async def test_after_a_failure_the_next_read_brings_what_the_failed_one_did_not(
    jira_story: Story, site: JiraCloudFake
) -> None:
    await read_once(jira_story, site)
    site.faults.append(jira_faults.status(SEARCH, 502, first=3))
    await jira_story.later(minutes=40)
    assert await jira_story.later(minutes=1) == ["succeeded"]
    assert (await jira_story.runs())[-1].records == 5
    backlog = await jira_story.key_result("backlog")
    assert (backlog.value, backlog.freshness.reason, backlog.source.health) == (Decimal(0), None, "ok")


WAITS = {
    "600": (timedelta(seconds=600), timedelta(seconds=600)),
    "Sun, 22 Nov 2026 23:59:00 GMT": (timedelta(hours=14), timedelta(hours=15)),
    "0": (timedelta(seconds=1), timedelta(hours=1)),
    "-5": (timedelta(seconds=1), timedelta(hours=1)),
    "soon": (timedelta(seconds=1), timedelta(hours=1)),
    "99999999999999": (timedelta(hours=24), timedelta(hours=24)),
}


async def test_nothing_is_asked_before_the_tool_allows_it(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    await read_once(jira_story, site, WITH_QUERY)
    for retry_after, (least, most) in WAITS.items():
        plans = await request_refresh(jira_story.services, TEAM, "unfinished", "dana")
        await request_refresh(jira_story.services, TEAM, "counted", "dana")
        clock.advance(timedelta(minutes=1))
        now = clock()
        fences = dict(await jira_story.claim())
        site.faults = [jira_faults.status(SEARCH, 429, retry_after=retry_after)]
        assert await pull_plan(jira_story.services, plans[0], fences[plans[0]]) == "failed", retry_after
        due = moment((await jira_story.rows("SELECT next_due_at FROM plan WHERE id = :id", id=plans[0]))[0][0])
        assert now + least <= due <= now + most, retry_after
        if retry_after.endswith("GMT"):
            assert due == datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
        if least > timedelta(minutes=5):
            # The silence is the whole connection's: its other plan is not due either when its lease has run out.
            clock.set(due - timedelta(seconds=1))
            asked = len(site.requests)
            assert await jira_story.pull() == [], retry_after
            assert len(site.requests) == asked, retry_after
        clock.set(due)
        assert set(await jira_story.pull()) == {"succeeded"}, retry_after


def moment(stored: datetime | int) -> datetime:
    """A moment as the database keeps it: microseconds on SQLite."""
    if isinstance(stored, datetime):
        return stored
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=stored)


async def test_failures_in_a_row_are_tried_less_and_less_often(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    await read_once(jira_story, site)
    site.faults.append(jira_faults.status(SEARCH, 500, times=1_000))
    clock.advance(timedelta(minutes=40))
    waits = []
    for _ in range(16):
        assert await jira_story.pull() == ["failed"]
        ((due,),) = await jira_story.rows("SELECT next_due_at FROM plan")
        waits.append(moment(due) - clock())
        clock.set(moment(due))
    # Full jitter: each wait lies below a cap that doubles from ten seconds to an hour.
    caps = [min(timedelta(seconds=10) * 2**tries, HOUR) for tries in range(16)]
    assert all(timedelta(seconds=1) <= wait <= cap for wait, cap in zip(waits, caps, strict=True))
    assert sum(waits[8:], timedelta()) > 10 * sum(waits[:4], timedelta())


async def test_a_refused_credential_pauses_the_connection_until_a_check_succeeds(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    await read_once(jira_story, site, WITH_QUERY)
    right, site._credential = site._credential, "Basic revoked"
    outcomes = await jira_story.later(minutes=40)
    assert outcomes[0] == "failed"
    connection = await jira_story.connection()
    assert connection.health == "paused"
    assert "does not accept" in (connection.reason or "")
    backlog = await jira_story.key_result("backlog")
    assert (backlog.value, backlog.source.health) == (Decimal(5), "paused")

    asked = len(site.requests)
    assert await jira_story.later(hours=5) == []
    assert len(site.requests) == asked
    aged = await jira_story.key_result("backlog")
    assert aged.freshness.level == "error"
    assert "does not accept" in (aged.freshness.reason or "")

    with pytest.raises(AuthenticationError):
        await check_connection(jira_story.services, TEAM, "jira")
    assert (await jira_story.connection()).health == "paused"
    assert await jira_story.pull() == []

    site._credential = right
    checked = await check_connection(jira_story.services, TEAM, "jira")
    assert "as Bot" in checked.summary
    assert (await jira_story.connection()).health == "ok"
    assert set(await jira_story.pull()) == {"succeeded"}
    backlog = await jira_story.key_result("backlog")
    assert (backlog.value, backlog.freshness.level, backlog.freshness.reason) == (Decimal(0), "fresh", None)


async def test_a_refused_query_pauses_its_plan_alone_and_a_new_one_takes_its_place(
    jira_story: Story, site: JiraCloudFake
) -> None:
    wrong = WITH_QUERY.replace('jql: "project = HELP AND status != Done"', 'jql: "nonsense = 1"')
    await jira_story.apply(wrong)
    assert sorted(await jira_story.pull()) == ["failed", "succeeded"]
    asked = await jira_story.key_result("asked")
    assert (asked.value, asked.freshness.level) == (None, "error")
    assert "nonsense" in (asked.freshness.reason or "")
    assert await jira_story.value("backlog") == 5
    assert (await jira_story.connection()).health == "failing"

    assert await jira_story.later(minutes=50) == ["succeeded"]  # the dataset's; the query is not asked again so soon
    await jira_story.apply(WITH_QUERY)
    assert await jira_story.pull() == ["succeeded"]
    asked = await jira_story.key_result("asked")
    assert (asked.value, asked.freshness.level, asked.freshness.reason) == (Decimal(5), "fresh", None)


@pytest.mark.parametrize("remedy", ["refresh", "connection", "apply", "an hour"])
async def test_a_paused_query_is_tried_again_when_somebody_acts_and_once_an_hour(
    jira_story: Story, site: JiraCloudFake, remedy: str
) -> None:
    await jira_story.apply(WITH_QUERY)
    site.faults.append(jira_faults.status(SEARCH, 400, words="No such project.", times=100))
    assert await jira_story.pull() == ["failed", "failed"]
    assert await jira_story.later(minutes=50) == []
    site.faults.clear()
    if remedy == "refresh":
        ids = await request_refresh(jira_story.services, TEAM, "counted", "dana")
        assert len(ids) == 1
        assert await jira_story.pull() == ["succeeded"]
    elif remedy == "apply":  # what was wrong with it has been mended in the tool
        await jira_story.apply(WITH_QUERY)
        assert await jira_story.pull() == ["succeeded", "succeeded"]
    elif remedy == "an hour":
        assert await jira_story.later(minutes=10) == ["succeeded", "succeeded"]
    else:
        await jira_story.apply(WITH_QUERY.replace("bot@acme.example", "robot@acme.example"))
        site._credential = "Basic cm9ib3RAYWNtZS5leGFtcGxlOmEtamlyYS10b2tlbg=="
        assert await jira_story.pull() == ["succeeded", "succeeded"]
    assert await jira_story.value("asked") == 5


async def test_a_number_over_a_window_links_to_what_was_counted(jira_story: Story, site: JiraCloudFake) -> None:
    windowed = WITH_QUERY.replace("AND status != Done", "AND created >= {from} AND created < {to}")
    windowed = windowed.replace('{to}"}}', '{to}"}, window: cycle}')
    for _ in range(2):  # applied again, it stays so
        await jira_story.apply(windowed)
        await jira_story.pull()
        link = (await jira_story.key_result("asked")).source.link
        assert link is not None
        assert "created%20%3E%3D%20%222026-10-01%2000%3A00%22" in link
        assert "%7B" not in link


async def test_a_refresh_wakes_no_plan_that_nothing_needs(jira_story: Story, site: JiraCloudFake) -> None:
    windowed = WITH_QUERY.replace("AND status != Done", "AND created >= {from} AND created < {to}")
    windowed = windowed.replace('{to}"}}', '{to}"}, window: cycle}')
    await jira_story.apply(windowed)
    await jira_story.pull()
    await jira_story.apply(windowed.replace("2026-Q4", "2026"))
    await jira_story.pull()
    ((unused,),) = await jira_story.rows("SELECT id FROM plan WHERE paused_code = 'unused'")
    woken = await request_refresh(jira_story.services, TEAM, "counted", "dana")
    assert len(woken) == 1
    assert unused not in woken
    assert [plan for plan, _ in await jira_story.claim()] == woken


async def test_a_connections_own_budget_is_kept_by_all_its_plans(jira_story: Story, site: JiraCloudFake) -> None:
    file = WITH_QUERY.replace("token: {env: JIRA_TOKEN}", "token: {env: JIRA_TOKEN}, requests_per_hour: 5")
    await jira_story.apply(file)
    outcomes = await jira_story.pull()
    assert sorted(outcomes) == ["failed", "succeeded"]
    asked = len(site.requests)
    assert "budget of 5 requests" in ((await jira_story.connection()).reason or "")
    assert (await jira_story.connection()).requests_last_hour == asked
    await jira_story.later(minutes=6)
    assert len(site.requests) == asked
    await jira_story.later(minutes=60)
    assert len(site.requests) > asked
