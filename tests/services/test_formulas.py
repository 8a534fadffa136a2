"""Formulas over metrics of one team and of others: their values, reasons, history, evidence and who may go."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from textwrap import dedent
from typing import Any

import pytest

from app.domain.document import read_yaml
from app.errors import Conflict
from app.services import apply as applying
from app.services.apply import InvalidTeamFile
from app.services.assert_value import assert_value
from app.services.clockwork import evaluate_due
from app.services.explain import explain_metric
from app.services.export import export_team
from app.services.read import get_metric, metric_history
from app.services.views import ExplainView, MetricView, PlanView, SampleView
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import Story, ticket

HR = """
version: 1
team: hr
metrics:
  headcount: {unit: people, manual: {every: 90d}}
  leavers: {unit: people, manual: {}}
  turnover: {unit: percent, formula: leavers / headcount}
"""
SUPPORT = """
version: 1
team: support
metrics:
  cost_each: {unit: EUR/people, formula: (overhead - refunds) / hr.headcount}
  overhead: {unit: EUR, manual: {}}
  refunds: {unit: EUR, manual: {}}
  staying: {unit: percent, formula: 100% - hr.turnover}
  cost_of_leaving: {unit: EUR, formula: overhead * hr.turnover}
objectives:
  lean:
    title: Spend less on ourselves
    cycle: 2026-Q4
    key_results:
      cheaper:
        metric: cost_each
        baseline: 200
        target: 100
        guardrails:
          - {metric: hr.headcount, must: ">= 90% of baseline"}
          - {metric: staying, must: ">= 80"}
      people: {metric: hr.headcount, baseline: 5, target: 10}
"""


async def apply(story: Story, file: str, **options: Any) -> PlanView:
    value = read_yaml(dedent(file).encode()).value
    assert isinstance(value, dict)
    return await applying.apply_team_file(story.services, value, team=str(value["team"]), actor="dana", **options)


async def say(story: Story, team: str, metric: str, value: str, day: date = date(2026, 11, 22)) -> None:
    await assert_value(story.services, team, metric, day, Decimal(value), actor="dana")


async def metric(story: Story, team: str, name: str) -> MetricView:
    async with story.services.database.reading() as session:
        found = await get_metric(session, team, name, now=story.clock())
    assert found is not None
    return found


async def history(story: Story, team: str, name: str) -> list[SampleView]:
    async with story.services.database.reading() as session:
        found = await metric_history(session, team, name)
    assert found is not None
    return found


async def taken_apart(story: Story, team: str, name: str, **options: Any) -> ExplainView:
    async with story.services.database.reading() as session:
        found = await explain_metric(session, team, name, now=story.clock(), **options)
    assert found is not None
    return found


@pytest.fixture
async def both(story: Story) -> Story:
    """Two teams, one of which reads the other's metrics, with a value for each."""
    await apply(story, HR)
    await apply(story, SUPPORT)
    await say(story, "hr", "headcount", "8")
    await say(story, "hr", "leavers", "1")
    await say(story, "support", "overhead", "1300")
    await say(story, "support", "refunds", "100")
    return story


async def test_a_formula_has_the_value_of_its_metrics_and_follows_each(both: Story) -> None:
    cheaper = await both.key_result("cheaper")
    assert (cheaper.value, cheaper.progress, cheaper.metric.id) == (Decimal(150), 0.5, "support/cost_each")
    assert (await metric(both, "hr", "turnover")).value == Decimal("12.5")
    assert (await metric(both, "support", "staying")).value == Decimal("87.5")
    assert (await metric(both, "support", "cost_of_leaving")).value == Decimal("162.5")

    # Another team's word reaches the formulas that read it, through formulas of its own too.
    both.clock.advance(timedelta(minutes=1))
    await say(both, "hr", "headcount", "10")
    assert await both.value("cheaper") == 120
    assert (await metric(both, "support", "staying")).value == 90
    people = await both.key_result("people")
    assert (people.value, people.progress, people.metric.id) == (Decimal(10), 1.0, "hr/headcount")


