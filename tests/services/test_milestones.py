"""Milestones: steps that people tick and steps that a query decides, their value, coverage, history and evidence."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.errors import InvalidInput, NotFound
from app.services.export import export_team
from app.services.tick_milestone import tick_milestone
from app.services.views import SampleView
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import Story, ticket

FILE = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
metrics:
  cutover:
    unit: percent
    milestones:
      - {name: data migrated, weight: 1.5, done: {connection: jira, jql: "status = Done"}}
      - {name: rehearsed, done: {connection: jira, jql: "status = \\"In Progress\\""}}
      - {name: go-live, weight: 2, done: manual}
objectives:
  erp:
    title: A new ERP
    cycle: 2026-Q4
    key_results:
      moved: {metric: cutover, baseline: 0, target: 100}
"""
TICKS = """
version: 1
team: support
metrics:
  audit:
    unit: percent
    milestones:
      - {name: prepared, weight: 1, done: manual}
      - {name: passed, weight: 2, done: manual}
objectives:
  safe:
    title: Audited
    cycle: 2026-Q4
    key_results:
      audited: {metric: audit, baseline: 0, target: 100}
"""


async def tick(story: Story, metric: str, step: str, is_done: bool, note: str | None = None) -> SampleView:
    return await tick_milestone(story.services, "support", metric, step, is_done=is_done, note=note, actor="dana")


async def test_steps_count_by_their_weight_and_unknown_ones_are_left_out(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    await jira_story.apply(FILE)
    moved = await jira_story.key_result("moved")
    # Only the step that a person decides is known before the tool has answered.
    assert (moved.value, moved.coverage) == (Decimal(0), 2 / 4.5)
    await tick(jira_story, "cutover", "go-live", True)
    assert await jira_story.value("moved") == Decimal(100)

    one = ticket(1, clock() - timedelta(days=2), ("Done", clock() - timedelta(days=1)))
    site.issues[one["id"]] = one
    assert set(await jira_story.pull()) == {"succeeded"}
    moved = await jira_story.key_result("moved")
    assert (moved.value, moved.coverage, moved.sample_size) == (Decimal("77.77777777777777777777777778"), 1.0, 3)
    assert moved.source.connection == "support/jira"

    explained = await jira_story.explain("moved")
    assert explained.formula.startswith("3.5 done / 4.5 known × 100 = 77.77777777777777777777777778 percent; progress")
    assert [(step.name, step.weight, step.done, step.source) for step in explained.steps] == [
        ("data migrated", Decimal("1.5"), True, "query"),
        ("rehearsed", Decimal(1), False, "query"),
        ("go-live", Decimal(2), True, "manual"),
    ]
    migrated, _, live = explained.steps
    assert (migrated.at, (migrated.query or "")[:13]) == (clock(), "status = Done")
    assert (live.author, live.at) == ("dana", clock())


async def test_a_tick_holds_until_the_next_and_the_past_keeps_its_own(story: Story, clock: FakeClock) -> None:
    await story.apply(TICKS)
    start = clock()
    assert (await story.key_result("audited")).value == 0
    clock.advance(timedelta(days=1))
    first = await tick(story, "audit", "prepared", True, "all papers are in")
    assert (first.value, first.numerator, first.denominator, first.quality) == (
        Decimal("33.33333333333333333333333333"),
        Decimal(1),
        Decimal(3),
        "asserted",
    )
    clock.advance(timedelta(days=1))
    await tick(story, "audit", "passed", True)
    assert await story.value("audited") == 100
    clock.advance(timedelta(days=1))
    await tick(story, "audit", "passed", False, "a finding came up")
    assert await story.value("audited") == Decimal("33.33333333333333333333333333")

    at = [await story.value("audited", as_of=start + timedelta(days=days, hours=1)) for days in range(4)]
    third = Decimal("33.33333333333333333333333333")
    assert at == [0, third, 100, third]
    known = start + timedelta(days=1, hours=1)
    assert await story.value("audited", as_of=start + timedelta(days=2, hours=1), known_at=known) == third
    step = (await story.explain("audited")).steps[1]
    assert (step.done, step.author, step.note, step.at) == (False, "dana", "a finding came up", clock())


async def test_the_same_word_again_is_no_news(story: Story, clock: FakeClock) -> None:
    await story.apply(TICKS)
    first = await tick(story, "audit", "prepared", True)
    clock.advance(timedelta(minutes=1))
    again = await tick(story, "audit", "prepared", True)
    assert again.id == first.id
    assert await story.count("milestone_tick") == 1


async def test_only_steps_that_people_decide_are_ticked(jira_story: Story) -> None:
    await jira_story.apply(FILE)
    with pytest.raises(InvalidInput):
        await tick(jira_story, "cutover", "data migrated", True)
    for metric, step in (("cutover", "go live"), ("cutovr", "go-live")):
        with pytest.raises(NotFound):
            await tick(jira_story, metric, step, True)
    assert await jira_story.count("milestone_tick") == 0


async def test_ticks_grow_stale_like_any_word(story: Story, clock: FakeClock) -> None:
    await story.apply(TICKS)
    await tick(story, "audit", "prepared", True)
    clock.advance(timedelta(days=30))
    assert (await story.key_result("audited")).freshness.level == "fresh"
    clock.advance(timedelta(days=2))
    assert (await story.key_result("audited")).freshness.level == "stale"


async def test_a_plan_foretells_what_an_apply_of_other_weights_does(story: Story) -> None:
    await story.apply(TICKS)
    await tick(story, "audit", "prepared", True)
    edited = TICKS.replace("weight: 2", "weight: 3")
    foretold = await story.plan(edited)
    done = await story.apply(edited)
    assert (foretold.changes, foretold.effects) == (done.changes, done.effects)
    assert done.effects[0].value_after == 25
    async with story.services.database.reading() as session:
        written = await export_team(session, "support")
    assert written is not None
    assert b"weight: 3," in written
    assert {change.action for change in (await story.apply(written.decode())).changes} == {"unchanged"}
