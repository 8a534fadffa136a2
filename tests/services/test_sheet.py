"""A spreadsheet that people keep, from the team file to the values: served by another program, edited, lost."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
from openpyxl import Workbook

from app.services.backfill import work_backfills
from app.services.backfill_requests import get_backfill, request_backfill
from app.services.read import metric_history
from app.services.team_file.problems import InvalidTeamFile
from connectors.http import create_client, parse_policy, toolbox
from tests.services.story import TEAM, Story
from tests.services_fixtures.files import served

FILE = """
version: 1
team: support
timezone: Europe/Berlin
connections:
  tickets: {{connector: sheet, url: "{url}/{name}", timezone: Europe/Berlin}}
datasets:
  tickets: {{connection: tickets, id: Ticket, created: Opened}}
metrics:
  open_tickets:
    unit: tickets
    records: {{dataset: tickets, where: "record.Closed == null"}}
    window: all
  hours:
    unit: hours
    records: {{dataset: tickets, value: record.Hours}}
    aggregate: sum
    window: {{to_date: quarter}}
  days_to_close:
    unit: days
    duration: {{dataset: tickets, from: {{field: Opened}}, to: {{field: Closed}}}}
    aggregate: avg
    window: {{to_date: quarter}}
  first: {{unit: hours, query: {{connection: tickets, row: T-1, column: Hours}}}}
  all_hours: {{unit: hours, query: {{connection: tickets, column: Hours, aggregate: sum}}}}
objectives:
  desk:
    title: Tickets do not lie about
    cycle: 2026-Q4
    key_results:
      backlog: {{metric: open_tickets, baseline: 10, target: 0, fresh_within: 1h}}
      effort: {{metric: hours, baseline: 0, target: 100}}
      speed: {{metric: days_to_close, baseline: 9, target: 2}}
      one: {{metric: first, baseline: 0, target: 5}}
      every: {{metric: all_hours, baseline: 0, target: 100}}
"""
ROWS = """Ticket;Opened;Closed;Hours
T-1;30.09.2026;02.10.2026;1,5
T-2;1.10.2026;5.10.2026;2,25
T-3;2.10.2026;;
"""


def as_workbook() -> bytes:
    """The same rows, as Excel keeps them."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["Ticket", "Opened", "Closed", "Hours"],
        ["T-1", date(2026, 9, 30), date(2026, 10, 2), 1.5],
        ["T-2", date(2026, 10, 1), date(2026, 10, 5), 2.25],
        ["T-3", date(2026, 10, 2), None, None],
    ):
        sheet.append(row)
    content = BytesIO()
    book.save(content)
    return content.getvalue()


@pytest_asyncio.fixture
async def asking(story: Story) -> AsyncIterator[Story]:
    """The story with a client that reaches this computer."""
    async with create_client(parse_policy("127.0.0.0/8")) as client:
        yield replace(story, services=replace(story.services, toolbox=lambda: toolbox(client, story.clock)))


