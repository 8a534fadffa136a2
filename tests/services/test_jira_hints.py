"""Webhooks of a tool that is also read: each is followed by one read of its issue, and both come to the same."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.services.pull import HINTS_AFTER, SWEEP_EVERY, confirm_drop
from tests.conftest import FakeClock
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.services.story import Story, jira_site, on_sqlite, ticket

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SEARCH, FETCH = f"{API}/search/jql", f"{API}/issue/bulkfetch"
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
  tickets: {connection: jira, jql: "project = HELP AND status != Done"}
metrics:
  unfinished: {unit: tickets, records: {dataset: tickets}, window: all}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      backlog: {metric: unfinished, baseline: 10, target: 0}
"""


@pytest.fixture
def site(clock: FakeClock) -> JiraCloudFake:
    """Six open tickets."""
    tickets = (ticket(number, MONDAY + timedelta(days=number)) for number in range(1, 7))
    return jira_site(clock, *tickets, page_size=100, ids_page_size=5_000)


def told(event: str, *numbers: int) -> Iterable[dict[str, Any]]:
    return ({"webhookEvent": event, "issue": {"id": str(number), "key": f"HELP-{number}"}} for number in numbers)


async def tell(story: Story, event: str, *numbers: int) -> None:
    await story.send(told(event, *numbers), connection="jira")
    await story.work()


async def started(story: Story, site: JiraCloudFake) -> None:
    await story.apply(FILE)
    assert await story.pull() == ["succeeded"]
    assert await story.value("backlog") == 6
    site.requests.clear()
    story.clock.advance(timedelta(minutes=1))


async def records(story: Story) -> dict[str, str]:
    found = await story.rows("SELECT name, is_deleted, is_out_of_scope FROM record ORDER BY name")
    return {name: "deleted" if gone else "out" if out else "in" for name, gone, out in found}


