"""Why a number is another one than it was: the causes, each with what it adds, and together the whole difference."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.errors import InvalidInput
from app.services import explain_delta
from app.services.assert_value import assert_value
from app.services.tick_milestone import tick_milestone
from app.services.views import ExplainDelta
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story, on_sqlite
from tests.services.test_deliveries import FILE, order

DAY = timedelta(days=1)


def at(number: int, hour: int = 12) -> datetime:
    return datetime(2026, 11, number, hour, tzinfo=UTC)


async def delta(story: Story, name: str, **options: Any) -> ExplainDelta:
    found = (await story.explain(name, **options)).delta
    assert found is not None
    return found


def told(found: ExplainDelta) -> list[tuple[Any, ...]]:
    return [(one.cause, one.count, one.contribution) for one in found.causes]


def assert_adds_up(found: ExplainDelta) -> None:
    """The causes lead from the value before to that of now, and what they add is the difference."""
    value = found.value_before
    for cause in found.causes:
        assert cause.value_before == value
        value = cause.value_after
    assert value == found.value_now
    if all(one.contribution is not None for one in found.causes) and found.value_before is not None:
        added = sum((one.contribution or Decimal(0) for one in found.causes), Decimal(0))
        assert found.value_before + added == pytest.approx(found.value_now, abs=Decimal("1e-20"))


async def spend(story: Story, clock: FakeClock) -> None:
    """Two orders by the 10th; then one that is late, one that is new, one that is late and corrected."""
    clock.set(at(10))
    await story.apply(FILE)
    await story.send([order("A", "approved", 3, 100), order("B", "approved", 9, 20)])
    await story.work()
    clock.set(at(15))
    await story.send([order("C", "approved", 8, 7)])  # of before the 10th, told after it
    await story.send([order("D", "approved", 14, 30), order("D", "returned", 15, 500)])
    clock.advance(timedelta(minutes=1))
    await story.work()


async def test_late_data_is_told_from_what_happened_since(story: Story, clock: FakeClock) -> None:
    await spend(story, clock)
    found = await delta(story, "spending")
    assert (found.value_before, found.value_now) == (120, 157)
    assert told(found) == [("late_data", 1, 7), ("entered", 1, 30)]
    late, entered = found.causes
    assert [(one.change, one.entity, one.value_before, one.value_now) for one in late.records] == [
        ("entered", "C", None, 7)
    ]
    assert [one.entity for one in entered.records] == ["D"]
    # On the whole both have entered.
    assert (found.counts, [one.entity for one in found.entered]) == (
        {"entered": 2, "left": 0, "changed": 0},
        ["C", "D"],
    )
    assert not found.rule_changed
    assert_adds_up(found)


async def test_since_names_a_moment_or_a_sample(story: Story, clock: FakeClock) -> None:
    await spend(story, clock)
    clock.set(at(18))
    await story.send([order("E", "approved", 17, 3)])
    clock.advance(timedelta(minutes=1))
    await story.work()
    assert told(await delta(story, "spending")) == [("entered", 1, 3)]
    week = await delta(story, "spending", since=at(12))
    assert told(week) == [("late_data", 1, 7), ("entered", 2, 33)]
    assert (week.value_before, week.since) == (120, at(10))
    assert await delta(story, "spending", since=week.since_sample) == week
    # Before the first value there was none: the first one is the earliest to compare with.
    first = await delta(story, "spending", since=at(1))
    assert first.value_before == 0
    assert_adds_up(first)
    with pytest.raises(InvalidInput):
        await story.explain("spending", since=10**6)
    ((other,),) = await story.rows(
        "SELECT min(s.id) FROM sample s JOIN metric m ON m.id = metric_id WHERE name = 'days'"
    )
    with pytest.raises(InvalidInput):
        await story.explain("spending", since=other)


async def test_another_rule_is_told_by_the_old_one_on_todays_records(story: Story, clock: FakeClock) -> None:
    await spend(story, clock)
    clock.set(at(16))
    await story.apply(FILE.replace("record.event == 'approved'\", value", "record.event != 'requested'\", value"))
    await story.work()
    clock.set(at(17))
    # The old rule is served no more when these come: what it would make of them is told all the same.
    await story.send([order("F", "approved", 17, 1000), order("F", "returned", 17, 2), order("B", "approved", 9, 4)])
    clock.advance(timedelta(minutes=1))
    await story.work()
    found = await delta(story, "spending", since=at(12))
    assert (found.value_before, found.value_now) == (120, 1663)
    assert told(found) == [("late_data", 2, 11), ("entered", 2, 1030), ("rule_changed", 2, 502)]
    rule = found.causes[-1]
    assert [(one.change, one.entity, one.value_now) for one in rule.records] == [
        ("entered", "D", 500),
        ("entered", "F", 2),
    ]
    assert (rule.before, rule.now) == ("revision 1 by dana", "revision 2 by dana, 2026-11-16 12:00 UTC")
    assert found.rule_changed
    assert_adds_up(found)


async def test_records_leave_and_change_too_and_a_mean_adds_up_in_steps(story: Story, clock: FakeClock) -> None:
    clock.set(at(20))
    await story.apply(FILE.replace("trailing: 90d", "trailing: 7d"))
    await story.send(
        [
            order("A", "requested", 1),
            order("A", "approved", 14),
            order("B", "requested", 10),
            order("B", "approved", 18),
        ]
    )
    clock.advance(timedelta(minutes=1))
    await story.work()
    assert await story.value("speed") == Decimal("10.5")
    clock.set(at(22))
    await story.send(
        [order("B", "approved", 21), order("C", "requested", 20), order("C", "approved", 22)]  # A is past the window
    )
    clock.advance(timedelta(minutes=1))
    await story.work()
    found = await delta(story, "speed", since=at(21))
    assert [(one.cause, one.value_before, one.value_after) for one in found.causes] == [
        ("left", Decimal("10.5"), 8),
        ("changed", 8, 11),
        ("entered", 11, Decimal("6.5")),
    ]
    ((changed,),) = [one.records for one in found.causes if one.cause == "changed"]
    assert (changed.entity, changed.value_before, changed.value_now) == ("B", 8, 11)
    assert_adds_up(found)


async def test_the_progress_of_then_is_told_beside_the_value(story: Story, clock: FakeClock) -> None:
    await story.apply(FILE)
    await story.send([order("A", "approved", 3)])
    clock.advance(DAY)
    await story.work()
    clock.advance(DAY)
    await story.send([order("B", "approved", 4)])
    await story.work()
    found = await delta(story, "approvals")
    assert (found.value_before, found.progress_before, found.value_now) == (1, 0.1, 2)


@on_sqlite
async def test_of_too_many_records_the_values_are_told_and_why_no_more(
    story: Story, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spend(story, clock)
    monkeypatch.setattr(explain_delta, "MOST_COMPARED", 2)
    found = await delta(story, "spending")
    assert (found.value_before, found.value_now, found.causes) == (120, 157, [])
    assert found.reason == "more than 2 records: they are not compared one by one"


@on_sqlite
async def test_lists_are_capped_and_counts_are_whole(story: Story, clock: FakeClock) -> None:
    clock.set(at(10))
    await story.apply(FILE)
    clock.set(at(15))
    await story.send([order(f"P{number:02}", "approved", 12, 1) for number in range(12)])
    await story.work()
    (entered,) = (await delta(story, "spending", limit=5)).causes
    assert (entered.count, len(entered.records), entered.contribution) == (12, 5, 12)


# --- numbers that are not made of records ----------------------------------------------------------------------------

OTHERS = """
version: 1
team: support
metrics:
  spend: {unit: EUR, manual: {every: 14d}}
  heads: {unit: people, manual: {every: 14d}}
  per_head: {unit: EUR/people, formula: spend / heads}
  cutover:
    unit: percent
    milestones:
      - {name: data migrated, weight: 3, done: manual}
      - {name: go-live, weight: 1, done: manual}
