"""Timing and tables."""

import os
import platform
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Timings:
    """Wall and process CPU time of something done many times, in milliseconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def measure(self, work: Callable[[], Awaitable[T]]) -> T:
        cpu, wall = time.process_time(), time.perf_counter()
        result = await work()
        self.wall.append((time.perf_counter() - wall) * 1000)
        self.cpu.append((time.process_time() - cpu) * 1000)
        return result

    def row(self) -> list[str]:
        """Median, spread and median CPU."""
        spread = f"{min(self.wall):.2f}–{max(self.wall):.2f}"
        return [f"{statistics.median(self.wall):.2f}", spread, f"{statistics.median(self.cpu):.2f}"]

    def means(self) -> tuple[float, float]:
        """Mean wall and CPU time."""
        return statistics.fmean(self.wall), statistics.fmean(self.cpu)

    def ratio(self, other: "Timings") -> str:
        """How many times the other's median this one's is."""
        return f"{statistics.median(self.wall) / statistics.median(other.wall):.2f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """What it ran on."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )
