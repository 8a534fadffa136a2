"""Hours logged and sprints completed, as key results: from Jira's worklogs and sprints beside its issues, pulled and
told of by webhooks."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.services.pull import FULL_EVERY, HINTS_AFTER, SWEEP_EVERY
from tests.conftest import FakeClock
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import AGILE, API, JiraCloudFake
from tests.fakes.jira_streams import sprint
from tests.services.story import Story, jira_site, on_sqlite, ticket

pytestmark = on_sqlite

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 20, 9, 0, tzinfo=UTC)
OTHER = {"id": "2", "key": "HR", "name": "People"}

FILE = """
version: 1
team: support
connections:
  jira:
    connector: jira
    url: "https://acme.atlassian.net"
    email: bot@acme.example
    token: {env: JIRA_TOKEN}
    webhook_secret: {env: JIRA_HOOK}
datasets:
  tickets: {connection: jira, project: HELP}
  work: {connection: jira, stream: worklogs, project: HELP}
  sprints: {connection: jira, stream: sprints, board: Team}
metrics:
  known: {unit: tickets, records: {dataset: tickets}, window: all}
  hours:
    unit: hours
    records: {dataset: work, value: record.time_spent / 3600, at: record.started}
    aggregate: sum
    window: {to_date: month}
  sprints_done:
    unit: sprints
    records: {dataset: sprints, where: "record.state == 'closed'", at: record.completed}
    window: {to_date: quarter}
  sprint_days:
    unit: days
    duration: {dataset: sprints, from: {field: start}, to: {field: completed}}
    aggregate: avg
    window: {to_date: quarter}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      all: {metric: known, baseline: 0, target: 9}
      logged: {metric: hours, baseline: 0, target: 40}
      sprints: {metric: sprints_done, baseline: 0, target: 6}
      length: {metric: sprint_days, baseline: 20, target: 10}