async def test_a_change_makes_one_sample_of_each_formula_that_reads_it(both: Story) -> None:
    names = ("cost_each", "staying", "cost_of_leaving")
    before = {name: len(await history(both, "support", name)) for name in names}
    both.clock.advance(timedelta(minutes=1))
    await say(both, "hr", "headcount", "16")
    assert {name: len(await history(both, "support", name)) - before[name] for name in names} == dict.fromkeys(names, 1)
    both.clock.advance(timedelta(minutes=1))
    await say(both, "support", "refunds", "200")
    after = {name: len(await history(both, "support", name)) - before[name] for name in names}
    assert after == {"cost_each": 2, "staying": 1, "cost_of_leaving": 1}


async def test_an_unknown_metric_or_a_zero_makes_it_unknown_with_its_name(story: Story) -> None:
    await apply(story, HR)
    await apply(story, SUPPORT)
    await say(story, "support", "overhead", "1300")
    found = await metric(story, "support", "cost_each")
    assert (found.value, found.reason) == (None, "refunds is unknown: no value has been asserted")
    await say(story, "support", "refunds", "0")
    await say(story, "hr", "headcount", "0")
    found = await metric(story, "support", "cost_each")
    assert (found.value, found.reason) == (None, "division by zero: hr.headcount is 0")
    staying = await metric(story, "support", "staying")
    assert staying.reason == "hr.turnover is unknown: leavers is unknown: no value has been asserted"
    assert (await story.key_result("cheaper")).status == "unknown"


async def test_the_past_is_made_of_its_metrics_past_and_of_what_was_known(both: Story, clock: FakeClock) -> None:
    said_at = clock()
    clock.advance(timedelta(days=1))
    await say(both, "hr", "headcount", "10", date(2026, 11, 23))
    clock.advance(timedelta(days=1))
    # A late word about the first day.
    await say(both, "support", "refunds", "500")
    first_night = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
    assert await both.value("cheaper") == 80
    assert await both.value("cheaper", as_of=first_night) == 100
    assert await both.value("cheaper", as_of=first_night, known_at=said_at + timedelta(hours=20)) == 150
    explained = await both.explain("cheaper", as_of=first_night)
    assert [(one.name, one.value) for one in explained.inputs] == [
        ("overhead", Decimal(1300)),
        ("refunds", Decimal(500)),
        ("hr.headcount", Decimal(8)),
    ]


async def test_the_explanation_shows_the_formula_with_its_numbers_and_each_metric_leads_on(both: Story) -> None:
    explained = await both.explain("cheaper")
    assert explained.formula == (
        "(overhead - refunds) / hr.headcount: (1300 - 100) / 8 = 150 EUR/people; "
        "progress = (150 − 200) / (100 − 200) = 0.5"
    )
    headcount = explained.inputs[2]
    assert headcount.metric is not None
    assert (headcount.name, headcount.metric.id, headcount.metric.unit) == ("hr.headcount", "hr/headcount", "people")
    assert (headcount.value, headcount.explain) == (Decimal(8), "/v1/metrics/hr/headcount/explain")
    leaf = await taken_apart(both, "hr", "headcount")
    assert (leaf.id, leaf.value, leaf.formula, leaf.progress) == (
        "hr/headcount",
        Decimal(8),
        "asserted = 8 people",
        None,
    )
    percent = await taken_apart(both, "support", "staying")
    assert percent.formula == "100% - hr.turnover: 100% - 12.5% = 87.5 percent"


async def test_guardrails_watch_metrics_of_other_teams(both: Story) -> None:
    both.clock.advance(timedelta(minutes=1))
    await say(both, "hr", "headcount", "7")
    cheaper = await both.key_result("cheaper")
    headcount, staying = cheaper.guardrails
    assert (headcount.metric, headcount.value, headcount.baseline, headcount.holds) == (
        "hr/headcount",
        Decimal(7),
        Decimal(8),
        False,
    )
    assert (staying.metric, staying.holds) == ("support/staying", True)


