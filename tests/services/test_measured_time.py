"""Time that is measured: how long a service was up, how long unfinished work has waited, moving with the clock."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.services.export import export_team
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import Story, ticket

# The quarter began at midnight in Berlin, in summer time.
QUARTER = datetime(2026, 9, 30, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

FILE = """
version: 1
team: support
timezone: Europe/Berlin
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  erp_status: {connection: erp, entity: body.service, at: body.ts, event: body.state}
metrics:
  erp_uptime:
    unit: percent
    state_share: {dataset: erp_status, of: erp, good: [up, degraded], exclude: [maintenance, unknown]}
    window: {to_date: quarter}
  fleet_uptime:
    unit: percent
    state_share: {dataset: erp_status, good: [up, degraded], exclude: [maintenance, unknown]}
    window: {trailing: 24h}
objectives:
  service:
    title: A service to rely on
    cycle: 2026-Q4
    key_results:
      erp_available: {metric: erp_uptime, target: {maintain: ">= 99.9"}, fresh_within: 1h}
      fleet_available: {metric: fleet_uptime, target: {maintain: ">= 50"}}
"""


def told(*values: Any) -> tuple[Any, ...]:
    """Values of several types, to be compared with plain numbers."""
    return values


def went(state: str | None, at: datetime, service: str = "erp") -> dict[str, Any]:
    return {"service": service, "ts": at.isoformat(), "state": state}


async def test_uptime_is_the_good_part_of_the_measured_time(story: Story, clock: FakeClock) -> None:
    await story.apply(FILE)
    empty = await story.key_result("erp_available")
    assert (empty.value, empty.reason, empty.coverage) == (None, "no known state in the window", 0)

    clock.set(QUARTER + 1000 * HOUR)
    await story.send(
        [
            went("up", QUARTER - 5 * HOUR),  # before the window: counts from the window's start
            went("down", QUARTER + 100 * HOUR),
            went("degraded", QUARTER + 101 * HOUR),
            went("maintenance", QUARTER + 500 * HOUR),
            went("up", QUARTER + 510 * HOUR),
            went("down", QUARTER, "mail"),
        ]
    )
    await story.work()
    found = await story.key_result("erp_available")
    # 1000 hours, 10 of them in maintenance, 1 down.
    assert found.value == (Decimal(989) / 990 * 100).quantize(Decimal("1e-26"))
    assert found.coverage == 0.99
    assert found.sample_size == 1
    assert found.compliance is not None
    assert found.compliance.holds is False

    explained = await story.explain("erp_available")
    assert explained.formula == (
        f"3560400 s good / 3564000 s measured × 100 = {found.value} percent (99.0% of the time is measured)"
    )
    assert [told(one.state, one.is_good, one.value, one.is_open) for one in explained.included] == [
        ("up", True, 360_000, False),
        ("down", False, 3600, False),
        ("degraded", True, 399 * 3600, False),
        ("up", True, 490 * 3600, True),
    ]
    assert (explained.included[0].since, explained.included[0].at) == (QUARTER, QUARTER + 100 * HOUR)
    assert [told(one.state, one.reason, one.value) for one in explained.excluded] == [
        ("maintenance", "state maintenance is excluded", 36_000)
    ]
    assert (explained.parts[0].open, explained.parts[0].coverage) == (1, 0.99)
    assert explained.counts == {"included": 4, "excluded": 1}


async def test_a_share_moves_with_the_clock_and_says_so_only_when_it_does(story: Story, clock: FakeClock) -> None:
    clock.set(QUARTER + 10 * HOUR)
    await story.apply(FILE)
    await story.send([went("up", QUARTER)])
    await story.work()
    assert await story.value("erp_available") == 100
    samples = "SELECT count(*) FROM sample JOIN metric ON metric.id = metric_id WHERE name = 'erp_uptime'"
    before = await story.rows(samples)
    for _ in range(30):
        clock.advance(timedelta(minutes=7))
        await story.work()
    assert told(await story.value("erp_available"), await story.rows(samples)) == (100, before)

    clock.set(QUARTER + 20 * HOUR)
    await story.send([went("down", QUARTER + 15 * HOUR)])
    await story.work()
    assert await story.value("erp_available") == 75
    clock.advance(timedelta(seconds=59))
    await story.work()
    assert await story.value("erp_available") == 75
    clock.set(QUARTER + 30 * HOUR)
    await story.work()
    assert await story.value("erp_available") == 50
    # A number that is asked for between two evaluations is taken apart as it is shown.
    clock.advance(timedelta(seconds=30))
    explained = await story.explain("erp_available")
    assert told(explained.value, explained.as_of) == (50, QUARTER + 30 * HOUR)
    assert sum(one.value or 0 for one in explained.included) == 30 * 3600


async def test_any_past_moment_can_be_asked_for_and_what_was_known_of_it(story: Story, clock: FakeClock) -> None:
    clock.set(QUARTER + 40 * HOUR)
    await story.apply(FILE)
    await story.send([went("up", QUARTER), went("down", QUARTER + 30 * HOUR)])
    await story.work()
    clock.set(QUARTER + 50 * HOUR)
    await story.send([went("up", QUARTER + 20 * HOUR), went("maintenance", QUARTER + 10 * HOUR)])  # late
    await story.work()

    async def value(hours: int, known: int | None = None) -> Any:
        at = None if known is None else QUARTER + known * HOUR
        return await story.value("erp_available", as_of=QUARTER + hours * HOUR, known_at=at)

    assert [await value(hours) for hours in (5, 15, 30, 40)] == [100, 100, 100, Decimal(200) / 3]
    assert await value(40, known=45) == 75
    assert await value(30, known=45) == 100
    assert await value(40, known=39) is None
    found = await story.key_result("erp_available", as_of=QUARTER + 15 * HOUR)
    assert found.coverage == pytest.approx(10 / 15, abs=1e-15)


async def test_the_last_moment_of_a_cycle_stands_for_its_end(story: Story, clock: FakeClock) -> None:
    end = datetime(2026, 12, 31, 23, tzinfo=UTC)
    clock.set(end + DAY)
    await story.apply(FILE)
    await story.send([went("up", QUARTER), went("down", QUARTER + (end - QUARTER) / 4), went("up", end + HOUR)])
    await story.work()
    assert told(await story.value("erp_available"), (await story.key_result("erp_available")).coverage) == (25, 1)


async def test_all_entities_together_and_a_window_that_moves(story: Story, clock: FakeClock) -> None:
    clock.set(QUARTER + 48 * HOUR)
    await story.apply(FILE)
    await story.send(
        [
            went("up", QUARTER),
            went("down", QUARTER + 36 * HOUR, "mail"),  # known for half of the window only
            went("unknown", QUARTER, "fax"),
            went(None, QUARTER, "telex"),
        ]
    )
    await story.work()
    found = await story.key_result("fleet_available")
    assert (found.value, found.coverage, found.sample_size) == (Decimal(24) / 36 * 100, 36 / 96, 2)


JIRA_FILE = """
version: 1
team: support
timezone: UTC
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
metrics:
  in_work:
    unit: percent
    state_share: {dataset: tickets, good: [in progress], exclude: [Open]}
    window: all
  age:
    unit: hours
    duration:
      dataset: tickets
      from: {status: In Progress}
      to: {category: done, pick: last}
      open: include
      within: 100d
    aggregate: max
    window: {trailing: 30d}
  office_age:
    unit: business_hours
    duration: {dataset: tickets, from: {status: In Progress}, to: {category: done, pick: last}, open: include}
    aggregate: sum
    window: {trailing: 30d}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      worked_on: {metric: in_work, target: {maintain: ">= 50"}}
      oldest: {metric: age, baseline: 200, target: 10}
      office: {metric: office_age, baseline: 200, target: 10}