"""
CLOSED = {"startDate": "2026-10-05T09:00:00.000Z", "endDate": "2026-10-19T09:00:00.000Z"}


@pytest.fixture
def site(clock: FakeClock) -> JiraCloudFake:
    """Three tickets with an hour, half an hour and, of last month, two hours; a sprint that is over and one that is
    not."""
    found = jira_site(clock, *(ticket(number, OCTOBER) for number in (1, 2, 3)), page_size=100, ids_page_size=5_000)
    found.worklogs.log(11, "1", MONDAY, 3_600)
    found.worklogs.log(12, "2", MONDAY, 1_800)
    found.worklogs.log(13, "3", OCTOBER, 7_200)
    found.boards = {1: {"id": 1, "name": "Team", "type": "scrum", "filter": "1"}}
    closed = {**CLOSED, "completeDate": "2026-10-19T09:00:00.000Z"}
    before = {"startDate": "2026-09-01T09:00:00.000Z", "completeDate": "2026-09-15T09:00:00.000Z"}
    running = {"startDate": "2026-11-02T09:00:00.000Z", "endDate": "2026-11-16T09:00:00.000Z"}
    found.sprints = {
        1: sprint(1, "closed", **before),
        2: sprint(2, "closed", **closed),
        3: sprint(3, "active", **running),
        4: sprint(4),
    }
    return found


async def started(story: Story, site: JiraCloudFake) -> None:
    await story.apply(FILE)
    assert await story.pull() == ["succeeded"] * 3
    assert await story.value("logged") == Decimal("1.5")
    site.requests.clear()
    story.clock.advance(timedelta(minutes=1))


async def tell(story: Story, event: str, **what: Any) -> None:
    await story.send([{"webhookEvent": event, **what}], connection="jira")
    await story.work()


async def kept(story: Story, dataset: str) -> dict[str, str]:
    query = (
        "SELECT entity, record.is_deleted, is_out_of_scope FROM record JOIN dataset ON dataset.id = dataset_id "
        "WHERE dataset.name = :dataset ORDER BY entity"
    )
    found = await story.rows(query, dataset=dataset)
    return {entity: "deleted" if gone else "out" if out else "in" for entity, gone, out in found}


async def outcomes(story: Story) -> dict[str, str]:
    """Of the last delivery, by dataset."""
    query = (
        "SELECT dataset.name, outcome FROM intake JOIN dataset ON dataset.id = dataset_id "
        "WHERE delivery_id = (SELECT max(delivery_id) FROM intake) ORDER BY dataset.name"
    )
    return dict(await story.rows(query))


async def test_hours_logged_this_month_are_a_sum_by_the_moment_that_work_began(
    jira_story: Story, site: JiraCloudFake
) -> None:
    await started(jira_story, site)
    site.worklogs.log(14, "3", jira_story.clock(), 5_400)
    # Logged now, done last month.
    site.worklogs.log(15, "3", jira_story.clock(), 600, started="2026-10-30T16:00:00.000+0200")
    await jira_story.later(minutes=30)
    assert await jira_story.value("logged") == 3
    explained = await jira_story.explain("logged")
    assert {record.label for record in explained.included} == {"HELP-1 #11", "HELP-2 #12", "HELP-3 #14"}


async def test_sprints_completed_in_the_quarter_are_counted(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    assert await jira_story.value("sprints") == 1
    assert await jira_story.value("length") == 14
    # Before it was completed it counted for nothing, and what is planned has not come.
    assert await jira_story.value("sprints", as_of=datetime(2026, 10, 10, tzinfo=UTC)) == 0


async def test_a_sprint_that_closes_is_read_by_its_id_and_the_issues_wholly(
    jira_story: Story, site: JiraCloudFake
) -> None:
    await started(jira_story, site)
    now = jira_story.clock().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    site.sprints[3] |= {"state": "closed", "completeDate": now}
    await tell(jira_story, "sprint_closed", sprint={"id": 3, "name": "Sprint 3"})
    assert await outcomes(jira_story) == {"sprints": "applied", "tickets": "applied", "work": "applied"}
    assert await jira_story.later(seconds=HINTS_AFTER.total_seconds()) == ["succeeded"] * 3
    assert sorted(str(run.kind) for run in (await jira_story.runs())[-3:]) == ["hints", "sweep", "sweep"]
    assert await jira_story.value("sprints") == 2
    assert {run.untold for run in (await jira_story.runs())[-3:]} == {0}


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_sprint_that_is_deleted_goes_at_once_or_after_two_sweeps(
    jira_story: Story, site: JiraCloudFake, is_told: bool
) -> None:
    await started(jira_story, site)
    del site.sprints[2]
    if is_told:
        await tell(jira_story, "sprint_deleted", sprint={"id": 2})
        await jira_story.later(seconds=5)
    else:
        await jira_story.later(seconds=SWEEP_EVERY.total_seconds())
        assert (await kept(jira_story, "sprints"))["sprint/2"] == "in"
        await jira_story.later(minutes=20)
    assert await kept(jira_story, "sprints") == {
        "sprint/1": "in",
        "sprint/2": "deleted",
        "sprint/3": "in",
        "sprint/4": "in",
    }
    assert await jira_story.value("sprints") == 0


async def test_a_worklog_that_is_told_of_is_read_by_its_id(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    site.worklogs.edit(12, jira_story.clock(), timeSpentSeconds=9_000)
    await tell(jira_story, "worklog_updated", worklog={"id": "12", "issueId": "2"})
    assert await outcomes(jira_story) == {"sprints": "ignored", "tickets": "applied", "work": "applied"}
    assert await jira_story.later(seconds=5) == ["succeeded"] * 2
    assert {request.path for request in site.requests if "worklog" in request.path} == {f"{API}/worklog/list"}
    assert await jira_story.value("logged") == Decimal("3.5")
    assert not [request for request in site.requests if request.path.startswith(AGILE)]


async def test_an_issue_that_changed_is_no_business_of_the_other_streams(
    jira_story: Story, site: JiraCloudFake
) -> None:
    await started(jira_story, site)
    site.edit("HELP-1", jira_story.clock(), priority={"name": "High"})
    await tell(jira_story, "jira:issue_updated", issue={"id": "1", "key": "HELP-1"})
    assert await outcomes(jira_story) == {"sprints": "ignored", "tickets": "applied", "work": "ignored"}
    assert await jira_story.later(seconds=5) == ["succeeded"]


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_worklog_that_is_deleted_goes_with_the_next_read(
    jira_story: Story, site: JiraCloudFake, is_told: bool
) -> None:
    await started(jira_story, site)
    site.worklogs.delete(11, jira_story.clock())
    if is_told:
        await tell(jira_story, "worklog_deleted", worklog={"id": "11", "issueId": "1"})
        await jira_story.later(seconds=5)
    else:  # Jira's own list tells of it
        await jira_story.later(minutes=20)
        assert (await jira_story.runs())[-1].kind == "changes"
    assert await kept(jira_story, "work") == {"worklog/11": "deleted", "worklog/12": "in", "worklog/13": "in"}
    assert await jira_story.value("logged") == Decimal("0.5")


async def test_the_work_on_an_issue_that_is_deleted_goes_after_two_sweeps(
    jira_story: Story, site: JiraCloudFake
) -> None:
    """No list of Jira's and no webhook tells of those worklogs."""
    await started(jira_story, site)
    site.delete("HELP-1", jira_story.clock())
    await tell(jira_story, "jira:issue_deleted", issue={"id": "1", "key": "HELP-1"})
    await jira_story.later(seconds=5)
    assert (await kept(jira_story, "work"))["worklog/11"] == "in"
    await jira_story.later(minutes=20)
    assert (await kept(jira_story, "work"))["worklog/11"] == "deleted"
    assert await jira_story.value("logged") == Decimal("0.5")


