"""Terms that change at mid-cycle hold from then on: past points keep their target, baseline, guardrails and metric."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.services.read import key_result_history
from app.services.views import SampleView
from tests.services.story import TEAM, Story
from tests.services.test_close import FILE, Q4, close, order, tell

THEN = datetime(2026, 11, 22, 10, tzinfo=UTC)


async def history(story: Story, name: str = "sales", cycle: str | None = None) -> list[SampleView]:
    async with story.services.database.reading() as session:
        found = await key_result_history(session, TEAM, name, now=story.clock(), cycle=cycle)
    assert found is not None
    return found


async def two_orders(story: Story, file: str = FILE) -> None:
    await story.apply(file)
    await tell(story, order("o1", "2026-11-03T12:00:00Z"), order("o2", "2026-11-05T12:00:00Z", 120))


async def test_a_changed_target_holds_from_then_on(story: Story) -> None:
    await two_orders(story)
    story.clock.advance(timedelta(days=5))
    await story.apply(FILE.replace("target: 4", "target: 8"))
    await tell(story, order("o3", "2026-11-26T12:00:00Z"))
    now = await story.key_result("sales")
    assert (now.target, now.value, now.progress) == (Decimal(8), Decimal(3), 0.375)
    then = await story.key_result("sales", as_of=THEN)
    assert (then.target, then.value, then.progress) == (Decimal(4), Decimal(2), 0.5)
    known = await story.key_result("sales", known_at=THEN)
    assert known.target == 4
    assert [(sample.value, sample.progress) for sample in await history(story) if sample.value] == [
        (Decimal(2), 0.5),
        (Decimal(3), 0.375),
    ]
    assert (await story.explain("sales", as_of=THEN)).target == 4


async def test_what_a_budget_meant_in_the_past_is_where_it_was_heading(story: Story) -> None:
    few = "few: {metric: sold, baseline: 8, target: 2}"
    await two_orders(story, FILE.replace("      cheap:", f"      {few}\n      cheap:"))
    shown = await story.key_result("few")
    assert shown.value == 2
    assert shown.projected_value is not None
    assert 3 < shown.projected_value < 4
    [newest] = [sample for sample in await history(story, "few") if sample.value == 2]
    assert newest.progress == pytest.approx(shown.progress)  # and not 1, as if its target were reached


async def test_a_change_that_is_taken_back_is_two_changes_and_another_title_is_none(story: Story) -> None:
    await two_orders(story)
    for days, target in ((1, "8"), (1, "4")):
        story.clock.advance(timedelta(days=days))
        await story.apply(FILE.replace("target: 4", f"target: {target}"))
    await story.apply(FILE.replace("target: 4", "title: Sales, target: 4"))
    assert [
        (await story.key_result("sales", as_of=datetime(2026, 11, day, 12, tzinfo=UTC))).target for day in (22, 23, 24)
    ] == [4, 8, 4]
    sales = await story.rows(
        "SELECT count(*) FROM key_result_terms t JOIN key_result k ON k.id = t.key_result_id WHERE k.name = 'sales'"
    )
    assert sales == [(3,)]


async def test_guardrails_are_those_of_the_time(story: Story) -> None:
    await two_orders(story)
    assert (await story.key_result("cheap")).status == "void"
    story.clock.advance(timedelta(days=2))
    await story.apply(FILE.replace('"<= 100"', '"<= 150"'))
    assert (await story.key_result("cheap")).status == "met"
    (guardrail,) = (await story.key_result("cheap", as_of=THEN)).guardrails
    assert (guardrail.must, guardrail.holds) == ("<= 100", False)


async def test_a_measured_baseline_that_is_replaced_stays_with_its_terms(story: Story) -> None:
    measured = FILE.replace("sales: {metric: sold, baseline: 0,", "sales: {metric: sold, baseline: {measure: 2026-Q3},")
    await story.apply(measured)
    await tell(
        story,
        order("a", "2026-08-03T12:00:00Z"),
        order("b", "2026-05-03T12:00:00Z"),
        order("c", "2026-05-04T12:00:00Z"),
    )
    await story.later(hours=1)
    assert (await story.key_result("sales")).baseline == 1
    then = story.clock.advance(timedelta(days=1))
    await story.apply(measured.replace("2026-Q3", "2026-Q2"))
    await story.later(hours=1)
    assert (await story.key_result("sales")).baseline == 2
    assert (await story.key_result("sales", as_of=then - timedelta(hours=1))).baseline == 1


async def test_a_pivot_keeps_both_histories(story: Story) -> None:
    await two_orders(story)
    story.clock.advance(timedelta(days=5))
    pivot = FILE.replace(
        "sales: {metric: sold, baseline: 0, target: 4,", "sales: {metric: largest, baseline: 0, target: 480,"
    )
    await story.apply(pivot)
    await tell(story, order("o3", "2026-11-26T12:00:00Z", 240))
    now = await story.key_result("sales")
    assert (now.metric.id, now.value, now.progress) == ("support/largest", Decimal(240), 0.5)
    then = await story.key_result("sales", as_of=THEN)
    assert (then.metric.id, then.value, then.target, then.progress) == ("support/sold", Decimal(2), Decimal(4), 0.5)
    told = [(sample.value, sample.progress) for sample in await history(story) if sample.value]
    assert told == [(Decimal(2), 0.5), (Decimal(240), 0.5)]


async def test_a_key_result_lives_on_under_its_name_with_the_history_of_every_cycle(story: Story) -> None:
    await two_orders(story)
    story.clock.set(datetime(2027, 1, 4, tzinfo=UTC))
    await close(story)
    await story.apply(FILE.replace(Q4, "2027-Q1").replace("target: 4", "target: 10"))
    await tell(story, order("n1", "2027-01-02T12:00:00Z"))
    newest = (await history(story))[-1]
    assert (newest.value, newest.progress, newest.cycle) == (Decimal(1), 0.1, "2027-Q1")
    assert [
        (sample.value, sample.progress, sample.cycle) for sample in await history(story, cycle="all") if sample.value
    ] == [
        (Decimal(2), 0.5, Q4),
        (Decimal(1), 0.1, "2027-Q1"),
    ]
    past = await history(story, cycle=Q4)
    assert [sample.value for sample in past if sample.value] == [Decimal(2)]
    assert (await story.key_result("sales", cycle=Q4)).grade is not None
