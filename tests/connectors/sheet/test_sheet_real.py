"""Over a real network: a file that another program serves, and redirects that lead to it and elsewhere."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.contract import Window
from connectors.errors import AccessDeniedError, UnavailableError
from connectors.http import create_client, parse_policy, toolbox
from connectors.sheet import SheetConfig, SheetQuery
from connectors.sheet.connector import measure, open_sheet
from connectors.sheet.session import SheetSession
from tests.connectors.loopback import answer, serve
from tests.connectors.sheet.asked import NOW, workbook
from tests.services_fixtures.files import served

RENT = SheetQuery(row="Rent", column="Plan")
SHEET = "Item,Plan\nRent,7.5\n"
NOWHERE = Window(None, None)


@asynccontextmanager
async def session(url: str, allow: str = "127.0.0.1") -> AsyncIterator[SheetSession]:
    async with (
        create_client(parse_policy(allow)) as client,
        open_sheet(SheetConfig(url=url), toolbox(client, lambda: NOW)) as opened,
    ):
        yield opened


async def test_a_file_server_of_another_program_serves_csv_and_workbooks(tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_text(SHEET)
    (tmp_path / "plan.xlsx").write_bytes(workbook(Plan=[["Item", "Plan"], ["Rent", 7.5]]))
    async with served(tmp_path) as url:
        for name in ("plan.csv", "plan.xlsx"):
            async with session(f"{url}/{name}") as opened:
                assert (await measure(opened, RENT, NOWHERE)).value == Decimal("7.5")
        async with session(f"{url}/plan.csv", allow="") as guarded:
            with pytest.raises(AccessDeniedError):
                await measure(guarded, RENT, NOWHERE)


async def test_a_redirect_leads_on_as_far_as_the_operator_allows() -> None:
    answers = {"/plan": answer(gzip.compress(SHEET.encode()), "Content-Type: text/csv", "Content-Encoding: gzip")}
    async with serve(answers) as there:
        content = f"http://127.0.0.1:{there.port}/plan"
        moved = {
            "/here": answer(b"", f"Location: {content}", status="307 Temporary Redirect"),
            "/inside": answer(b"", f"Location: http://127.0.0.2:{there.port}/plan", status="302 Found"),
            "/nowhere": answer(b"", "Location: http://nowhere.invalid/plan", status="302 Found"),
        }
        async with serve(moved) as first:
            front = f"http://127.0.0.1:{first.port}"
            async with session(f"{front}/here") as opened:
                assert (await measure(opened, RENT, NOWHERE)).value == Decimal("7.5")
                assert opened.toolbox.calls() == 2
            for place, expected in (("/inside", AccessDeniedError), ("/nowhere", UnavailableError)):
                async with session(front + place) as opened:
                    with pytest.raises(expected):
                        await measure(opened, RENT, NOWHERE)
            assert len(there.requests) == 1
