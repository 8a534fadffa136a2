"""Asserted values, how old a value may pass for fresh, and lists that ask the database a fixed number of questions."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from app.errors import InvalidInput, NotFound
from app.services import read
from app.services.assert_value import assert_value, parse_day
from app.services.views import SampleView
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story, on_sqlite
from tests.services.test_deliveries import FILE as WEBHOOKS
from tests.services.test_deliveries import order

FILE = """
version: 1
team: support
timezone: America/New_York
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  orders: {connection: erp, entity: body.po, at: body.at}
metrics:
  mood: {unit: score, manual: {every: 14d}}
  whenever: {unit: score, manual: {}}
  ordered: {unit: orders, records: {dataset: orders}, window: all}
objectives:
  people:
    title: People
    cycle: 2026-Q4
    key_results:
      happy: {metric: mood, baseline: 3, target: 5}
      sometimes: {metric: whenever, baseline: 3, target: 5}
      orders: {metric: ordered, baseline: 0, target: 5, fresh_within: 2h}
"""


async def say(story: Story, day: str, value: str, *, metric: str = "mood", **options: Any) -> SampleView:
    return await assert_value(
        story.services, TEAM, metric, date.fromisoformat(day), Decimal(value), actor="dana", **options
    )


async def test_a_value_is_asserted_for_a_day_and_is_the_key_results(story: Story) -> None:
    await story.apply(FILE)
    happy = await story.key_result("happy")
    assert (happy.value, happy.status, happy.freshness.level) == (None, "unknown", "no_data")
    assert happy.reason == "no value has been asserted"

    sample = await say(story, "2026-11-22", "3.50", note="Survey", link="https://survey.example/7")
    assert (sample.value, sample.quality) == (Decimal("3.50"), "asserted")
    happy = await story.key_result("happy")
    assert (happy.value, happy.progress, happy.freshness.level) == (Decimal("3.50"), 0.25, "fresh")
    (record,) = (await story.explain("happy")).included
    assert (record.label, record.link) == ("asserted by dana: Survey", "https://survey.example/7")
    assert await story.rows("SELECT action, object_id FROM audit WHERE action = 'assert'") == [
        ("assert", "support/mood")
    ]


async def test_saying_the_same_again_changes_nothing_and_another_word_for_the_day_counts(story: Story) -> None:
    await story.apply(FILE)
    first = await say(story, "2026-11-22", "3.5")
    before = await story.dump()
    assert await say(story, "2026-11-22", "3.50") == first
    assert await story.dump() == before

    story.clock.advance(timedelta(minutes=1))
    second = await say(story, "2026-11-22", "4")
    assert (second.value, second.supersedes) == (Decimal(4), first.id)
    assert await story.value("happy") == 4
    assert await story.count("asserted_value") == 2


async def test_an_older_day_told_later_does_not_replace_a_newer_one(story: Story) -> None:
    await story.apply(FILE)
    await say(story, "2026-11-20", "4")
    await say(story, "2026-11-18", "1")
    assert await story.value("happy") == 4
    # Days end at the team's midnight: 05:00 UTC.
    assert await story.value("happy", as_of=datetime(2026, 11, 19, 4, 59, tzinfo=UTC)) is None
    assert await story.value("happy", as_of=datetime(2026, 11, 19, 5, 0, tzinfo=UTC)) == 1
    assert await story.value("happy", as_of=datetime(2026, 11, 21, 5, 0, tzinfo=UTC)) == 4


@on_sqlite
@pytest.mark.parametrize("day", ["2026-11-23", "2027-01-01"])
async def test_a_day_to_come_has_no_value_yet(story: Story, day: str) -> None:
    await story.apply(FILE)
    with pytest.raises(InvalidInput) as refused:
        await say(story, day, "4")
    assert [(error.pointer, error.code) for error in refused.value.errors] == [("/date", "future")]


async def test_today_is_the_teams_today(story: Story, clock: FakeClock) -> None:
    await story.apply(FILE)
    clock.set(datetime(2026, 11, 23, 4, 30, tzinfo=UTC))  # half past eleven at night in New York
    with pytest.raises(InvalidInput):
        await say(story, "2026-11-23", "4")
    await say(story, "2026-11-22", "4")
    assert await story.value("happy") == 4


async def test_only_manual_metrics_take_values(story: Story) -> None:
    await story.apply(FILE)
    with pytest.raises(InvalidInput):
        await say(story, "2026-11-22", "4", metric="ordered")
    with pytest.raises(NotFound):
        await say(story, "2026-11-22", "4", metric="nothing")
    assert await story.count("asserted_value") == 0


@pytest.mark.parametrize(
    "text", ["2026-11-31", "2026-1-1", "20261122", "22.11.2026", "", "2026-11-22T00:00", "١٩٩٩-٠١-٠١"]
)
def test_a_day_is_written_in_one_way(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_day(text)
    assert parse_day("2026-02-28") == date(2026, 2, 28)


# --- freshness -------------------------------------------------------------------------------------------------------


async def test_an_asserted_value_ages_from_its_day_whatever_is_edited_meanwhile(story: Story) -> None:
    await story.apply(FILE)
    await say(story, "2026-11-12", "4")
    assert (await story.key_result("happy")).freshness.level == "fresh"
    story.clock.advance(timedelta(days=5))
    await story.apply(FILE.replace("mood: {unit: score,", "mood: {unit: points,"))
    happy = await story.key_result("happy")
    assert (happy.freshness.level, happy.metric.revision) == ("stale", 2)
    assert "14d" in (happy.freshness.reason or "")
    await say(story, "2026-11-27", "4")
    assert (await story.key_result("happy")).freshness.level == "fresh"


async def test_a_late_word_about_an_old_day_is_no_fresh_value(story: Story) -> None:
    await story.apply(FILE)
    await say(story, "2026-09-30", "4")
    assert (await story.key_result("happy")).freshness.level == "stale"
    assert (await story.key_result("sometimes")).freshness.level == "no_data"


async def test_pushed_data_ages_from_the_last_accepted_delivery(story: Story) -> None:
    await story.apply(FILE)
    assert (await story.key_result("orders")).freshness.level == "no_data"
    await story.send([{"po": "A", "at": "2026-11-01T00:00:00Z"}])
    await story.work()
    story.clock.advance(timedelta(hours=2))
    assert (await story.key_result("orders")).freshness.level == "fresh"
    story.clock.advance(timedelta(minutes=1))  # the resolution of judgements
    orders = await story.key_result("orders")
    assert (orders.value, orders.freshness.level, orders.freshness.age_seconds) == (Decimal(1), "stale", 7260)
    await story.send([{"po": "A", "at": "2026-11-01T00:00:00Z"}])  # news of nothing new, but news
    await story.work()
    assert (await story.key_result("orders")).freshness.level == "fresh"


# --- one list, a few questions ---------------------------------------------------------------------------------------


async def statements_of_a_list(story: Story, key_results: int, *, must: str | None) -> tuple[int, int]:
    """How many statements a list of so many key results takes, and how many it lists."""
    guard = "" if must is None else f', guardrails: [{{metric: approved, must: "{must}"}}]'
    more = "".join(
        f"      extra_{number}: {{metric: {name}, baseline: 0, target: 10{guard}}}\n"
        for number, name in enumerate(("approved", "spent", "days", "direct") * key_results)
        if number < key_results
    )
    await story.apply(WEBHOOKS.replace("    key_results:\n", f"    key_results:\n{more}"), prune=True)
    await story.work()
    count = 0

    @event.listens_for(story.services.database.engine.sync_engine, "before_cursor_execute")
    def _count(*_: Any) -> None:
        nonlocal count
        count += 1

    async with story.services.database.reading() as session:
        found, _ = await read.list_key_results(session, read.KeyResultQuery(limit=1000), now=story.clock())
    event.remove(story.services.database.engine.sync_engine, "before_cursor_execute", _count)
    return count, len(found)


@pytest.mark.parametrize("must", [None, ">= 0", ">= 1000"], ids=["unguarded", "kept", "broken"])
async def test_a_list_takes_as_many_statements_for_many_key_results_as_for_few(story: Story, must: str | None) -> None:
    await story.apply(WEBHOOKS)
    await story.send([order("A", "approved", 3, 100), order("B", "approved", 3, 5)])
    few, few_found = await statements_of_a_list(story, 2, must=must)
    many, many_found = await statements_of_a_list(story, 60, must=must)
    assert (few_found, many_found) == (6, 64)
    assert many == few
    assert many <= (10 if must == ">= 1000" else 8)


async def test_pages_of_a_list_join_without_a_gap_or_a_double(story: Story) -> None:
    await statements_of_a_list(story, 20, must=None)
    seen, after = [], None
    while True:
        async with story.services.database.reading() as session:
            page, after = await read.list_key_results(
                session, read.KeyResultQuery(limit=7, after=after), now=story.clock()
            )
        seen += [view.id for view in page]
        if after is None:
            break
    assert seen == sorted(seen)
    assert len(seen) == len(set(seen)) == 24


@on_sqlite
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"metric": "spent"}, ["spending"]),
        ({"metric": "support/spent"}, ["spending"]),
        ({"objective": "support/o", "q": "SPEED"}, ["speed"]),
        ({"team": "other"}, []),
        ({"team": "other", "metric": "support/spent"}, []),
        ({"status": "unknown"}, ["speed", "straight"]),
        ({"cycle": "2026-Q3"}, []),
        ({"kind": "aspirational"}, []),
    ],
)
async def test_a_list_is_filtered(story: Story, query: dict[str, Any], expected: list[str]) -> None:
    await story.apply(WEBHOOKS)
    await story.send([order("A", "requested", 3)])
    await story.work()
    async with story.services.database.reading() as session:
        found, _ = await read.list_key_results(session, read.KeyResultQuery(**query), now=story.clock())
    assert [view.id for view in found] == [f"support/{name}" for name in expected]
