"""What happens at the seams of cycles: objectives left behind, cycles of one team's own, the workers' part."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.document import read_yaml
from app.errors import Conflict
from app.services import read
from app.services.apply import apply_team_file
from app.services.backfill_requests import request_backfill
from app.services.close import reopen_cycle
from app.services.definitions import team_cycle
from app.services.health_check import read_health_check
from app.services.restate import RECHECK
from app.store import organisation
from tests.services.story import TEAM, Story
from tests.services.test_close import FILE, Q4, a_quarter, close, cycle, order, tell
from workers.housekeeping import keep_house

OTHER = """
version: 1
team: sales
cycles:
  fair: {start: 2026-11-01, end: 2026-11-20}
metrics:
  sold_twice: {unit: orders, formula: support.sold_in_cycle * 2}
objectives:
  fair:
    title: The fair
    cycle: fair
    key_results:
      sold: {metric: support.sold_in_cycle, baseline: 0, target: 4}
      twice: {metric: sold_twice, baseline: 0, target: 4}
"""


async def findings(story: Story) -> list[tuple[str, str]]:
    async with story.services.database.reading() as session:
        view = await read_health_check(session, TEAM, now=story.clock())
    assert view is not None
    return [(one.code, one.subject) for one in view.findings]


async def test_an_objective_whose_cycle_is_over_without_a_next_one_is_told_of(story: Story) -> None:
    await story.apply(FILE)
    assert ("cycle_ended", "support/sell") not in await findings(story)
    story.clock.set(datetime(2027, 1, 2, tzinfo=UTC))
    assert ("cycle_ended", "support/sell") in await findings(story)
    await close(story)
    assert ("cycle_ended", "support/sell") in await findings(story)
    await story.apply(FILE.replace(Q4, "2027-Q1"))
    assert ("cycle_ended", "support/sell") not in await findings(story)


async def test_a_cycle_of_one_teams_own_does_no_harm_to_anothers_metric(story: Story) -> None:
    await story.apply(
        FILE.replace(
            "  largest:", "  sold_in_cycle: {unit: orders, records: {dataset: orders}, window: cycle}\n  largest:"
        ).replace("sales: {metric: sold,", "sales: {metric: sold_in_cycle,")
    )
    await apply_team_file(story.services, read_yaml(OTHER.encode()).value, team="sales", actor="sam")
    await tell(story, order("o1", "2026-11-03T12:00:00Z"))
    await story.later(hours=2)
    assert await story.value("sales") == 1  # its own cycle goes on
    async with story.services.database.reading() as session:
        for name in ("sold", "twice"):
            view = await read.get_key_result(session, "sales", name, now=story.clock())
            assert view is not None
            assert (view.value, view.status) == (None, "unknown")
            assert "support knows no cycle fair" in (view.reason or "")


async def test_a_named_cycle_that_the_file_knows_no_more_stays_where_it_was(story: Story) -> None:
    named = FILE.replace("team: support", "team: support\ncycles:\n  fair: {start: 2026-11-01, end: 2026-11-20}")
    await story.apply(named.replace(Q4, "fair"))
    await tell(story, order("o1", "2026-11-03T12:00:00Z"))
    await story.apply(named)  # the objective goes on to the quarter
    await story.apply(FILE)
    await story.later(hours=2)
    ended = await story.key_result("sales", cycle="fair")
    assert (ended.cycle.state, ended.cycle.start, ended.cycle.end) == ("ended", date(2026, 11, 1), date(2026, 11, 20))
    assert (await cycle(story, "fair")).objectives == 1
    assert await close(story, "fair")
    await reopen_cycle(story.services, TEAM, "fair", actor="ada", reason="Too early")
    assert (await cycle(story, "fair")).state == "reopened"
    await story.apply(named.replace("2026-11-20", "2026-11-22"))  # dated anew, it is where the file says
    assert (await cycle(story, "fair")).end == date(2026, 11, 22)


async def test_a_baseline_over_a_period_that_the_file_knows_no_more_is_explained_as_before(story: Story) -> None:
    dated = FILE.replace("team: support", "team: support\ncycles:\n  fair: {start: 2026-11-01, end: 2026-11-20}")
    measured = dated.replace(
        "{metric: sold, baseline: 0, target: 4", "{metric: sold, baseline: {measure: fair}, target: 4"
    )
    await story.apply(FILE)
    await tell(story, order("o1", "2026-10-03T12:00:00Z"))
    await story.apply(measured)
    before = await story.explain("sales", cycle=Q4)
    assert before.baseline is not None
    assert (before.baseline.value, before.baseline.frozen_at) == (Decimal(1), story.clock())
    await story.apply(FILE.replace(Q4, "2027-Q1"))  # the next instance is measured against nothing, and names no fair
    assert (await story.explain("sales", cycle=Q4)).baseline == before.baseline


async def test_a_baseline_that_is_still_to_be_measured_is_not_said_to_be_frozen(story: Story) -> None:
    frozen = FILE.replace(
        "{metric: sold, baseline: 0, target: 4", "{metric: sold, baseline: {measure: 2026-10}, target: 4"
    )
    await story.apply(FILE)
    await tell(story, order("o1", "2026-10-03T12:00:00Z"))
    await story.apply(frozen)
    baseline = (await story.explain("sales")).baseline
    assert baseline is not None
    assert (baseline.value, baseline.frozen_at) == (Decimal(1), story.clock())
    await story.apply(frozen.replace("measure: 2026-10", f"measure: {Q4}"))
    baseline = (await story.explain("sales")).baseline
    assert baseline is not None
    assert (baseline.value, baseline.frozen_at, baseline.evidence) == (None, None, None)


async def test_a_closed_cycle_is_not_dated_anew_and_not_moved_by_another_timezone(story: Story) -> None:
    named = FILE.replace("team: support", "team: support\ncycles:\n  fair: {start: 2026-11-01, end: 2026-11-20}")
    await story.apply(named.replace(Q4, "fair"))
    await close(story, "fair")
    with pytest.raises(Conflict) as refused:
        await story.apply(named.replace("2026-11-20", "2026-11-22"))
    assert refused.value.code == "cycle_closed"
    await story.apply(named.replace("team: support", "team: support\ntimezone: America/New_York"))
    async with story.services.database.reading() as session:
        team = await organisation.get_team(session, TEAM)
        assert team is not None
        assert team_cycle(team, "fair").end == datetime(2026, 11, 20, tzinfo=UTC)
    assert (await cycle(story, "fair")).end == date(2026, 11, 20)


async def test_the_workers_see_to_sealed_values_and_to_history_that_was_asked_for(story: Story) -> None:
    await a_quarter(story)
    await close(story)
    await request_backfill(story.services, TEAM, date(2026, 12, 1), metric="sold", actor="dana")
    await tell(story, order("late", "2026-12-30T12:00:00Z"))
    story.clock.advance(RECHECK + timedelta(seconds=1))
    await keep_house(story.services, asyncio.Lock())
    (restated,) = (await story.key_result("sales")).restatements
    assert restated.value_now == Decimal(5)
    assert await story.rows("SELECT state FROM backfill_job") == [("done",)]
    before = await story.dump()
    await keep_house(story.services, asyncio.Lock())
    assert await story.dump() == before
