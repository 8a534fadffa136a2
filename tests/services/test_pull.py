"""Jira pulled: a dataset read whole and then by what changed, queries counted, baselines measured once and kept."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import COST, Story, jira_moment, ticket

DAY = timedelta(days=1)
MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

FILE = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  tickets: {connection: jira, jql: "project = HELP", fields: [Cost]}
metrics:
  unfinished: {unit: tickets, records: {dataset: tickets, where: "record.status != 'Done'"}, window: all}
  days:
    unit: days
    duration: {dataset: tickets, from: {status: In Progress}, to: {category: done, pick: last}}
    aggregate: avg
    window: {trailing: 30d}
  spent:
    unit: EUR
    records: {dataset: tickets, value: record.Cost}
    aggregate: sum
    window: {to_date: quarter}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      backlog: {metric: unfinished, baseline: 10, target: 0, fresh_within: 1h}
      speed: {metric: days, baseline: 15, target: 5}
      saving: {metric: spent, baseline: {measure: 2026-Q3}, target: {change: -10%}}
"""


@pytest.fixture
def desk(site: JiraCloudFake) -> JiraCloudFake:
    """Two tickets of November in work or done, one open, and two of the quarter before."""
    tickets = (
        ticket(1, MONDAY, ("In Progress", MONDAY + DAY), ("Done", MONDAY + 3 * DAY), cost=100),
        ticket(2, MONDAY + DAY, ("In Progress", MONDAY + 2 * DAY), cost=12.5),
        ticket(3, MONDAY + 2 * DAY),
        ticket(4, MONDAY - 90 * DAY, ("In Progress", MONDAY - 80 * DAY), ("Done", MONDAY - 79 * DAY), cost=40),
        ticket(5, MONDAY - 60 * DAY, ("Done", MONDAY - 59 * DAY), cost=0.25),
    )
    site.issues.update({one["id"]: one for one in tickets})
    return site


async def test_a_dataset_is_read_whole_and_becomes_records_facts_and_values(
    jira_story: Story, desk: JiraCloudFake
) -> None:
    await jira_story.apply(FILE)
    assert await jira_story.pull() == ["succeeded"]
    (run,) = await jira_story.runs()
    assert (run.dataset, run.is_full, run.records, run.changed) == ("support/tickets", True, 5, 5)
    assert run.calls == len(desk.requests)
    assert await jira_story.count("staged_change") == 0

    backlog = await jira_story.key_result("backlog")
    assert (backlog.value, backlog.sample_size, backlog.progress) == (Decimal(2), 2, 0.8)
    assert (backlog.freshness.level, backlog.freshness.age_seconds) == ("fresh", 0)
    assert await jira_story.value("speed") == 2
    assert await jira_story.value("saving") == Decimal("112.5")

    explained = await jira_story.explain("backlog")
    assert [record.label for record in explained.included] == ["HELP-2", "HELP-3"]
    assert explained.included[0].link == "https://acme.atlassian.net/browse/HELP-2"


async def test_nothing_is_counted_before_the_first_read_and_zero_after_one_that_found_nothing(
    jira_story: Story, desk: JiraCloudFake
) -> None:
    await jira_story.apply(FILE.replace("project = HELP", "project = HELP AND created > 2026-12-24"))
    backlog = await jira_story.key_result("backlog")
    assert (backlog.value, backlog.status, backlog.freshness.level) == (None, "unknown", "no_data")
    assert await jira_story.pull() == ["succeeded"]
    backlog = await jira_story.key_result("backlog")
    assert (backlog.value, backlog.status, backlog.freshness.level) == (Decimal(0), "met", "fresh")


async def test_the_second_read_asks_for_what_changed_and_every_value_follows(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock
) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    clock.advance(timedelta(minutes=1))
    desk.move("HELP-2", "Done", clock())
    desk.edit("HELP-3", clock(), **{COST["id"]: 7.25})
    desk.requests.clear()

    assert await jira_story.later(minutes=40) == ["succeeded"]
    run = (await jira_story.runs())[-1]
    assert (run.is_full, run.records, run.changed) == (False, 2, 2)
    (search,) = (request for request in desk.requests if request.path.endswith("/search/jql"))
    assert "updated >=" in search.body["jql"]
    assert await jira_story.value("backlog") == 1
    assert await jira_story.value("saving") == Decimal("119.75")
    days = (MONDAY + DAY, clock() - timedelta(minutes=40) - 2 * DAY)
    seconds = [2 * 86400, int((days[1] - MONDAY).total_seconds())]
    assert (await jira_story.key_result("speed")).sample_size == 2
    assert await jira_story.value("speed") == pytest.approx(Decimal(sum(seconds)) / 2 / 86400)


async def test_a_read_that_finds_nothing_new_writes_no_record_fact_or_sample(
    jira_story: Story, desk: JiraCloudFake
) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    before = [await jira_story.count(table) for table in ("record", "fact", "sample")]
    assert await jira_story.later(minutes=40) == ["succeeded"]
    assert [await jira_story.count(table) for table in ("record", "fact", "sample")] == before
    assert (await jira_story.runs())[-1].changed == 0
    assert (await jira_story.key_result("backlog")).freshness.age_seconds == 0


async def test_the_next_read_is_due_within_half_of_the_tightest_freshness(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock
) -> None:
    await jira_story.apply(FILE.replace("fresh_within: 1h", "fresh_within: 10m"))
    await jira_story.pull()
    due = (await jira_story.connection()).next_due_at
    assert due is not None
    assert clock() + timedelta(minutes=5) <= due <= clock() + timedelta(minutes=5, seconds=30)
    assert await jira_story.later(minutes=4) == []


# --- queries ---------------------------------------------------------------------------------------------------------

RESOLVED = "project = HELP AND resolved >= {from} AND resolved < {to}"
QUERIES = f"""
version: 1
team: support
connections:
  jira: {{connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {{env: JIRA_TOKEN}}}}
metrics:
  open_now: {{unit: tickets, query: {{connection: jira, jql: "project = HELP AND status != Done"}}}}
  estimated: {{unit: tickets, query: {{connection: jira, jql: "project = HELP AND status != Done", exact: false}}}}
  solved: {{unit: tickets, query: {{connection: jira, jql: "{RESOLVED}"}}, window: {{trailing: 30d}}}}
  share:
    unit: percent
    ratio:
      good: {{query: {{connection: jira, jql: "project = HELP AND status = Done"}}}}
      total: {{query: {{connection: jira, jql: "project = HELP"}}}}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      backlog: {{metric: open_now, baseline: 10, target: 0}}
      guess: {{metric: estimated, baseline: 10, target: 0}}
      output: {{metric: solved, baseline: 0, target: 10}}
      finished: {{metric: share, baseline: 0, target: 100}}
"""


async def test_a_query_is_counted_by_the_tool_within_the_windows_edges(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock
) -> None:
    await jira_story.apply(QUERIES)
    assert await jira_story.pull() == ["succeeded"] * 5
    assert await jira_story.value("backlog") == 2
    assert await jira_story.value("output") == 1
    assert await jira_story.value("finished") == 60
    assert await jira_story.count("record") == 0
    explained = await jira_story.explain("output")
    assert 'resolved >= "2026-10-24 00:00" AND resolved < "2026-11-23 00:00"' in (explained.parts[0].query or "")
    assert (await jira_story.explain("guess")).parts[0].is_exact is False
    ((quality,),) = await jira_story.rows(
        "SELECT s.quality FROM sample s JOIN metric m ON m.id = s.metric_id WHERE m.name = 'estimated' AND "
        "s.value IS NOT NULL"
    )
    assert quality == "estimated"

    desk.move("HELP-3", "Done", clock())
    desk.edit("HELP-3", clock(), resolutiondate=jira_moment(clock()))
    await jira_story.later(minutes=20)
    assert await jira_story.value("backlog") == 1
    assert await jira_story.value("output") == 2
    assert await jira_story.value("finished") == 80


async def test_equal_queries_of_two_metrics_are_asked_once(jira_story: Story, desk: JiraCloudFake) -> None:
    twin = '  twin: {unit: tickets, query: {connection: jira, jql: "project = HELP AND status != Done"}}\n'
    await jira_story.apply(QUERIES.replace("  estimated:", f"{twin}  estimated:"))
    assert await jira_story.pull() == ["succeeded"] * 5


# --- baselines -------------------------------------------------------------------------------------------------------


async def frozen(story: Story) -> dict[tuple[str, str], tuple[str, Decimal, str]]:
    rows = await story.rows(
        "SELECT k.name, b.guardrail, b.rule, b.value, b.evidence FROM frozen_baseline b "
        "JOIN key_result k ON k.id = b.key_result_id"
    )
    return {(name, guardrail): (rule, Decimal(value), evidence) for name, guardrail, rule, value, evidence in rows}