objectives:
  o:
    title: O
    cycle: 2026-Q4
    key_results:
      cheap: {metric: per_head, baseline: 200, target: 100}
      live: {metric: cutover, baseline: 0, target: 100}
      frugal: {metric: spend, baseline: 2000, target: 1000}
"""


async def test_a_formula_changes_by_its_inputs_and_then_by_its_rule(story: Story, clock: FakeClock) -> None:
    clock.set(at(10))
    await story.apply(OTHERS)
    for metric, value in (("spend", 1200), ("heads", 8)):
        await assert_value(story.services, TEAM, metric, date(2026, 11, 9), Decimal(value), actor="dana")
    clock.set(at(12))
    for metric, value in (("spend", 1500), ("heads", 10)):
        await assert_value(story.services, TEAM, metric, date(2026, 11, 11), Decimal(value), actor="dana")
    clock.set(at(13))
    await story.apply(OTHERS.replace("spend / heads}", "2 * spend / heads}"))
    await story.work()
    found = await delta(story, "cheap", since=at(11))
    assert [(one.cause, one.name, one.before, one.contribution) for one in found.causes] == [
        ("input", "spend", "1200", Decimal("37.5")),
        ("input", "heads", "8", Decimal("-37.5")),
        ("rule_changed", None, "revision 1 by dana", 150),
    ]
    assert_adds_up(found)


async def test_milestones_and_asserted_values_change_by_whose_word(story: Story, clock: FakeClock) -> None:
    clock.set(at(10))
    await story.apply(OTHERS)
    await assert_value(story.services, TEAM, "spend", date(2026, 11, 8), Decimal(1800), actor="dana")
    clock.set(at(12))
    await tick_milestone(story.services, TEAM, "cutover", "data migrated", is_done=True, actor="dana")
    await assert_value(story.services, TEAM, "spend", date(2026, 11, 9), Decimal(1700), actor="lee", note="Corrected")
    await story.work()
    live = await delta(story, "live", since=at(11))
    assert [(one.cause, one.name, one.before, one.now, one.contribution) for one in live.causes] == [
        ("milestone", "data migrated", "not done", "done", 75)
    ]
    # Of the 9th, and told on the 12th: late.
    frugal = await delta(story, "frugal", since=at(11))
    assert [(one.cause, one.before, one.now, one.detail, one.contribution) for one in frugal.causes] == [
        ("late_data", "1800 for 2026-11-08 by dana", "1700 for 2026-11-09 by lee", "Corrected", -100)
    ]
