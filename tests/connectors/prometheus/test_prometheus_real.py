"""A real Prometheus with days of samples: what it computes over our windows is what the samples say."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from connectors.contract import Window
from connectors.errors import AccessDeniedError, QueryError
from connectors.http import create_client, parse_policy, toolbox
from connectors.prometheus import PrometheusConfig, PrometheusQuery
from connectors.prometheus.connector import PrometheusSession, check, discover, measure, open_prometheus

#: A probe every five minutes for two days up to here, down for the samples that `is_up` says.
END = datetime(2026, 11, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
SAMPLES = [END - STEP * number for number in range(2 * 24 * 12, 0, -1)]
#: What `now` is to the connector: ten days later, so nothing more comes.
NOW = END + timedelta(days=10)
DAY = Window(END - timedelta(days=1), END)


def is_up(at: datetime) -> bool:
    return not (at.hour < 3) and at.minute != 35


def openmetrics() -> Iterator[str]:
    yield "# TYPE probe_success gauge"
    for job in ("erp", "shop"):
        for at in SAMPLES:
            yield f'probe_success{{job="{job}"}} {int(job == "shop" or is_up(at))} {int(at.timestamp())}'
    yield "# EOF"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus)")
    return found


@asynccontextmanager
async def prometheus(folder: Path) -> AsyncIterator[str]:
    """A server on loopback with those samples; its URL."""
    binary, tool = program("prometheus"), program("promtool")
    (folder / "samples.txt").write_text("\n".join(openmetrics()) + "\n")
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 5m}\n")
    made = await asyncio.create_subprocess_exec(
        tool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples.txt"), str(folder / "tsdb"),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await made.wait() == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = await asyncio.create_subprocess_exec(
        binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(600):
                try:
                    if (await http.get(f"http://127.0.0.1:{port}/-/ready")).is_success:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)
            else:
                pytest.fail("Prometheus did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        await server.wait()


@asynccontextmanager
async def session(url: str, allow: str = "127.0.0.0/8") -> AsyncIterator[PrometheusSession]:
    async with (
        create_client(parse_policy(allow)) as client,
        open_prometheus(PrometheusConfig(url=url), toolbox(client, lambda: NOW)) as opened,
    ):
        yield opened


async def test_a_real_prometheus_computes_what_its_samples_say(tmp_path: Path) -> None:
    good = PrometheusQuery(promql='sum(sum_over_time(probe_success{job="erp"}[{window}]))')
    total = PrometheusQuery(promql='sum(count_over_time(probe_success{job="erp"}[{window}]))')
    seen = [at for at in SAMPLES if DAY.start < at <= END]  # a range of PromQL is open at its start
    async with prometheus(tmp_path) as url:
        async with session(url) as asked:
            up = await measure(asked, good, DAY)
            probed = await measure(asked, total, DAY)
            assert probed.value is not None
            assert (up.value, probed.value) in {
                (Decimal(sum(map(is_up, seen))), Decimal(len(seen))),
                # Before Prometheus 3 it was closed.
                (Decimal(sum(map(is_up, seen)) + is_up(DAY.start)), Decimal(len(seen) + 1)),
            }
            assert up.observed_at == END
            assert up.query == 'sum(sum_over_time(probe_success{job="erp"}[86400s]))'

            nothing = await measure(asked, PrometheusQuery(promql='sum(probe_success{job="none"})'), Window(None, None))
            assert (nothing.value, nothing.reason) == (None, "the query found no series at that moment")
            with pytest.raises(QueryError, match="gives 2 series"):
                await measure(asked, PrometheusQuery(promql="sum_over_time(probe_success[{window}])"), DAY)
            with pytest.raises(QueryError, match="parse error"):
                await measure(asked, PrometheusQuery(promql="sum(up"), Window(None, None))

            assert (await check(asked)).summary.startswith("Connected to Prometheus ")
            names = {(one.kind, one.name) for one in await discover(asked)}
            assert names >= {("metric", "probe_success"), ("job", "erp"), ("job", "shop")}
        async with session(url, allow="") as guarded:
            with pytest.raises(AccessDeniedError):
                await check(guarded)
