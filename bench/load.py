"""A load generator for one server on loopback: connections that each send the next request when the last one is
answered, at the cost of a few microseconds a request."""

import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Load:
    """What a stretch of load gave: requests a second, latencies in milliseconds, the server's CPU a request."""

    rate: float
    median: float
    p99: float
    cpu_microseconds: float
    statuses: dict[int, int]


@dataclass(slots=True)
class _Progress:
    requests: Sequence[bytes]
    sent: int = 0
    answered: int = 0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    ended: "asyncio.Future[None] | None" = None

    def next(self) -> bytes | None:
        if self.sent == len(self.requests):
            return None
        self.sent += 1
        return self.requests[self.sent - 1]


class _Client(asyncio.Protocol):
    def __init__(self, progress: _Progress) -> None:
        self._progress = progress
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = self._progress.next()
        if request is None:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lowered = head.lower()
        place = lowered.find(b"content-length: ")
        length = int(lowered[place + 16 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        progress = self._progress
        progress.latencies.append((time.perf_counter() - self._began) * 1000)
        status = int(head[9:12])
        progress.statuses[status] = progress.statuses.get(status, 0) + 1
        progress.answered += 1
        if progress.answered == len(progress.requests):
            assert progress.ended is not None
            progress.ended.set_result(None)
            self._transport.close()
            return
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        ended = self._progress.ended
        if error is not None and ended is not None and not ended.done():
            ended.set_exception(error)


async def drive(port: int, requests: Sequence[bytes], *, connections: int, pid: int) -> Load:
    """Send every request once over so many connections."""
    loop = asyncio.get_running_loop()
    progress = _Progress(requests, ended=loop.create_future())
    assert progress.ended is not None
    cpu, began = cpu_seconds(pid), time.perf_counter()
    for _ in range(min(connections, len(requests))):
        await loop.create_connection(lambda: _Client(progress), "127.0.0.1", port)
    await progress.ended
    wall = time.perf_counter() - began
    used = cpu_seconds(pid) - cpu
    ordered = sorted(progress.latencies)
    return Load(
        rate=len(requests) / wall,
        median=statistics.median(ordered),
        p99=ordered[int(len(ordered) * 0.99)],
        cpu_microseconds=used / len(requests) * 1e6,
        statuses=progress.statuses,
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, to the microsecond (Linux; 0 elsewhere)."""
    if sys.platform != "linux":
        return 0.0
    # What clock_getcpuclockid(3) makes of a process id.
    return time.clock_gettime((~pid << 3) | 2)
