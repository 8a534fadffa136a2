"""The queue may be emptied or killed at any time: what was acknowledged is in the database and is applied."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis.asyncio

from app.embedded.valkey import EmbeddedValkey
from tests.fakes.jira_cloud import API, EMAIL, TOKEN, JiraCloudFake
from tests.fakes.jira_faults import held
from tests.fakes.jira_issues import load_devlake
from tests.faults.payments import SECRETS, Payments, apply, check_effects
from tests.journeys.running import KRSYNC, ROOT, RunningKrsync, eventually, on_loopback, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SEARCH = f"{API}/search/jql"
PATIENT = """
version: 1
team: patient
connections:
  jira: {{connector: jira, url: "{url}", email: {email}, token: {{env: JIRA_TOKEN}}}}
metrics:
  issues: {{unit: issues, query: {{connection: jira, jql: "project = EE"}}}}
objectives:
  patience:
    title: Patience
    cycle: {cycle}
    key_results:
      issues: {{metric: issues, baseline: 0, target: 50}}
"""


async def test_an_emptied_and_a_killed_valkey_lose_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, **SECRETS) as krsync, krsync.client() as http:
        await apply(http)
        payments = Payments(http)

        async def send_until(acknowledged: int) -> None:
            while len(payments.acknowledged) < acknowledged:
                await payments.send_next()

        async def break_it() -> None:
            for emptied in range(5):
                await wait_for(payments, 40 + 40 * emptied)
                await empty(krsync)
            await wait_for(payments, 260)
            valkey = await krsync.child("valkey")
            os.kill(valkey, signal.SIGKILL)
            await wait_for(payments, 300)  # deliveries are taken while it is away
            await krsync.child("valkey", other_than=valkey)

        await asyncio.gather(break_it(), *(send_until(400) for _ in range(8)))
        assert set(payments.answers) == {202}, payments.answers
        counts = await check_effects(http, payments)
        assert len(payments.acknowledged) >= 400, counts
        assert "Valkey ended (signal 9); starting it again" in krsync.said()


async def test_a_killed_valkey_and_a_slow_tool_hold_up_no_delivery(tmp_path: Path, shared_data: Path) -> None:
    site = JiraCloudFake.of(load_devlake(shared_data / "jira" / "devlake"))
    released = asyncio.Event()
    site.faults.append(held(SEARCH, released))
    secrets = {**SECRETS, "JIRA_TOKEN": TOKEN, "KRSYNC_OUTBOUND_ALLOW": "127.0.0.0/8"}
    async with on_loopback(site) as url, running(tmp_path, **secrets) as krsync, krsync.client() as http:
        await apply(http)
        file = PATIENT.format(url=url, email=EMAIL, cycle=datetime.now(UTC).year)
        headers = {"content-type": "application/yaml"}
        assert (await http.post("/v1/teams/patient/apply", content=file, headers=headers)).status_code == 200

        async def is_asked() -> bool:
            return site.count(SEARCH) == 1

        await eventually("the tool is asked", is_asked)
        worker, valkey = await krsync.child("worker"), await krsync.child("valkey")
        os.kill(valkey, signal.SIGKILL)
        await krsync.child("valkey", other_than=valkey)
        payments = Payments(http)
        for _ in range(20):
            await payments.send_next()
        await check_effects(http, payments)

        # All that while the tool had said nothing; when it does, the same run goes on.
        assert site.count(SEARCH) == 1
        released.set()

        async def is_counted() -> bool:
            found = (await http.get("/v1/key-results/patient/issues")).json()
            return bool(found["value"] == "30")

        await eventually("the tool's answer is taken", is_counted)
        runs = (await http.get("/v1/runs")).json()["items"]
        assert [run["outcome"] for run in runs] == ["succeeded"]
        assert await krsync.child("worker") == worker


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_worker_whose_valkey_is_gone_ends_when_it_is_told_to(database_url: str, tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path / "valkey")
    valkey.start()
    log = tmp_path / "worker.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")} | {
        "KRSYNC_DATABASE_URL": database_url,
        "KRSYNC_REDIS_URL": valkey.url,
        "KRSYNC_SECRET_KEY": "00" * 32,
    }
    with log.open("wb") as file:
        worker = await asyncio.create_subprocess_exec(
            *KRSYNC, "worker", cwd=ROOT, env=environ, stdout=file, stderr=file
        )
    try:

        async def is_up() -> bool:
            return "worker.started" in log.read_text()

        async def has_noticed() -> bool:
            return "worker.queue_away" in log.read_text()

        await eventually("the worker runs", is_up)
        valkey.stop()
        await eventually("the worker misses its queue", has_noticed)
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 120) == 0
        assert "worker.stopped" in log.read_text()
    finally:
        valkey.stop()
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


async def wait_for(payments: Payments, acknowledged: int) -> None:
    while len(payments.acknowledged) < acknowledged:
        await asyncio.sleep(0.01)


async def empty(krsync: RunningKrsync) -> None:
    socket = (krsync.data / "valkey.socket-path").read_text()
    async with redis.asyncio.Redis(unix_socket_path=socket) as client:
        await client.flushall()
