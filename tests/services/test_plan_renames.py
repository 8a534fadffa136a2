"""Objects that go on under another name: what was measured stays theirs, and what names them follows."""

from decimal import Decimal
from typing import Any

import pytest

from app.domain.document import read_yaml
from app.services.apply import InvalidTeamFile, apply_team_file, put_object
from app.services.export import export_team
from app.services.renames import renamed_to
from app.services.team_file import check_team_file
from connectors.registry import connectors
from tests.services.story import TEAM, Story
from tests.services.test_apply import FILE, actions, exported
from tests.services.test_deliveries import ORDERS

FORMULA = FILE.replace("objectives:\n", "  mean: {unit: EUR/days, formula: spent / days}\nobjectives:\n", 1).replace(
    "happy: {metric: mood", "worth: {metric: mean, baseline: 1, target: 2}\n      happy: {metric: mood"
)

#: Every kind at once, as an editor would do it: the name and all that says it.
RENAMED = (
    FORMULA.replace("  erp: {", "  shop: {renamed_from: erp, ")
    .replace("connection: erp", "connection: shop")
    .replace("  orders: {", "  purchases: {renamed_from: orders, ")
    .replace("dataset: orders", "dataset: purchases")
    .replace("  spent:\n", "  expense:\n    renamed_from: spent\n")
    .replace("metric: spent", "metric: expense")
    .replace("formula: spent / days", "formula: expense / days")
    .replace("  mood: {", "  spirits: {renamed_from: mood, ")
    .replace("metric: mood", "metric: spirits")
    .replace("  service:\n", "  desk:\n    renamed_from: service\n")
    .replace("cheap: {", "thrifty: {renamed_from: cheap, ")
    .replace("      approved:\n", "      accepted:\n        renamed_from: approved\n")
)


async def kept(story: Story) -> dict[str, list[tuple[Any, ...]]]:
    """What must not move: identities, revisions, facts, samples, baselines and plans."""
    queries = {
        "names": "SELECT count(*) FROM metric",
        "revisions": "SELECT id, metric_id, number FROM metric_revision ORDER BY id",
        "parts": "SELECT revision_id, part, dataset_id, query_digest FROM metric_part ORDER BY revision_id, part",
        "facts": "SELECT id, revision_id, subject, recorded_to FROM fact ORDER BY id",
        "samples": "SELECT id, metric_id, revision_id, value FROM sample ORDER BY id",
        "baselines": "SELECT key_result_id, value FROM frozen_baseline ORDER BY key_result_id, value",
        "plans": "SELECT id, key, cadence_seconds, next_due_at, paused_code FROM plan ORDER BY id",
        "events": "SELECT id, dataset_id, key FROM event ORDER BY id",
        "intakes": "SELECT delivery_id, dataset_id, outcome FROM intake ORDER BY delivery_id, dataset_id",
        "pending": "SELECT id FROM delivery WHERE is_pending",
        "building": "SELECT id FROM metric WHERE building_revision_id IS NOT NULL",
        "key_results": "SELECT id, metric_id, objective_id, cycle FROM key_result ORDER BY id",
    }
    return {name: await story.rows(query) for name, query in queries.items()}


async def test_everything_renamed_at_once_keeps_all_that_was_measured(story: Story) -> None:
    await story.apply(FORMULA)
    await story.send(ORDERS)
    await story.work()
    before, cheap = await kept(story), await story.key_result("cheap")
    plan = await story.plan(RENAMED)
    assert plan.effects == []  # but for their names, which have no number
    applied = await story.apply(RENAMED)
    assert applied.changes == plan.changes
    assert actions(applied)["rename"] == {
        f"support/{name}" for name in ("shop", "purchases", "expense", "spirits", "desk", "thrifty", "accepted")
    }
    assert "update" not in actions(applied)
    assert "create" not in actions(applied)
    assert await kept(story) == before
    thrifty = await story.key_result("thrifty")
    assert (thrifty.value, thrifty.progress, thrifty.metric.revision) == (
        cheap.value,
        cheap.progress,
        cheap.metric.revision,
    )
    assert (thrifty.metric.id, thrifty.objective) == ("support/expense", "support/desk")

    # The line may stay in the file: once the old name is gone it says nothing.
    again = await story.apply(RENAMED)
    assert set(actions(again)) == {"unchanged"}
    text = await exported(story)
    assert "renamed_from" not in text
    assert set(actions(await story.apply(text))) == {"unchanged"}

    # And new deliveries still find their way.
    await story.send([{"po": "Z", "event": "approved", "at": "2026-11-20T10:00:00Z", "total": 5}], connection="shop")
    await story.work()
    assert (await story.key_result("thrifty")).value != thrifty.value


async def test_a_rename_says_so_in_the_audit_and_what_the_old_name_is_now(story: Story) -> None:
    await story.apply(FORMULA)
    await story.apply(RENAMED)
    entries = await story.rows("SELECT object_kind, object_id FROM audit WHERE action = 'rename' ORDER BY id")
    assert ("metric", "support/spent") in [tuple(entry) for entry in entries]
    async with story.services.database.reading() as session:
        assert await renamed_to(session, "metric", TEAM, "spent") == "support/expense"
        assert await renamed_to(session, "key_result", TEAM, "cheap") == "support/thrifty"
        assert await renamed_to(session, "metric", TEAM, "never") is None


