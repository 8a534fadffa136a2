"""From a spreadsheet to values: the sheet is imported, applied as it is, and its current values are sent."""

import asyncio
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from app.cli.client import Service, Target
from app.cli.importing import import_
from tests.conftest import FakeClock
from tests.journeys.support import LocalService, local_service
from tests.services.test_import_sheets import ENGLISH, GERMAN


@pytest.mark.parametrize("sheet", [ENGLISH, GERMAN], ids=["english", "german"])
async def test_a_sheet_becomes_key_results_with_values(
    sheet: str, database_url: str, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "okrs.csv", tmp_path / "operations.yaml"
    source.write_text(sheet, encoding="utf-8")
    await asyncio.to_thread(import_, source, team="operations", out=out, write=True)

    async with local_service(database_url, clock, {}) as service:
        outcome = await service.apply("operations", out.read_text())
        assert {change["action"] for change in outcome["changes"]} == {"create"}
        await call_here(service, monkeypatch)
        await asyncio.to_thread(import_, source, team="operations", values=True, on=datetime(2026, 11, 20))  # noqa: DTZ001
        await service.work()
        shown = {item["id"].split("/")[1]: item for item in await service.items("/v1/key-results")}
        again = await service.apply("operations", out.read_text())
        assert {change["action"] for change in again["changes"]} == {"unchanged"}

    first = shown["onboarding_time" if sheet is ENGLISH else "durchlaufzeit"]
    assert (first["value"], first["progress"]) == (
        ("8.7", 0.63) if sheet is ENGLISH else ("11.25", pytest.approx(5 / 18))
    )
    assert first["freshness"]["level"] == "fresh"
    if sheet is ENGLISH:
        assert shown["procurement_time"]["target"] == "9"
        assert shown["erp_availability"]["value"] == "99.95"
        assert shown["launch_the_supplier_portal"]["value"] is not None


async def call_here(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, in its thread, talks to the service of this loop."""
    loop, headers = asyncio.get_running_loop(), await service.headers("write")

    def answer(request: httpx.Request) -> httpx.Response:
        call = service.http.request(
            request.method,
            request.url.path,
            content=request.content,
            headers={**headers, "content-type": "application/json"},
        )
        response = asyncio.run_coroutine_threadsafe(call, loop).result()
        return httpx.Response(response.status_code, content=response.content)

    def connect() -> Service:
        return Service(Target("http://krsync.test", "okr_test"), transport=httpx.MockTransport(answer))

    monkeypatch.setattr("app.cli.importing.connect", connect)
