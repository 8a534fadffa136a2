"""Deliveries over connections that stay open, as the server takes them by itself: in pieces, one behind the other, with
senders that leave, and at the bound. What is not plain goes to the endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

import app.api.hooks
import app.serving
from app.services.deliveries import delivery_views
from app.services.ingest import DeliveryWriter
from app.serving import Protocol
from app.store.deliveries import NewDelivery, Stored
from tests.api.conftest import World, on_sqlite
from tests.api.test_bad_deliveries import DESK, DESK_PATH, GOOD, Case, desk, door, raw

pytestmark = on_sqlite

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def body_of(number: int) -> bytes:
    return GOOD.replace(b"po-1", b"po-%d" % number)


def delivery(number: int, path: str = DESK_PATH) -> bytes:
    body = body_of(number)
    return raw(Case("", "", path, desk(body), body, 202), "keep-alive")


async def answer(streams: Streams) -> tuple[int, dict[str, str], Any]:
    """The next answer of a connection."""
    head = (await asyncio.wait_for(streams[0].readuntil(b"\r\n\r\n"), 30)).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await streams[0].readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, json.loads(body)


@asynccontextmanager
async def connected(world: World) -> AsyncIterator[tuple[tuple[str, int], Streams]]:
    """A server that knows the connection by now; its address, and a connection to it."""
    async with door(world) as address:
        streams = await asyncio.open_connection(*address)
        streams[1].write(delivery(0))
        assert (await answer(streams))[0] == 202
        yield address, streams
        streams[1].close()


@pytest.fixture
async def hooks(world: World) -> World:
    world.environ.update(DESK=DESK)
    verify = {"scheme": "hmac-sha256", "secret": {"env": "DESK"}}
    await world.apply(
        connections={"desk": {"connector": "webhook", "verify": verify}}, datasets={}, metrics={}, objectives={}
    )
    world.bell.rings.clear()
    return world


@pytest.fixture
def requests(hooks: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What came to the endpoint as a request."""
    found: list[str] = []
    inner = hooks.api.hooks._answer

    async def noted(scope: Any, receive: Any, request_id: str) -> Any:
        found.append(scope["path"])
        return await inner(scope, receive, request_id)

    monkeypatch.setattr(hooks.api.hooks, "_answer", noted)
    return found