async def test_a_rename_with_a_change_of_rule_says_both(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    edited = (
        FILE.replace("  spent:\n", "  expense:\n    renamed_from: spent\n")
        .replace("metric: spent", "metric: expense")
        .replace("window: {to_date: quarter}", "window: {to_date: year}")
    )
    (change,) = [change for change in (await story.plan(edited)).changes if change.action == "rename"]
    assert (change.id, change.fields, change.reason) == ("support/expense", ["window"], "was support/spent")
    await story.apply(edited)
    await story.work()
    assert (await story.key_result("cheap")).metric.revision == 2


async def test_both_names_at_once_are_refused(story: Story) -> None:
    await story.apply(FILE)
    await put_object(story.services, TEAM, "metric", "morale", {"unit": "score", "manual": {}}, actor="api")
    before = await story.dump()
    both = FILE.replace("  mood: {", "  morale: {renamed_from: mood, ").replace("metric: mood", "metric: morale")
    for attempt in (story.plan, story.apply):
        with pytest.raises(InvalidTeamFile) as refused:
            await attempt(both)
        (problem,) = refused.value.problems
        assert problem.path == ("metrics", "morale", "renamed_from")
        assert "'mood'" in problem.message
    assert await story.dump() == before


async def test_one_object_is_renamed_through_the_api_too(story: Story) -> None:
    await story.apply(FORMULA)
    await story.send(ORDERS)
    await story.work()
    value = (await story.key_result("worth")).value
    (stored,) = await story.rows("SELECT id FROM metric WHERE name = 'days'")
    spec: Any = read_yaml(FORMULA.encode()).value
    spec = spec["metrics"]["days"] | {"renamed_from": "days"}
    outcome = await put_object(story.services, TEAM, "metric", "span", spec, actor="api")
    assert actions(outcome)["rename"] == {"support/span"}
    assert await story.rows("SELECT id FROM metric WHERE name = 'span'") == [stored]
    text = await exported(story)
    assert "formula: spent / span" in text
    assert "metric: span" in text
    assert (await story.key_result("worth")).value == value
    gone: Any = {"objective": "service", "metric": "days", "baseline": 1, "target": 2}
    with pytest.raises(InvalidTeamFile):
        await put_object(story.services, TEAM, "key_result", "x", gone, actor="api")


async def test_a_guardrails_frozen_baseline_goes_with_its_metric(story: Story) -> None:
    file = FILE.replace('metric: mood, must: ">= 3", baseline: 3.5', "metric: spent, must: '>= 90% of baseline'")
    await story.apply(file)
    await story.send(ORDERS)
    await story.work()
    await story.apply(file)
    frozen = await story.rows("SELECT key_result_id, value, frozen_at FROM frozen_baseline WHERE guardrail = 'spent'")
    assert len(frozen) == 1
    renamed = file.replace("  spent:\n", "  expense:\n    renamed_from: spent\n").replace(
        "metric: spent", "metric: expense"
    )
    await story.apply(renamed)
    query = "SELECT key_result_id, value, frozen_at FROM frozen_baseline WHERE guardrail = 'expense'"
    assert await story.rows(query) == frozen
    (guardrail,) = (await story.key_result("quick")).guardrails
    assert guardrail.baseline == Decimal(str(frozen[0][1]))


async def test_other_teams_follow_and_are_told(story: Story) -> None:
    await story.apply(FORMULA)
    await story.send(ORDERS)
    await story.work()
    theirs: Any = read_yaml(
        b"""
version: 1
team: company
metrics: {double: {unit: EUR, formula: support.spent + support.spent}}
objectives:
  growth:
    title: Growth
    cycle: 2026-Q4
    supports: [support/service]
    key_results:
      more: {metric: support.spent, baseline: 0, target: 5, guardrails: [{metric: double, must: ">= 0"}]}
"""
    ).value
    await apply_team_file(story.services, theirs, team="company", actor="erin")
    revisions = await story.rows("SELECT id, number FROM metric_revision ORDER BY id")
    applied = await story.apply(RENAMED)
    followed = {change.id: change.fields for change in applied.changes if change.id.startswith("company/")}
    assert followed == {"company/double": ["formula"], "company/more": ["metric"], "company/growth": ["supports"]}
    async with story.services.database.reading() as session:
        text = (await export_team(session, "company") or b"").decode()
    assert "support.expense + support.expense" in text
    assert "metric: support.expense" in text
    assert "support/desk" in text
    again = await apply_team_file(story.services, read_yaml(text.encode()).value, team="company", actor="erin")
    assert {change.action for change in again.changes} == {"unchanged"}
    assert await story.rows("SELECT id, number FROM metric_revision ORDER BY id") == revisions


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (("  mood: {", "  mood: {renamed_from: mood, "), "its own name"),
        (("  mood: {", "  mood: {renamed_from: spent, "), "still in the file"),
        (("cheap: {", "cheap: {renamed_from: quick, "), "still in the file"),
        (
            (
                "  open_now: {",
                "  a: {renamed_from: b, unit: x, manual: {}}\n"
                "  c: {renamed_from: b, unit: x, manual: {}}\n  open_now: {",
            ),
            "too",
        ),
    ],
)
def test_what_can_not_be_meant_is_refused_offline(edit: tuple[str, str], place: str) -> None:
    checked = check_team_file(read_yaml(FILE.replace(*edit).encode()).value, connectors=connectors())
    (problem,) = checked.problems
    assert (problem.code, problem.path[-1]) == ("renamed_from", "renamed_from")
    assert place in problem.message
