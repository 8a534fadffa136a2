"""The server's own part: a client that reads nothing is cut off."""

import asyncio
import socket
from typing import Any

import pytest
import uvicorn

import app.serving
from app.serving import Protocol, Server


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
        await asyncio.wait_for(is_gone.wait(), 30)
        writer.close()
        server.should_exit = True
        await serving
