"""Polls of a list that did not change: ours, whole and unchanged, beside a FastAPI route that does nothing."""

import argparse
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from app.services.tokens import Principal, create_token
from app.store.database import Database
from bench.databases import databases
from bench.ingest import served
from bench.load import Load, drive
from bench.report import machine, table

NAME = "reads"
HELP = "polls of an unchanged list, against a FastAPI route that does nothing"

_TEAM = "reads"
_LIST = "/v1/key-results?limit=1000"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key-results", type=int, default=200, metavar="N", help="key results in the list (200)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="measured rounds (5), after one to warm up")
    parser.add_argument("--requests", type=int, default=6_000, metavar="N", help="requests of a round (6000)")
    parser.add_argument("--connections", type=int, default=64, metavar="N", help="connections at once (64)")


async def run(arguments: argparse.Namespace) -> None:
    print(f"{machine()}, {datetime.now(UTC):%Y-%m-%d}\n")
    async for name, database in databases(arguments.database):
        async with served(database, yardsticks=False) as servers:
            ours = servers["ours"]
            with _noop() as (noop_port, noop_pid):
                await _compare(name, database, (ours.port, ours.pid), (noop_port, noop_pid), arguments)


@contextmanager
def _noop() -> Iterator[tuple[int, int]]:
    """The port and the process id of the yardstick."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        descriptor = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.yardsticks", "get", str(descriptor), ""], pass_fds=[descriptor]
        )
        try:
            yield listening.getsockname()[1], process.pid
        finally:
            process.terminate()
            process.wait(10)


async def _prepare(database: Database, port: int, count: int) -> str:
    """A team with so many key results; the text of a token."""
    bench = Principal(0, "bench", frozenset({"admin"}), None)
    _, token = await create_token(
        database, name="bench", scopes=["admin"], team=None, principal=bench, now=datetime.now(UTC)
    )
    results = {f"k{number}": {"metric": f"m{number % 20}", "baseline": 0, "target": 10} for number in range(count)}
    document: dict[str, Any] = {
        "version": 1,
        "team": _TEAM,
        "metrics": {f"m{number}": {"unit": "points", "manual": {}} for number in range(20)},
        "objectives": {"all": {"title": "All", "cycle": str(datetime.now(UTC).year), "key_results": results}},
    }
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as http:
        (await http.post(f"/v1/teams/{_TEAM}/apply", json=document)).raise_for_status()
    return token


async def _compare(
    name: str, database: Database, ours: tuple[int, int], noop: tuple[int, int], arguments: argparse.Namespace
) -> None:
    token = await _prepare(database, ours[0], arguments.key_results)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ours[0]}", headers=headers, timeout=120) as http:
        first = await http.get(_LIST)
    assert len(first.json()["items"]) == arguments.key_results
    whole = _request(_LIST, token)
    unchanged = _request(_LIST, token, first.headers["etag"])
    ways = {
        "FastAPI no-op GET": (noop, _request("/nothing"), arguments.requests, 200),
        "unchanged": (ours, unchanged, arguments.requests, 304),
        "whole": (ours, whole, max(20, arguments.requests // 200), 200),
    }
    found: dict[str, list[Load]] = {way: [] for way in ways}
    for number in range(arguments.rounds + 1):
        for way, ((port, pid), request, count, status) in ways.items():
            load = await drive(port, [request] * count, connections=arguments.connections, pid=pid)
            assert load.statuses == {status: count}, load.statuses
            if number:
                found[way].append(load)
    base = statistics.median(load.rate for load in found["FastAPI no-op GET"])
    rows = []
    for way, loads in found.items():
        rates = [load.rate for load in loads]
        rows.append(
            [
                way,
                f"{statistics.median(rates):,.0f}",
                f"{min(rates):,.0f}–{max(rates):,.0f}",
                f"{statistics.median(rates) / base:.2f}",
                f"{statistics.median(load.cpu_microseconds for load in loads):,.0f}",
                f"{statistics.median(load.p99 for load in loads):.1f}",
            ]
        )
    print(f"## {name}\n\n{arguments.key_results} key results, {arguments.connections} connections\n")
    print(table(("way", "a second", "spread", "of the no-op", "CPU µs", "p99 ms"), rows), "\n", flush=True)


def _request(target: str, token: str | None = None, tag: str | None = None) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "host: krsync", "user-agent: bench/1", "accept: */*"]
    lines += [] if token is None else [f"authorization: Bearer {token}"]
    lines += [] if tag is None else [f"if-none-match: {tag}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