"""
MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def desk(site: JiraCloudFake) -> JiraCloudFake:
    tickets = (
        ticket(1, MONDAY, ("In Progress", MONDAY + HOUR), ("Done", MONDAY + 5 * HOUR)),
        ticket(2, MONDAY, ("In Progress", MONDAY + DAY)),
        ticket(3, MONDAY),
        ticket(4, MONDAY - 120 * DAY, ("In Progress", MONDAY - 110 * DAY)),
    )
    site.issues.update({one["id"]: one for one in tickets})
    return site


async def test_unfinished_work_counts_to_now_and_is_flagged(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock
) -> None:
    clock.set(MONDAY + 3 * DAY)
    await jira_story.apply(JIRA_FILE)
    assert await jira_story.pull() == ["succeeded"]
    await jira_story.work()
    assert await jira_story.value("oldest") == 48
    # 4 business hours of HELP-1, two days of HELP-2, and HELP-4 has no limit here.
    explained = await jira_story.explain("office")
    assert {one.label: one.is_open for one in explained.included} == {"HELP-1": False, "HELP-2": True, "HELP-4": True}
    ages = {one.label: one.value or Decimal(0) for one in explained.included}
    assert told(ages["HELP-1"], ages["HELP-2"]) == (4, 16)
    assert explained.value == sum(ages.values(), Decimal(0))
    assert (explained.parts[0].open, explained.parts[0].included) == (2, 3)

    explained = await jira_story.explain("oldest")
    left_out = {one.label: (one.reason, one.is_open) for one in explained.excluded}
    assert left_out == {"HELP-3": ("not started", False), "HELP-4": ("longer than 100d", True)}
    assert explained.parts[0].excluded_reasons == {"not started": 1, "longer than 100d": 1}

    clock.advance(timedelta(minutes=1))
    await jira_story.work()
    assert await jira_story.value("oldest") == Decimal(48) + Decimal(1) / 60
    assert (await jira_story.explain("oldest")).value == await jira_story.value("oldest")
    assert await jira_story.value("oldest", as_of=MONDAY + DAY + HOUR) == 4
    assert await jira_story.value("oldest", as_of=MONDAY + 2 * HOUR) == 1


async def test_statuses_are_states_whatever_their_case(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock
) -> None:
    del desk.issues["4"]
    clock.set(MONDAY + 3 * DAY)
    await jira_story.apply(JIRA_FILE)
    await jira_story.work()
    assert (await jira_story.key_result("worked_on")).reason == "it has not been read yet"
    await jira_story.pull()
    await jira_story.work()
    # HELP-1: 4 h in work, 67 h done. HELP-2: 48 h in work. Open is not measured.
    found = await jira_story.key_result("worked_on")
    assert found.value == (Decimal(52) / 119 * 100).quantize(Decimal("1e-26"))
    assert found.coverage == pytest.approx(119 / 216, abs=1e-15)


async def test_a_plan_foretells_what_another_rule_makes_of_the_same_events(story: Story, clock: FakeClock) -> None:
    clock.set(QUARTER + 40 * HOUR)
    await story.apply(FILE)
    await story.send([went("up", QUARTER), went("degraded", QUARTER + 10 * HOUR), went("off", QUARTER + 16 * HOUR)])
    await story.work()
    stricter = FILE.replace("good: [up, degraded], exclude: [maintenance, unknown]", 'good: [up], exclude: ["off"]')
    plan = await story.plan(stricter)
    foretold = {effect.id: told(effect.value_before, effect.value_after) for effect in plan.effects}
    assert foretold["support/erp_available"] == (40, Decimal("62.5"))
    assert await story.value("erp_available") == 40
    await story.apply(stricter)
    await story.work()
    found = await story.key_result("erp_available")
    assert told(found.value, found.coverage) == (Decimal("62.5"), 0.4)
    async with story.services.database.reading() as session:
        exported = await export_team(session, "support")
    assert exported is not None
    plan = await story.plan(exported.decode())
    assert {change.action for change in plan.changes} == {"unchanged"}