async def test_work_moves_with_its_issue_and_between_issues(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    site.create(ticket(9, OCTOBER, project=OTHER), OCTOBER)
    site.named("HELP-9")["key"] = "HR-9"
    site.move_to_project("HELP-1", OTHER, "HR-1", jira_story.clock())
    site.worklogs.move(12, "3")
    await jira_story.later(seconds=SWEEP_EVERY.total_seconds())
    assert await kept(jira_story, "work") == {"worklog/11": "out", "worklog/12": "in", "worklog/13": "in"}
    assert await jira_story.value("logged") == Decimal("0.5")
    site.worklogs.move(13, "9")
    site.move_to_project("HR-1", {"id": "1", "key": "HELP", "name": "Help"}, "HELP-1", jira_story.clock())
    await jira_story.later(seconds=FULL_EVERY.total_seconds())
    assert await kept(jira_story, "work") == {"worklog/11": "in", "worklog/12": "in", "worklog/13": "out"}
    explained = await jira_story.explain("logged")
    assert {record.label for record in explained.included} == {"HELP-1 #11", "HELP-3 #12"}


async def test_a_permission_that_is_lost_takes_no_hour_away(jira_story: Story, site: JiraCloudFake) -> None:
    await jira_story.apply(FILE.replace("stream: worklogs, project: HELP", "stream: worklogs, jql: labels IS EMPTY"))
    await jira_story.pull()
    site.hidden_projects.add("HELP")
    site.worklogs.edit(11, jira_story.clock(), timeSpentSeconds=60)
    for _ in range(3):
        await jira_story.later(seconds=SWEEP_EVERY.total_seconds())
    assert set((await kept(jira_story, "work")).values()) == {"in"}
    assert await jira_story.value("logged") == Decimal("1.5")


async def test_a_read_that_fails_half_way_changes_nothing(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    site.worklogs.log(14, "3", jira_story.clock(), 5_400)
    site.faults = [jira_faults.status(f"{API}/worklog/list", 503)]
    assert "failed" in await jira_story.later(minutes=20)
    assert await jira_story.value("logged") == Decimal("1.5")
    await jira_story.later(minutes=20)
    assert await jira_story.value("logged") == 3


async def test_a_dataset_that_keeps_another_stream_from_now_on_drops_what_it_had(
    jira_story: Story, site: JiraCloudFake
) -> None:
    await started(jira_story, site)
    site.worklogs.log(1, "1", jira_story.clock(), 1_800)  # with the number of an issue
    issues = FILE.replace("stream: worklogs, project: HELP", "project: HELP")
    issues = issues.replace(", value: record.time_spent / 3600, at: record.started", "").replace("sum", "count")
    await jira_story.apply(issues)
    await jira_story.later(minutes=20)
    assert {entity for entity, state in (await kept(jira_story, "work")).items() if state == "in"} == {"1", "2", "3"}
    await jira_story.apply(FILE)
    await jira_story.later(minutes=20)
    in_scope = {entity for entity, state in (await kept(jira_story, "work")).items() if state == "in"}
    assert in_scope == {"worklog/1", "worklog/11", "worklog/12", "worklog/13"}
    assert await jira_story.value("logged") == 2
