"""A desk keeps its tickets in a sheet: read where it lies, mistyped, hidden, and mended."""

from pathlib import Path
from typing import Any

from tests.journeys.running import eventually, running
from tests.services_fixtures.files import served

FILE = """
version: 1
team: desk
timezone: UTC
connections:
  tickets: {{connector: sheet, url: "{url}/tickets.csv"}}
  numbers: {{connector: http_json, url: "{url}", check: /numbers.json}}
datasets:
  tickets: {{connection: tickets, id: Ticket, created: Opened}}
metrics:
  open_tickets: {{unit: tickets, records: {{dataset: tickets, where: "record.Closed == null"}}, window: all}}
  hours: {{unit: hours, query: {{connection: tickets, row: T-1, column: Hours}}}}
  calls: {{unit: calls, query: {{connection: numbers, path: /numbers.json, value: body.calls}}}}
objectives:
  answers:
    title: Nobody waits for an answer
    cycle: "2026"
    owner: dana@acme.example
    key_results:
      fewer_open: {{metric: open_tickets, baseline: 10, target: 0}}
      effort: {{metric: hours, baseline: 0, target: 10}}
      fewer_calls: {{metric: calls, baseline: 40, target: 10}}
"""
SHEET = "Ticket;Opened;Closed;Hours\nT-1;01.10.2026;05.10.2026;1,5\nT-2;02.10.2026;;\nT-3;03.10.2026;;2\n"


async def test_a_sheet_is_followed_through_a_day_of_its_people(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    sheet, team = shared / "tickets.csv", tmp_path / "desk.yaml"
    sheet.write_text(SHEET)
    (shared / "numbers.json").write_text('{"calls": 17}')
    async with served(shared) as url, running(tmp_path, KRSYNC_OUTBOUND_ALLOW="127.0.0.1") as krsync:
        team.write_text(FILE.format(url=url))
        applied = await krsync.command("apply", str(team))
        assert applied.code == 0, applied.out
        async with krsync.client() as http:

            async def shown(name: str) -> dict[str, Any]:
                found: dict[str, Any] = (await http.get(f"/v1/key-results/desk/{name}")).json()
                return found

            async def asked_again() -> None:
                assert (await http.post("/v1/metrics/desk/open_tickets/refresh")).is_success

            async def says(name: str, value: str) -> bool:
                return bool((await shown(name))["value"] == value)

            async def fails_with(reason: str) -> bool:
                found = (await http.get("/v1/connections/desk/tickets")).json()
                return found["health"] == "failing" and reason in found["reason"]

            for name, value in (("fewer_open", "2"), ("effort", "1.5"), ("fewer_calls", "17")):
                await eventually(f"{name} is known", lambda name=name, value=value: says(name, value), pause=0.1)

            sheet.write_text(SHEET.replace("T-2;02.10.2026;;", "T-2;02.10.2026;06.10.2026;3"))
            await asked_again()
            await eventually("the ticket is closed", lambda: says("fewer_open", "1"), pause=0.1)

            sheet.write_text(SHEET.replace("T-3", "T-2"))
            await asked_again()
            await eventually(
                "the mistake is told", lambda: fails_with("Rows 3 and 4 have the same “Ticket”"), pause=0.1
            )
            assert await says("fewer_open", "1")

            sheet.write_text("<!DOCTYPE html><title>Sign in</title>")
            await asked_again()
            await eventually("it is hidden", lambda: fails_with("the sheet is not public"), pause=0.1)
            checked = (await http.post("/v1/connections/desk/tickets/check")).json()
            assert (checked["is_working"], checked["error_code"]) == (False, "unexpected_response")

            sheet.write_text(SHEET)
            await asked_again()
            await eventually("it is as it was", lambda: says("fewer_open", "2"), pause=0.1)
            why = await krsync.command("explain", "desk/effort")
            assert "“T-1” × “Hours” in D2" in why.out