class Held:
    """A log that commits when it is told to."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self.goes_on = asyncio.Event()
        self.began = asyncio.Event()

    async def append(self, batch: Sequence[NewDelivery]) -> list[Stored]:
        self.began.set()
        await self.goes_on.wait()
        found: list[Stored] = await self._log.append(batch)
        return found

    async def close(self) -> None:
        await self._log.close()


def held(world: World) -> Held:
    assert world.api.hooks.door is not None
    writer = world.api.hooks.door.writer
    writer._log = log = Held(writer._log)
    return log


async def stored(world: World) -> int:
    async with world.services.database.reading() as session:
        return len(await delivery_views(session, limit=1_000))


async def test_both_ways_give_the_same_answer(hooks: World, requests: list[str]) -> None:
    async with connected(hooks) as (_, streams):
        for number, way in ((1, []), (2, [DESK_PATH])):
            requests.clear()
            request = delivery(number)
            if way:  # an empty query is something to look at
                request = request.replace(b" HTTP/1.1", b"? HTTP/1.1", 1)
            streams[1].write(request)
            status, headers, body = await answer(streams)
            assert (status, body) == (202, {"id": number + 1, "duplicate": False})
            assert requests == way
            assert sorted(headers) == [
                "cache-control", "content-length", "content-type", "date", "server", "x-request-id",
            ]  # fmt: skip
            assert (headers["content-type"], headers["cache-control"]) == ("application/json", "no-store")
            assert len(headers["x-request-id"]) == 32
        streams[1].write(delivery(3).replace(b"\r\n", b"\r\nx-request-id: mine\r\n", 1))
        assert (await answer(streams))[1]["x-request-id"] == "mine"
    exposition = hooks.api.telemetry.exposition()
    assert b'krsync_deliveries_total{outcome="stored"} 4.0' in exposition
    assert hooks.bell.rings.count("deliveries") == 4


async def test_a_body_comes_in_as_many_pieces_as_it_likes(hooks: World, requests: list[str]) -> None:
    async with connected(hooks) as (_, streams):
        requests.clear()
        request = delivery(1)
        for place in range(len(request)):
            streams[1].write(request[place : place + 1])
            await asyncio.sleep(0)
        assert (await answer(streams))[0] == 202
        assert requests == []
        assert hooks.api.hooks._on_the_way == 0
        async with hooks.services.database.reading() as session:
            assert len(await delivery_views(session)) == 2


async def test_answers_keep_the_order_of_what_was_sent(hooks: World, requests: list[str]) -> None:
    log = held(hooks)
    log.goes_on.set()
    async with connected(hooks) as (_, streams):
        log.goes_on.clear()
        bad = delivery(2).replace(b"sha256=", b"sha256=0", 1)
        poll = b"GET /v1/key-results HTTP/1.1\r\nhost: krsync.test\r\n\r\n"
        streams[1].write(delivery(1) + bad + poll + delivery(3) + delivery(4, "/v1/hooks/operations/nobody"))
        await log.began.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        log.goes_on.set()
        assert [(await answer(streams))[0] for _ in range(5)] == [202, 401, 401, 202, 404]
        streams[1].write(delivery(5))
        assert (await answer(streams))[2]["id"] == 4


async def test_a_sender_that_leaves_before_the_commit_takes_nothing_with_it(hooks: World) -> None:
    log = held(hooks)
    log.goes_on.set()
    async with connected(hooks) as (address, streams):
        log.goes_on.clear()
        log.began.clear()
        _, leaving = await asyncio.open_connection(*address)
        leaving.write(delivery(1))
        await log.began.wait()
        leaving.transport.abort()
        streams[1].write(delivery(2))
        log.goes_on.set()
        assert (await answer(streams))[0] == 202
        assert await stored(hooks) == 3


async def test_a_sender_that_leaves_in_the_middle_of_a_body_leaves_no_trace(hooks: World) -> None:
    async with connected(hooks) as (address, _):
        _, leaving = await asyncio.open_connection(*address)
        leaving.write(delivery(1)[:-1])
        while hooks.api.hooks._on_the_way == 0:
            await asyncio.sleep(0)
        leaving.close()
        while hooks.api.hooks._on_the_way:
            await asyncio.sleep(0)
        assert await stored(hooks) == 1


async def test_at_the_bound_it_is_503_and_the_connection_goes_on(hooks: World) -> None:
    async with connected(hooks) as (_, streams):
        door = hooks.api.hooks.door
        assert door is not None
        full = DeliveryWriter(hooks.services.database, max_waiting=0)
        hooks.api.hooks.door = type(door)(door.services, door.directory, full, door.refusals)
        streams[1].write(delivery(1))
        status, headers, body = await answer(streams)
        assert (status, headers["retry-after"], body["code"]) == (503, "1", "store_unavailable")
        assert door.refusals._counted[1, "store_unavailable"].count == 1
        hooks.api.hooks.door = door
        streams[1].write(delivery(1))
        assert (await answer(streams))[0] == 202


async def test_a_commit_that_fails_is_503(hooks: World, requests: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(hooks) as (_, streams):
        requests.clear()
        log = held(hooks)

        async def full(batch: Sequence[NewDelivery]) -> list[Stored]:
            raise OSError("disk is full")

        monkeypatch.setattr(log, "append", full)
        streams[1].write(delivery(1))
        status, headers, body = await answer(streams)
        assert (status, body["code"], requests) == (503, "store_unavailable", [])
        assert int(headers["retry-after"]) >= 1
        assert "disk" not in str(body)


async def test_the_rest_of_a_body_that_takes_its_time_is_waited_for_by_the_endpoint(
    hooks: World, requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.serving, "REST_WITHIN", 0.01)
    async with connected(hooks) as (_, streams):
        requests.clear()
        request = delivery(1)
        streams[1].write(request[:-10])
        while not requests:
            await asyncio.sleep(0.005)
        streams[1].write(request[-10:])
        assert (await answer(streams))[0] == 202
        monkeypatch.setattr(app.api.hooks, "DEADLINE", 0.01)
        streams[1].write(delivery(2)[:-10])
        assert (await answer(streams))[0] == 408
        assert hooks.api.hooks._on_the_way == 0
    assert await stored(hooks) == 2


async def test_a_server_that_stops_answers_what_it_took_and_closes(
    hooks: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = held(hooks)
    stop = Protocol.shutdown

    def stopped(self: Protocol) -> None:
        stop(self)
        log.goes_on.set()

    monkeypatch.setattr(Protocol, "shutdown", stopped)
    log.goes_on.set()
    async with door(hooks) as address:
        streams = await asyncio.open_connection(*address)
        streams[1].write(delivery(0))
        assert "connection" not in (await answer(streams))[1]
        log.goes_on.clear()
        log.began.clear()
        streams[1].write(delivery(1))
        await log.began.wait()
    status, headers, _ = await answer(streams)
    assert (status, headers["connection"]) == (202, "close")
    assert await streams[0].read() == b""
    streams[1].close()


async def test_a_server_that_stops_waits_for_a_body_on_its_way(hooks: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, request = Protocol.shutdown, delivery(1)

    def stopped(self: Protocol) -> None:
        stop(self)
        streams[1].write(request[-10:])

    async with door(hooks) as address:
        streams = await asyncio.open_connection(*address)
        streams[1].write(delivery(0))
        assert (await answer(streams))[0] == 202
        streams[1].write(request[:-10])
        while hooks.api.hooks._on_the_way == 0:
            await asyncio.sleep(0)
        monkeypatch.setattr(Protocol, "shutdown", stopped)
    status, headers, _ = await answer(streams)
    assert (status, headers["connection"]) == (202, "close")
    streams[1].close()
