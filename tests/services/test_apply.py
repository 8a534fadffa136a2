"""The team file applied: whole or not at all, twice without a difference, and exactly as its plan foretold."""

from decimal import Decimal
from typing import Any

import pytest

from app.domain.document import read_yaml
from app.domain.records import JsonValue as Json
from app.errors import Conflict, NotFound, VersionConflict
from app.services import apply as applying
from app.services.apply import InvalidTeamFile, delete_object, put_object
from app.services.export import export_team
from app.services.views import PlanView
from tests.services.story import TEAM, Story, gather, on_sqlite
from tests.services.test_deliveries import ORDERS

FILE = """
version: 1
team: support
title: Support
timezone: Europe/Rome
calendar: {workweek: [mon, tue, wed, thu, fri], hours: "08:30-17:00", holidays: IT}
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  orders: {connection: erp, entity: body.po, at: body.at, event: body.event, where: "body.po != 'X'"}
  tickets: {connection: jira, jql: "project = HELP", fields: [Cost]}
metrics:
  spent:
    title: What was spent
    unit: EUR
    records: {dataset: orders, where: "record.event == 'approved'", value: record.body.total}
    aggregate: sum
    window: {to_date: quarter}
  days:
    unit: days
    duration: {dataset: orders, from: {event: requested}, to: {event: approved, pick: last}}
    aggregate: p90
    window: {trailing: 90d}
    min_samples: 2
  open_now: {unit: tickets, query: {connection: jira, jql: "project = HELP"}}
  mood: {unit: score, manual: {every: 14d}}
objectives:
  service:
    title: "Ordering: quick, and cheap"
    description: "Yes: on\\nNO"
    cycle: 2026-Q4
    focus: process_efficiency
    owner: dana@acme.example
    key_results:
      cheap: {metric: spent, baseline: 1000.50, target: 100, kind: committed, weight: 2.0}
      quick: {metric: days, baseline: 10, target: {change: -25%}, fresh_within: 12h, guardrails: [{metric: mood, must: ">= 3", baseline: 3.5}]}
  people:
    title: People
    cycle: 2026
    supports: [company/growth]
    key_results:
      happy: {metric: mood, target: {maintain: ">= 4.10"}}
      approved:
        title: Approved orders
        metric: {unit: orders, records: {dataset: orders, where: "record.event == 'approved'"}, window: cycle}
        baseline: 0
        target: 1e2
"""  # noqa: E501


def actions(plan: PlanView) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for change in plan.changes:
        found.setdefault(change.action, set()).add(change.id)
    return found


async def numbers(story: Story, *names: str) -> dict[str, tuple[Any, ...]]:
    found = {}
    for name in names or ("cheap", "quick", "happy", "approved"):
        view = await story.key_result(name)
        found[view.id] = (view.value, view.progress, view.status)
    return found


async def exported(story: Story) -> str:
    async with story.services.database.reading() as session:
        found = await export_team(session, TEAM)
    assert found is not None
    return found.decode()


