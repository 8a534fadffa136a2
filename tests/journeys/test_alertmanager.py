"""A real Alertmanager, which repeats itself: each alert is one event however often it is told, and it ends once."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.journeys.running import eventually, running

SECRET = "alerts-5f0a"
TEAM = """
version: 1
team: sre
connections:
  alerts: {connector: webhook, verify: {scheme: alertmanager, secret: {env: ALERTS_SECRET}}}
datasets:
  alerts: {connection: alerts, preset: alertmanager.alerts}
metrics:
  fired: {unit: alerts, records: {dataset: alerts, where: "record.event == 'firing'"}, window: all}
  resolved: {unit: alerts, records: {dataset: alerts, where: "record.event == 'resolved'"}, window: all}
"""
CONFIG = """
route: {{receiver: krsync, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}}
receivers:
  - name: krsync
    webhook_configs:
      - url: {url}/v1/hooks/sre/alerts
        send_resolved: true
        http_config: {{authorization: {{credentials: {secret}}}}}
"""


def _binary() -> str | None:
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


@asynccontextmanager
async def alertmanager(folder: Path, krsync: str) -> AsyncIterator[httpx.AsyncClient]:
    """An Alertmanager that tells krsync, and a client of it."""
    binary = _binary()
    assert binary is not None
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.format(url=krsync, secret=SECRET))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        binary,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]},
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:

            async def is_ready() -> bool:
                assert process.returncode is None, "Alertmanager ended"
                with contextlib.suppress(httpx.TransportError):
                    return (await http.get("/-/ready")).status_code == 200
                return False

            await eventually("Alertmanager is ready", is_ready)
            yield http
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.mark.skipif(_binary() is None, reason="no Alertmanager here (Debian: prometheus-alertmanager)")
async def test_alerts_that_are_told_again_and_again(tmp_path: Path) -> None:
    async with running(tmp_path, ALERTS_SECRET=SECRET) as krsync, krsync.client() as http:
        applied = await http.post("/v1/teams/sre/apply", content=TEAM, headers={"content-type": "application/yaml"})
        assert applied.status_code == 200, applied.text
        async with alertmanager(tmp_path, krsync.url) as alerts:
            began = datetime.now(UTC)

            async def tell(*names: str, ended: bool = False) -> None:
                told = [
                    {
                        "labels": {"alertname": "DiskFull", "host": name},
                        "startsAt": began.isoformat(),
                        **({"endsAt": datetime.now(UTC).isoformat()} if ended else {}),
                    }
                    for name in names
                ]
                answer = await alerts.post("/api/v2/alerts", json=told)
                assert answer.status_code == 200, answer.text

            async def value(metric: str) -> str | None:
                found: dict[str, Any] = (await http.get(f"/v1/metrics/sre/{metric}")).json()
                return found["value"]

            async def told_again() -> int:
                text = (await http.get("/metrics")).text
                lines = [line for line in text.splitlines() if line.startswith("krsync_deliveries_total{")]
                return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if 'outcome="duplicate"' in line)

            async def counts(metric: str, expected: str) -> bool:
                return await value(metric) == expected

            await tell("a", "b")
            await eventually("both fired", lambda: counts("fired", "2"))
            await eventually("it repeats itself", told_again)
            await tell("c")
            await eventually("a third one fired", lambda: counts("fired", "3"))
            await tell("a", ended=True)
            await eventually("one is over", lambda: counts("resolved", "1"))
            assert await value("fired") == "3", "an alert that is told with others is no new one"
        records = (await http.get("/v1/datasets/sre/alerts/records?limit=1000")).json()["items"]
        assert sorted(item["event"] for item in records) == ["firing"] * 3 + ["resolved"]
        firing = [item for item in records if item["event"] == "firing"]
        assert all(abs(datetime.fromisoformat(item["at"]) - began) < timedelta(seconds=1) for item in firing)
        dead = (await http.get("/v1/deliveries?outcome=dead")).json()["items"]
        assert dead == []
