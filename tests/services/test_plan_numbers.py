"""A plan says what it does in numbers: records that come and go, requests an hour, what a tool has to be asked, the
baselines that are frozen, and what was changed elsewhere."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from app.services.apply import put_object
from app.services.views.plans import PlanView, RecordsEffect
from app.store import record_changes
from app.store.record_changes import Numbered
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import TEAM, Story, on_sqlite, ticket
from tests.services.test_apply import FILE, actions
from tests.services.test_deliveries import ORDERS


def moved(plan: PlanView, metric: str) -> RecordsEffect:
    (found,) = [one for one in plan.records if one.metric == f"{TEAM}/{metric}"]
    return found


async def test_records_that_enter_and_leave_are_counted_and_named_with_the_reason(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    before = await story.explain("cheap")
    edited = FILE.replace(
        "records: {dataset: orders, where: \"record.event == 'approved'\", value: record.body.total}",
        "records: {dataset: orders, where: \"record.event != 'approved'\", value: record.body.total}",
    )
    effect = moved(await story.plan(edited), "spent")
    await story.apply(edited)
    await story.work()
    after = await story.explain("cheap")
    assert (effect.leaving, effect.entering) == (len(before.included), len(after.included))
    assert [one.label for one in effect.left] == sorted(one.label for one in before.included)
    assert {one.value for one in effect.left} == {one.value for one in before.included}
    assert {one.reason for one in effect.left} <= {"where does not match", "where: no match"} | {
        one.reason for one in after.excluded
    }
    assert effect.key_results == ["support/cheap"]
    assert not effect.is_new


async def test_a_longer_window_lets_in_what_was_outside_of_it(story: Story) -> None:
    await story.apply(FILE)
    old = {"po": "OLD", "event": "approved", "at": "2026-03-01T10:00:00Z", "total": 7}
    await story.send([*ORDERS, old])
    await story.work()
    effect = moved(await story.plan(FILE.replace("window: {to_date: quarter}", "window: {to_date: year}")), "spent")
    assert (effect.entering, effect.leaving, effect.changing) == (1, 0, 0)
    (entered,) = effect.entered
    assert (entered.label, entered.value, entered.reason) == ("OLD", Decimal(7), "outside the window")


async def test_a_narrower_dataset_says_that_records_are_in_it_no_more(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    plan = await story.plan(FILE.replace("where: \"body.po != 'X'\"", "where: \"body.po != 'C'\""))
    effect = moved(plan, "spent")
    assert effect.leaving >= 1
    assert {one.label for one in effect.left} == {"C"}
    assert {one.reason for one in effect.left} == {"it is not in the dataset any more"}


async def test_another_value_of_the_same_records_is_a_change_of_each(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    plan = await story.plan(FILE.replace("value: record.body.total", "value: record.body.total * 2.0"))
    effect = moved(plan, "spent")
    assert (effect.entering, effect.leaving) == (0, 0)
    assert effect.changing == len((await story.explain("cheap")).included)


async def test_no_more_than_twenty_are_named_and_all_are_counted(story: Story) -> None:
    await story.apply(FILE)
    many = [{"po": f"N{n:02}", "event": "approved", "at": "2026-11-02T10:00:00Z", "total": 1} for n in range(30)]
    await story.send(many)
    await story.work()
    plan = await story.plan(FILE.replace("value: record.body.total}", "value: record.body.sum}"))
    effect = moved(plan, "spent")
    assert effect.leaving == 30
    assert [one.label for one in effect.left] == [f"N{n:02}" for n in range(20)]
    assert {one.reason for one in effect.left} == {"no value"}


async def test_nothing_is_said_where_no_rule_changes(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    plan = await story.plan(FILE.replace("target: 100,", "target: 90,"))
    assert (plan.records, plan.requests, plan.asks, plan.drift, plan.building) == ([], [], [], [], [])


# --- what the tool is asked ------------------------------------------------------------------------------------------

JIRA = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
metrics:
  made: {unit: tickets, records: {dataset: tickets}}
objectives:
  service:
    title: Service
    cycle: 2026-Q4
    key_results:
      fewer: {metric: made, baseline: 100, target: 10, fresh_within: 1h}
"""


@pytest.fixture
def desk(site: JiraCloudFake, clock: FakeClock) -> JiraCloudFake:
    """Three tickets of this week."""
    created = clock() - timedelta(days=2)
    site.issues.update({one["id"]: one for one in (ticket(number, created, cost=number) for number in (1, 2, 3))})
    return site


