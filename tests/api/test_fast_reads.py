"""Polls answered ahead of the routes: the same answers, and never one from before a change."""

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from app.services.read import KeyResultQuery, Page, Shelf
from app.store import organisation
from app.store.data_version import PostgresVersion
from tests.api.conftest import World, on_sqlite
from tests.conftest import FakeClock

PATHS = (
    "/v1/key-results",
    "/v1/key-results?team=operations&limit=1",
    "/v1/key-results/operations/satisfaction_up",
    "/v1/objectives?expand=key_results",
    "/v1/objectives/operations/happy_desk",
    "/v1/metrics/operations/open_p1",
    "/v1/alignment",
)


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """What is asked of the database through the engine."""
    asked: list[str] = []

    def note(*arguments: Any) -> None:
        asked.append(arguments[2])

    engine = world.services.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


def routes(world: World) -> httpx.AsyncClient:
    """A client of the routes alone."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(world.api.routes), base_url="http://krsync.test")


@on_sqlite
async def test_an_unchanged_read_asks_nothing_of_the_database(world: World) -> None:
    await world.apply()
    headers = await world.as_("read")
    for path in PATHS:
        first = await world.http.get(path, headers=headers)
        assert first.status_code == 200, path
        known = {**headers, "If-None-Match": first.headers["etag"], "X-Request-Id": "one"}
        with statements(world) as asked:
            again = await world.http.get(path, headers=known)
            assert [statement for statement in asked if "token" in statement] == [], path
        async with routes(world) as http:
            slow = await http.get(path, headers=known)
        assert (again.status_code, again.content) == (slow.status_code, slow.content) == (304, b"")
        assert sorted(again.headers.items()) == sorted(slow.headers.items())
    counted = world.api.telemetry.exposition().decode()
    assert 'krsync_http_requests_total{method="GET",route="/v1/key-results/{team}/{name}",status="304"}' in counted


@on_sqlite
async def test_who_asks_and_what_is_asked_tell_reads_apart(world: World) -> None:
    await world.apply()
    one, other = await world.as_("read"), await world.as_("read", team="operations")
    tag = (await world.http.get("/v1/key-results", headers=one)).headers["etag"]
    known = {"If-None-Match": tag}
    for _ in (1, 2):
        assert (await world.http.get("/v1/key-results", headers=one | known)).status_code == 304
        assert (await world.http.get("/v1/key-results", headers=known)).status_code == 401
        wrong = {"Authorization": f"Bearer {await world.token('read')}x"}
        assert (await world.http.get("/v1/key-results", headers=wrong | known)).status_code == 401
        assert (await world.http.get("/v1/key-results?limit=1", headers=one | known)).status_code == 200
        assert (await world.http.get("/v1/key-results?surprise=1", headers=one | known)).status_code == 422
        assert (await world.http.get("/v1/objectives", headers=other | known)).status_code == 200
        assert (await world.http.head("/v1/key-results", headers=one | known)).status_code == 304
        assert (await world.http.get("/v1/key-results", headers=one | {"If-None-Match": '"x"'})).status_code == 200


@on_sqlite
async def test_a_judgement_is_looked_at_again_every_minute(world: World, clock: FakeClock) -> None:
    await world.apply()
    headers = await world.as_("read")
    path = "/v1/key-results/operations/satisfaction_up"
    script = await world.as_("write")
    await world.http.put("/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": 7}, headers=script)
    tag = (await world.http.get(path, headers=headers)).headers["etag"]
    for span, asks in ((timedelta(seconds=59), False), (timedelta(seconds=1), True)):
        clock.advance(span)
        with statements(world) as asked:
            again = await world.http.get(path, headers=headers | {"If-None-Match": tag})
            assert again.status_code == 304
            assert any("token" in statement for statement in asked) is asks
    clock.advance(timedelta(days=20))
    again = await world.http.get(path, headers=headers | {"If-None-Match": tag})
    assert (again.status_code, again.json()["freshness"]["level"]) == (200, "stale")


async def test_a_revoked_token_reads_nothing_any_more(world: World) -> None:
    await world.apply()
    admin, headers = await world.as_("admin"), await world.as_("read")
    tag = (await world.http.get("/v1/key-results", headers=headers)).headers["etag"]
    known = headers | {"If-None-Match": tag}
    assert (await world.http.get("/v1/key-results", headers=known)).status_code == 304
    tokens = (await world.http.get("/v1/tokens", headers=admin)).json()["items"]
    (mine,) = (token["id"] for token in tokens if token["scopes"] == ["read"])
    assert (await world.http.delete(f"/v1/tokens/{mine}", headers=admin)).status_code == 204
    assert (await world.http.get("/v1/key-results", headers=known)).status_code == 401


PAGES = (
    "/v1/key-results",
    "/v1/key-results?limit=1",
    "/v1/key-results?team=operations&freshness=no_data",
    "/v1/key-results?q=nowhere",
)


@contextmanager
def asked_of_routes(world: World) -> Iterator[list[str]]:
    """The paths that get as far as the routes."""
    asked: list[str] = []
    inner = world.api.reads._app

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await inner(scope, receive, send)

    world.api.reads._app = noting
    yield asked
    world.api.reads._app = inner


async def test_a_list_that_changed_comes_off_the_shelf_as_the_routes_would_answer(world: World) -> None:
    await world.apply()
    headers, script = await world.as_("read") | {"X-Request-Id": "one"}, await world.as_("write")
    for path in PAGES * 2:  # the first answer of a process judges everything
        assert (await world.http.get(path, headers=headers)).status_code == 200
    for number in range(3):
        said = {"note": f"Said {number}"}
        path = "/v1/key-results/operations/satisfaction_up/check-ins"
        assert (await world.http.post(path, json=said, headers=script)).status_code == 201
        with asked_of_routes(world) as asked:
            quick = [await world.http.get(path, headers=headers) for path in PAGES]
            again = [await world.http.get(path, headers=headers) for path in PAGES]
            known = [
                await world.http.get(path, headers=headers | {"If-None-Match": found.headers["etag"]})
                for path, found in zip(PAGES, quick, strict=True)
            ]
        assert asked == []
        assert said["note"] in quick[0].text
        async with routes(world) as http:
            slow = [await http.get(path, headers=headers) for path in PAGES]
        for one, twice, expected in zip(quick, again, slow, strict=True):
            assert (one.status_code, one.content) == (expected.status_code, expected.content)
            assert sorted(one.headers.items()) == sorted(expected.headers.items()) == sorted(twice.headers.items())
        assert {found.status_code for found in known} == {304}
    counted = world.api.telemetry.exposition().decode()
    assert 'krsync_http_requests_total{method="GET",route="/v1/key-results",status="200"}' in counted


@on_sqlite
async def test_a_page_is_looked_for_again_where_something_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.apply()
    headers, script = await world.as_("read"), await world.as_("write")
    for path in PAGES * 2:
        await world.http.get(path, headers=headers)
    looked: list[KeyResultQuery] = []
    inner = Shelf.page

    def noting(shelf: Shelf, query: KeyResultQuery) -> Page:
        looked.append(query)
        return inner(shelf, query)

    monkeypatch.setattr(Shelf, "page", noting)
    for wanted in (1, 2):
        path = "/v1/key-results/operations/satisfaction_up/check-ins"
        await world.http.post(path, json={"note": "x"}, headers=script)
        for path in PAGES * 3:
            await world.http.get(path, headers=headers)
        assert len(looked) == wanted * len(PAGES)


async def test_whoever_may_see_less_than_before_is_given_no_page_of_before(world: World) -> None:
    await world.apply()
    admin = await world.as_("admin")
    mine, others = await world.as_("read", team="operations"), await world.as_("read")
    for headers in (mine, others, others):
        assert len((await world.http.get("/v1/key-results", headers=headers)).json()["items"]) > 0
    await world.apply(private=True)
    assert (await world.http.get("/v1/key-results", headers=others)).json()["items"] == []
    assert len((await world.http.get("/v1/key-results", headers=mine)).json()["items"]) > 0
    tokens = (await world.http.get("/v1/tokens", headers=admin)).json()["items"]
    (token,) = (token["id"] for token in tokens if token["team"] == "operations" and token["scopes"] == ["read"])
    await world.http.get("/v1/key-results", headers=mine)
    assert (await world.http.delete(f"/v1/tokens/{token}", headers=admin)).status_code == 204
    assert (await world.http.get("/v1/key-results", headers=mine)).status_code == 401


Change = Callable[[World, FakeClock, random.Random], Awaitable[object]]


async def _value(world: World, clock: FakeClock, chance: random.Random) -> object:
    path = f"/v1/metrics/operations/satisfaction/values/2026-11-{chance.randint(1, 21):02}"
    return await world.http.put(path, json={"value": chance.randint(6, 9)}, headers=await world.as_("write"))


async def _file(world: World, clock: FakeClock, chance: random.Random) -> object:
    return await world.apply(private=chance.random() < 0.5, title=chance.choice("AB"))


async def _check_in(world: World, clock: FakeClock, chance: random.Random) -> object:
    return await world.http.post(
        "/v1/key-results/operations/satisfaction_up/check-ins", json={"note": "On it"}, headers=await world.as_("write")
    )


async def _objective(world: World, clock: FakeClock, chance: random.Random) -> object:
    spec = {"title": chance.choice("ABC"), "cycle": "2026-Q4"}
    path = "/v1/objectives/operations/happy_desk"
    return await world.http.put(path, json=spec, headers=await world.as_("write"))


async def _connection(world: World, clock: FakeClock, chance: random.Random) -> object:
    """What a worker writes of a connection, without a word in the audit log."""
    async with world.services.database.writing() as session:
        found = await organisation.get_connection(session, "operations", chance.choice(("jira", "erp")))
        assert found is not None
        if chance.random() < 0.5:
            await organisation.note_failure(session, found[0].id, "auth", "Wrong token.", clock())
            if chance.random() < 0.5:
                await organisation.pause_connection(session, found[0].id, "auth", "Wrong token.")
        else:
            await organisation.note_success(session, found[0].id, clock())
            await organisation.note_deliveries(session, {found[0].id: clock()})
    return None


async def _time(world: World, clock: FakeClock, chance: random.Random) -> object:
    return clock.advance(chance.choice((timedelta(minutes=1), timedelta(hours=7), timedelta(days=3))))


async def _nothing(world: World, clock: FakeClock, chance: random.Random) -> object:
    return None


CHANGES: tuple[Change, ...] = (_value, _file, _check_in, _objective, _connection, _time, _nothing)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
async def test_a_poll_gets_what_the_routes_answer_whatever_happened(world: World, clock: FakeClock, seed: int) -> None:
    chance = random.Random(seed)
    if isinstance(world.api.reads.version, PostgresVersion):
        world.api.reads.version.relied_on = 0.0  # some of it is written as by another process
    await world.apply()
    readers = [await world.as_("read"), await world.as_("read", team="operations"), await world.as_("admin")]
    tags: dict[tuple[int, str], str] = {}
    seen: set[int] = set()
    async with routes(world) as slow:
        for _ in range(10):
            await chance.choice(CHANGES)(world, clock, chance)
            for number, headers in enumerate(readers):
                for path in chance.sample(PATHS, 3):
                    tag = tags.get((number, path))
                    given = headers if tag is None else headers | {"If-None-Match": tag}
                    got, expected = await world.http.get(path, headers=given), await slow.get(path, headers=given)
                    assert (got.status_code, got.headers.get("etag")) == (
                        expected.status_code,
                        expected.headers.get("etag"),
                    ), path
                    if expected.status_code != 404:
                        assert got.content == expected.content, path
                        tags[(number, path)] = got.headers["etag"]
                    seen.add(got.status_code)
    assert seen >= {200, 304}
