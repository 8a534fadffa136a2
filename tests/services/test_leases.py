"""Leases: one worker a plan, a dead one's work taken over, and nothing written by one that lost it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from app.services import pull
from app.services.pull import LEASE, claim_due, pull_plan
from app.store.tables import Plan
from connectors.contract import Connector, Cursor, Page, RecordChange
from tests.fakes.hostile import HARMLESS, HostileConfig, HostileQuery
from tests.services.story import Story, gather

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

FILE = """
version: 1
team: support
connections:
  tool: {connector: harmless, token: {env: JIRA_TOKEN}}
datasets:
  things: {connection: tool}
metrics:
  kept: {unit: things, records: {dataset: things}, window: all}
objectives:
  o:
    title: O
    cycle: 2026-Q4
    key_results:
      records: {metric: kept, baseline: 10, target: 0}
"""


class Held:
    """A connector whose read stops after its first page until it is let go; each read hands over one more thing."""

    def __init__(self) -> None:
        self.reads = 0
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()
        self.is_held = True

    async def read(self, session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
        self.reads += 1
        number = self.reads
        yield Page([RecordChange(f"{number}-first", "first", 1, MONDAY, {})])
        if self.is_held:
            self.reached.set()
            await self.let_go.wait()
        yield Page([RecordChange(f"{number}-second", "second", 1, MONDAY, {})], cursor={"read": number})

    @property
    def connector(self) -> Connector:
        return replace(HARMLESS, read=self.read)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def told(story: Story, held: Held) -> Story:
    return story.with_connectors(held.connector)


async def test_of_many_workers_that_claim_one_gets_the_plan(told: Story) -> None:
    await told.apply(FILE)
    claims = await asyncio.gather(*(claim_due(told.services, owner=f"worker-{number}") for number in range(8)))
    assert sorted(len(claim) for claim in claims) == [0] * 7 + [1]
    ((fence, owner),) = await told.rows("SELECT fence, lease_owner FROM plan")
    assert fence == 1
    assert [f"worker-{number}" for number, claim in enumerate(claims) if claim] == [owner]


async def test_many_due_plans_are_shared_out_without_an_overlap(told: Story) -> None:
    more = "".join(f"  things_{number}: {{connection: tool}}\n" for number in range(11))
    await told.apply(FILE.replace("metrics:", f"{more}metrics:"))
    claims = await asyncio.gather(*(claim_due(told.services, owner=f"worker-{n}", limit=3) for n in range(6)))
    claimed = [plan for claim in claims for plan, _ in claim]
    assert len(claimed) == len(set(claimed))
    while claim := await claim_due(told.services, owner="last", limit=3):
        claimed += [plan for plan, _ in claim]
    assert len(claimed) == len(set(claimed)) == 12


async def test_the_most_overdue_plans_come_first(told: Story) -> None:
    more = "".join(f"  things_{number}: {{connection: tool}}\n" for number in range(11))
    await told.apply(FILE.replace("metrics:", f"{more}metrics:"))
    plans = [plan for (plan,) in await told.rows("SELECT id FROM plan ORDER BY id")]
    overdue = plans[::-1]
    async with told.services.database.writing() as session:
        for number, plan in enumerate(overdue):
            due = told.clock() - timedelta(hours=20 - number)
            await session.execute(update(Plan).where(col(Plan.id) == plan).values(next_due_at=due))
    claimed = await claim_due(told.services, owner="one", limit=5) + await claim_due(told.services, owner="two")
    assert [plan for plan, _ in claimed] == overdue


async def test_a_lease_that_ran_out_is_taken_over_and_the_former_holder_writes_nothing(told: Story, held: Held) -> None:
    await told.apply(FILE)
    ((plan, first_fence),) = await told.claim("first")
    slow = asyncio.create_task(pull_plan(told.services, plan, first_fence))
    await held.reached.wait()
    assert await told.claim("second") == []  # the lease is held

    told.clock.advance(LEASE)
    held.is_held = False
    ((_, second_fence),) = await told.claim("second")
    assert second_fence == first_fence + 1
    assert await pull_plan(told.services, plan, second_fence) == "succeeded"

    held.let_go.set()
    assert await slow == "superseded"
    assert {run.outcome for run in await told.runs()} == {"superseded", "succeeded"}
    assert await told.rows("SELECT entity FROM record ORDER BY entity") == [("2-first",), ("2-second",)]
    assert await told.count("staged_change") == 0
    ((cursor,),) = await told.rows("SELECT cursor FROM plan")
    assert cursor == '{"read":2}'
    assert await told.value("records") == 2


async def test_the_late_one_is_fenced_off_while_the_new_one_still_reads(told: Story, held: Held) -> None:
    await told.apply(FILE)
    ((plan, first_fence),) = await told.claim("first")
    slow = asyncio.create_task(pull_plan(told.services, plan, first_fence))
    await held.reached.wait()
    told.clock.advance(LEASE)
    ((_, second_fence),) = await told.claim("second")
    first_gate, held.let_go = held.let_go, asyncio.Event()
    held.reached.clear()
    second = asyncio.create_task(pull_plan(told.services, plan, second_fence))
    await held.reached.wait()

    first_gate.set()
    assert await slow == "superseded"
    assert await told.count("record") == 0
    held.let_go.set()
    assert await second == "succeeded"
    assert await told.rows("SELECT entity FROM record ORDER BY entity") == [("2-first",), ("2-second",)]


async def test_a_lost_lease_is_noticed_while_the_tool_is_silent(
    told: Story, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "RENEW_SECONDS", 0.01)
    await told.apply(FILE)
    ((plan, first_fence),) = await told.claim("first")
    slow = asyncio.create_task(pull_plan(told.services, plan, first_fence))
    await held.reached.wait()
    told.clock.advance(LEASE * 2)
    while not (claimed := await told.claim("second")):
        told.clock.advance(LEASE * 2)  # the first one renews in between: sooner or later the second is quicker
    assert await slow == "superseded"  # nobody let it go
    held.is_held = False
    assert await pull_plan(told.services, *claimed[0]) == "succeeded"


async def test_a_held_lease_is_renewed_for_as_long_as_the_tool_takes(
    told: Story, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "RENEW_SECONDS", 0.01)
    await told.apply(FILE)
    ((plan, fence),) = await told.claim("first")
    slow = asyncio.create_task(pull_plan(told.services, plan, fence))
    await held.reached.wait()
    for _ in range(5):
        ((until,),) = await told.rows("SELECT lease_until FROM plan")
        told.clock.advance(LEASE / 2)
        while await told.rows("SELECT lease_until FROM plan") == [(until,)]:
            await asyncio.sleep(0)
        assert await told.claim("second") == []
    held.let_go.set()
    assert await slow == "succeeded"


async def test_a_worker_that_is_stopped_hands_its_plan_back_at_once(told: Story, held: Held) -> None:
    await told.apply(FILE)
    ((plan, fence),) = await told.claim("first")
    stopped = asyncio.create_task(pull_plan(told.services, plan, fence))
    await held.reached.wait()
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    (run,) = await told.runs()
    assert (run.outcome, run.error) == ("superseded", "The worker was stopped.")
    assert await told.count("staged_change") == 0
    held.is_held = False
    assert await told.pull("second") == ["succeeded"]


async def test_a_run_that_was_killed_is_closed_by_the_next_one_with_what_it_staged(told: Story, held: Held) -> None:
    await told.apply(FILE)
    ((plan, fence),) = await told.claim("killed")
    killed = asyncio.create_task(pull_plan(told.services, plan, fence))
    await held.reached.wait()
    assert await told.count("staged_change") == 1
    held.is_held = False
    told.clock.advance(LEASE)
    assert await told.pull("second") == ["succeeded"]
    superseded, succeeded = await told.runs()
    assert (superseded.outcome, superseded.finished_at) == ("superseded", told.clock())
    assert superseded.error == "The worker died or lost its lease."
    assert succeeded.records == 2
    assert await told.count("staged_change") == 0
    killed.cancel()
    await gather(killed)


async def test_a_job_that_comes_twice_has_one_effect(told: Story, held: Held) -> None:
    await told.apply(FILE)
    ((plan, fence),) = await told.claim()
    first = asyncio.create_task(pull_plan(told.services, plan, fence))
    await held.reached.wait()
    held.is_held = False
    assert await pull_plan(told.services, plan, fence) == "succeeded"
    assert await pull_plan(told.services, plan, fence) == "superseded"  # it was done
    held.let_go.set()
    assert await first == "superseded"
    assert await told.rows("SELECT entity FROM record ORDER BY entity") == [("2-first",), ("2-second",)]
    ((missed,),) = await told.rows("SELECT max(missed_sweeps) FROM record")
    assert missed == 0


@pytest.mark.parametrize("wrong", [lambda plan, fence: (plan, fence - 1), lambda plan, fence: (plan + 1, fence)])
async def test_a_job_for_another_token_or_plan_does_nothing(
    told: Story, held: Held, wrong: Callable[[int, int], tuple[int, int]]
) -> None:
    await told.apply(FILE)
    ((plan, fence),) = await told.claim()
    assert await pull_plan(told.services, *wrong(plan, fence)) == "superseded"
    assert held.reads == 0
    assert await told.runs() == []


async def test_a_silent_tool_that_takes_over_nothing_leaves_the_lease_to_time(told: Story) -> None:
    await told.apply(FILE)
    await told.claim("dead")
    told.clock.advance(LEASE - timedelta(microseconds=1))
    assert await told.claim("second") == []
    told.clock.advance(timedelta(microseconds=1))
    assert len(await told.claim("second")) == 1
