"""Health checks: what is gathered for them, made once at mid-cycle, kept as they were made."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import event

from app.services.assert_value import assert_value
from app.services.check_ins import check_in
from app.services.context import Services
from app.services.health_check import make_due_health_checks, make_health_check, read_health_check
from app.services.views import HealthCheckView, KeyResultHealthView
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story

FILE = """
version: 1
team: support
timezone: UTC
metrics:
  mood: {unit: score, manual: {every: 31d}}
  speed: {unit: days, manual: {every: 31d}}
  staff: {unit: people, manual: {every: 31d}}
  spread: {unit: score, formula: mood + load}
  load: {unit: score, formula: mood * 2}
objectives:
  people:
    title: People
    cycle: 2026-Q4
    key_results:
      happy: {metric: mood, baseline: 3, target: 8}
      fast: {metric: speed, baseline: 10, target: 5, guardrails: [{metric: staff, must: ">= 40"}]}
      wide: {metric: spread, baseline: 0, target: 100}
      later: {metric: speed, baseline: 10, target: 2, paused: "Until January"}
"""


async def say(services: Services, metric: str, day: str, value: str) -> None:
    moment = datetime.fromisoformat(day).date()
    await assert_value(services, TEAM, metric, moment, Decimal(value), actor="dana")


async def prepared(story: Story) -> None:
    await story.apply(FILE)
    await say(story.services, "mood", "2026-09-30", "8")  # the target was met at the end of the third quarter
    await say(story.services, "mood", "2026-10-10", "5")
    await say(story.services, "mood", "2026-11-15", "6")
    for day in ("2026-10-02", "2026-11-20"):
        await say(story.services, "speed", day, "5")
        await say(story.services, "staff", day, "39")
    await story.work()


async def read(story: Story, **options: Any) -> HealthCheckView:
    async with story.services.database.reading() as session:
        found = await read_health_check(session, TEAM, now=story.clock(), **options)
    assert found is not None
    return found


def named(view: HealthCheckView, name: str) -> KeyResultHealthView:
    (found,) = (item for item in view.key_results if item.id == f"{TEAM}/{name}")
    return found


def codes(health: KeyResultHealthView) -> set[str]:
    return {finding.code for finding in health.findings}


async def test_findings_come_from_history_earlier_cycles_guardrails_and_words(story: Story) -> None:
    await prepared(story)
    await check_in(story.services, TEAM, "happy", note="Going well", confidence=Decimal("0.8"), actor="dana")
    view = await read(story)
    assert (view.id, view.is_stored, view.cycle.name) == (None, False, "2026-Q4")
    assert 0.5 < view.elapsed < 0.6
    happy = named(view, "happy")
    assert (happy.value, happy.progress, happy.status) == (Decimal(6), 0.6, "on_track")
    assert [finding.message for finding in happy.findings if finding.code == "sandbagging"] == [
        "the target of 8 was met before: 2026-Q3 (8)",
        "the target of 8 was reached on day 1 of 92, in the first third",
    ]
    assert "no_check_in" not in codes(happy)
    assert happy.check_in is not None
    assert happy.check_in.note == "Going well"
    assert happy.proposal == "re_scope"

    fast = named(view, "fast")
    assert {"guardrail_breached", "sandbagging", "no_check_in"} <= codes(fast)
    assert any("first third" in finding.message for finding in fast.findings)
    assert fast.guardrails[0].since == datetime(2026, 10, 3, tzinfo=UTC)

    wide = named(view, "wide")
    assert (wide.value, wide.forecast_reason is None or wide.forecast is None) == (Decimal(18), True)
    later = named(view, "later")
    assert (later.lifecycle, "paused" in codes(later)) == ("paused", True)
    assert view.proposals["keep"] + view.proposals["re_scope"] + view.proposals["drop"] == 4


async def test_moved_goalposts_are_counted_since_the_cycle_began(story: Story) -> None:
    await prepared(story)
    for target in (9, 10, 7):
        await story.apply(FILE.replace("baseline: 3, target: 8", f"baseline: 3, target: {target}"))
    await story.apply(FILE.replace("baseline: 3, target: 8", "baseline: 3, target: 7, owner: dana"))
    happy = named(await read(story), "happy")
    assert happy.edits == 3
    assert "edited" in codes(happy)
    assert named(await read(story), "fast").edits == 0


async def test_one_is_made_at_mid_cycle_once_however_many_workers_look(story: Story, clock: FakeClock) -> None:
    clock.set(datetime(2026, 11, 10, tzinfo=UTC))
    await story.apply(FILE)
    assert await make_due_health_checks(story.services) == 0  # the middle is on the 16th
    clock.set(datetime(2026, 11, 16, 0, 30, tzinfo=UTC))
    made = await asyncio.gather(*(make_due_health_checks(story.services) for _ in range(4)))
    assert sum(made) == 1
    kept = await read(story)
    assert (kept.is_stored, kept.made_by, kept.made_at) == (True, "krsync", clock())
    clock.advance(timedelta(days=20))
    assert await make_due_health_checks(story.services) == 0
    assert await story.count("health_check") == 1
    # What was made stays as it was made, whatever happens to the team.
    await say(story.services, "mood", "2026-11-30", "7")
    assert await read(story) == kept


async def test_one_made_by_hand_is_the_newest_and_audited(story: Story, clock: FakeClock) -> None:
    await prepared(story)
    made = await make_health_check(story.services, TEAM, actor="dana")
    assert (made.is_stored, made.made_by) == (True, "dana")
    assert await read(story) == made
    assert await story.rows("SELECT actor, object_id FROM audit WHERE object_kind = 'health_check'") == [
        ("dana", f"{TEAM}/2026-Q4")
    ]
    # Those who make it at mid-cycle make theirs all the same.
    assert await make_due_health_checks(story.services) == 1
    clock.advance(timedelta(minutes=1))
    again = await make_health_check(story.services, TEAM, actor="dana")
    assert (await read(story)).id == again.id


async def test_it_costs_a_fixed_number_of_statements(story: Story) -> None:
    async def statements(key_results: int) -> int:
        many = "".join(f"      kr_{n}: {{metric: mood, baseline: 3, target: {9 + n}}}\n" for n in range(key_results))
        await story.apply(FILE + many, prune=True)
        await story.work()
        story.clock.advance(timedelta(hours=1))  # forecasts are kept until it ends
        count = 0

        @event.listens_for(story.services.database.engine.sync_engine, "before_cursor_execute")
        def _count(*_: Any) -> None:
            nonlocal count
            count += 1

        await read(story)
        event.remove(story.services.database.engine.sync_engine, "before_cursor_execute", _count)
        return count

    await prepared(story)
    assert await statements(40) == await statements(2)