async def test_requests_an_hour_are_counted_by_cadence_and_by_what_a_pull_took(
    jira_story: Story, desk: JiraCloudFake
) -> None:
    story = jira_story
    first = await story.plan(JIRA)
    (new,) = first.requests
    assert (new.connection, new.per_hour_before) == ("support/jira", Decimal("0.0"))
    assert [(ask.dataset, ask.reason) for ask in first.asks] == [("support/tickets", "it is new: all of it is read")]
    await story.apply(JIRA)
    assert await story.later(seconds=1) == ["succeeded"]
    for _ in range(3):
        await story.later(hours=1)
    # Sweeps are complete, but no complete reads: they are made as often as reads of what changed.
    calls = [row[0] for row in await story.rows("SELECT calls FROM run WHERE NOT is_full OR kind = 'sweep'")]
    assert calls
    plan = await story.plan(JIRA.replace("fresh_within: 1h", "fresh_within: 10m"))
    (effect,) = plan.requests
    ((seconds,),) = await story.rows("SELECT cadence_seconds FROM plan")
    each = Decimal(sum(calls[-10:])) / len(calls[-10:])
    assert effect.per_hour_before == (each * 3600 / seconds).quantize(Decimal("0.1"))
    assert effect.per_hour_after > effect.per_hour_before
    assert plan.asks == []


async def test_a_wider_scope_and_a_new_field_ask_the_tool_and_say_which(jira_story: Story, desk: JiraCloudFake) -> None:
    story = jira_story
    await story.apply(JIRA)
    await story.later(seconds=1)
    await story.later(hours=1)
    (full,) = [run.calls for run in await story.runs() if run.is_full][-1:]
    wider = await story.plan(JIRA.replace("project = HELP", "project in (HELP, DESK)"))
    assert [(ask.dataset, ask.reason, ask.fields, ask.requests) for ask in wider.asks] == [
        ("support/tickets", "what it takes in has changed: it is read whole", [], full)
    ]
    field = JIRA.replace(
        "records: {dataset: tickets}", "records: {dataset: tickets, value: record.Cost}, aggregate: sum"
    )
    asked = await story.plan(field)
    assert [(ask.dataset, ask.reason, ask.fields) for ask in asked.asks] == [
        ("support/tickets", "fields that were never fetched", ["Cost"])
    ]
    query = JIRA.replace("records: {dataset: tickets}", 'query: {connection: jira, jql: "project = HELP"}')
    (ask,) = (await story.plan(query)).asks
    assert (ask.query, ask.requests) == ("project = HELP", 1)


# --- baselines and what was changed elsewhere ------------------------------------------------------------------------


async def test_a_baseline_that_can_be_measured_is_foretold_with_its_value(story: Story) -> None:
    await story.apply(FILE)
    old = {"po": "OLD", "event": "approved", "at": "2026-08-01T10:00:00Z", "total": 700}
    await story.send([*ORDERS, old])
    await story.work()
    edited = FILE.replace("baseline: 1000.50", "baseline: {measure: 2026-Q3}")
    plan = await story.plan(edited)
    assert [(one.key_result, one.guardrail, one.value) for one in plan.baselines] == [
        ("support/cheap", None, Decimal(700))
    ]
    assert plan.baselines_to_freeze == []
    await story.apply(edited)
    assert (await story.key_result("cheap")).baseline == Decimal(700)
    waiting = await story.plan(FILE.replace("baseline: 1000.50", "baseline: {measure: 2026-Q4}"))
    assert waiting.baselines_to_freeze == ["support/cheap"]
    assert [one.value for one in waiting.baselines] == [None]


async def test_what_was_changed_through_the_api_is_shown_field_by_field(story: Story) -> None:
    await story.apply(FILE)
    spec: Any = {"objective": "service", "metric": "spent", "baseline": 2000, "target": 50, "kind": "committed"}
    await put_object(story.services, TEAM, "key_result", "cheap", spec, actor="erin")
    plan = await story.plan(FILE)
    assert [(one.id, one.field, one.file, one.service) for one in plan.drift] == [
        ("support/cheap", "baseline", "1000.50", "2000"),
        ("support/cheap", "target", "100", "50"),
        ("support/cheap", "weight", "2.0", None),
    ]
    # What only the file changed is no drift.
    assert (await story.plan(FILE.replace("title: What was spent", "title: Spent"))).drift == plan.drift
    await story.apply(FILE)
    assert (await story.plan(FILE)).drift == []
    assert actions(await story.plan(FILE)).keys() == {"unchanged"}


async def test_a_key_result_that_was_moved_through_the_api_is_drift_too(story: Story) -> None:
    file = FILE.replace("cycle: 2026\n", "cycle: 2026-Q4\n")
    await story.apply(file)
    spec: Any = {"objective": "people", "metric": "spent", "baseline": "1000.50", "target": 100, "kind": "committed"}
    await put_object(story.services, TEAM, "key_result", "cheap", spec | {"weight": "2.0"}, actor="erin")
    drift = (await story.plan(file)).drift
    assert [(one.id, one.field, one.file, one.service) for one in drift] == [
        ("support/cheap", "objective", "service", "people")
    ]


