"""Webhooks at the door: ours, durable, beside a bare Starlette route that does nothing, an endpoint that verifies and
stores nothing, and a plain FastAPI endpoint.

All are served at the same time by the same server (uvicorn, uvloop, httptools), one process each, and loaded in
turn. Every delivery is signed, and its own; ours answers after the commit (full sync), and afterwards the rows are
counted.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from app.embedded.valkey import EmbeddedValkey
from app.store.database import Database
from bench.databases import databases
from bench.load import Load, drive
from bench.report import machine, table
from bench.sustained import sustain
from bench.yardsticks import SECRET_VARIABLE

NAME = "ingest"
HELP = "webhooks at the door, against a no-op and a plain endpoint"

SECRET = "bench-secret-of-a-webhook"
HOOK = "/v1/hooks/bench/shop"
TEAM: dict[str, Any] = {
    "version": 1,
    "team": "bench",
    "connections": {
        "shop": {"connector": "webhook", "verify": {"scheme": "hmac-sha256", "secret": {"env": SECRET_VARIABLE}}}
    },
    "datasets": {"orders": {"connection": "shop", "entity": "body.id", "at": "body.at", "event": "body.event"}},
    "metrics": {"placed": {"unit": "orders", "records": {"dataset": "orders"}, "window": {"trailing": "30d"}}},
}
_START_WITHIN = 120.0
#: Of four to nine letters, more than five on average with the space between.
_WORDS = ["".join(letters.choices("etaoinshrdlucmfw", k=letters.randint(4, 9))) for letters in [random.Random(1)] * 100]
_marks = itertools.count()


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="measured rounds (5), after one to warm up")
    parser.add_argument("--requests", type=int, default=6_000, metavar="N", help="deliveries of 4 KB in a round (6000)")
    parser.add_argument("--connections", type=int, default=64, metavar="N", help="connections at once (64)")
    parser.add_argument("--sizes", action="store_true", help="ours and the no-op with bodies of 1, 16 and 256 KB too")
    parser.add_argument("--in-flight", action="store_true", help="ours with 1, 8, 32 and 64 connections too")
    parser.add_argument("--worker", action="store_true", help="with a worker that applies what comes, on the same file")
    parser.add_argument("--long", type=int, default=0, metavar="S", help="1,000 deliveries a second for S seconds")


async def run(arguments: argparse.Namespace) -> None:
    print(f"{machine()}, {datetime.now(UTC):%Y-%m-%d}\n")
    async for name, database in databases(arguments.database):
        if arguments.long:
            await sustain(name, database, arguments.long)
            continue
        async with served(database, worker=arguments.worker) as servers:
            await _compare(name, database, servers, arguments)


# --- servers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves one way of taking a webhook on a port of loopback."""

    name: str
    port: int
    target: str
    pid: int
    redis_url: str = ""


