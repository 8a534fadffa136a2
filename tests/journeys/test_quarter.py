"""A quarter from its first day to its graded close, and what becomes of it afterwards: a clock moved through the real
services, on both databases."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest_asyncio

from app.services import cycles
from app.services.close import close_cycle, override_grade
from app.services.organisation_file import apply_organisation
from app.services.read import key_result_history
from app.services.restate import RECHECK, restate_due
from app.services.views import KeyResultView, SampleView, TeamCycleView
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story, open_story

FILE = """
version: 1
team: support
timezone: Europe/Berlin
connections:
  desk: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  tickets: {connection: desk, entity: body.ticket, at: body.at, event: body.event}
metrics:
  resolved: {unit: tickets, records: {dataset: tickets, where: "record.event == 'resolved'"}, window: {to_date: quarter}}
  hours: {unit: hours, duration: {dataset: tickets, from: {event: opened}, to: {event: resolved, pick: last}}, aggregate: avg, window: {to_date: quarter}}
  returned: {unit: percent, ratio: {good: {records: {dataset: tickets, where: "record.event == 'returned'"}}, total: {records: {dataset: tickets, where: "record.event == 'resolved'"}}}, window: {to_date: quarter}}
objectives:
  service:
    title: Answer well
    cycle: 2026-Q4
    key_results:
      volume: {metric: resolved, baseline: 0, target: 24}
      speed: {metric: hours, baseline: 48, target: 12, kind: aspirational, weight: 2}
      volume_well:
        metric: resolved
        baseline: 0
        target: 20
        guardrails: [{metric: returned, must: "<= 10"}]
