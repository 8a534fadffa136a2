"""A real Prometheus scrapes the gauges, and the Grafana dashboard asks for nothing that is not among them."""

import asyncio
import json
import os
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.journeys.running import ROOT, RunningKrsync, eventually

DEPLOY = ROOT / "deploy"
TEAM = {
    "version": 1,
    "team": "operations",
    "metrics": {"satisfaction": {"unit": "score", "manual": {"every": "14d"}}},
    "objectives": {
        "desk": {
            "title": "People like asking us",
            "cycle": "2026",
            "key_results": {"satisfaction_up": {"metric": "satisfaction", "baseline": 6, "target": 8}},
        }
    },
}
#: What a query of PromQL names that is ours.
NAMES = re.compile(r"\bkrsync_[a-z_]+")


@pytest.fixture
def prometheus() -> str:
    """The program `prometheus` (the Debian package of that name), or where KRSYNC_TEST_PROMETHEUS says."""
    found = os.environ.get("KRSYNC_TEST_PROMETHEUS") or shutil.which("prometheus")
    if found is None:
        pytest.skip("prometheus is not installed: apt install prometheus, or set KRSYNC_TEST_PROMETHEUS to the program")
    return found


async def applied(krsync: RunningKrsync) -> None:
    """A key result with a value in the running service."""
    async with krsync.client() as http:
        answer = await http.post("/v1/teams/operations/apply", json=TEAM)
        assert answer.status_code == 200, answer.text
        answer = await http.post("/v1/key-results/operations/satisfaction_up/check-ins", json={"value": "7.25"})
        assert answer.status_code == 201, answer.text


async def test_a_real_prometheus_reads_every_gauge(tmp_path: Path, prometheus: str) -> None:
    krsync = RunningKrsync(tmp_path)
    await krsync.start()
    server: asyncio.subprocess.Process | None = None
    try:
        await applied(krsync)
        config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        config["global"]["scrape_interval"] = "1s"
        (job,) = config["scrape_configs"]
        job["authorization"]["credentials_file"] = str(krsync.data / "admin-token")
        job["static_configs"] = [{"targets": [krsync.url.removeprefix("http://")]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with (tmp_path / "prometheus.log").open("wb") as log:
            server = await asyncio.create_subprocess_exec(
                prometheus,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                stdout=log,
                stderr=log,
            )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:

            async def ask(query: str) -> list[dict[str, Any]]:
                try:
                    answer = await http.get("/api/v1/query", params={"query": query})
                except httpx.TransportError:
                    return []
                found: list[dict[str, Any]] = answer.json()["data"]["result"] if answer.status_code == 200 else []
                return found

            chosen = '{team="operations",name="satisfaction_up",cycle="2026"}'
            (value,) = await eventually("a scrape", lambda: ask(f"krsync_key_result_value{chosen}"), pause=0.1)
            assert value["value"][1] == "7.25"
            (progress,) = await ask(f"krsync_key_result_progress{chosen}")
            assert progress["value"][1] == "0.625"
            (status,) = await ask(f"krsync_key_result_status{chosen}")
            assert (status["metric"]["freshness"], status["value"][1]) == ("fresh", "1")
            assert status["metric"]["status"] in ("on_track", "behind", "at_risk")
            for gauge in ("expected", "fresh", "age_seconds"):
                assert await ask(f"krsync_key_result_{gauge}{chosen}"), gauge
    finally:
        if server is not None:
            server.terminate()
            await server.wait()
        await krsync.stop()


async def test_the_dashboard_asks_only_for_what_is_exposed(tmp_path: Path) -> None:
    krsync = RunningKrsync(tmp_path)
    await krsync.start()
    try:
        await applied(krsync)
        async with krsync.client() as http:
            text = (await http.get("/metrics")).text
    finally:
        await krsync.stop()
    exposed: set[str] = set()
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        exposed |= {family.name + suffix for suffix in suffixes}

    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "krsync.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [item["definition"] for item in dashboard["templating"]["list"]]
    asked = {name for query in queries for name in NAMES.findall(query)}
    assert len(asked) >= 8
    assert asked <= exposed
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)


def test_what_is_provisioned_fits_together() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "krsync.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "krsync.yaml").read_text())["providers"]
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "krsync.json").read_text())
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert provider["options"]["path"].startswith("/var/lib/grafana/")
