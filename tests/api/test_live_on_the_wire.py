"""Event streams over connections: our own server takes them over from their tasks, any other sends them as it does."""

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

import app.serving
from app.api.live_stream import Stream
from app.services.live_follower import Event
from app.services.tokens import authenticate, revoke_token
from app.serving import Protocol
from tests.api.conftest import ADMIN, World, on_sqlite
from tests.api.live_reader import Reader
from tests.api.test_bad_deliveries import door
from tests.api.test_live import marker, ready, teams, value
from tests.journeys.running import on_loopback

__all__ = ["teams"]

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire(Reader):
    """A stream that is open on a connection of its own."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self.streams = streams

    def ask(self, headers: Mapping[str, str]) -> None:
        lines = ["GET /v1/live HTTP/1.1", "host: krsync", *(f"{name}: {text}" for name, text in headers.items())]
        self.streams[1].write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def head(self) -> None:
        """Read the beginning of an answer."""
        head = (await self.streams[0].readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = [tuple(line.lower().encode().split(b": ", 1)) for line in lines]
        await self.send({"type": "http.response.start", "status": int(first.split()[1]), "headers": headers})

    async def follow(self) -> None:
        """Read to the end of the answer, chunk by chunk."""
        await self.head()
        size = 1
        while size:
            await self.is_read.wait()
            size = int(await self.streams[0].readuntil(b"\r\n"), 16)
            body = (await self.streams[0].readexactly(size + 2))[:-2]
            await self.send({"type": "http.response.body", "body": body, "more_body": size > 0})


@asynccontextmanager
async def wired(address: tuple[str, int], headers: Mapping[str, str]) -> AsyncIterator[Wire]:
    """A stream, open until its reader leaves it."""
    wire = Wire(await asyncio.open_connection(*address))
    wire.ask(headers)
    following = asyncio.create_task(wire.follow())
    try:
        yield wire
    finally:
        following.cancel()
        wire.streams[1].close()


@asynccontextmanager
async def behind_the_door(world: World, **more: str) -> AsyncIterator[Wire]:
    """A stream that our own server has begun."""
    async with door(world) as address, wired(address, await world.as_("read") | more) as wire:
        await ready(wire)
        yield wire


async def asked_again(wire: Wire, headers: Mapping[str, str]) -> int:
    """The status of the next answer on a connection whose stream has ended."""
    await wire.ended()
    wire.ask(headers)
    await wire.head()
    return wire.status


def requests() -> list[str]:
    """The requests that have a task."""
    return [name for task in asyncio.all_tasks() if "run_asgi" in (name := repr(task.get_coro()))]


async def without_streams(world: World) -> None:
    """Wait until nobody reads."""
    async with asyncio.timeout(120):
        while world.api.live._audiences:
            await asyncio.sleep(0)


def outlet_of(world: World) -> Any:
    """Where the only stream is written to."""
    (audience,) = world.api.live._audiences.values()
    (stream,) = audience.streams
    return stream._outlet


def tell_much(world: World, number: int) -> None:
    """Tell an event of a megabyte."""
    assert world.api.live.door is not None
    data = json.dumps({"id": str(number), "text": "x" * 1_000_000}).encode()
    world.api.live.door.hub._append([Event("operations", b"event: filler\ndata: " + data + b"\n")])


@on_sqlite
@pytest.mark.parametrize("http", [Protocol, "httptools", "h11"])
async def test_every_server_tells_the_same(teams: World, http: Any) -> None:
    headers = await teams.as_("read")
    async with on_loopback(teams.api, http=http) as url:
        address = httpx.URL(url)
        async with wired((address.host, address.port or 0), headers) as wire:
            await ready(wire)
            assert wire.headers["content-type"] == "text/event-stream; charset=utf-8"
            await value(teams, "operations", 1)
            told = await wire.until("objective", "operations/good")
            assert [item.data.get("value") for item in told] == ["1", None]
            assert bool(requests()) is (http is not Protocol)
        await without_streams(teams)
        # One that comes back is told what it missed, and goes on.
        await value(teams, "finance", 2)
        async with wired((address.host, address.port or 0), headers | {"Last-Event-ID": wire.last_id}) as again:
            told = await again.until("objective", "finance/good")
            assert ("finance/mood_up", "2") in [(item.name, item.data.get("value")) for item in told]
            assert [item.kind for item in await marker(teams, again)] == ["objective"]
            teams.api.live.end()
            await again.ended()
    assert b"krsync_live_streams 0.0" in teams.api.telemetry.exposition()


async def test_the_end_of_a_token_is_the_end_of_its_streams(teams: World) -> None:
    token = await teams.token("read")
    async with door(teams) as address, wired(address, {"Authorization": f"Bearer {token}"}) as wire:
        await ready(wire)
        principal = await authenticate(teams.services.database, token)
        await revoke_token(teams.services.database, principal.token_id, principal=ADMIN, now=teams.services.clock())
        await teams.bell.changed()
        # The connection goes on, for what else there is to ask.
        assert await asked_again(wire, {"Authorization": f"Bearer {token}"}) == 401


@on_sqlite
async def test_a_reader_that_reads_on_has_missed_nothing(teams: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stream, "beat", lambda stream: None)  # a sign of life would bring the rest too, if later
    async with behind_the_door(teams) as wire:
        wire.is_read.clear()
        outlet, count = outlet_of(teams), 0
        while not outlet.is_full:
            assert count < 100, "it is written as if it were read"
            tell_much(teams, count)
            count += 1
            await asyncio.sleep(0)  # what the sockets take is sent before this goes on
        tell_much(teams, count)
        wire.is_read.set()
        assert [(await wire.next()).name for _ in range(count + 1)] == [str(number) for number in range(count + 1)]
        await marker(teams, wire)


@on_sqlite
async def test_a_reader_that_does_not_read_is_let_go(teams: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.serving, "PATIENCE", 0.05)
    async with door(teams) as address, wired(address, await teams.as_("read")) as wire:
        await ready(wire)
        wire.is_read.clear()
        outlet = outlet_of(teams)
        async with asyncio.timeout(120):
            while teams.api.live._audiences:
                if not outlet.is_full:
                    tell_much(teams, 1)
                await asyncio.sleep(0)
        async with wired(address, await teams.as_("read")) as other:
            await ready(other)


@on_sqlite
async def test_what_is_asked_behind_a_stream_waits_for_its_end(teams: World) -> None:
    async with behind_the_door(teams) as wire:
        wire.streams[1].write(b"GET /healthz HTTP/1.1\r\nhost: krsync\r\n\r\n")
        await marker(teams, wire)
        teams.api.live.end()
        await wire.ended()
        await wire.head()
        assert wire.status == 200


@on_sqlite
async def test_the_connection_is_closed_where_that_was_asked_for(teams: World) -> None:
    async with behind_the_door(teams, Connection="close") as wire:
        await marker(teams, wire)
        teams.api.live.end()
        await wire.ended()
        assert await wire.streams[0].read() == b""


@on_sqlite
@pytest.mark.parametrize("ends", [True, False])
async def test_nothing_of_a_stream_waits_for_a_collection(teams: World, ends: bool) -> None:
    gc.disable()
    try:
        async with behind_the_door(teams) as wire:
            connection = weakref.ref(outlet_of(teams)._complete.__self__)
            if ends:
                teams.api.live.end()
                await wire.ended()
            wire.streams[1].close()
            async with asyncio.timeout(120):
                while connection() is not None:
                    await asyncio.sleep(0)
    finally:
        gc.enable()


@on_sqlite
async def test_a_body_that_is_still_to_come_leaves_the_stream_to_its_task(teams: World) -> None:
    async with behind_the_door(teams, **{"Content-Length": "2"}) as wire:
        assert len(requests()) == 1
        wire.streams[1].write(b"{}")
        await marker(teams, wire)
        wire.streams[1].close()
        await without_streams(teams)


@on_sqlite
async def test_nobody_is_let_in_once_the_streams_have_ended(teams: World) -> None:
    async with behind_the_door(teams) as wire:
        teams.api.live.end()
        assert await asked_again(wire, await teams.as_("read")) == 503
