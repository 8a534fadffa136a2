"""The server's own part: a client that reads nothing is cut off, and polls of what did not change are answered at
once."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

import app.serving
from app.api.fast_reads import FastReads
from app.serving import Protocol, Server
from tests.api.conftest import World, on_sqlite

LIST = "/v1/key-results"


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.serving, "PATIENCE", 0.05)
    is_gone = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not is_gone.is_set():
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            if server.server_state.connections == set():
                is_gone.set()

    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(endless, http=Protocol, lifespan="off", log_config=None))
    with server.capture_signals():
        serving = asyncio.create_task(server._serve([listening]))
        _, writer = await asyncio.open_connection(*listening.getsockname(), limit=1)
        writer.write(b"GET / HTTP/1.1\r\nhost: krsync\r\n\r\n")
        await asyncio.wait_for(is_gone.wait(), 120)
        writer.close()
        server.should_exit = True
        await serving


def test_the_server_of_a_process_leaves_what_is_loaded_out_of_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def load() -> Any:
        done.append("loaded")
        return lambda scope, receive, send: None

    monkeypatch.setattr(app.serving, "settle", lambda: done.append("settled"))
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: done.append("run"))
    Server(uvicorn.Config(load, factory=True, http=Protocol, log_config=None)).run()
    assert done == ["loaded", "settled", "run"]


@asynccontextmanager
async def connected(app: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of its own for an application that is open already."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, http=Protocol, lifespan="off", log_config=None, server_header=False))
    with server.capture_signals():
        serving = asyncio.create_task(server._serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            server.should_exit = True
            await serving


async def asked(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], *requests: tuple[str, dict[str, str]]
) -> list[tuple[int, dict[str, str]]]:
    """Send requests as one piece; the status and the headers of each answer."""
    reader, writer = connection
    for line, headers in requests:
        head = [line + " HTTP/1.1", "host: krsync.test", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
    found = []
    for line, _ in requests:
        status, *lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)).decode().splitlines()
        headers = {name.lower(): value for name, _, value in (item.partition(": ") for item in lines if item)}
        if not line.startswith("HEAD"):
            await reader.readexactly(int(headers.get("content-length", 0)))
        found.append((int(status.split()[1]), headers))
    return found


async def test_a_poll_of_what_did_not_change_is_answered_at_once(world: World) -> None:
    await world.apply()
    headers = await world.as_("read")
    script = await world.as_("write")
    asked_of_routes: list[str] = []
    inner = world.api.reads._app

    async def routes(scope: Any, receive: Any, send: Any) -> None:
        asked_of_routes.append(scope["path"])
        await inner(scope, receive, send)

    world.api.reads._app = routes
    async with connected(world.api) as connection:
        ((status, first),) = await asked(connection, (f"GET {LIST}", headers))
        assert status == 200
        known = headers | {"if-none-match": first["etag"], "x-request-id": "one"}
        slow = await world.http.get(LIST, headers=known)
        asked_of_routes.clear()
        answers = await asked(connection, *[(f"GET {LIST}", known)] * 3)
        assert [status for status, _ in answers] == [304, 304, 304]
        assert {name: value for name, value in answers[0][1].items() if name != "date"} == dict(slow.headers)
        assert "date" in answers[0][1]
        assert asked_of_routes == []
        # What is not a poll, or of somebody else, or of another thing, goes the whole way; answers keep their order.
        mixed = await asked(
            connection,
            (f"GET {LIST}?limit=1", headers),
            (f"GET {LIST}", known),
            (f"HEAD {LIST}", known),
            (f"GET {LIST}", {"if-none-match": first["etag"]}),
            (f"GET {LIST}", known),
            (f"GET {LIST}", known | {"expect": "100-continue"}),
            (f"GET {LIST}?as_of=2026-11-20T00:00:00Z", headers),
        )
        assert [status for status, _ in mixed] == [200, 304, 304, 401, 304, 304, 200]
        put = await world.http.put(
            "/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": 7}, headers=script
        )
        assert put.status_code == 200
        ((status, changed),) = await asked(connection, (f"GET {LIST}", known))
        assert (status, changed["etag"] == first["etag"]) == (200, False)


@on_sqlite
async def test_a_connection_that_is_to_be_closed_is_closed_after_a_304(world: World) -> None:
    await world.apply()
    headers = await world.as_("read")
    tag = (await world.http.get(LIST, headers=headers)).headers["etag"]
    known = headers | {"if-none-match": tag, "connection": "close"}
    async with connected(world.api) as connection:
        ((status, _),) = await asked(connection, (f"GET {LIST}", known))
        assert status == 304
        assert await asyncio.wait_for(connection[0].read(), 120) == b""


async def test_a_page_that_is_ready_is_answered_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.apply()
    headers = await world.as_("read") | {"x-request-id": "one", "accept": "*/*"}
    expected = [await world.http.get(LIST, headers=headers) for _ in (1, 2)][1]
    asked_by_task: list[str] = []

    async def note(_: FastReads, scope: Any, receive: Any, send: Any) -> None:
        asked_by_task.append(scope["path"])

    monkeypatch.setattr(FastReads, "__call__", note)
    async with connected(world.api) as (reader, writer):
        lines = [f"GET {LIST} HTTP/1.1", "host: krsync.test", *(f"{name}: {text}" for name, text in headers.items())]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        writer.write(request * 2)
        for _ in (1, 2):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
            status, *given = head.decode().strip().splitlines()
            found = {name.lower(): text for name, _, text in (line.partition(": ") for line in given)}
            assert status == "HTTP/1.1 200 OK"
            assert found.pop("date")
            assert found == dict(expected.headers)
            assert await reader.readexactly(int(found["content-length"])) == expected.content
    assert asked_by_task == []
