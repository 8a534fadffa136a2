"""The real worker on a real Valkey: what there is to do is in the database, the queue only rings."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import pytest_asyncio
import redis.asyncio
import structlog
from arq.typing import WorkerSettingsBase
from arq.worker import get_kwargs

from app.queue import QUEUE, Doorbell, redis_settings
from app.services import clockwork
from app.services.context import Services
from app.settings import Settings
from tests.conftest import FakeClock
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.services.story import Story, jira_site, open_story, ticket
from workers.main import WorkerSettings, shutdown, startup
from workers.run import PatientWorker
from workers.schedule import Errands, tick

# arq closes its Redis by a name that redis-py has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

FILE = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
  orders: {connection: erp, entity: body.po, at: body.at}
metrics:
  unfinished: {unit: tickets, records: {dataset: tickets, where: "record.status != 'Done'"}, window: all}
  counted: {unit: tickets, query: {connection: jira, jql: "project = HELP"}}
  ordered: {unit: orders, records: {dataset: orders}, window: {trailing: 24h}}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      backlog: {metric: unfinished, baseline: 10, target: 0}
      asked: {metric: counted, baseline: 10, target: 0}
      orders: {metric: ordered, baseline: 0, target: 10}
"""


@pytest.fixture
def site(clock: FakeClock) -> JiraCloudFake:
    return jira_site(clock, *(ticket(number, MONDAY + timedelta(days=number)) for number in range(1, 6)))


@pytest_asyncio.fixture
async def story(database_url: str, redis_url: str, clock: FakeClock, site: JiraCloudFake) -> AsyncIterator[Story]:
    """A team whose services ring the real queue."""
    async with open_story(database_url, clock, site) as story:
        bell = Doorbell(redis_url, linger_seconds=0)
        yield replace(story, services=replace(story.services, queue=bell))
        await bell.close()


@pytest_asyncio.fixture
async def valkey(redis_url: str) -> AsyncIterator["redis.asyncio.Redis"]:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        yield client


def settings_of(redis_url: str, **changes: Any) -> dict[str, Any]:
    chosen = cast("dict[str, Any]", get_kwargs(cast("type[WorkerSettingsBase]", WorkerSettings)))
    # Ticks a second apart would keep the queue from ever being empty: one at the start is enough here.
    once = replace(WorkerSettings.cron_jobs[0], month=1, day=1, hour=0, minute=0, second=0, next_run=None)
    chosen = {**chosen, "cron_jobs": [once], "poll_delay": 0.01}
    return {**chosen, "redis_settings": redis_settings(redis_url), "burst": True, "handle_signals": False, **changes}


async def work(services: Services, redis_url: str) -> PatientWorker:
    """A worker that starts, does all there is to do, and ends."""
    context = {"services": services, "owner": "worker", "errands": Errands()}
    worker = PatientWorker(**settings_of(redis_url, ctx=context, on_startup=None, on_shutdown=None))
    await worker.main()
    await worker.close()
    return worker


async def test_a_tick_finds_what_is_due_pulls_it_and_applies_what_waits(story: Story, redis_url: str) -> None:
    await story.apply(FILE)
    await story.send([{"po": "A", "at": "2026-11-22T08:00:00Z"}])
    worker = await work(story.services, redis_url)
    assert worker.jobs_failed == 0
    assert [run.outcome for run in await story.runs()] == ["succeeded", "succeeded"]
    assert [await story.value(name) for name in ("backlog", "asked", "orders")] == [5, 5, 1]
    assert (await story.connection()).health == "ok"

    story.clock.advance(timedelta(hours=25))  # windows slide without anybody's doing
    await work(story.services, redis_url)
    assert await story.value("orders") == 0
    assert len(await story.runs()) == 4


async def test_an_emptied_queue_loses_nothing(story: Story, redis_url: str, valkey: "redis.asyncio.Redis") -> None:
    await story.apply(FILE)
    await story.send([{"po": "A", "at": "2026-11-22T08:00:00Z"}])
    for plan, fence in await story.claim():
        await story.services.queue.pull(plan, fence)
    assert await valkey.zcard(QUEUE) >= 2
    await valkey.flushall()
    await work(story.services, redis_url)
    assert await story.value("orders") == 1
    assert await story.runs() == []  # the leases are still held, by nobody that lives

    story.clock.advance(timedelta(seconds=15))
    await work(story.services, redis_url)
    assert [run.outcome for run in await story.runs()] == ["succeeded", "succeeded"]
    assert await story.value("backlog") == 5


