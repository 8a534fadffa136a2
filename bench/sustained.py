"""Deliveries at a steady rate, rules to samples: the service and one worker, for as long as is asked."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from app.store.database import Database
from bench.load import cpu_seconds, drive
from bench.report import table

RATE = 1_000
_STEP = 10.0
_CONNECTIONS = 32
_DRAIN_WITHIN = 120.0


@dataclass(slots=True)
class Course:
    """What was seen every few seconds: rates, the backlog, and memory of the service and the worker in MB."""

    rates: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    backlog: list[int] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)


async def sustain(name: str, database: Database, seconds: int) -> None:
    """Send RATE deliveries a second, step by step, and print the course; ends when everything is applied."""
    from bench.ingest import deliveries, served

    async with served(database, yardsticks=False, worker=True) as servers:
        service, worker = servers["ours"], servers["worker"]
        course = Course()
        began, sent = time.perf_counter(), 0
        used = cpu_seconds(worker.pid)
        while time.perf_counter() - began < seconds:
            count = RATE
            requests = deliveries(service.target, count, 1024, f"long-{sent}")
            step = time.perf_counter()
            load = await drive(service.port, requests, connections=_CONNECTIONS, pid=service.pid)
            assert load.statuses == {202: count}, load.statuses
            sent += count
            course.p99.append(load.p99)
            course.rates.append(count / max(1.0, time.perf_counter() - step))
            if sent % (RATE * int(_STEP)) == 0 or sent == RATE:
                course.backlog.append(await _pending(database))
                course.memory.append((_megabytes(service.pid), _megabytes(worker.pid)))
            # Behind its time, the next second begins at once.
            await asyncio.sleep(max(0.0, began + sent / RATE - time.perf_counter()))
        loaded = time.perf_counter() - began
        left = await _pending(database)
        drained = await _drained(database)
        used = cpu_seconds(worker.pid) - used
    print(f"## {name}: {sent:,} deliveries of 1 KB in {loaded:,.0f} s ({sent / loaded:,.0f} a second)\n")
    rows = [
        ["p99 of the 202, ms", f"{statistics.median(course.p99):.1f}", f"{max(course.p99):.1f}"],
        ["backlog, deliveries", f"{statistics.median(course.backlog):,.0f}", f"{max(course.backlog):,}"],
        ["service, MB", f"{course.memory[0][0]:.0f}", f"{course.memory[-1][0]:.0f}"],
        ["worker, MB", f"{course.memory[0][1]:.0f}", f"{course.memory[-1][1]:.0f}"],
    ]
    print(table(("", "median (MB: first)", "most (MB: last)"), rows))
    print(
        f"\n{left:,} were left at the end, applied {drained:.1f} s later; worker CPU {used / sent * 1e6:,.0f} µs each\n"
    )


async def _pending(database: Database) -> int:
    async with database.reading() as session:
        return int((await session.execute(text("SELECT count(*) FROM delivery WHERE is_pending"))).scalar_one())


async def _drained(database: Database) -> float:
    """Seconds until nothing waits; AssertionError where that takes too long."""
    began = time.perf_counter()
    while await _pending(database):
        assert time.perf_counter() - began < _DRAIN_WITHIN, "the worker does not keep up"
        await asyncio.sleep(0.25)
    return time.perf_counter() - began


def _megabytes(pid: int) -> float:
    """Resident memory of a process (Linux; 0 elsewhere)."""
    path = Path(f"/proc/{pid}/status")
    if not path.is_file():
        return 0.0
    line = next(line for line in path.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
