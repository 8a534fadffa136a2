"""What stands behind a number that a tool computed, and behind a baseline that is frozen."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

from app.services.explain import explain_metric
from app.services.views import ExplainedPart, ExplainView
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import TEAM, Story, jira_moment, on_sqlite, ticket

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SUMMER = datetime(2026, 8, 3, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FILE = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
metrics:
  solved:
    unit: tickets
    query: {connection: jira, jql: "resolutiondate >= {from} AND resolutiondate < {to}"}
    window: {to_date: quarter}
  days:
    unit: days
    duration: {dataset: tickets, from: {status: In Progress}, to: {status: Done}}
    aggregate: avg
    window: {to_date: quarter}
  cutover: {unit: percent, milestones: [{name: first, done: {connection: jira, jql: "status = Done"}}]}
objectives:
  desk:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      output: {metric: solved, baseline: {measure: 2026-Q3}, target: 100}
      speed: {metric: days, baseline: {measure: 2026-Q3}, target: 0.5}
      steps: {metric: cutover, baseline: 0, target: 100}
"""


def fill(site: JiraCloudFake) -> None:
    tickets = (
        ticket(1, MONDAY, ("In Progress", MONDAY + DAY), ("Done", MONDAY + 3 * DAY)),
        ticket(2, MONDAY),
        ticket(3, SUMMER, ("In Progress", SUMMER + DAY), ("Done", SUMMER + 5 * DAY)),
        ticket(4, SUMMER, ("In Progress", SUMMER + DAY), ("Done", SUMMER + 2 * DAY)),
    )
    site.issues.update({one["id"]: one for one in tickets})


def only_part(explained: ExplainView) -> ExplainedPart:
    (part,) = explained.parts
    return part


@on_sqlite
async def test_an_answer_is_told_from_another_one_of_the_same_number(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    fill(site)
    await jira_story.apply(FILE)
    await jira_story.pull()
    first = only_part(await jira_story.explain("output"))
    assert (first.value, first.observed_at) == (1, clock())
    assert first.digest is not None
    assert first.digest.startswith("sha256:")
    await jira_story.later(hours=1)
    same = only_part(await jira_story.explain("output"))
    assert (same.value, same.digest, same.observed_at) == (1, first.digest, clock())
    # One is opened again and another one is done: still one.
    site.edit("HELP-1", clock(), resolutiondate=None)
    site.edit("HELP-2", clock(), resolutiondate=jira_moment(clock()))
    await jira_story.later(hours=1)
    other = only_part(await jira_story.explain("output"))
    assert other.value == 1
    assert other.digest != first.digest
    (step,) = (await jira_story.explain("steps")).steps
    assert step.digest is not None


@on_sqlite
async def test_the_last_periods_answer_is_none_in_a_new_one(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    fill(site)
    await jira_story.apply(FILE)
    await jira_story.pull()
    clock.set(datetime(2027, 1, 1, 0, 1, tzinfo=UTC))
    async with jira_story.services.database.reading() as session:
        explained = await explain_metric(session, TEAM, "solved", now=clock())
    assert explained is not None
    assert (explained.value, explained.reason) == (None, "not measured yet")
    assert (only_part(explained).value, only_part(explained).query) == (None, None)


async def test_a_frozen_baseline_keeps_the_answer_or_leads_to_its_records(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    fill(site)
    await jira_story.apply(FILE)
    await jira_story.pull()
    counted = (await jira_story.explain("output")).baseline
    assert counted is not None
    assert counted.evidence is not None
    (answer,) = counted.evidence["answers"]
    assert (answer["metric"], answer["part"], answer["value"]) == ("support/solved", "value", "2")
    assert 'resolutiondate >= "2026-07-01 00:00"' in answer["query"]
    assert answer["digest"].startswith("sha256:")
    assert counted.explain is None

    # What comes later about the summer changes nothing of it.
    late = ticket(5, SUMMER, ("In Progress", SUMMER + DAY), ("Done", SUMMER + 30 * DAY))
    clock.advance(timedelta(hours=1))
    site.create(late | {"fields": late["fields"]}, clock())
    await jira_story.later(hours=1)
    timed = (await jira_story.explain("speed")).baseline
    assert timed is not None
    assert timed.value == Decimal("2.5")
    assert timed.explain is not None
    asked = urlsplit(timed.explain)
    assert asked.path == "/v1/metrics/support/days/explain"
    point = {name: datetime.fromisoformat(value) for name, (value,) in parse_qs(asked.query).items()}
    async with jira_story.services.database.reading() as session:
        explained = await explain_metric(session, TEAM, "days", now=clock(), **point)
        today = await explain_metric(session, TEAM, "days", now=clock(), as_of=point["as_of"])
    assert explained is not None
    assert explained.value == timed.value
    assert {record.label for record in explained.included} == {"HELP-3", "HELP-4"}
    assert today is not None
    assert {record.label for record in today.included} == {"HELP-3", "HELP-4", "HELP-5"}
