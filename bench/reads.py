"""Polls of a list that did not change, beside a FastAPI route that does nothing; and the list after one change, beside
the list that one writes first (FastAPI, SQLModel, a response model)."""

import argparse
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from app.services.tokens import Principal, create_token
from app.store.database import Database
from bench.databases import databases
from bench.ingest import served
from bench.load import Load, cpu_seconds, drive
from bench.report import machine, table
from bench.yardsticks import PlainKeyResult

NAME = "reads"
HELP = "polls of an unchanged list, against a FastAPI route that does nothing"

_TEAM = "reads"
_LIST = "/v1/key-results?limit=1000"
#: The most key results that a team may have.
_OF_A_TEAM = 500


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key-results", type=int, default=200, metavar="N", help="key results in the list (200)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="measured rounds (5), after one to warm up")
    parser.add_argument("--requests", type=int, default=6_000, metavar="N", help="requests of a round (6000)")
    parser.add_argument("--connections", type=int, default=64, metavar="N", help="connections at once (64)")
    parser.add_argument(
        "--list", type=int, default=5_000, metavar="N", help="key results of the list after one change (5000); 0: none"
    )


async def run(arguments: argparse.Namespace) -> None:
    print(f"{machine()}, {datetime.now(UTC):%Y-%m-%d}\n")
    async for name, database in databases(arguments.database):
        async with served(database, yardsticks=False) as servers:
            ours = servers["ours"]
            with _yardstick(database) as noop:
                await _compare(name, database, (ours.port, ours.pid), noop, arguments)
                if arguments.list:
                    await _compare_lists(name, database, (ours.port, ours.pid), noop, arguments)


@contextmanager
def _yardstick(database: Database) -> Iterator[tuple[int, int]]:
    """The port and the process id of the yardstick."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        descriptor = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.yardsticks", "get", str(descriptor), database.url], pass_fds=[descriptor]
        )
        try:
            yield listening.getsockname()[1], process.pid
        finally:
            process.terminate()
            process.wait(10)


async def _prepare(database: Database, port: int, count: int, team: str = _TEAM) -> str:
    """A team with so many key results; the text of a token."""
    bench = Principal(0, "bench", frozenset({"admin"}), None)
    _, token = await create_token(
        database, name="bench", scopes=["admin"], team=None, principal=bench, now=datetime.now(UTC)
    )
    results = {f"k{number}": {"metric": f"m{number % 20}", "baseline": 0, "target": 10} for number in range(count)}
    document: dict[str, Any] = {
        "version": 1,
        "team": team,
        "metrics": {f"m{number}": {"unit": "points", "manual": {}} for number in range(20)},
        "objectives": {"all": {"title": "All", "cycle": str(datetime.now(UTC).year), "key_results": results}},
    }
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as http:
        (await http.post(f"/v1/teams/{team}/apply", json=document)).raise_for_status()
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


async def _compare_lists(
    name: str, database: Database, ours: tuple[int, int], plain: tuple[int, int], arguments: argparse.Namespace
) -> None:
    """The server's CPU for everything that is listed, after one check-in each time, and equal answers."""
    token = ""
    for number in range(0, arguments.list, _OF_A_TEAM):
        team = f"many{number // _OF_A_TEAM}"
        token = await _prepare(database, ours[0], min(_OF_A_TEAM, arguments.list - number), team)
    headers = {"Authorization": f"Bearer {token}"}
    pages: list[list[dict[str, Any]]] = []
    found: dict[str, list[tuple[float, float]]] = {"ours after a change": [], "ours again": [], "plain list": []}
    loads: list[tuple[float, float]] = []
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ours[0]}", headers=headers, timeout=300) as http,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{plain[0]}", timeout=300) as other,
    ):
        for number in range(arguments.rounds * 4 + 1):
            said = await http.post("/v1/key-results/many0/k7/check-ins", json={"note": f"{number}"})
            said.raise_for_status()
            minute = time.time() // 60
            timed: dict[str, tuple[float, float]] = {}
            for way in found:
                pid = plain[1] if way == "plain list" else ours[1]
                if way == "plain list":
                    await _copy(database, [item for page in pages for item in page])
                used, began = cpu_seconds(pid), time.perf_counter()
                if way == "plain list":
                    listed = (await other.get("/plain")).json()
                else:
                    pages = await _pages(http)
                timed[way] = cpu_seconds(pid) - used, time.perf_counter() - began
            assert [_without_ages(item) for page in pages for item in page] == [_without_ages(item) for item in listed]
            if time.time() // 60 != minute:
                loads.append(timed["ours after a change"])
            elif number:
                for way, figures in timed.items():
                    found[way].append(figures)
    base = statistics.median(cpu for cpu, _ in found["plain list"])
    rows = [
        [
            way,
            f"{statistics.median(cpu for cpu, _ in figures) * 1000:,.1f}",
            f"{max(cpu for cpu, _ in figures) * 1000:,.1f}",
            f"{base / max(1e-9, statistics.median(cpu for cpu, _ in figures)):.0f}",
            f"{statistics.median(wall for _, wall in figures) * 1000:,.0f}",
            str(len(figures)),
        ]
        for way, figures in (*found.items(), ("ours in a new minute", loads))
        if figures
    ]
    print(f"{sum(map(len, pages)):,} key results, in pages of 1,000 (the plain list: at once)\n")
    print(
        table(("way", "CPU ms, median", "most", "the plain list is times", "wall ms", "rounds"), rows), "\n", flush=True
    )


async def _pages(http: httpx.AsyncClient) -> list[list[dict[str, Any]]]:
    found, place = [], ""
    while True:
        page = (await http.get(f"{_LIST}{place}")).json()
        found.append(page["items"])
        if page["next"] is None:
            return found
        place = f"&after={page['next']}"


def _without_ages(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "freshness": {**item["freshness"], "age_seconds": None}, "expected_progress": None}


async def _copy(database: Database, items: list[dict[str, Any]]) -> None:
    """What our list says, as rows of the plain one's table."""
    rows = PlainKeyResult.__table__  # type: ignore[attr-defined]
    async with database.writing() as session:
        connection = await session.connection()
        await connection.run_sync(rows.create, checkfirst=True)
        await session.execute(rows.delete())
        await session.execute(rows.insert(), [PlainKeyResult.model_validate(item).model_dump() for item in items])


def _request(target: str, token: str | None = None, tag: str | None = None) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "host: krsync", "user-agent: bench/1", "accept: */*"]
    lines += [] if token is None else [f"authorization: Bearer {token}"]
    lines += [] if tag is None else [f"if-none-match: {tag}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