async def test_a_file_is_applied_whole_or_not_at_all(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await story.apply(FILE)
    before = await story.dump()

    async def fail(*_: Any, **__: Any) -> None:
        raise LookupError("in the middle")

    with monkeypatch.context() as broken:
        broken.setattr(applying, "freeze_due", fail)  # the last step
        with pytest.raises(LookupError):
            await story.apply(FILE.replace("Support", "Help").replace('jql: "project = HELP"', 'jql: "project = DESK"'))
    assert await story.dump() == before


async def test_a_file_with_a_problem_changes_nothing_and_names_it(story: Story) -> None:
    with pytest.raises(InvalidTeamFile) as refused:
        await story.apply(FILE.replace("metric: spent", "metric: spend"))
    assert [(problem.path, problem.suggestion) for problem in refused.value.problems] == [
        (("objectives", "service", "key_results", "cheap", "metric"), "spent")
    ]
    with pytest.raises(InvalidTeamFile, match="1 problem"):
        await story.apply(FILE.replace("team: support", "team: other"))
    assert await story.count("team") == 0


async def test_the_second_time_nothing_changes(story: Story) -> None:
    first = await story.apply(FILE)
    assert set(actions(first)) == {"create"}
    await story.send(ORDERS)
    await story.work()
    before = await story.dump()
    again = await story.apply(FILE)
    assert set(actions(again)) == {"unchanged"}
    assert len(again.changes) == len(first.changes)
    assert again.effects == []
    assert await story.dump() == before


@on_sqlite
@pytest.mark.parametrize(
    "title", ["1e5", "0o17", "0x1F", "-.5", "12", ".inf", "null", "yes", "a\u0085b", "# 1", "x: y"]
)
async def test_a_text_that_looks_like_another_value_is_exported_as_a_text(story: Story, title: str) -> None:
    tree: Any = {"version": 1, "team": TEAM, "title": title, "metrics": {"said": {"unit": "1", "manual": {}}}}
    await applying.apply_team_file(story.services, tree, team=TEAM, actor="dana")
    written: Any = read_yaml((await exported(story)).encode()).value
    assert written["title"] == title


async def test_what_is_exported_can_be_applied_and_changes_nothing(story: Story) -> None:
    await story.apply(FILE)
    text = await exported(story)
    before = await story.dump()
    assert set(actions(await story.apply(text, prune=True))) == {"unchanged"}
    assert await story.dump() == before
    assert await exported(story) == text
    assert "1000.50" in text
    assert "whsec" not in text

    # Even a team that starts from the export is the same team.
    async with story.services.database.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM team")
    await story.apply(text)
    assert await exported(story) == text


async def test_a_plan_leaves_no_trace_and_foretells_what_an_apply_shows(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    shown_before = await numbers(story)
    before = await story.dump()
    edited = (
        FILE.replace("record.event == 'approved'\", value", "record.event != 'requested'\", value")
        .replace("where: \"body.po != 'X'\"", "where: \"body.po != 'C'\"")
        .replace("target: 1e2", "target: 10")
        .replace("pick: last", "pick: first")
    )
    plan = await story.plan(edited)
    assert await story.dump() == before
    assert not plan.is_applied

    applied = await story.apply(edited)
    assert applied.is_applied
    assert applied.changes == plan.changes
    await story.work()
    shown_after = await numbers(story)
    moved = {name for name in shown_before if shown_before[name] != shown_after[name]}
    assert len(moved) >= 3
    assert {effect.id for effect in plan.effects} == moved
    for effect in plan.effects:
        assert (effect.value_before, effect.progress_before, effect.status_before) == shown_before[effect.id]
        assert (effect.value_after, effect.progress_after, effect.status_after) == shown_after[effect.id]


async def test_a_plan_of_a_new_team_leaves_no_team(story: Story) -> None:
    plan = await story.plan(FILE)
    assert set(actions(plan)) == {"create"}
    assert not any((await story.dump()).values())


# --- what a file leaves out ------------------------------------------------------------------------------------------

SMALLER = (
    FILE.replace("  mood: {unit: score, manual: {every: 14d}}\n", "")
    .replace(', guardrails: [{metric: mood, must: ">= 3", baseline: 3.5}]', "")
    .replace('      happy: {metric: mood, target: {maintain: ">= 4.10"}}\n', "")
)


async def test_what_a_file_leaves_out_is_kept_unless_it_is_pruned(story: Story) -> None:
    await story.apply(FILE)
    kept = actions(await story.apply(SMALLER))
    assert kept["kept"] == {"support/happy", "support/mood"}
    assert (await story.key_result("happy")).managed_by == "file"
    pruned = actions(await story.apply(SMALLER, prune=True))
    assert pruned["delete"] == {"support/happy", "support/mood"}
    assert "mood" not in await exported(story)
    assert await story.rows("SELECT action, object_id FROM audit WHERE action = 'delete' ORDER BY object_id") == [
        ("delete", "support/happy"),
        ("delete", "support/mood"),
    ]


async def test_what_is_managed_through_the_api_is_not_pruned_by_a_file_until_that_names_it(story: Story) -> None:
    await story.apply(SMALLER)
    await put_object(story.services, TEAM, "metric", "mood", {"unit": "score", "manual": {}}, actor="api")
    plan = await story.apply(SMALLER, prune=True)
    (kept,) = [change for change in plan.changes if change.action == "kept"]
    assert (kept.id, kept.reason) == ("support/mood", "managed through the API")
    await story.apply(FILE)
    assert actions(await story.apply(SMALLER, prune=True))["delete"] == {"support/happy", "support/mood"}


async def test_what_something_else_needs_is_not_pruned(story: Story) -> None:
    await story.apply(FILE)
    extra: Json = {"objective": "service", "metric": "mood", "baseline": 1, "target": 2}
    await put_object(story.services, TEAM, "key_result", "extra", extra, actor="api")
    plan = await story.apply(SMALLER, prune=True)
    reasons = {change.id: change.reason for change in plan.changes if change.action == "kept"}
    assert reasons == {"support/extra": "managed through the API", "support/mood": "needed by support/extra"}


# --- one object ------------------------------------------------------------------------------------------------------


async def test_one_object_is_put_and_the_rest_stays_what_it_was(story: Story) -> None:
    await story.apply(FILE)
    before = await story.key_result("quick")
    spec: dict[str, Json] = {"objective": "support/service", "metric": "spent", "baseline": 2000, "target": 50}
    outcome = await put_object(story.services, TEAM, "key_result", "cheap", spec, actor="api", if_match=1)
    assert actions(outcome)["update"] == {"support/cheap"}
    cheap = await story.key_result("cheap")
    assert (cheap.baseline, cheap.version, cheap.managed_by) == (Decimal(2000), 2, "api")
    assert await story.key_result("quick") == before

    spec["objective"] = "service"
    again = await put_object(story.services, TEAM, "key_result", "cheap", spec, actor="api", if_match=2)
    assert set(actions(again)) == {"unchanged"}
    assert (await story.key_result("cheap")).version == 2


async def test_a_key_result_moves_to_another_objective_of_its_cycle(story: Story) -> None:
    await story.apply(FILE.replace("cycle: 2026\n", "cycle: 2026-Q4\n"))
    spec: Json = {"objective": "people", "metric": "spent", "baseline": 1000, "target": 100}
    await put_object(story.services, TEAM, "key_result", "cheap", spec, actor="api")
    assert (await story.key_result("cheap")).objective == "support/people"
    assert await story.count("key_result") == 4


async def test_an_objective_is_put_without_its_key_results_and_keeps_them(story: Story) -> None:
    await story.apply(FILE)
    await put_object(story.services, TEAM, "objective", "service", {"title": "Other", "cycle": "2026-Q4"}, actor="api")
    text = await exported(story)
    assert "title: Other" in text
    assert (await story.key_result("cheap")).objective == "support/service"


@on_sqlite
@pytest.mark.parametrize(("name", "if_match"), [("cheap", 7), ("cheap", 0), ("nothing", 1)])
async def test_another_version_than_the_stored_one_is_refused(story: Story, name: str, if_match: int) -> None:
    await story.apply(FILE)
    before = await story.dump()
    spec: Json = {"objective": "service", "metric": "spent", "baseline": 1, "target": 2}
    with pytest.raises(VersionConflict):
        await put_object(story.services, TEAM, "key_result", name, spec, actor="api", if_match=if_match)
    with pytest.raises((VersionConflict, NotFound)):
        await delete_object(story.services, TEAM, "key_result", name, actor="api", if_match=if_match)
    assert await story.dump() == before


async def test_deleting_ends_with_what_nothing_needs(story: Story) -> None:
    await story.apply(FILE)
    with pytest.raises(Conflict) as refused:
        await delete_object(story.services, TEAM, "metric", "spent", actor="api")
    assert refused.value.code == "in_use"
    assert refused.value.detail == "It is still used by key result support/cheap: change or delete that first."
    with pytest.raises(Conflict, match=r"still used by dataset support/tickets, metric support/open_now:"):
        await delete_object(story.services, TEAM, "connection", "jira", actor="api")
    with pytest.raises(NotFound):
        await delete_object(story.services, TEAM, "metric", "nothing", actor="api")
    outcome = await delete_object(story.services, TEAM, "key_result", "cheap", actor="api", if_match=1)
    assert actions(outcome)["delete"] == {"support/cheap"}
    assert actions(await delete_object(story.services, TEAM, "metric", "spent", actor="api"))["delete"] == {
        "support/spent"
    }
    text = await exported(story)
    assert "cheap" not in text.replace("and cheap", "")
    assert "spent" not in text


async def test_an_invalid_object_is_refused_at_its_own_place(story: Story) -> None:
    await story.apply(FILE)
    with pytest.raises(InvalidTeamFile) as refused:
        await put_object(story.services, TEAM, "metric", "spent", {"unit": "EUR", "recrods": {}}, actor="api")
    assert refused.value.problems[0].path[:1] != ("metrics",)


async def test_objects_put_at_once_are_all_there_in_the_end(story: Story) -> None:
    await story.apply(FILE)
    spec: Json = {"unit": "score", "manual": {}}
    outcomes = await gather(
        *(put_object(story.services, TEAM, "metric", f"new_{number}", spec, actor="api") for number in range(6)),
        put_object(story.services, TEAM, "metric", "mood", {"unit": "points", "manual": {}}, actor="api"),
    )
    assert [type(outcome) for outcome in outcomes] == [PlanView] * 7
    text = await exported(story)
    assert all(f"new_{number}:" in text for number in range(6))
    assert "unit: points" in text


async def test_a_team_that_is_created_twice_at_once_is_one_team(story: Story) -> None:
    outcomes = await gather(*(story.apply(FILE) for _ in range(3)))
    assert [type(outcome) for outcome in outcomes] == [PlanView] * 3
    assert sorted("create" in actions(outcome) for outcome in outcomes) == [False, False, True]
    assert await story.count("team") == 1


# --- cycles ----------------------------------------------------------------------------------------------------------


async def test_a_new_cycle_opens_an_instance_and_the_old_one_stays(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    old = await story.key_result("cheap")
    await story.apply(FILE.replace("cycle: 2026-Q4", "cycle: 2027-Q1").replace("baseline: 1000.50", "baseline: 500"))
    new = await story.key_result("cheap")
    assert (new.cycle.name, new.status, new.baseline, new.version) == ("2027-Q1", "not_started", Decimal(500), 1)
    kept = await story.key_result("cheap", cycle="2026-Q4")
    assert kept == old
    assert await story.rows("SELECT cycle, is_current FROM key_result WHERE name = 'cheap' ORDER BY cycle") in (
        [("2026-Q4", False), ("2027-Q1", True)],
        [("2026-Q4", 0), ("2027-Q1", 1)],
    )
    # Back again: the instance of then goes on, a third one is not made.
    await story.apply(FILE)
    assert (await story.key_result("cheap")).cycle.name == "2026-Q4"
    assert await story.count("key_result") == 6