async def test_a_ring_that_nobody_can_hear_costs_nothing_but_time(story: Story, redis_url: str) -> None:
    deaf = Doorbell("redis://127.0.0.1:1", linger_seconds=0)
    alone = replace(story.services, queue=deaf)
    await replace(story, services=alone).apply(FILE)
    with structlog.testing.capture_logs() as logs:
        for plan, fence in await story.claim():
            await alone.queue.pull(plan, fence)
    await deaf.close()
    assert {log["event"] for log in logs} == {"queue.unreachable"}
    story.clock.advance(timedelta(seconds=15))
    await work(story.services, redis_url)
    assert await story.value("backlog") == 5


async def test_jobs_are_json_and_hold_ids_only(story: Story, valkey: "redis.asyncio.Redis") -> None:
    await story.apply(FILE)
    await story.services.queue.pull(7, 3)
    await story.services.queue.deliveries()
    await cast(Doorbell, story.services.queue).close()
    jobs = [json.loads(await valkey.get(key) or b"") for key in await valkey.keys("arq:job:*")]
    assert {(job["f"], tuple(job["a"]), bool(job["k"])) for job in jobs} == {
        ("pull", (7, 3), False),
        ("apply_deliveries", (), False),
        ("build_revisions", (), False),
    }


async def test_a_job_for_a_plan_that_is_gone_or_taken_ends_quietly(story: Story, redis_url: str) -> None:
    await story.apply(FILE)
    for plan, fence in [(999, 1), (1, 0), (1, 99)]:
        await story.services.queue.pull(plan, fence)
    worker = await work(story.services, redis_url)
    assert worker.jobs_failed == 0
    assert len(await story.runs()) == 2


async def test_a_pull_that_fails_is_no_failed_job_and_one_that_crashes_is(
    story: Story, redis_url: str, site: JiraCloudFake
) -> None:
    await story.apply(FILE)
    site.faults.append(jira_faults.status(f"{API}/search/jql", 500, times=100))
    worker = await work(story.services, redis_url)
    assert (worker.jobs_failed, {run.outcome for run in await story.runs()}) == (0, {"failed"})

    site.faults.clear()
    story.clock.advance(timedelta(hours=2))
    original, site._answer = site._answer, None  # type: ignore[method-assign, assignment]
    worker = await work(story.services, redis_url)
    site._answer = original  # type: ignore[method-assign]
    assert worker.jobs_failed == 2
    assert {run.outcome for run in await story.runs()} == {"failed", "crashed"}
    assert await work(story.services, redis_url)  # and the worker is none the worse


async def test_a_tick_while_another_ticks_leaves_it_the_work(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await story.apply(FILE)
    errands = Errands()
    async with errands.ticking:
        await tick({"services": story.services, "owner": "second", "errands": errands})
    assert await story.rows("SELECT count(*) FROM plan WHERE lease_owner IS NOT NULL") == [(0,)]
    await tick({"services": story.services, "owner": "first", "errands": errands})
    assert await story.rows("SELECT count(*) FROM plan WHERE lease_owner = 'first'") == [(2,)]


async def test_a_tick_without_a_store_ends_with_a_word(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: Services) -> int:
        raise ConnectionRefusedError

    monkeypatch.setattr("workers.schedule.evaluate_due", away)
    with structlog.testing.capture_logs() as logs:
        await tick({"services": story.services, "owner": "worker", "errands": Errands()})
    assert {"event": "tick.store_away", "error": "ConnectionRefusedError", "log_level": "warning"} in logs
    monkeypatch.setattr("workers.schedule.evaluate_due", clockwork.evaluate_due)
    await tick({"services": story.services, "owner": "worker", "errands": Errands()})


async def test_the_worker_opens_what_its_jobs_need_and_closes_it(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=database_url, redis_url=redis_url, secret_key=bytes(32), log_format="json")
    closed = []

    async def closing(context: dict[str, Any]) -> None:
        await shutdown(context)
        closed.append("close" not in context)

    worker = PatientWorker(
        **settings_of(redis_url, ctx={"settings": settings}, on_startup=startup, on_shutdown=closing)
    )
    await worker.main()
    assert worker.ctx["services"].database.url == database_url
    assert worker.jobs_failed == 0
    await worker.close()
    assert closed == [True]
    structlog.reset_defaults()