async def test_an_apply_says_what_is_still_being_built(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    edited = FILE.replace("record.event == 'approved'\", value", "record.event != 'requested'\", value")
    applied = await story.apply(edited)
    ((entities,),) = await story.rows("SELECT count(DISTINCT entity) FROM event")
    assert [(one.metric, one.done, one.total) for one in applied.building] == [("support/spent", 0, entities)]
    assert applied.records == []
    await story.work()
    assert (await story.apply(edited)).building == []


# --- what is measured with the clock ---------------------------------------------------------------------------------

TIMED = FILE.replace(
    "objectives:\n",
    "  approved_time: {unit: percent, state_share: {dataset: orders, good: [approved]}, window: {trailing: 90d}}\n"
    "  waiting: {unit: days, duration: {dataset: orders, from: {event: requested}, to: {event: approved}, "
    "open: include}, aggregate: avg, window: {trailing: 90d}}\n"
    "objectives:\n",
    1,
).replace(
    "happy: {",
    "steady: {metric: approved_time, baseline: 0, target: 90}\n      wait: {metric: waiting, baseline: 9, target: 1}\n"
    "      happy: {",
)


async def test_stretches_that_count_otherwise_are_changes_not_comings_and_goings(story: Story) -> None:
    await story.apply(TIMED)
    await story.send(ORDERS)
    await story.work()
    effect = moved(await story.plan(TIMED.replace("good: [approved]", "good: [approved, returned]")), "approved_time")
    returned = sum(order["event"] == "returned" for order in ORDERS)
    assert (effect.entering, effect.leaving, effect.changing) == (0, 0, returned)
    excluded = moved(
        await story.plan(TIMED.replace("good: [approved]", "good: [approved], exclude: [requested]")), "approved_time"
    )
    # C was approved the moment it was requested: it spent no time in that state.
    assert [one.label for one in excluded.left] == ["A", "B", "D"]
    assert {one.value for one in excluded.left} == {None}


async def test_unfinished_durations_come_and_go_too(story: Story) -> None:
    await story.apply(TIMED)
    await story.send(ORDERS)
    await story.work()
    effect = moved(await story.plan(TIMED.replace("open: include", "open: exclude")), "waiting")
    assert (effect.entering, effect.leaving, effect.changing) == (0, 1, 0)
    assert [one.label for one in effect.left] == ["D"]  # requested, and not approved yet
    await story.apply(TIMED.replace("open: include", "open: exclude"))
    await story.work()
    back = moved(await story.plan(TIMED), "waiting")
    assert [one.label for one in back.entered] == ["D"]


async def test_records_of_a_metric_behind_a_formula_name_the_key_results_that_want_it(story: Story) -> None:
    file = FILE.replace("objectives:\n", "  twice: {unit: EUR, formula: spent * 2}\nobjectives:\n", 1).replace(
        "cheap: {metric: spent", "double: {metric: twice, baseline: 1, target: 2}\n      cheap: {metric: spent"
    )
    await story.apply(file)
    await story.send(ORDERS)
    await story.work()
    plan = await story.plan(file.replace("window: {to_date: quarter}", "window: {trailing: 3d}"))
    assert moved(plan, "spent").key_results == ["support/cheap", "support/double"]
    assert {effect.id for effect in plan.effects} >= {"support/cheap", "support/double"}


@on_sqlite
async def test_revisions_are_compared_by_entity_and_not_window_by_window(story: Story) -> None:
    """A look-up in the window's index would read the whole window for each of its facts."""
    engine = story.services.database.engine
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    now = story.clock()
    before = Numbered(1, now - timedelta(days=30), now, now, newest=9)
    after = Numbered(2, now - timedelta(days=30), now, now)
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    async with story.services.database.reading() as session:
        await record_changes.count_moved(session, after, before)
        await record_changes.count_moved(session, before, after)
        await record_changes.count_changed(session, before, after)
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    compared = [(statement, parameters) for statement, parameters in asked if "FROM fact" in statement]
    assert len(compared) == 3
    async with engine.connect() as connection:
        for statement, parameters in compared:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plan = [str(tuple(row)) for row in rows]
            assert sum("ix_fact_entity" in step for step in plan) == 1, plan


async def test_an_unfinished_duration_that_has_become_too_long_goes(story: Story) -> None:
    await story.apply(TIMED)
    await story.send(ORDERS)
    await story.work()
    limited = TIMED.replace("open: include", "open: include, within: 1m")
    effect = moved(await story.plan(limited), "waiting")
    before = {record.entity for record in (await story.explain("wait")).included}
    await story.apply(limited)
    await story.work()
    after = {record.entity for record in (await story.explain("wait")).included}
    assert "D" in before - after  # requested, and not approved yet
    assert (effect.entering, effect.leaving) == (0, len(before - after))