"""  # noqa: E501
START = datetime(2026, 9, 28, 8, tzinfo=UTC)


@pytest_asyncio.fixture
async def story(database_url: str, clock: FakeClock) -> AsyncIterator[Story]:
    """A team on an empty database."""
    async with open_story(database_url, clock) as opened:
        yield opened


class Desk:
    """A help desk whose tickets take fewer hours week by week; every fifth is returned."""

    def __init__(self, story: Story) -> None:
        self.story, self.tickets = story, 0

    async def week(self, hours: int, *, tickets: int = 2) -> None:
        """A week passes, in which tickets are opened and resolved."""
        for _ in range(tickets):
            self.tickets += 1
            opened = self.story.clock()
            await self.tell("opened", opened)
            await self.tell("resolved", opened + timedelta(hours=hours))
            if self.tickets % 5 == 0:
                await self.tell("returned", opened + timedelta(hours=hours + 1))
            await self.story.later(hours=84)
        await self.story.work()

    async def tell(self, event: str, at: datetime, ticket: str | None = None) -> None:
        body = {"ticket": ticket or f"T{self.tickets}", "event": event, "at": at.isoformat()}
        await self.story.send([body], connection="desk")


async def shown(story: Story, **options: Any) -> dict[str, KeyResultView]:
    return {name: await story.key_result(name, **options) for name in ("volume", "speed", "volume_well")}


async def cycle(story: Story, name: str) -> TeamCycleView:
    async with story.services.database.reading() as session:
        found = await cycles.get_cycle(session, TEAM, name, now=story.clock())
    assert found is not None
    return found


async def history(story: Story, name: str, cycle: str) -> list[SampleView]:
    async with story.services.database.reading() as session:
        found = await key_result_history(session, TEAM, name, now=story.clock(), cycle=cycle)
    assert found is not None
    return found


async def test_a_quarter_from_its_first_day_to_its_graded_close(story: Story) -> None:
    story.clock.set(START)
    await story.apply(FILE)
    assert {view.status for view in (await shown(story)).values()} == {"not_started"}
    assert (await cycle(story, "2026-Q4")).state == "upcoming"

    # The quarter runs: thirteen weeks, faster from week to week.
    story.clock.set(datetime(2026, 10, 1, 7, tzinfo=UTC))
    desk = Desk(story)
    for week in range(12):
        await desk.week(48 - 3 * week)
    middle = await story.key_result("volume", as_of=datetime(2026, 11, 15, 12, tzinfo=UTC))
    assert (middle.cycle.state, middle.status) == ("running", "on_track")
    assert middle.expected_progress is not None
    assert 0.49 < middle.expected_progress < 0.51

    # It ends, and is not closed: the values are those of its end, the verdicts stand.
    story.clock.set(datetime(2027, 1, 3, 9, tzinfo=UTC))
    await story.work()
    ended = await shown(story)
    assert {view.cycle.state for view in ended.values()} == {"ended"}
    assert {name: view.status for name, view in ended.items()} == {
        "volume": "met",
        "speed": "missed",
        "volume_well": "void",
    }
    assert (ended["volume"].value, ended["speed"].value) == (Decimal(24), Decimal("31.5"))

    # It is closed and graded.
    await close_cycle(story.services, TEAM, "2026-Q4", actor="dana", note="Q4 review")
    closed = await cycle(story, "2026-Q4")
    grades = {one.id: one.grade for one in closed.sealed_key_results or []}
    assert {name: (grade.outcome, grade.score) for name, grade in grades.items()} == {
        "support/volume": ("passed", Decimal(1)),
        "support/speed": ("scored", Decimal("0.45")),
        "support/volume_well": ("void", Decimal(0)),
    }
    (objective,) = closed.sealed_objectives or []
    assert objective.score == Decimal("0.47")  # (1 + 2 × 0.45 + 0) / 4, rounded down
    await override_grade(
        story.services,
        TEAM,
        "2026-Q4",
        "speed",
        score=Decimal("0.6"),
        outcome="scored",
        note="Two weeks of the tool's outage",
        actor="ada",
    )

    # The next quarter opens under the same names, and a ticket of the old one is told of late.
    story.clock.advance(timedelta(hours=1))
    await story.apply(FILE.replace("2026-Q4", "2027-Q1").replace("target: 24", "target: 30"))
    await desk.week(10)
    desk.tickets += 1
    await desk.tell("opened", datetime(2026, 12, 30, 8, tzinfo=UTC))
    await desk.tell("resolved", datetime(2026, 12, 30, 9, tzinfo=UTC))
    await story.work()
    story.clock.advance(RECHECK + timedelta(seconds=1))
    while await restate_due(story.services):
        pass
    now = await shown(story)
    assert {view.cycle.name for view in now.values()} == {"2027-Q1"}
    assert (now["volume"].value, now["volume"].target, now["volume"].grade) == (Decimal(2), Decimal(30), None)
    past = await shown(story, cycle="2026-Q4")
    assert (past["volume"].value, past["volume"].status) == (Decimal(24), "met")
    (restated,) = past["volume"].restatements
    assert (restated.value_now, restated.reason) == (Decimal(25), "late data: 1 record entered")
    grade = past["speed"].grade
    assert grade is not None
    assert (grade.score, grade.recommended.score) == (Decimal("0.6"), Decimal("0.45"))
    whole = await history(story, "volume", "all")
    assert {sample.cycle for sample in whole} == {"2026-Q4", "2027-Q1"}


async def test_a_pivot_at_mid_quarter_keeps_both_histories(story: Story) -> None:
    story.clock.set(datetime(2026, 10, 1, 7, tzinfo=UTC))
    await story.apply(FILE)
    desk = Desk(story)
    for _ in range(6):
        await desk.week(24)
    before = await story.key_result("volume")
    pivot = datetime(2026, 11, 15, 9, tzinfo=UTC)
    story.clock.set(pivot)
    await story.apply(
        FILE.replace(
            "volume: {metric: resolved, baseline: 0, target: 24}", "volume: {metric: hours, baseline: 24, target: 6}"
        ).replace("      speed: {metric: hours,", "      speed: {dropped: We measure it as volume now, metric: hours,")
    )
    story.clock.advance(timedelta(hours=1))
    for _ in range(4):
        await desk.week(6, tickets=3)

    after = await story.key_result("volume")
    assert (after.metric.id, after.value, after.target) == ("support/hours", Decimal(15), Decimal(6))
    then = await story.key_result("volume", as_of=pivot - timedelta(hours=1))
    assert (then.metric.id, then.value, then.target, then.progress) == (
        "support/resolved",
        before.value,
        Decimal(24),
        before.progress,
    )
    told = [sample for sample in await history(story, "volume", "2026-Q4") if sample.value is not None]
    counted = [sample for sample in told if sample.observed_at < pivot]
    timed = [sample for sample in told if sample.observed_at >= pivot]
    assert [sample.value for sample in counted] == [Decimal(number) for number in range(13)]
    assert [sample.progress for sample in counted] == [number / 24 for number in range(13)]
    assert timed
    assert all(sample.progress is not None and sample.progress >= 0 for sample in timed)
    dropped = await story.key_result("speed")
    assert (dropped.lifecycle, dropped.lifecycle_reason, dropped.status) == (
        "dropped",
        "We measure it as volume now",
        "unknown",
    )
    assert dropped.value is not None


async def test_met_but_void(story: Story) -> None:
    story.clock.set(datetime(2026, 10, 1, 7, tzinfo=UTC))
    await apply_organisation(story.services, {"version": 1, "name": "Acme"}, actor="ada")
    await story.apply(FILE)
    desk = Desk(story)
    for _ in range(2):
        await desk.week(24)
    broken_at = story.clock()
    for _ in range(9):
        await desk.week(24)
    view = await story.key_result("volume_well")
    assert (view.value, view.status) == (Decimal(22), "void")
    (guardrail,) = view.guardrails
    assert guardrail.holds is False
    assert guardrail.since is not None
    assert guardrail.since >= broken_at

    story.clock.set(datetime(2027, 1, 2, tzinfo=UTC))
    await story.work()
    await close_cycle(story.services, TEAM, "2026-Q4", actor="dana")
    grade = (await story.key_result("volume_well")).grade
    assert grade is not None
    assert (grade.outcome, grade.score) == ("void", Decimal(0))
    (breach,) = grade.recommended.breaches
    assert (breach.metric, breach.must, breach.until) == ("support/returned", "<= 10", None)
    assert grade.recommended.reason is not None
    assert "returned" in grade.recommended.reason
