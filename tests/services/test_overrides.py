"""A person's value in the place of an automated one: visible, explained, and gone with the next change."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.errors import InvalidInput
from app.services.assert_value import assert_value
from app.services.views import SampleView
from tests.services.story import TEAM, Story, on_sqlite
from tests.services.test_close import FILE as ORDERS
from tests.services.test_close import close, order, tell

FILE = (
    ORDERS.replace(
        "largest: {", "doubled: {unit: orders, formula: sold * 2}\n  mood: {unit: score, manual: {}}\n  largest: {"
    )
    + "      twice: {metric: doubled, baseline: 0, target: 8}\n"
)
TODAY = date(2026, 11, 22)


async def override(story: Story, value: str, *, day: date = TODAY, metric: str = "sold", **options: Any) -> SampleView:
    given: dict[str, Any] = {"note": "Two were cancelled by phone", "override": True, "actor": "dana"} | options
    return await assert_value(story.services, TEAM, metric, day, Decimal(value), **given)


async def an_override(story: Story) -> None:
    await story.apply(FILE)
    await tell(story, *(order(f"o{day}", f"2026-11-{day:02}T12:00:00Z") for day in (3, 5, 9)))
    story.clock.advance(timedelta(hours=1))
    await override(story, "1")


async def test_an_override_is_the_value_and_says_whose_it_is(story: Story) -> None:
    await an_override(story)
    sales = await story.key_result("sales")
    assert (sales.value, sales.progress) == (Decimal(1), 0.25)
    assert sales.override is not None
    assert (sales.override.by, sales.override.automated_value) == ("dana", Decimal(3))
    assert sales.override.note == "Two were cancelled by phone"
    assert (await story.key_result("twice")).value == 2
    explained = await story.explain("sales")
    assert (explained.value, explained.override) == (Decimal(1), sales.override)
    assert await story.rows("SELECT action, reason FROM audit WHERE action = 'override'") == [
        ("override", "Two were cancelled by phone")
    ]


async def test_an_override_outlasts_evaluations_and_ends_with_the_next_change(story: Story) -> None:
    await an_override(story)
    await story.later(hours=3)
    assert (await story.value("sales"), await story.value("twice")) == (Decimal(1), Decimal(2))
    await tell(story, order("more", "2026-11-22T12:00:00Z"))
    sales = await story.key_result("sales")
    assert (sales.value, sales.override) == (Decimal(4), None)
    assert await story.value("twice") == 8

    # What was shown then can be shown again.
    then = await story.key_result("sales", as_of=datetime(2026, 11, 22, 11, tzinfo=UTC))
    assert then.override is not None
    assert (then.value, then.override.automated_value) == (Decimal(1), Decimal(3))
    before = await story.key_result("sales", as_of=datetime(2026, 11, 22, 10, tzinfo=UTC))
    assert (before.value, before.override) == (Decimal(3), None)


async def test_another_word_takes_the_place_of_the_first_and_the_same_changes_nothing(story: Story) -> None:
    await an_override(story)
    before = await story.dump()
    await override(story, "1")
    assert await story.dump() == before
    story.clock.advance(timedelta(minutes=1))
    await override(story, "2", note="One came back")
    sales = await story.key_result("sales")
    assert sales.override is not None
    assert (sales.value, sales.override.automated_value) == (Decimal(2), Decimal(3))


async def test_an_override_in_force_at_the_end_is_what_is_sealed(story: Story) -> None:
    await an_override(story)
    story.clock.set(datetime(2027, 1, 2, tzinfo=UTC))
    await story.work()
    await close(story)
    sales = await story.key_result("sales")
    assert sales.override is not None
    assert sales.grade is not None
    assert (sales.value, sales.override.by, sales.grade.outcome) == (Decimal(1), "dana", "failed")


@on_sqlite
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"note": None}, "required"),
        ({"day": date(2026, 11, 21)}, "today"),
        ({"metric": "mood"}, "manual"),
        ({"override": False}, "not_manual"),
    ],
)
async def test_what_is_no_override_is_refused(story: Story, options: dict[str, Any], code: str) -> None:
    await story.apply(FILE)
    await tell(story, order("o", "2026-11-03T12:00:00Z"))
    with pytest.raises(InvalidInput) as refused:
        await override(story, "1", **options)
    assert refused.value.errors[0].code == code


async def test_the_last_days_value_counts_at_the_cycles_end(story: Story) -> None:
    await story.apply(FILE + "      happy: {metric: mood, baseline: 1, target: 5}\n")
    story.clock.set(datetime(2027, 1, 2, tzinfo=UTC))
    await assert_value(story.services, TEAM, "mood", date(2026, 12, 31), Decimal(5), actor="dana")
    await assert_value(story.services, TEAM, "mood", date(2027, 1, 1), Decimal(2), actor="dana")
    happy = await story.key_result("happy")
    assert (happy.value, happy.status) == (Decimal(5), "met")