@asynccontextmanager
async def served(
    database: Database, *, yardsticks: bool = True, worker: bool = False
) -> AsyncIterator[dict[str, Server]]:
    """Ours, and the yardsticks, over a database that has the bench's team."""
    with tempfile.TemporaryDirectory(prefix="kb-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        valkey = EmbeddedValkey(folder / "valkey")
        valkey.start()
        stack.callback(valkey.stop)
        environment = service_environment(database, valkey.url)
        await _apply(environment)
        servers: dict[str, Server] = {}
        kinds = {"ours": HOOK, "noop": "/hook", "verify": "/hook", "plain": "/hook"} if yardsticks else {"ours": HOOK}
        for kind, target in kinds.items():
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
            descriptor = str(listening.fileno())
            url = str(database.url) if database.dialect == "postgresql" else f"sqlite+aiosqlite:///{folder / 'p.db'}"
            module = ["bench.service", descriptor] if kind == "ours" else ["bench.yardsticks", kind, descriptor, url]
            process = stack.enter_context(_process(["-m", *module], environment, listening))
            port = listening.getsockname()[1]
            await _until_answered(port, process)
            servers[kind] = Server(kind, port, target, process.pid, valkey.url)
        if worker:
            process = stack.enter_context(_process(["-m", "app.cli", "worker"], environment))
            servers["worker"] = Server("worker", 0, "", process.pid)
        yield servers


def service_environment(database: Database, redis_url: str) -> dict[str, str]:
    """The environment of our processes."""
    return {
        **os.environ,
        "KRSYNC_DATABASE_URL": database.url,
        "KRSYNC_REDIS_URL": redis_url,
        "KRSYNC_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
        "KRSYNC_SECRETS_ALLOW": "*=*",
        SECRET_VARIABLE: SECRET,
    }


@contextmanager
def _process(
    arguments: list[str], environment: dict[str, str], listening: socket.socket | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[] if listening is None else [listening.fileno()],
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _until_answered(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait for the first answer: the socket is open before the server is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: krsync\r\nconnection: close\r\n\r\n")
    try:
        async with asyncio.timeout(_START_WITHIN):
            if not await reader.read(1):
                raise RuntimeError(f"a server ended with {process.poll()}")
    finally:
        writer.close()


async def _apply(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bench.service", "--apply", json.dumps(TEAM)]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    if await process.wait():
        raise RuntimeError("the bench's team could not be applied")


# --- requests --------------------------------------------------------------------------------------------------------


def deliveries(target: str, count: int, size: int, mark: str) -> list[bytes]:
    """So many signed requests, each with a body of its own of about `size` bytes."""
    return [_request(target, _body(f"{mark}-{number}", size)) for number in range(count)]


def _body(identity: str, size: int) -> bytes:
    """An order with a note of made-up words, which compresses about as well as what tools send."""
    order = {"id": identity, "event": "order.placed", "at": "2026-11-22T09:30:00Z", "note": ""}
    words = random.Random(identity)
    room = max(0, size - len(json.dumps(order)))
    order["note"] = " ".join(words.choices(_WORDS, k=room // 5 + 1))[:room]
    return json.dumps(order).encode()


def _request(target: str, body: bytes) -> bytes:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST {target} HTTP/1.1\r\nhost: krsync\r\ncontent-type: application/json\r\nuser-agent: bench/1\r\n"
        f"accept: */*\r\nx-hub-signature-256: sha256={signature}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# --- the comparison --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Course:
    """How one table is measured; `size` is the bytes of a body."""

    rounds: int
    requests: int
    connections: int
    size: int


def _sync_milliseconds() -> float:
    """What the disk takes for 256 KB that are to last, by itself: the least that a commit of a full batch takes."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(40):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(262_144), 0)
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def _compare(name: str, database: Database, servers: dict[str, Server], arguments: argparse.Namespace) -> None:
    print(f"## {name}\n")
    sync = _sync_milliseconds()
    most = arguments.connections / sync * 1000
    print(f"256 KB written and synced by themselves: {sync:.1f} ms, so {most:,.0f} a second at the most\n")
    usual = Course(arguments.rounds, arguments.requests, arguments.connections, 4_096)
    await _round_table(database, servers, usual, ("noop", "verify", "ours", "plain"))
    if arguments.sizes:
        for size, requests in ((1_024, 6_000), (16_384, 3_000), (262_144, 300)):
            await _round_table(
                database, servers, replace(usual, size=size, requests=requests), ("noop", "verify", "ours")
            )
    if arguments.in_flight:
        for connections in (1, 8, 32, 64):
            course = replace(usual, connections=connections, requests=min(4_000, 250 * connections))
            await _round_table(database, servers, course, ("noop", "ours"))


async def _round_table(database: Database, servers: dict[str, Server], course: Course, kinds: tuple[str, ...]) -> None:
    found: dict[str, list[Load]] = {kind: [] for kind in kinds}
    for number in range(course.rounds + 1):
        for kind in kinds:
            # The plain endpoint is slow: a twentieth of the requests tell its rate.
            count = max(course.connections * 4, course.requests // (20 if kind == "plain" else 1))
            mark = f"{kind}-{course.size}-{course.connections}-{next(_marks)}"
            requests = deliveries(servers[kind].target, count, course.size, mark)
            before = await _stored(database) if kind == "ours" else 0
            load = await drive(servers[kind].port, requests, connections=course.connections, pid=servers[kind].pid)
            assert load.statuses == {202: count}, load.statuses
            if kind == "ours":
                assert await _stored(database) - before == count, "acknowledged is not stored"
            if number:
                found[kind].append(load)
    base = statistics.median(load.rate for load in found["noop"])
    ours = statistics.median(load.rate for load in found["ours"])
    rows = []
    for kind, loads in found.items():
        rates = [load.rate for load in loads]
        rows.append(
            [
                kind,
                f"{statistics.median(rates):,.0f}",
                f"{min(rates):,.0f}–{max(rates):,.0f}",
                f"{statistics.median(rates) / base:.2f}",
                f"{ours / statistics.median(rates):.1f}",
                f"{statistics.median(load.cpu_microseconds for load in loads):,.0f}",
                f"{statistics.median(load.median for load in loads):.1f}",
                f"{statistics.median(load.p99 for load in loads):.1f}",
            ]
        )
    print(f"{course.size} bytes, {course.connections} connections, {course.requests} requests a round\n")
    header = ("way", "a second", "spread", "of the no-op", "ours is times", "CPU µs", "median ms", "p99 ms")
    print(table(header, rows), "\n", flush=True)


async def _stored(database: Database) -> int:
    async with database.reading() as session:
        return int((await session.execute(text("SELECT count(*) FROM delivery"))).scalar_one())
