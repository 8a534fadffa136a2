"""The cascade over the database: instances of past cycles, circles closed at once, and a fixed number of statements."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import event

from app.domain.document import read_yaml
from app.services.alignment import alignment
from app.services.apply import apply_team_file
from app.services.assert_value import assert_value
from app.services.objectives import get_objective, list_objectives
from app.services.views import AlignmentView, ObjectiveView
from app.store import organisation
from tests.conftest import FakeClock
from tests.services.story import Story

#: Forecasts are kept until it ends.
HOUR = timedelta(hours=1)


async def apply(story: Story, team: str, objectives: str) -> None:
    head = f"version: 1\nteam: {team}\ntimezone: UTC\nmetrics:\n  mood: {{unit: score, manual: {{}}}}\nobjectives:\n"
    value = read_yaml((head + objectives).encode()).value
    await apply_team_file(story.services, value, team=team, actor="dana")


async def say(story: Story, team: str, day: str, value: str) -> None:
    moment = datetime.fromisoformat(day).date()
    await assert_value(story.services, team, "mood", moment, Decimal(value), actor="dana")


async def objective(story: Story, team: str, name: str, **options: Any) -> ObjectiveView:
    async with story.services.database.reading() as session:
        found = await get_objective(session, team, name, now=story.clock(), **options)
    assert found is not None
    return found


async def graph(story: Story) -> AlignmentView:
    async with story.services.database.reading() as session:
        return await alignment(session, now=story.clock())


CHILD = """
  sell:
    title: Sell
    cycle: {cycle}
    contributes_to: [company/win]
    key_results:
      more: {{metric: mood, baseline: 0, target: 10}}
"""


async def test_a_past_year_keeps_the_contributions_of_its_own_quarters(story: Story, clock: FakeClock) -> None:
    clock.set(datetime(2026, 11, 22, tzinfo=UTC))
    await apply(story, "company", "  win: {title: Win, cycle: 2026, key_results: {}}\n")
    await apply(story, "sales", CHILD.format(cycle="2026-Q3"))
    await say(story, "sales", "2026-09-10", "5")
    await apply(story, "sales", CHILD.format(cycle="2026-Q4"))
    await say(story, "sales", "2026-11-20", "8")
    now = await objective(story, "company", "win")
    assert [(item.objective, item.cycle, item.progress) for item in now.contributions] == [
        ("sales/sell", "2026-Q4", 0.8)
    ]
    clock.set(datetime(2027, 2, 1, tzinfo=UTC))
    await apply(story, "company", "  win: {title: Win, cycle: 2027, key_results: {}}\n")
    await apply(story, "sales", CHILD.format(cycle="2027-Q1"))
    await say(story, "sales", "2027-01-20", "1")
    past = await objective(story, "company", "win", cycle="2026")
    assert [(item.cycle, item.progress) for item in past.contributions] == [("2026-Q4", 0.8)]
    current = await objective(story, "company", "win")
    assert [(item.cycle, item.progress) for item in current.contributions] == [("2027-Q1", 0.1)]


async def test_a_circle_that_two_teams_closed_at_once_is_cut_and_nothing_hangs(story: Story) -> None:
    await apply(story, "a", "  up: {title: Up, cycle: 2026-Q4, contributes_to: [b/down]}\n")
    await apply(story, "b", "  down: {title: Down, cycle: 2026-Q4}\n")
    # As when the other team's file was checked a moment before this one was written.
    async with story.services.database.writing() as session:
        ((row, _),) = await organisation.list_objectives(session, team="b")
        row.spec = {**row.spec, "contributes_to": ["a/up"]}
    found = await graph(story)
    assert {(edge.source, edge.target) for edge in found.edges} == {("a/up", "b/down"), ("b/down", "a/up")}
    assert {node.id: node.progress for node in found.nodes} == {"a/up": None, "b/down": None}
    assert (await objective(story, "a", "up")).roll_up.progress is None


async def test_lists_and_the_graph_take_a_fixed_number_of_statements(story: Story) -> None:
    async def statements(count: int) -> tuple[int, int]:
        await apply(
            story,
            "sales",
            "".join(
                f"  sell_{n}: {{title: S, cycle: 2026-Q4, contributes_to: [company/win], "
                f"key_results: {{kr_{n}: {{metric: mood, baseline: 0, target: {n + 10}}}}}}}\n"
                for n in range(count)
            ),
        )
        taken = []
        for call in (lambda session: list_objectives(session, now=story.clock(), expand=True, limit=1000), None):
            number = 0

            @event.listens_for(story.services.database.engine.sync_engine, "before_cursor_execute")
            def _count(*_: Any) -> None:
                nonlocal number
                number += 1

            async with story.services.database.reading() as session:
                await (call(session) if call is not None else alignment(session, now=story.clock()))
            event.remove(story.services.database.engine.sync_engine, "before_cursor_execute", _count)
            taken.append(number)
            story.clock.advance(HOUR)
        return taken[0], taken[1]

    await apply(story, "company", "  win: {title: Win, cycle: 2026, key_results: {}}\n")
    few, many = await statements(2), await statements(60)
    assert many == few
    win = await objective(story, "company", "win")
    assert len(win.roll_up.parts) == len(win.contributions) == 60
