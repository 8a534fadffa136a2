"""History from before there were samples: told from records and deliveries, marked, resumable, never over a measured
value."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.errors import InvalidInput, NotFound
from app.services.backfill import work_backfills
from app.services.backfill_requests import get_backfill, request_backfill
from app.services.read import metric_history
from app.services.views import SampleView
from app.services.views.backfill import BackfillView
from tests.fakes.jira_cloud import JiraCloudFake
from tests.fakes.jira_faults import status
from tests.services.story import TEAM, GivenSecrets, Story, on_sqlite, ticket
from tests.services.test_close import FILE, order, tell

JIRA = """
version: 1
team: support
timezone: Europe/Berlin
connections:
  jira: {connector: jira, url: "https://jira.example.com", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
metrics:
  closed: {unit: tickets, records: {dataset: tickets, where: "record.status == 'Done'", at: record.resolved}, window: {to_date: quarter}}
  open_now: {unit: tickets, query: {connection: jira, jql: "statusCategory != Done"}}
  closed_and_open: {unit: tickets, formula: closed + open_now}
objectives:
  help:
    title: Help
    cycle: 2026-Q4
    key_results:
      done: {metric: closed, baseline: 0, target: 10}
"""  # noqa: E501
COUNT = "/rest/api/3/search/approximate-count"


async def ask(story: Story, since: str, metric: str | None = None) -> BackfillView:
    return await request_backfill(story.services, TEAM, date.fromisoformat(since), metric=metric, actor="dana")


async def finish(story: Story, job: BackfillView) -> BackfillView:
    while await work_backfills(story.services):
        pass
    async with story.services.database.reading() as session:
        found = await get_backfill(session, TEAM, job.id)
    assert found is not None
    return found


async def history(story: Story, metric: str) -> list[SampleView]:
    async with story.services.database.reading() as session:
        found = await metric_history(session, TEAM, metric, limit=1000)
    assert found is not None
    return sorted(found, key=lambda sample: sample.observed_at)


async def orders(story: Story) -> None:
    await story.apply(FILE)
    await tell(story, *(order(f"o{day}", f"2026-11-{day:02}T12:00:00Z") for day in (3, 5, 9)))


async def test_every_day_since_is_told_and_marked(story: Story) -> None:
    await orders(story)
    job = await finish(story, await ask(story, "2026-11-01", "sold"))
    assert (job.state, job.done, job.total, job.samples) == ("done", 21, 21, 19)
    assert job.notes == ["support/sold: no history before 2026-11-03, where what is kept begins"]
    told = await history(story, "sold")
    assert [(sample.observed_at.day, sample.value) for sample in told if sample.quality == "reconstructed"] == [
        (day, Decimal(1 if day < 5 else 2 if day < 9 else 3)) for day in range(3, 22)
    ]
    assert told[-1].quality == "measured"
    first = told[1] if told[0].value is None else told[0]
    assert first.observed_at == datetime(2026, 11, 3, 23, 59, 59, 999999, tzinfo=UTC)
    # What is current is what it was.
    sales = await story.key_result("sales")
    assert (sales.value, sales.observed_at) == (Decimal(3), story.clock())


async def test_a_day_is_told_once_and_a_measured_value_stays(story: Story) -> None:
    await orders(story)
    story.clock.advance(timedelta(days=3))
    await tell(story, order("o4", "2026-11-24T12:00:00Z"))
    await finish(story, await ask(story, "2026-11-01", "sold"))
    before = await history(story, "sold")
    assert [sample.observed_at.day for sample in before if sample.quality == "reconstructed"] == [
        *range(3, 22),
        24,  # it was told of on the 25th, and had happened by then
    ]
    again = await finish(story, await ask(story, "2026-11-01", "sold"))
    assert (again.state, again.samples) == ("done", 0)
    assert await history(story, "sold") == before


async def test_a_forecast_is_made_anew_of_a_history_that_was_told(story: Story) -> None:
    await story.apply(FILE)
    await tell(story, *(order(f"o{day}", f"2026-10-{day:02}T12:00:00Z") for day in range(1, 30, 2)))
    before = await story.key_result("sales")
    assert (before.forecast, before.forecast_reason is None) == (None, False)
    job = await ask(story, "2026-10-01", "sold")
    for _ in range(4):
        assert await work_backfills(story.services) == 1
    half = await story.key_result("sales")
    assert (half.forecast, half.forecast_reason) == (None, "its history is still being told")
    await finish(story, job)
    after = await story.key_result("sales")
    assert after.value == before.value
    assert after.forecast is not None, "what was kept of the shorter history is no answer any more"


async def test_a_job_goes_on_where_a_worker_left_it(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await orders(story)
    job = await ask(story, "2026-10-01", "sold")
    assert await work_backfills(story.services) == 1
    same = await ask(story, "2026-10-01", "sold")
    assert (same.id, same.state) == (job.id, "running")
    assert 0 < same.done < same.total
    monkeypatch.setattr("app.services.backfill._reconstruct", _killed)
    with pytest.raises(KeyboardInterrupt):
        await work_backfills(story.services)
    assert (await ask(story, "2026-10-01", "sold")).done == same.done
    monkeypatch.undo()
    done = await finish(story, job)
    assert (done.state, done.samples) == ("done", 19)
    days = [sample.observed_at for sample in await history(story, "sold") if sample.quality == "reconstructed"]
    assert len(days) == len(set(days)) == 19


async def _killed(*_: object) -> int:
    raise KeyboardInterrupt


async def test_a_pulled_dataset_is_told_from_its_transitions_and_a_count_of_today_is_not(
    jira_story: Story, site: JiraCloudFake
) -> None:
    story = jira_story
    for number, day in ((1, 2), (2, 4)):
        created = datetime(2026, 10, 1, 8, tzinfo=UTC)
        made = ticket(number, created, ("Done", datetime(2026, 11, day, 12, tzinfo=UTC)))
        site.issues[made["id"]] = made
    await story.apply(JIRA)
    job = await ask(story, "2026-11-01")
    assert await work_backfills(story.services) == 0  # the tool is to be read first
    await story.later(minutes=1)
    done = await finish(story, job)
    assert done.state == "done"
    told = {
        sample.observed_at.day: sample.value for sample in await history(story, "closed") if sample.value is not None
    }
    assert [told[day] for day in (1, 2, 3, 4, 5, 21)] == [0, 1, 1, 2, 2, 2]
    assert [note.split(" now")[0].split(":")[0] for note in done.notes] == [
        "support/closed_and_open",
        "support/open_now",
    ]
    assert all("no history before 2026-11-22" in note for note in done.notes)
    assert not [sample for sample in await history(story, "open_now") if sample.quality == "reconstructed"]


@on_sqlite
async def test_a_metric_that_can_not_be_computed_holds_up_no_other(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await orders(story)
    job = await ask(story, "2026-11-10")
    monkeypatch.setattr("app.services.backfill._reconstruct", _broken)
    done = await finish(story, job)
    assert (done.state, done.done, len(done.notes)) == ("done", done.total, 2)


async def _broken(*_: object) -> int:
    raise RuntimeError("broken")


@on_sqlite
async def test_what_can_not_be_asked_for_is_refused(story: Story) -> None:
    with pytest.raises(NotFound):
        await ask(story, "2026-11-01")
    await orders(story)
    with pytest.raises(NotFound):
        await ask(story, "2026-11-01", "nothing")
    for day in ("2026-11-22", "2027-01-01", "1990-01-01"):
        with pytest.raises(InvalidInput):
            await ask(story, day)


WINDOWED = JIRA.replace(
    "  open_now:",
    '  resolved_weekly: {unit: tickets, query: {connection: jira, jql: "resolved >= {from} AND resolved < {to}"}, '
    "window: {trailing: 7d}}\n  open_now:",
)


async def test_a_query_that_can_look_back_is_asked_for_every_day(jira_story: Story, site: JiraCloudFake) -> None:
    story = jira_story
    for number, day in ((1, 2), (2, 4), (3, 20)):
        made = ticket(number, datetime(2026, 10, 1, 8, tzinfo=UTC), ("Done", datetime(2026, 11, day, 12, tzinfo=UTC)))
        site.issues[made["id"]] = made
    await story.apply(WINDOWED)
    await story.later(minutes=1)
    done = await finish(story, await ask(story, "2026-11-01", "resolved_weekly"))
    assert (done.state, done.samples, done.notes) == ("done", 21, [])
    told = [sample for sample in await history(story, "resolved_weekly") if sample.quality == "reconstructed"]
    assert [int(sample.value or 0) for sample in told] == [0, 1, 1, 2, 2, 2, 2, 2, 1, 1, *[0] * 9, 1, 1]
    again = await finish(story, await ask(story, "2026-11-01", "resolved_weekly"))
    assert again.samples == 0


async def test_a_tool_that_fails_is_said_so(jira_story: Story, site: JiraCloudFake) -> None:
    story = jira_story
    await story.apply(WINDOWED)
    await story.later(minutes=1)
    before = await story.count("sample")
    site.faults = [status(path, 500, times=1_000) for path in ("/rest/api/3/search/jql", COUNT)]
    done = await finish(story, await ask(story, "2026-11-01", "resolved_weekly"))
    assert done.state == "done"
    assert done.notes[0].startswith("support/resolved_weekly: the tool did not tell: ")
    assert await story.count("sample") == before


@pytest.mark.parametrize(
    ("is_lost", "jql", "words"),
    [
        (True, "project = HELP", "support/closed: nothing is known of tickets yet: The secret"),
        (False, "colour = red", "support/closed: nothing is known of tickets yet: Jira refuses the query"),
    ],
)
@on_sqlite
async def test_a_tool_that_nobody_may_read_ends_the_job_with_the_reason(
    jira_story: Story, is_lost: bool, jql: str, words: str
) -> None:
    """And does not wait for a read that never comes."""
    story = jira_story
    if is_lost:
        secrets = story.services.secrets
        assert isinstance(secrets, GivenSecrets)
        secrets.values.clear()
    await story.apply(JIRA.replace("project = HELP", jql))
    job = await ask(story, "2026-11-01", "closed")
    assert await work_backfills(story.services) == 0  # nobody has tried yet
    assert "failed" in await story.later(minutes=1)
    done = await finish(story, job)
    assert (done.state, done.samples, done.done) == ("done", 0, done.total)
    assert done.notes[0].startswith(words)
