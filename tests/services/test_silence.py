"""A source that never said anything: what it counts is 0, and nothing is judged by that."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.conftest import FakeClock
from tests.services.story import Story

FILE = """
version: 1
team: support
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  faults: {connection: erp, entity: body.id, at: body.at}
metrics:
  faults: {unit: faults, records: {dataset: faults}, window: all}
  doubled: {unit: faults, formula: 2 * faults}
objectives:
  quiet:
    title: Fewer faults
    cycle: 2026-Q4
    key_results:
      fewer: {metric: faults, baseline: 20, target: 2}
      none_at_all: {metric: faults, target: {maintain: "<= 3"}}
      by_formula: {metric: doubled, baseline: 20, target: 2}
"""
NAMES = ("fewer", "none_at_all", "by_formula")


async def test_silence_is_never_green(story: Story, clock: FakeClock) -> None:
    await story.apply(FILE)
    await story.work()
    for name in NAMES:
        found = await story.key_result(name)
        # A count over no records is 0; by itself that would meet each of the targets.
        assert (found.value, found.freshness.level) == (Decimal(0), "no_data")
        assert (found.status, found.progress, found.compliance) == ("unknown", None, None)
        assert found.reason == "nothing has come from the source yet"
        assert found.headline.tone == "silent"

    await story.send([{"id": "1", "at": "2026-11-20T08:00:00Z"}])
    clock.advance(timedelta(minutes=1))
    await story.work()
    for name, status in (("fewer", "met"), ("none_at_all", "on_track"), ("by_formula", "met")):
        found = await story.key_result(name)
        assert (found.status, found.freshness.level, found.reason) == (status, "fresh", None)


async def test_a_cycle_that_nothing_was_heard_of_ends_unknown(story: Story, clock: FakeClock) -> None:
    await story.apply(FILE)
    clock.set(datetime(2027, 1, 2, tzinfo=UTC))
    await story.work()
    for name in NAMES:
        assert (await story.key_result(name)).status == "unknown"