async def test_a_webhook_is_followed_by_one_read_of_its_issue(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    site.edit("HELP-2", jira_story.clock(), priority={"name": "High"})
    await tell(jira_story, "jira:issue_updated", 2)
    await tell(jira_story, "jira:issue_updated", 2)  # both within moments: one read
    assert await jira_story.pull() == []
    assert await jira_story.later(seconds=HINTS_AFTER.total_seconds()) == ["succeeded"]
    run = (await jira_story.runs())[-1]
    assert (run.kind, run.records, run.changed, run.untold) == ("hints", 1, 1, 0)
    assert sorted(request.path.rpartition("/")[2] for request in site.requests) == ["bulkfetch", "bulkfetch", "jql"]
    ((fields,),) = await jira_story.rows("SELECT fields FROM record WHERE name = 'HELP-2'")
    assert (json.loads(fields) if isinstance(fields, str) else fields)["priority"] == "High"
    assert await jira_story.count("hint") == 0
    outcomes = await jira_story.rows("SELECT outcome FROM intake")
    assert outcomes == [("applied",)] * 2


async def test_what_a_webhook_tells_of_leaves_and_comes_as_the_query_says(
    jira_story: Story, site: JiraCloudFake
) -> None:
    await started(jira_story, site)
    now = jira_story.clock()
    site.move("HELP-1", "Done", now)
    site.move_to_project("HELP-2", OTHER, "HR-1", now)
    site.delete("HELP-3", now)
    site.create(ticket(7, now), now)
    await tell(jira_story, "jira:issue_updated", 1, 2)
    await tell(jira_story, "jira:issue_deleted", 3)
    await tell(jira_story, "jira:issue_created", 7)
    assert await jira_story.later(seconds=5) == ["succeeded"]
    assert await records(jira_story) == {
        "HELP-1": "out",
        "HELP-2": "out",
        "HELP-3": "deleted",
        "HELP-4": "in",
        "HELP-5": "in",
        "HELP-6": "in",
        "HELP-7": "in",
    }
    assert await jira_story.value("backlog") == 4
    site.move("HELP-1", "Open", jira_story.clock())
    await tell(jira_story, "jira:issue_updated", 1)
    await jira_story.later(seconds=5)
    assert (await records(jira_story))["HELP-1"] == "in"
    assert await jira_story.value("backlog") == 5


async def test_a_deletion_that_is_not_so_deletes_nothing(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    await tell(jira_story, "jira:issue_deleted", 1, 99)
    assert await jira_story.later(seconds=5) == ["succeeded"]
    assert set((await records(jira_story)).values()) == {"in"}
    # Gone without being told so: that takes two sweeps.
    site.delete("HELP-1", jira_story.clock())
    await tell(jira_story, "jira:issue_updated", 1)
    await jira_story.later(seconds=5)
    assert (await records(jira_story))["HELP-1"] == "in"


async def test_a_hint_outlives_a_failing_tool(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    site.delete("HELP-1", jira_story.clock())
    await tell(jira_story, "jira:issue_deleted", 1)
    site.faults = [jira_faults.status(FETCH, 503)]
    assert await jira_story.later(seconds=5) == ["failed"]
    assert await jira_story.count("hint") == 1
    assert (await records(jira_story))["HELP-1"] == "in"
    assert await jira_story.later(minutes=1) == ["succeeded"]
    assert (await records(jira_story))["HELP-1"] == "deleted"
    assert await jira_story.count("hint") == 0


async def test_a_sprint_that_closes_has_the_dataset_swept(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    site.move("HELP-4", "Done", jira_story.clock())
    await jira_story.send([{"webhookEvent": "sprint_closed", "sprint": {"id": 1}}], connection="jira")
    await jira_story.work()
    assert await jira_story.later(seconds=5) == ["succeeded"]
    assert (await jira_story.runs())[-1].kind == "sweep"
    assert await jira_story.value("backlog") == 5


async def test_what_webhooks_missed_is_mended_counted_and_shown(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    assert (await jira_story.connection()).drift is None
    for number in (1, 2, 3, 4):
        site.edit(f"HELP-{number}", jira_story.clock(), priority={"name": "High"})
    site.edit("HELP-5", jira_story.clock())  # a comment: nothing that is kept, and no webhook that counts
    await tell(jira_story, "jira:issue_updated", 1, 2, 3)
    await jira_story.later(seconds=5)
    await jira_story.later(minutes=20)
    assert (await jira_story.runs())[-1].untold == 1
    drift = (await jira_story.connection()).drift
    assert drift is not None
    assert (drift.changed, drift.missed) == (5, 1)
    assert drift.summary == "Webhooks missed 20.0 % of 5 changes of the last seven days; reads mended them."


# --- sweeps -----------------------------------------------------------------------------------------------------------


async def swept(story: Story) -> None:
    assert "succeeded" in await story.later(seconds=SWEEP_EVERY.total_seconds())
    assert (await story.runs())[-1].kind in ("sweep", "full")


async def test_a_sweep_finds_what_left_came_and_was_deleted(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    now = jira_story.clock()
    site.move("HELP-1", "Done", now)
    site.move_to_project("HELP-2", OTHER, "HR-1", now)
    site.delete("HELP-3", now)
    await swept(jira_story)
    assert await records(jira_story) | {"HELP-3": "?"} == {
        "HELP-1": "out",
        "HELP-2": "out",
        "HELP-3": "?",
        "HELP-4": "in",
        "HELP-5": "in",
        "HELP-6": "in",
    }
    assert (await records(jira_story))["HELP-3"] == "in"  # a second sweep has to miss it too
    assert await jira_story.value("backlog") == 4
    assert await jira_story.later(minutes=20) == ["succeeded"]
    assert (await records(jira_story))["HELP-3"] == "deleted"
    assert await jira_story.value("backlog") == 3


async def test_a_project_that_goes_out_of_sight_takes_nothing_away(jira_story: Story, site: JiraCloudFake) -> None:
    for number in (4, 5):
        site.move_to_project(f"HELP-{number}", OTHER, f"HR-{number}", MONDAY)
    await jira_story.apply(FILE.replace("project = HELP AND ", ""))
    assert await jira_story.pull() == ["succeeded"]
    assert await jira_story.value("backlog") == 6
    site.hidden_projects = {"HR"}
    for _ in range(5):
        await swept(jira_story)
    assert set((await records(jira_story)).values()) == {"in"}
    assert await jira_story.value("backlog") == 6
    assert any("project HR" in warning for warning in (await jira_story.connection()).warnings)
    site.hidden_projects = set()
    await swept(jira_story)
    assert (await jira_story.connection()).warnings == []


async def test_a_large_drop_waits_for_a_person(jira_story: Story, site: JiraCloudFake) -> None:
    for number in range(10, 60):
        site.create(ticket(number, MONDAY), MONDAY)
    await jira_story.apply(FILE)
    await jira_story.pull()
    assert await jira_story.value("backlog") == 56
    for number in range(10, 40):
        site.delete(f"HELP-{number}", jira_story.clock())
    for _ in range(4):
        await swept(jira_story)
        await jira_story.later(minutes=20)
    assert await jira_story.value("backlog") == 56
    assert any(warning.startswith("30 records are gone") for warning in (await jira_story.connection()).warnings)
    ((held,),) = await jira_story.rows("SELECT held_drop FROM plan WHERE dataset_id IS NOT NULL")
    assert held == 30
    assert await confirm_drop(jira_story.services, "support", "tickets", "dana") == 30
    assert await jira_story.later(seconds=1) == ["succeeded"]
    assert await jira_story.value("backlog") == 26
    assert (await jira_story.connection()).warnings == []


async def test_a_renamed_project_is_seen_by_the_next_whole_read(jira_story: Story, site: JiraCloudFake) -> None:
    await jira_story.apply(FILE.replace("project = HELP AND ", ""))
    await jira_story.pull()
    site.rename_project("HELP", "DESK")
    assert await jira_story.later(hours=24) == ["succeeded"]
    assert sorted(await records(jira_story)) == [f"DESK-{number}" for number in range(1, 7)]


async def test_a_sweep_is_a_few_requests(jira_story: Story, site: JiraCloudFake) -> None:
    await started(jira_story, site)
    await jira_story.later(minutes=30)
    site.requests.clear()
    await swept(jira_story)
    paths = [request.path for request in site.requests]
    assert (paths.count(FETCH), paths.count(SEARCH)) == (0, 2)


async def test_a_project_of_three_that_is_out_of_sight_stops_the_query_that_names_it(
    jira_story: Story, site: JiraCloudFake
) -> None:
    for number, (key, name) in {4: ("HR", "People"), 5: ("OPS", "Operations")}.items():
        project = {"id": str(number), "key": key, "name": name}
        site.move_to_project(f"HELP-{number}", project, f"{key}-{number}", MONDAY)
    await jira_story.apply(FILE.replace("project = HELP", "project in (HELP, HR, OPS)"))
    assert await jira_story.pull() == ["succeeded"]
    site.hidden_projects = {"HR"}
    assert await jira_story.later(hours=2) == ["failed"]
    run = (await jira_story.runs())[-1]
    assert (run.error_code, "The value 'HR' does not exist for the field 'project'" in (run.error or "")) == (
        "query",
        True,
    )
    assert await jira_story.value("backlog") == 6
    assert set((await records(jira_story)).values()) == {"in"}


async def test_a_status_without_a_category_is_shown_with_its_count(jira_story: Story, site: JiraCloudFake) -> None:
    for number in (1, 2):
        site.move(f"HELP-{number}", "In Progress", MONDAY)
    site.statuses = [status for status in site.statuses if status["name"] != "In Progress"]
    await jira_story.apply(FILE.replace(" AND status != Done", ""))
    await jira_story.pull()
    assert (await jira_story.connection()).warnings == [
        "The status 'In Progress' has no category any more: 2 changes into it are in no category."
    ]


@on_sqlite
async def test_what_a_first_page_has_no_room_for_is_in_scope(jira_story: Story, site: JiraCloudFake) -> None:
    site.ids_page_size = 2
    await started(jira_story, site)
    for number in range(1, 6):
        site.edit(f"HELP-{number}", jira_story.clock(), priority={"name": "High"})
    await tell(jira_story, "jira:issue_updated", 1, 2, 3, 4, 5)
    assert await jira_story.later(seconds=HINTS_AFTER.total_seconds()) == ["succeeded"]
    assert (await jira_story.runs())[-1].kind == "hints"
    assert set((await records(jira_story)).values()) == {"in"}
    assert await jira_story.value("backlog") == 6
