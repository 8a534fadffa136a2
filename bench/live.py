"""Event streams: many readers of one process, bursts of changes, each committed as one.

Every reader gets every change. Measured are the server's CPU a delivery (judging and all), what a stream takes of its
memory, and the time from the commit to the last event of the burst on each socket.
"""

import argparse
import asyncio
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.queue import Doorbell
from app.services.tokens import Principal, create_token
from app.store import audit
from app.store.database import Database
from bench.databases import databases
from bench.ingest import served
from bench.load import cpu_seconds
from bench.report import machine, table

NAME = "live"
HELP = "event streams: CPU a delivery, memory a stream, latency from the commit"

_TEAM = "live"
_PATIENCE = 60.0
_PAUSE = 0.2


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, default=1_000, metavar="N", help="readers (1000)")
    parser.add_argument("--burst", type=int, default=20, metavar="N", help="key results changed in one commit (20)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="measured rounds (5), after one to warm up")
    parser.add_argument("--bursts", type=int, default=5, metavar="N", help="bursts in a round (5)")


async def run(arguments: argparse.Namespace) -> None:
    print(f"{machine()}, {datetime.now(UTC):%Y-%m-%d}\n")
    async for name, database in databases(arguments.database):
        async with served(database, yardsticks=False) as servers:
            ours = servers["ours"]
            token = await _prepare(database, ours.port, arguments.burst)
            await _measure(name, database, ours.port, ours.pid, ours.redis_url, token, arguments)


async def _prepare(database: Database, port: int, count: int) -> str:
    """A team with so many key results; the text of a token."""
    bench = Principal(0, "bench", frozenset({"admin"}), None)
    _, token = await create_token(
        database, name="bench", scopes=["admin"], team=None, principal=bench, now=datetime.now(UTC)
    )
    now = datetime.now(UTC)
    document: dict[str, Any] = {
        "version": 1,
        "team": _TEAM,
        "metrics": {f"m{number}": {"unit": "points", "manual": {}} for number in range(count)},
        "objectives": {
            "all": {
                "title": "All of them",
                "cycle": str(now.year),
                "key_results": {
                    f"k{number}": {"metric": f"m{number}", "baseline": 0, "target": 10} for number in range(count)
                },
            }
        },
    }
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as http:
        (await http.post(f"/v1/teams/{_TEAM}/apply", json=document)).raise_for_status()
        for number in range(count):
            path = f"/v1/metrics/{_TEAM}/m{number}/values/{now.date()}"
            (await http.put(path, json={"value": number % 10})).raise_for_status()
    return token


class _Reader(asyncio.Protocol):
    """One stream: counts key results as they come. `whole` is when it had all of a burst."""

    def __init__(self, token: str, burst: int) -> None:
        self._request = (
            f"GET /v1/live HTTP/1.1\r\nhost: krsync\r\nauthorization: Bearer {token}\r\n"
            "accept: text/event-stream\r\n\r\n"
        ).encode()
        self._burst = burst
        self._rest = b""
        self.count = 0
        self.whole = asyncio.get_running_loop().create_future()
        self.is_ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        seen = self._rest + data
        self.count += seen.count(b"event: key_result\n")
        self._rest = b"" if seen.endswith(b"\n\n\r\n") else seen[-17:]  # what may be the beginning of another one
        if not self.is_ready.done() and b"event: ready" in seen:
            self.is_ready.set_result(None)
        if self.count >= self._burst and not self.whole.done():
            self.whole.set_result(now)

    def next(self) -> None:
        """Count from nought again."""
        self.count, self.whole = 0, asyncio.get_running_loop().create_future()


async def _open(port: int, token: str, count: int, burst: int) -> list[_Reader]:
    loop = asyncio.get_running_loop()
    readers = []
    for _ in range(count):
        _, reader = await loop.create_connection(lambda: _Reader(token, burst), "127.0.0.1", port)
        await reader.is_ready
        readers.append(reader)
    return readers


async def _measure(
    name: str, database: Database, port: int, pid: int, redis_url: str, token: str, arguments: argparse.Namespace
) -> None:
    bell = Doorbell(redis_url)
    first = await _open(port, token, 20, arguments.burst)
    await _burst(database, bell, first, arguments.burst)
    before = _memory(pid)
    readers = first + await _open(port, token, arguments.streams - len(first), arguments.burst)
    idle = _memory(pid)
    cpu: list[float] = []
    latencies: list[list[float]] = []
    for number in range(arguments.rounds + 1):
        used, found = cpu_seconds(pid), []
        for _ in range(arguments.bursts):
            found += await _burst(database, bell, readers, arguments.burst)
            await asyncio.sleep(_PAUSE)
        used = cpu_seconds(pid) - used
        if number:
            cpu.append(used / (arguments.bursts * arguments.burst * len(readers)) * 1e6)
            latencies.append(sorted(found))
    opened = arguments.streams - 20
    after = _memory(pid)
    medians = [statistics.median(found) for found in latencies]
    p99 = [found[int(len(found) * 0.99)] for found in latencies]
    row = [
        name,
        f"{statistics.median(cpu):.2f}",
        f"{min(cpu):.2f}–{max(cpu):.2f}",
        f"{statistics.median(medians):.0f}",
        f"{statistics.median(p99):.0f}",
        f"{min(p99):.0f}–{max(p99):.0f}",
        f"{(idle - before) / opened:.1f}",
        f"{(after - before) / opened:.1f}",
    ]
    print(
        f"{len(readers)} streams, bursts of {arguments.burst}, {arguments.bursts} of them in each of "
        f"{arguments.rounds} rounds\n"
    )
    header = ("database", "CPU µs a delivery", "spread", "median ms", "p99 ms", "spread", "KB a stream", "after bursts")
    print(table(header, [row]), "\n", flush=True)
    for reader in readers:
        reader.transport.abort()
    await bell.close()


async def _burst(database: Database, bell: Doorbell, readers: list[_Reader], count: int) -> list[float]:
    """Change so many key results in one commit; the milliseconds from there until each reader had all of them."""
    for reader in readers:
        reader.next()
    now = datetime.now(UTC)
    async with database.writing() as session:
        for number in range(count):
            await audit.append_audit(
                session,
                at=now,
                actor="bench",
                action="check_in",
                object_kind="key_result",
                object_id=f"{_TEAM}/k{number}",
            )
    committed = time.perf_counter()
    await bell.changed()
    async with asyncio.timeout(_PATIENCE):
        moments = await asyncio.gather(*(reader.whole for reader in readers))
    assert all(reader.count == count for reader in readers)
    return [(moment - committed) * 1000 for moment in moments]


def _memory(pid: int) -> float:
    """What a process keeps in memory, in KB (Linux; 0 elsewhere)."""
    path = Path(f"/proc/{pid}/status")
    if not path.is_file():
        return 0.0
    (line,) = (line for line in path.read_text().splitlines() if line.startswith("VmRSS"))
    return float(line.split()[1])