async def test_a_datasets_baseline_is_frozen_by_the_first_whole_read_and_never_again(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock
) -> None:
    shown = await jira_story.apply(FILE)
    assert shown.baselines_to_freeze == ["support/saving"]
    assert await frozen(jira_story) == {}  # nothing was read: a sum over it would be 0
    await jira_story.pull()
    ((rule, value, kept),) = (await frozen(jira_story)).values()
    assert (rule, value) == ("measure:2026-Q3", Decimal("40.25"))
    assert '"2026-07-01T00:00:00+00:00"' in kept
    assert '"sample_size":2' in kept
    saving = await jira_story.key_result("saving")
    assert (saving.baseline, saving.target) == (Decimal("40.25"), Decimal("36.225"))

    # Later the past turns out otherwise: the value of then moves, the frozen baseline does not.
    desk.edit("HELP-4", clock(), **{COST["id"]: 1_000})
    await jira_story.later(minutes=40)
    await jira_story.apply(FILE)
    await jira_story.later(hours=25)
    assert await jira_story.value("saving", as_of=datetime(2026, 9, 30, tzinfo=UTC)) == Decimal("1000.25")
    assert (await jira_story.key_result("saving")).baseline == Decimal("40.25")
    explained = (await jira_story.explain("saving")).baseline
    assert explained is not None
    assert explained.evidence is not None
    assert (explained.rule, explained.evidence["metric"]) == ({"measure": "2026-Q3"}, "support/spent")


async def test_another_period_is_another_baseline(jira_story: Story, desk: JiraCloudFake) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    await jira_story.apply(FILE.replace("measure: 2026-Q3", "measure: 2026-Q2"))
    assert await frozen(jira_story) == {("saving", ""): ("measure:2026-Q2", Decimal(0), await evidence(jira_story))}


async def evidence(story: Story) -> str:
    ((kept,),) = await story.rows("SELECT evidence FROM frozen_baseline")
    return str(kept)


async def test_a_baseline_is_its_metrics_own_and_goes_with_it(jira_story: Story, desk: JiraCloudFake) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    assert (await jira_story.key_result("saving")).baseline == Decimal("40.25")
    await jira_story.apply(FILE.replace("saving: {metric: spent", "saving: {metric: unfinished"))
    assert (await jira_story.key_result("saving")).baseline == 0


async def test_a_period_that_has_not_ended_is_waited_for(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock
) -> None:
    shown = await jira_story.apply(FILE.replace("measure: 2026-Q3", "measure: 2026-11"))
    await jira_story.pull()
    assert shown.baselines_to_freeze == ["support/saving"]
    assert await frozen(jira_story) == {}
    clock.set(datetime(2026, 12, 1, 0, 1, tzinfo=UTC))
    await jira_story.later(minutes=1)
    assert {name: value for (name, _), (_, value, _) in (await frozen(jira_story)).items()} == {
        "saving": Decimal("112.5")
    }


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("{trailing: 30d}", 1),
        ("cycle", 2),
        ("{to_date: quarter}", 2),
        ("{to_date: year}", 2),
    ],
)
async def test_a_windowed_query_is_asked_about_its_past_once(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock, window: str, expected: int
) -> None:
    file = QUERIES.replace("window: {trailing: 30d}", f"window: {window}").replace(
        "output: {metric: solved, baseline: 0", "output: {metric: solved, baseline: {measure: 2026-Q3}"
    )
    await jira_story.apply(file)
    assert set(await jira_story.pull()) == {"succeeded"}
    ((rule, value, kept),) = (await frozen(jira_story)).values()
    assert (rule, value) == ("measure:2026-Q3", Decimal(expected))
    assert '"end":"2026-10-01T00:00:00+00:00"' in kept

    asked = len(await jira_story.runs())
    desk.edit("HELP-4", clock(), resolutiondate=None)
    for _ in range(3):
        await jira_story.later(hours=1)
    assert (await jira_story.key_result("output")).baseline == expected
    ((again,),) = await jira_story.rows(
        "SELECT count(*) FROM run r JOIN plan p ON p.id = r.plan_id WHERE p.cycle LIKE 'baseline:%'"
    )
    assert again == 1
    assert len(await jira_story.runs()) > asked


async def test_a_guardrail_holds_against_its_first_value_in_the_cycle(
    jira_story: Story, desk: JiraCloudFake, clock: FakeClock
) -> None:
    guarded = (
        'speed: {metric: days, baseline: 15, target: 5, guardrails: [{metric: spent, must: "<= 105% of baseline"}]}'
    )
    await jira_story.apply(FILE.replace("speed: {metric: days, baseline: 15, target: 5}", guarded))
    assert ("speed", "spent") not in await frozen(jira_story)
    await jira_story.pull()
    (guardrail,) = (await jira_story.key_result("speed")).guardrails
    assert (guardrail.value, guardrail.baseline, guardrail.holds) == (Decimal("112.5"), Decimal("112.5"), True)

    desk.edit("HELP-3", clock(), **{COST["id"]: 50})
    await jira_story.later(minutes=40)
    speed = await jira_story.key_result("speed")
    assert (speed.guardrails[0].value, speed.guardrails[0].baseline) == (Decimal("162.5"), Decimal("112.5"))
    assert (speed.guardrails[0].holds, speed.status) == (False, "void")
    assert "162.5 is not <= 105% of baseline (112.5)" in (speed.reason or "")