@pytest.mark.parametrize("name", ["tickets.csv", "tickets.xlsx"])
async def test_a_sheet_of_tickets_is_kept_row_by_row(asking: Story, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(as_workbook() if name.endswith("xlsx") else ROWS.encode("cp1252"))
    async with served(tmp_path) as url:
        planned = await asking.plan(FILE.format(url=url, name=name))
        assert {one.query for one in planned.asks} == {None, "T-1, Hours", "Hours, sum"}
        await asking.apply(FILE.format(url=url, name=name))
        assert await asking.pull() == ["succeeded"] * 3
        assert await asking.value("backlog") == Decimal(1)
        # Opened on the last evening of September in Berlin is opened in September.
        assert await asking.value("effort") == Decimal("2.25")
        assert await asking.value("speed") == Decimal(3)
        assert await asking.value("one") == Decimal("1.5")
        assert await asking.value("every") == Decimal("3.75")

        records = await asking.explain("backlog")
        assert [(one.label, one.link) for one in records.included] == [("T-3", f"{url}/{name}")]
        (part,) = (await asking.explain("one")).parts
        assert (part.query, part.link) == (f"GET {url}/{name} → “T-1” × “Hours” in D2", f"{url}/{name}")


async def test_edits_are_followed_and_rows_that_go_are_dropped(asking: Story, tmp_path: Path) -> None:
    sheet = tmp_path / "tickets.csv"
    sheet.write_text(ROWS)
    async with served(tmp_path) as url:
        await asking.apply(FILE.format(url=url, name=sheet.name))
        await asking.pull()
        sheet.write_text(ROWS.replace("T-3;2.10.2026;;", "T-4;3.10.2026;;4\nT-3;2.10.2026;4.10.2026;1"))
        assert set(await asking.later(hours=1)) == {"succeeded"}
        assert await asking.value("backlog") == Decimal(1)
        assert await asking.value("effort") == Decimal("7.25")

        sheet.write_text(ROWS)  # T-4 is gone: dropped once two sweeps have missed it
        for _ in range(4):
            assert set(await asking.later(hours=1)) == {"succeeded"}
        assert await asking.value("effort") == Decimal("2.25")
        runs = [run for run in await asking.runs() if run.dataset is not None]
        assert {run.calls for run in runs} == {1}
        assert runs[-1].changed == 0


async def test_a_sheet_that_is_not_public_any_more_keeps_what_is_known(asking: Story, tmp_path: Path) -> None:
    sheet = tmp_path / "tickets.csv"
    sheet.write_text(ROWS)
    async with served(tmp_path) as url:
        await asking.apply(FILE.format(url=url, name=sheet.name))
        await asking.pull()
        sheet.write_text("<!DOCTYPE html><title>Sign in</title>")
        assert set(await asking.later(hours=2)) == {"failed"}
        found = await asking.key_result("backlog")
        assert (found.value, found.freshness.level) == (Decimal(1), "error")
        assert {run.error for run in (await asking.runs())[-3:]} == {
            "127.0.0.1 answered with a web page (a login page?) where a sheet was expected: the sheet is not public: "
            "share it with everybody who has the link, or publish it to the web as CSV."
        }
        sheet.write_text(ROWS.replace("T-3", "T-1"))
        assert "failed" in await asking.later(hours=2)
        assert await asking.value("backlog") == Decimal(1)
        assert "Rows 2 and 4 have the same “Ticket”" in " ".join(run.error or "" for run in await asking.runs())


async def test_a_window_that_a_sheet_can_not_look_at_is_said_at_its_place(asking: Story) -> None:
    file = FILE.format(url="http://127.0.0.1:9", name="tickets.csv")
    with pytest.raises(InvalidTeamFile) as caught:
        await asking.plan(file.replace("aggregate: sum}}\nobjectives", "aggregate: sum}, window: cycle}\nobjectives"))
    (problem,) = caught.value.problems
    assert problem.path == ("metrics", "all_hours", "query")
    assert problem.message == "Spreadsheet tells of now: leave the metric's window out"


async def test_a_sheet_does_not_know_the_past_but_its_rows_do(asking: Story, tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text(ROWS)
    async with served(tmp_path) as url:
        file = FILE.format(url=url, name="tickets.csv")
        with pytest.raises(InvalidTeamFile) as caught:
            await asking.apply(file.replace("first, baseline: 0", "first, baseline: {measure: 2026-Q3}"))
        (problem,) = caught.value.problems
        assert problem.path == ("objectives", "desk", "key_results", "one", "baseline", "measure")
        assert "can not look back" in problem.message

        await asking.apply(file.replace("metric: hours, baseline: 0", "metric: hours, baseline: {measure: 2026-Q3}"))
        await asking.pull()
        assert (await asking.key_result("effort")).baseline == Decimal("1.5")
        asked = await request_backfill(asking.services, TEAM, date(2026, 10, 1), metric=None, actor="dana")
        while await work_backfills(asking.services):
            pass
        async with asking.services.database.reading() as session:
            job = await get_backfill(session, TEAM, asked.id)
            assert job is not None
            told = await metric_history(session, TEAM, "hours", limit=1000)
            untold = await metric_history(session, TEAM, "all_hours", limit=1000)
        assert min(sample.observed_at for sample in told or []).date() == date(2026, 10, 1)
        assert {sample.quality for sample in untold or []} == {"measured"}
        assert [note.partition(":")[0] for note in job.notes] == ["support/all_hours", "support/first"]
        assert all("the tool tells of" in note for note in job.notes)
