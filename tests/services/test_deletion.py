"""What is gone from the tool goes from the numbers: after two whole reads without it, and never after less."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import FakeClock
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.services.story import Story, jira_site, ticket

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SEARCH = f"{API}/search/jql"

FILE = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
metrics:
  all_tickets: {unit: tickets, records: {dataset: tickets}, window: all}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      count: {metric: all_tickets, baseline: 10, target: 0}
"""


@pytest.fixture
def site(clock: FakeClock) -> JiraCloudFake:
    """Four tickets on pages of two."""
    return jira_site(clock, *(ticket(number, MONDAY + timedelta(days=number)) for number in range(1, 5)))


async def misses(story: Story) -> dict[str, tuple[int, bool]]:
    rows = await story.rows("SELECT name, missed_sweeps, is_deleted FROM record ORDER BY name")
    return {name: (missed, bool(gone)) for name, missed, gone in rows}


async def test_a_ticket_that_is_gone_is_counted_no_more_after_two_whole_reads(
    jira_story: Story, site: JiraCloudFake
) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    gone = site.issues.pop("3")

    for _ in range(3):
        assert await jira_story.later(minutes=20) == ["succeeded"]
    assert [run.is_full for run in await jira_story.runs()] == [True, False, False, False]
    assert await jira_story.value("count") == 4  # reads of what changed say nothing of what is gone

    assert await jira_story.later(hours=24) == ["succeeded"]
    assert (await jira_story.runs())[-1].is_full
    assert (await misses(jira_story))["HELP-3"] == (1, False)
    assert await jira_story.value("count") == 4

    assert await jira_story.later(minutes=20) == ["succeeded"]  # the confirmation comes soon
    assert (await jira_story.runs())[-1].is_full
    assert (await misses(jira_story))["HELP-3"] == (2, True)
    assert await jira_story.value("count") == 3
    assert await jira_story.later(minutes=20) == ["succeeded"]
    assert not (await jira_story.runs())[-1].is_full

    # It comes back, unchanged: found by the next whole read.
    site.issues["3"] = gone
    await jira_story.later(hours=24)
    assert (await misses(jira_story))["HELP-3"] == (0, False)
    assert await jira_story.value("count") == 4


async def test_a_ticket_that_comes_back_changed_is_found_by_the_next_read(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock
) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    gone = site.issues.pop("3")
    await jira_story.later(hours=24)
    await jira_story.later(minutes=20)
    assert await jira_story.value("count") == 3
    site.issues["3"] = gone
    site.edit("HELP-3", clock(), summary="It was not gone after all")
    assert await jira_story.later(minutes=20) == ["succeeded"]
    assert not (await jira_story.runs())[-1].is_full
    assert await jira_story.value("count") == 4


async def test_whole_reads_that_fail_count_no_miss(jira_story: Story, site: JiraCloudFake) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    del site.issues["4"]
    del site.issues["3"]
    jira_story.clock.advance(timedelta(hours=24))
    for first in (1, 1, 1):
        site.faults = [jira_faults.truncated(SEARCH, first=first)]
        assert await jira_story.later(hours=2) == ["failed"]
        assert (await jira_story.runs())[-1].is_full
    assert set((await misses(jira_story)).values()) == {(0, False)}
    assert await jira_story.value("count") == 4


async def test_a_miss_is_forgotten_when_the_next_whole_read_finds_it(jira_story: Story, site: JiraCloudFake) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    for _ in range(3):
        lagging = site.issues.pop("2")  # an index that lags leaves it out once
        await jira_story.later(hours=25)
        assert (await misses(jira_story))["HELP-2"] == (1, False)
        site.issues["2"] = lagging
        await jira_story.later(minutes=20)
        assert (await misses(jira_story))["HELP-2"] == (0, False)
    assert await jira_story.value("count") == 4


async def test_a_scope_that_is_narrowed_drops_what_it_left_out_with_one_read(
    jira_story: Story, site: JiraCloudFake
) -> None:
    await jira_story.apply(FILE)
    await jira_story.pull()
    await jira_story.apply(FILE.replace("project = HELP", "project = HELP AND created >= 2026-11-05"))
    await jira_story.later(minutes=1)
    assert (await jira_story.runs())[-1].is_full
    assert await jira_story.value("count") == 2
    await jira_story.apply(FILE)
    await jira_story.later(minutes=1)
    assert await jira_story.value("count") == 4
