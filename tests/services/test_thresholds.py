"""No float decides: what a float would round to the wrong side of a threshold, from the delivery to the status."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.conftest import FakeClock
from tests.services.story import Story

FILE = """
version: 1
team: support
timezone: {zone}
calendar: {{holidays: DE-BE, half_days: [11-20]}}
connections:
  erp: {{connector: webhook, verify: {{scheme: standard-webhooks, secret: {{env: ERP_SECRET}}}}}}
datasets:
  events: {{connection: erp, entity: body.id, at: body.at, event: body.event}}
metrics:
  total: {{unit: EUR, records: {{dataset: events, where: "record.event == 'paid'", value: record.body.n}}, aggregate: sum, window: all}}
  good:
    unit: percent
    ratio:
      good: {{records: {{dataset: events, where: "record.event == 'good'"}}}}
      total: {{records: {{dataset: events, where: "record.event in ['good', 'bad']"}}}}
    window: all
  days: {{unit: business_days, duration: {{dataset: events, from: {{event: open}}, to: {{event: done}}}}, aggregate: avg, window: all}}
objectives:
  exact:
    title: Exact
    cycle: 2026-Q4
    key_results:
      tenths: {{metric: total, baseline: 0, target: 0.3}}
      up: {{metric: good, target: {{maintain: ">= 99.9"}}}}
      above: {{metric: good, target: {{maintain: "> 99.9"}}}}
      quick: {{metric: days, baseline: 1.25, target: 0.25}}
"""  # noqa: E501


def event(number: int, name: str, at: str = "2026-11-10T08:00:00Z", n: str = "null") -> bytes:
    return f'{{"id": "{number}", "event": "{name}", "at": "{at}", "n": {n}}}'.encode()


async def test_tenths_add_up_and_999_of_1000_is_enough(story: Story, clock: FakeClock) -> None:
    await story.apply(FILE.format(zone="Europe/Berlin"))
    await story.send([event(1, "paid", n="0.1"), event(2, "paid", n="0.2")])
    await story.send([event(10 + number, "good" if number else "bad") for number in range(1000)])
    clock.advance(timedelta(minutes=1))
    await story.work()
    assert 0.1 + 0.2 > 0.3  # what a float would say
    tenths = await story.key_result("tenths")
    assert (tenths.value, tenths.progress, tenths.status) == (Decimal("0.3"), 1, "met")
    assert (await story.key_result("up")).status == "on_track"
    assert (await story.key_result("above")).status == "at_risk"


@pytest.mark.parametrize(
    ("zone", "offset"), [("Etc/GMT+12", "-12:00"), ("Pacific/Kiritimati", "+14:00"), ("Europe/Berlin", "+01:00")]
)
async def test_friday_afternoon_to_monday_morning_is_a_quarter_of_a_day(
    story: Story, clock: FakeClock, zone: str, offset: str
) -> None:
    await story.apply(FILE.format(zone=zone))
    friday, monday = f"2026-11-13T16:00:00{offset}", f"2026-11-16T10:00:00{offset}"
    await story.send([event(1, "open", friday), event(1, "done", monday)])
    clock.advance(timedelta(minutes=1))
    await story.work()
    quick = await story.key_result("quick")
    assert (quick.value, quick.status) == (Decimal("0.25"), "met")

    # The 20th is a day of which half is worked: from nine to one.
    evening, afternoon = f"2026-11-19T17:00:00{offset}", f"2026-11-20T16:00:00{offset}"
    await story.send([event(2, "open", evening), event(2, "done", afternoon)])
    clock.advance(timedelta(minutes=1))
    await story.work()
    assert await story.value("quick") == Decimal("0.375")  # the mean of a quarter and a half