async def test_what_another_team_needs_stays(both: Story) -> None:
    smaller = HR.replace("  leavers: {unit: people, manual: {}}\n", "").replace(
        "  turnover: {unit: percent, formula: leavers / headcount}\n", ""
    )
    value = read_yaml(dedent(smaller).encode()).value
    foretold = await applying.plan_team_file(both.services, value, team="hr", actor="dana", prune=True)
    done = await apply(both, smaller, prune=True)
    assert foretold.changes == done.changes
    kept = {change.id: change.reason for change in done.changes if change.action == "kept"}
    assert kept == {
        "hr/turnover": "needed by support/cost_of_leaving, support/staying",
        "hr/leavers": "needed by hr/turnover",
    }
    with pytest.raises(Conflict, match="used by support/cost_of_leaving, support/staying"):
        await applying.delete_object(both.services, "hr", "metric", "turnover", actor="dana")


async def test_a_formula_goes_before_what_it_reads(both: Story) -> None:
    gone = SUPPORT.replace("  cost_of_leaving: {unit: EUR, formula: overhead * hr.turnover}\n", "").replace(
        "  staying: {unit: percent, formula: 100% - hr.turnover}\n", ""
    )
    gone = gone.replace('          - {metric: staying, must: ">= 80"}\n', "")
    await apply(both, gone, prune=True)
    done = await apply(
        both, "version: 1\nteam: hr\nmetrics: {headcount: {unit: people, manual: {every: 90d}}}", prune=True
    )
    assert {change.id: change.action for change in done.changes} == {
        "hr": "unchanged",
        "hr/headcount": "unchanged",
        "hr/leavers": "delete",
        "hr/turnover": "delete",
    }


@pytest.mark.parametrize(
    ("found", "put", "path", "code", "message"),
    [
        ("hr.headcount}", "hr.headcont}", "metrics.cost_each.formula", "unknown_name", "has no metric"),
        ("100% - hr.turnover", "100% - hrr.turnover", "metrics.staying.formula", "unknown_name", "no team 'hrr'"),
        ("{metric: hr.headcount, b", "{metric: hr.heads, b", "people.metric", "unknown_name", "has no metric 'heads'"),
        (
            "{metric: hr.headcount, m",
            "{metric: hr.heads, m",
            "guardrails.0.metric",
            "unknown_name",
            "no metric 'heads'",
        ),
        ("unit: EUR/people", "unit: EUR", "metrics.cost_each.formula", "units", "in EUR/people, but .* is EUR"),
    ],
    ids=["a formula's metric", "a formula's team", "a metric", "a guardrail's metric", "a unit"],
)
async def test_what_is_wrong_about_other_teams_metrics_is_told(
    story: Story, found: str, put: str, path: str, code: str, message: str
) -> None:
    await apply(story, HR)
    assert found in SUPPORT
    with pytest.raises(InvalidTeamFile) as refused:
        await apply(story, SUPPORT.replace(found, put, 1))
    (problem,) = refused.value.problems
    assert ".".join(map(str, problem.path)).endswith(path)
    assert problem.code == code
    assert re.search(message, problem.message)


async def test_a_circle_through_another_team_is_refused_with_the_way_round(both: Story) -> None:
    file = HR.replace(
        "headcount: {unit: people, manual: {every: 90d}}", "headcount: {unit: people, manual: {}}"
    ).replace("leavers: {unit: people, manual: {}}", "leavers: {unit: people, formula: headcount * support.staying}")
    with pytest.raises(InvalidTeamFile) as refused:
        await apply(both, file)
    (problem,) = refused.value.problems
    assert problem.path == ("metrics", "leavers", "formula")
    assert problem.message == ("formulas read each other in a circle: leavers → support.staying → turnover → leavers")


