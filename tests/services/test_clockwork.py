"""What moves with the clock alone, when one metric of many can not be evaluated."""

from datetime import datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.services import clockwork
from app.services.clockwork import evaluate_due
from tests.conftest import FakeClock
from tests.services.story import Story

FILE = """
version: 1
team: support
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  orders: {connection: erp, entity: body.po, at: body.at, event: body.event}
metrics:
  this_day: {unit: orders, records: {dataset: orders}, window: {trailing: 1d}}
  broken: {unit: orders, records: {dataset: orders}, window: {trailing: 1d}}
objectives:
  orders:
    title: Orders that arrive
    cycle: 2026-Q4
    key_results:
      today: {metric: this_day, baseline: 10, target: 0}
      broken: {metric: broken, baseline: 10, target: 0}
"""


async def test_a_metric_that_can_not_be_evaluated_holds_up_no_other(
    story: Story, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story.apply(FILE)
    await story.send({"po": "A", "event": "placed", "at": clock().isoformat()})
    await story.work()
    ((broken,),) = await story.rows("SELECT id FROM metric WHERE name = 'broken'")
    evaluate = clockwork.evaluate

    async def fails_on_one(session: Any, metric_ids: Any, *, now: datetime) -> Any:
        if broken in metric_ids:
            raise ArithmeticError("a bug of ours")
        return await evaluate(session, metric_ids, now=now)

    monkeypatch.setattr(clockwork, "evaluate", fails_on_one)
    clock.advance(2 * clockwork.LONGEST_REST * 24)
    with capture_logs() as logs:
        assert await evaluate_due(story.services) == 2
    assert [entry["metric"] for entry in logs if entry["event"] == "clockwork.metric_failed"] == [broken]
    assert await story.value("today") == 0  # the order is of the day before yesterday by now
    assert await evaluate_due(story.services) == 0  # the broken one rests instead of being tried without end

    monkeypatch.setattr(clockwork, "evaluate", evaluate)
    clock.advance(clockwork.LONGEST_REST)
    assert await evaluate_due(story.services) == 2
    assert await story.value("broken") == 0
