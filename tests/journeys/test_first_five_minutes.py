"""What a newcomer does in the first five minutes, with the real command, and what is there the next morning."""

import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.fakes.jira_cloud import TOKEN, JiraCloudFake
from tests.fakes.jira_issues import load_devlake
from tests.journeys.running import ROOT, RunningKrsync, eventually, on_loopback, running
from tests.journeys.support import HOOK_SECRET, signed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def example(jira: str, now: datetime) -> str:
    """The example, with the site that is here for the one that is not, in the quarter of today."""
    local = now.astimezone(ZoneInfo("Europe/Berlin"))
    quarter = local.year * 4 + (local.month - 1) // 3
    changes = {
        "https://acme.atlassian.net": jira,
        "project = ONB AND issuetype = Onboarding": "project = EE",
        "priority = P1 AND resolution IS EMPTY": "priority = Medium AND resolution IS EMPTY",
        "2026-Q4": f"{quarter // 4}-Q{quarter % 4 + 1}",
        "2026-Q3": f"{(quarter - 1) // 4}-Q{(quarter - 1) % 4 + 1}",
    }
    text = (ROOT / "examples" / "operations.yaml").read_text(encoding="utf-8")
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    return text


async def test_the_first_five_minutes(tmp_path: Path, shared_data: Path) -> None:
    site = JiraCloudFake.of(load_devlake(shared_data / "jira" / "devlake"))
    secrets = {"JIRA_TOKEN": TOKEN, "ERP_SECRET": HOOK_SECRET, "KRSYNC_OUTBOUND_ALLOW": "127.0.0.0/8"}
    async with on_loopback(site) as jira, running(tmp_path, **secrets) as krsync:
        file = tmp_path / "operations.yaml"
        file.write_text(example(jira, datetime.now(UTC)), encoding="utf-8")

        validated = await krsync.command("validate", str(file))
        assert validated == (0, f"{file}: ok\n")
        applied = await krsync.command("apply", str(file))
        assert applied.code == 0, applied.out
        async with krsync.client() as http:
            approved = await an_order_is_approved_and_the_number_moves(krsync, http)
            await what_jira_knows_is_there(http)
            exported = await the_file_comes_back_and_changes_nothing(krsync, tmp_path)
            before = await key_results(http)
        await a_second_one_is_refused(krsync)
        await it_ends_whole(krsync)

        await krsync.start()
        async with krsync.client() as http:
            assert values(await key_results(http)) == values(before)
            assert not await is_new(http, "msg_2", approved)
        assert (await krsync.command("export", "operations")).out == exported


async def an_order_is_approved_and_the_number_moves(krsync: RunningKrsync, http: httpx.AsyncClient) -> bytes:
    now = datetime.now(UTC)
    assert (await spend(http))["value"] == "0"
    requested, approved = order("po.requested", now - timedelta(minutes=2)), order("po.approved", now)
    assert await is_new(http, "msg_1", requested)
    assert await is_new(http, "msg_2", approved)
    assert not await is_new(http, "msg_2", approved)

    async def moved() -> bool:
        return Decimal((await spend(http))["value"]) == Decimal("1200.50")

    await eventually("the approved order is in the number", moved)
    status = await krsync.command("status", "operations")
    assert status.code == 0
    [line] = [line for line in status.out.splitlines() if line.startswith("operations/spend_in_budget")]
    assert line.split("\t")[1:3] == ["1200.5 EUR", "– → <= 250000"]

    told = await krsync.command("explain", "operations/spend_in_budget", "--json")
    assert told.code == 0, told.out
    why = json.loads(told.out)
    assert [(one["entity"], one["value"]) for one in why["included"]] == [("4711", "1200.5")]
    assert [(one["entity"], one["reason"]) for one in why["excluded"]] == [("4711", "where is false")]
    assert "4711" in (await krsync.command("explain", "operations/spend_in_budget")).out
    return approved


async def what_jira_knows_is_there(http: httpx.AsyncClient) -> None:
    async def pulled() -> bool:
        runs = (await http.get("/v1/runs")).json()["items"]
        assert not [run for run in runs if run["outcome"] in ("failed", "crashed")], runs
        return {run["dataset"] for run in runs if run["outcome"] == "succeeded"} == {None, "operations/onboarding"}

    await eventually("both pulls from Jira are done", pulled)
    [backlog] = [one for one in await key_results(http) if one["id"] == "operations/urgent_backlog"]
    assert (backlog["value"], backlog["freshness"]["level"]) == ("3", "fresh")


async def the_file_comes_back_and_changes_nothing(krsync: RunningKrsync, folder: Path) -> str:
    exported = await krsync.command("export", "operations")
    assert exported.code == 0, exported.out
    copy = folder / "exported.yaml"
    copy.write_text(exported.out, encoding="utf-8")
    again = await krsync.command("apply", str(copy), "--json")
    assert again.code == 0, again.out
    [answer] = json.loads(again.out)
    assert {change["action"] for change in answer["changes"]} == {"unchanged"}
    assert answer["effects"] == []
    return exported.out


async def a_second_one_is_refused(krsync: RunningKrsync) -> None:
    assert krsync.process is not None
    refused = await krsync.command("up", "--port", "0")
    assert refused.code == 1
    assert f"{krsync.data} is in use by another `krsync up` (process {krsync.process.pid})" in refused.out


async def it_ends_whole(krsync: RunningKrsync) -> None:
    family = krsync.family()
    assert set(family) == {"serve", "worker", "valkey"}
    assert set(family.values()) <= set(krsync.relatives())
    assert await krsync.stop() == 0
    assert krsync.relatives() == []


def order(event: str, at: datetime) -> bytes:
    """An event of order 4711, as the ERP system tells it."""
    return json.dumps({"event": event, "po": {"id": "4711", "total": 1200.50}, "occurred_at": at.isoformat()}).encode()


async def is_new(http: httpx.AsyncClient, message_id: str, body: bytes) -> bool:
    """Send a signed webhook; whether it had not come before."""
    headers = signed(message_id, body, datetime.now(UTC))
    answer = await http.post("/v1/hooks/operations/erp", content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return not answer.json()["duplicate"]


async def key_results(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await http.get("/v1/key-results")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def values(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["id"]: (one["value"], one["baseline"], one["sample_size"], one["metric"]) for one in found}


async def spend(http: httpx.AsyncClient) -> dict[str, Any]:
    [found] = [one for one in await key_results(http) if one["id"] == "operations/spend_in_budget"]
    return found