async def test_a_plan_foretells_what_an_apply_of_a_formula_does(both: Story) -> None:
    edited = SUPPORT.replace("(overhead - refunds) / hr.headcount", "overhead / hr.headcount")
    foretold = await both.plan(edited)
    assert await both.value("cheaper") == 150
    done = await both.apply(edited)
    assert (foretold.changes, foretold.effects) == (done.changes, done.effects)
    (effect,) = done.effects
    assert (effect.id, effect.value_before, effect.value_after) == ("support/cheaper", Decimal(150), Decimal("162.5"))
    assert await both.value("cheaper") == Decimal("162.5")


async def test_a_unit_that_another_team_changes_makes_the_formula_unknown(both: Story) -> None:
    await apply(
        both,
        HR.replace("headcount: {unit: people", "headcount: {unit: desks").replace(
            "leavers: {unit: people", "leavers: {unit: desks"
        ),
    )
    await both.work()
    found = await metric(both, "support", "cost_each")
    assert (found.value, found.reason) == (
        None,
        "the formula is in EUR/desks, but the metric's unit is EUR/people",
    )


async def test_the_written_file_is_the_same_file(both: Story) -> None:
    async with both.services.database.reading() as session:
        first = await export_team(session, "support")
    assert first is not None
    done = await apply(both, first.decode())
    assert {change.action for change in done.changes} == {"unchanged"}
    async with both.services.database.reading() as session:
        assert await export_team(session, "support") == first


async def test_a_formula_is_as_fresh_as_the_metric_that_turns_stale_first(both: Story, clock: FakeClock) -> None:
    assert (await both.key_result("cheaper")).freshness.level == "fresh"
    clock.advance(timedelta(days=40))
    await say(both, "hr", "headcount", "8", clock().date())
    cheaper = await both.key_result("cheaper")
    assert (cheaper.freshness.level, cheaper.observed_at) == ("stale", datetime(2026, 11, 22, 9, 30, tzinfo=UTC))


JIRA = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
metrics:
  solved:
    unit: tickets
    query: {connection: jira, jql: "resolutiondate >= {from} AND resolutiondate < {to}"}
    window: cycle
  people: {unit: people, manual: {every: 90d}}
  solved_each: {unit: tickets/people, formula: solved / people}
objectives:
  desk:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      output: {metric: solved_each, baseline: {measure: 2026-Q3}, target: 10}
"""
MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


async def test_a_formula_over_a_query_of_the_cycle_is_asked_in_it_and_in_its_baselines_period(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    done = ("Done", MONDAY), ("Done", MONDAY + timedelta(days=1)), ("Done", MONDAY - timedelta(days=80))
    for number, move in enumerate(done, start=1):
        one = ticket(number, move[1] - timedelta(days=1), move)
        site.issues[one["id"]] = one
    await jira_story.apply(JIRA)
    await assert_value(jira_story.services, "support", "people", date(2026, 9, 1), Decimal(4), actor="dana")
    assert set(await jira_story.pull()) == {"succeeded"}
    output = await jira_story.key_result("output")
    assert (output.value, output.baseline) == (Decimal("0.5"), Decimal("0.25"))
    assert output.source.connection == "support/jira"
    explained = await jira_story.explain("output")
    assert explained.inputs[0].explain == "/v1/metrics/support/solved/explain?cycle=2026-Q4"
    assert explained.window.start == datetime(2026, 10, 1, tzinfo=UTC)

    await assert_value(jira_story.services, "support", "people", date(2026, 11, 22), Decimal(8), actor="dana")
    assert await jira_story.value("output") == Decimal("0.25")
    clock.advance(timedelta(hours=2))
    assert await evaluate_due(jira_story.services) > 0
    assert (await jira_story.key_result("output")).baseline == Decimal("0.25")


async def test_a_baseline_of_the_past_needs_metrics_that_can_look_back(jira_story: Story) -> None:
    blind = JIRA.replace('"resolutiondate >= {from} AND resolutiondate < {to}"', '"status = Done"').replace(
        "    window: cycle\n", ""
    )
    with pytest.raises(InvalidTeamFile) as refused:
        await jira_story.apply(blind)
    (problem,) = refused.value.problems
    assert (problem.code, problem.path[-3:]) == ("no_history", ("output", "baseline", "measure"))
