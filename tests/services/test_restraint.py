"""What all workers and plans of a connection keep to together: silence that was asked for, the team's own budget, and
one who tries whether a tool that is away is back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.services.pull import pull_plan, request_refresh
from app.store.plans import AWAY_AT
from tests.conftest import FakeClock
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.fakes.jira_faults import Answer, Fault
from tests.services.story import TEAM, Story, gather, jira_site, on_sqlite, ticket

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SEARCH, FETCH, CHANGELOGS = f"{API}/search/jql", f"{API}/issue/bulkfetch", f"{API}/changelog/bulkfetch"

FILE = """
version: 1
team: support
connections:
  jira:
    connector: jira
    url: "https://acme.atlassian.net"
    email: bot@acme.example
    token: {env: JIRA_TOKEN}
    webhook_secret: {env: JIRA_HOOK}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
metrics:
  unfinished: {unit: tickets, records: {dataset: tickets}, window: all}
METRICS
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      backlog: {metric: unfinished, baseline: 10, target: 0, fresh_within: 1h}
KEY_RESULTS
"""


def with_queries(count: int) -> str:
    """The dataset, and as many queries beside it."""
    queries = {number: f"project = HELP AND key != HELP-{number}" for number in range(1, count + 1)}
    metrics = [
        f'  counted_{number}: {{unit: tickets, query: {{connection: jira, jql: "{jql}"}}}}'
        for number, jql in queries.items()
    ]
    asked = [
        f"      asked_{number}: {{metric: counted_{number}, baseline: 10, target: 0, fresh_within: 1h}}"
        for number in range(1, count + 1)
    ]
    return FILE.replace("METRICS", "\n".join(metrics)).replace("KEY_RESULTS", "\n".join(asked))


@pytest.fixture
def site(clock: FakeClock) -> JiraCloudFake:
    return jira_site(clock, *(ticket(number, MONDAY + timedelta(days=number)) for number in range(1, 6)))


async def both(story: Story) -> list[Any]:
    """Every plan that is due, each by a worker of its own, at the same time."""
    claimed = await story.claim()
    return await gather(*(pull_plan(story.services, plan, fence) for plan, fence in claimed))


async def test_silence_that_one_run_is_asked_for_ends_the_others_too(jira_story: Story, site: JiraCloudFake) -> None:
    await jira_story.apply(with_queries(1))
    gate = asyncio.Event()
    # The dataset's run has asked for the first of three pages of ids, and waits; the query's is told to be silent.
    held = jira_faults.held(SEARCH, gate)
    site.faults = [held, jira_faults.status(SEARCH, 429, first=2, retry_after="600")]
    plans = dict(await jira_story.claim())
    ((dataset,),) = await jira_story.rows("SELECT id FROM plan WHERE dataset_id IS NOT NULL")
    (query,) = plans.keys() - {dataset}
    reading = asyncio.create_task(pull_plan(jira_story.services, dataset, plans[dataset]))
    while not held.seen:
        await asyncio.sleep(0)
    assert await pull_plan(jira_story.services, query, plans[query]) == "failed"
    jira_story.clock.advance(timedelta(seconds=2))
    asked = len(site.requests)
    gate.set()
    assert await reading == "failed"
    assert len(site.requests) == asked
    run = next(run for run in await jira_story.runs() if run.dataset is not None)
    assert (run.error_code, run.changed) == ("rate_limited", 0)


async def test_neither_a_webhook_nor_a_person_breaks_the_silence(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    await jira_story.apply(with_queries(0))
    assert await jira_story.pull() == ["succeeded"]
    clock.advance(timedelta(minutes=40))
    site.faults = [jira_faults.status(SEARCH, 429, retry_after="3600")]
    assert await jira_story.pull() == ["failed"]
    asked, told = len(site.requests), clock()
    await jira_story.send(
        [{"webhookEvent": "jira:issue_updated", "issue": {"id": "1", "key": "HELP-1"}}], connection="jira"
    )
    await jira_story.work()
    await request_refresh(jira_story.services, TEAM, "unfinished", "dana")
    for _ in range(5):
        assert await jira_story.later(minutes=11) == []
    assert len(site.requests) == asked
    assert (await jira_story.connection()).silent_until is not None
    clock.set(told + timedelta(hours=1))
    assert await jira_story.later(minutes=2) == ["succeeded"]
    assert (await jira_story.connection()).silent_until is None


async def test_a_budget_is_one_for_all_workers_at_once(jira_story: Story, site: JiraCloudFake) -> None:
    file = with_queries(6).replace("token: {env: JIRA_TOKEN}", "token: {env: JIRA_TOKEN}\n    requests_per_hour: 40")
    await jira_story.apply(file)
    await both(jira_story)  # what each of them takes is known from now on
    jira_story.clock.advance(timedelta(hours=2))
    taken = {run.plan: run.calls for run in await jira_story.runs() if run.outcome == "succeeded"}
    assert sum(taken.values()) > 15
    await jira_story.apply(file.replace("requests_per_hour: 40", "requests_per_hour: 9"))
    site.requests.clear()
    outcomes = await both(jira_story)
    assert {"failed", "succeeded"} == set(outcomes)
    assert len(site.requests) <= 9
    assert (await jira_story.connection()).requests_per_hour == 9
    reads = (await jira_story.connection()).reads
    assert sum(one.requests_last_hour for one in reads) == len(site.requests)
    assert {one.dataset or one.query for one in reads} >= {"support/tickets", "project = HELP AND key != HELP-1"}


async def test_a_run_larger_than_the_budget_is_made_and_paid_back(jira_story: Story, site: JiraCloudFake) -> None:
    file = with_queries(0).replace("token: {env: JIRA_TOKEN}", "token: {env: JIRA_TOKEN}\n    requests_per_hour: 2")
    await jira_story.apply(file)
    assert await jira_story.pull() == ["succeeded"]
    assert len(site.requests) > 2
    assert await jira_story.value("backlog") == 5
    asked = len(site.requests)
    await jira_story.later(minutes=35)
    assert len(site.requests) == asked
    await jira_story.later(minutes=30)
    assert len(site.requests) > asked


@on_sqlite
async def test_a_tool_that_is_away_is_tried_by_one_run_at_a_time(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    await jira_story.apply(with_queries(11))
    assert set(await jira_story.pull()) == {"succeeded"}
    away = {path: Fault(path, lambda _: Answer(503, b"{}"), times=10_000) for path in (SEARCH, FETCH, CHANGELOGS)}
    site.faults = list(away.values())
    asked: list[int] = []
    clock.advance(timedelta(hours=1))
    for _ in range(60):
        asked.append(len(await both(jira_story)))
        clock.advance(timedelta(minutes=5))
    # All twelve plans meet the outage, about once; from then on one of them tries, ever less often.
    assert 12 <= sum(asked[:2]) <= 24
    assert max(asked[2:]) == 1
    assert sum(asked[2:]) < 20  # twelve plans by themselves would try some twelve times as often
    site.faults = []
    outcomes: list[Any] = []
    for _ in range(26):
        outcomes += await both(jira_story)
        clock.advance(timedelta(minutes=5))
    assert set(outcomes) == {"succeeded"}
    assert len(outcomes) >= 12
    ((away_runs,),) = await jira_story.rows("SELECT away_runs FROM connection")
    assert away_runs == 0 < AWAY_AT


async def test_while_one_tries_the_others_wait(jira_story: Story, site: JiraCloudFake, clock: FakeClock) -> None:
    await jira_story.apply(with_queries(8))
    assert set(await jira_story.pull()) == {"succeeded"}
    site.faults = [jira_faults.status(SEARCH, 503, times=10_000)]
    clock.advance(timedelta(hours=1))
    await both(jira_story)
    clock.advance(timedelta(hours=1))
    first = await jira_story.claim("one")
    assert len(first) == 1
    assert await jira_story.claim("other") == []
    site.faults = []
    assert await pull_plan(jira_story.services, *first[0]) == "succeeded"
    assert len(await jira_story.claim("other")) >= 7
