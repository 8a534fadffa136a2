"""`/v1/live`: who is told what, from where on, and who is let go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

import app.api.live
import app.api.live_stream
import app.services.live
from app.queue import Doorbell
from app.services.backfill import work_backfills
from app.services.backfill_requests import request_backfill
from app.services.deliveries import apply_pending
from app.services.live import LiveHub
from app.services.live_follower import Follower
from app.services.tokens import authenticate, revoke_token
from app.store import audit, organisation
from tests.api.conftest import ADMIN, Bell, World, on_sqlite, open_world
from tests.api.judged_case import MANUAL, NOBODY, key_result, objective
from tests.api.live_reader import Reader, Told, reading
from tests.api.test_hooks import SECRET, signed
from tests.conftest import FakeClock

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

NAMES = ("operations", "finance", "people")


def team_file(team: str, **more: Any) -> dict[str, Any]:
    return {
        **NOBODY,
        "team": team,
        "title": team.title(),
        "metrics": {"mood": MANUAL, "calm": MANUAL},
        "objectives": {"good": objective(key_results={"mood_up": key_result(), "calm_up": key_result("calm")})},
        **more,
    }


@pytest.fixture
async def teams(world: World) -> World:
    for team in NAMES:
        await world.apply(**team_file(team, private=team == "people"))
    return world


async def value(world: World, team: str, number: int, metric: str = "mood") -> None:
    response = await world.http.put(
        f"/v1/metrics/{team}/{metric}/values/2026-11-20", json={"value": number}, headers=await world.as_("write")
    )
    assert response.status_code == 200, response.text


@asynccontextmanager
async def doorbell(redis_url: str) -> AsyncIterator[Doorbell]:
    bell = Doorbell(redis_url)
    yield bell
    await bell.close()


async def ready(reader: Reader) -> None:
    assert await reader.next() == Told("ready", {})


async def marker(world: World, reader: Reader, number: int = 9) -> list[Told]:
    """What came before a change that everybody may see."""
    await value(world, "operations", number, "calm")
    return [told for told in await reader.until("objective", "operations/good") if told.name != "operations/calm_up"]


async def test_a_change_is_told_as_the_list_shows_it(teams: World) -> None:
    headers = await teams.as_("read")
    async with reading(teams, headers) as reader:
        await ready(reader)
        assert reader.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reader.headers["cache-control"] == "no-store"
        before = reader.last_id
        await value(teams, "operations", 7)
        first, second = await reader.next(), await reader.next()
        shown = (await teams.http.get("/v1/key-results/operations/mood_up", headers=headers)).json()
        assert first == Told("key_result", shown)
        assert shown["value"] == "7"
        assert second == Told("objective", {"id": "operations/good"})
        assert reader.last_id not in ("", before)


async def test_what_did_not_change_is_not_told(teams: World) -> None:
    async with reading(teams, await teams.as_("read")) as reader:
        await ready(reader)
        assert (await teams.apply(**team_file("finance"))).json()["changes"]
        await teams.token("write", team="finance")
        assert await marker(teams, reader) == [Told("objective", {"id": "operations/good"})]


async def test_a_changed_objective_and_what_is_gone(teams: World) -> None:
    headers = await teams.as_("write")
    async with reading(teams, headers | await teams.as_("read")) as reader:
        await ready(reader)
        spec = {"title": "Better", "cycle": "2026-Q4", "owner": "dana@acme.example"}
        assert (await teams.http.put("/v1/objectives/finance/good", json=spec, headers=headers)).status_code == 200
        told = await reader.until("objective", "finance/good")
        assert {item.name: item.data["owner"] for item in told if item.kind == "key_result"} == {
            "finance/mood_up": "dana@acme.example",
            "finance/calm_up": "dana@acme.example",
        }
        assert (await teams.http.delete("/v1/key-results/finance/mood_up", headers=headers)).status_code == 200
        assert (await reader.until("removed"))[-1].data == {"kind": "key_result", "id": "finance/mood_up"}


async def test_what_an_objective_contributes_to_moves_with_it(teams: World) -> None:
    company = objective(key_results={})
    await teams.apply(**team_file("finance", objectives={"all": company, "top": company | {"contributes_to": []}}))
    async with reading(teams, await teams.as_("read")) as reader:
        await ready(reader)
        await marker(teams, reader)
        for name, above in (("good", "finance/all"), ("good", "finance/top")):
            lower = team_file("operations")
            lower["objectives"][name]["contributes_to"] = [above]
            await teams.apply(**lower)
            await reader.until("objective", f"operations/{name}")
            await value(teams, "operations", 3 if above.endswith("all") else 4)
            told = await reader.until("objective", above)
            assert Told("objective", {"id": f"operations/{name}"}) in told


async def test_the_health_of_a_connection(world: World) -> None:
    await world.apply()
    async with reading(world, await world.as_("read")) as reader:
        await ready(reader)
        await world.http.put(
            "/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": 7}, headers=await world.as_("write")
        )
        await reader.until("objective")
        database, now = world.services.database, world.services.clock()
        async with database.writing() as session:
            found = await organisation.get_connection(session, "operations", "jira")
            assert found is not None
            await organisation.note_failure(session, found[0].id, "auth", "Wrong token.", now)
        await world.bell.changed()
        assert await reader.next() == Told(
            "connection", {"id": "operations/jira", "health": "failing", "reason": "Wrong token."}
        )
        async with database.writing() as session:
            await organisation.note_success(session, found[0].id, now)
        await world.bell.changed()
        assert (await reader.next()).data["health"] == "ok"


@on_sqlite
async def test_what_the_clock_moves_is_told_within_the_minute(teams: World, clock: FakeClock) -> None:
    await value(teams, "operations", 5)
    async with reading(teams, await teams.as_("read")) as reader:
        await ready(reader)
        await marker(teams, reader)
        clock.advance(timedelta(days=20))
        await teams.bell.changed()
        told = await reader.until("key_result", "operations/mood_up")
        assert told[-1].data["freshness"]["level"] == "stale"
        assert "finance/mood_up" not in [item.name for item in told]  # it had no value before, and has none now


@on_sqlite
async def test_a_history_is_told_of_once_it_is_whole(world: World) -> None:
    await world.apply()
    world.environ["ERP_SECRET"] = SECRET
    headers = await world.as_("read", "write")
    for day in range(1, 22):
        body = f'{{"id": "PO-{day}", "event": "placed", "at": "2026-11-{day:02}T09:00:00Z"}}'.encode()
        proof = signed(body, world.services.clock(), identity=f"m{day}")
        assert (await world.http.post("/v1/hooks/operations/erp", content=body, headers=proof)).status_code == 202
    await apply_pending(world.services)
    await request_backfill(world.services, "operations", date(2026, 11, 1), metric="orders_placed", actor="dana")
    async with reading(world, headers) as reader:
        await ready(reader)
        assert await work_backfills(world.services) == 1
        path = "/v1/metrics/operations/satisfaction/values/2026-11-20"
        assert (await world.http.put(path, json={"value": 7}, headers=headers)).status_code == 200
        assert "operations/orders_up" not in [told.name for told in await reader.until("objective")]
        while await work_backfills(world.services):
            pass
        await world.bell.changed()
        told = await reader.until("key_result", "operations/orders_up")
        assert told[-1].data["forecast"] is not None


@on_sqlite
async def test_a_forecast_that_the_clock_brings_is_told_within_the_minute(teams: World, clock: FakeClock) -> None:
    headers = await teams.as_("read", "write")
    for day in (1, 3, 5, 7):
        path = f"/v1/metrics/operations/mood/values/2026-11-{day:02}"
        assert (await teams.http.put(path, json={"value": day}, headers=headers)).status_code == 200
    async with reading(teams, headers) as reader:
        await ready(reader)
        (*_, first) = [told for told in await marker(teams, reader) if told.kind == "objective"]
        assert first.name == "operations/good"
        clock.advance(timedelta(days=1))
        await teams.bell.changed()
        told = await reader.until("key_result", "operations/mood_up")
        assert told[-1].data["forecast"] is not None


# --- who sees what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "team", "expected"),
    [
        ("read", None, {"operations", "finance"}),
        ("read", "people", {"operations", "people"}),
        ("read", "operations", {"operations"}),
        ("admin", None, {"operations", "finance", "people"}),
    ],
)
@on_sqlite
async def test_a_reader_sees_what_its_token_may(teams: World, scope: Any, team: str | None, expected: set[str]) -> None:
    if team == "people":
        expected = {"people"}
    async with (
        reading(teams, await teams.as_(scope, team=team)) as reader,
        reading(teams, await teams.as_("admin")) as everything,
    ):
        await ready(reader)
        for number in (1, 2):
            for name in NAMES:
                await value(teams, name, number)
                await everything.until("objective", f"{name}/good")
        seen = set()
        last = [name for name in NAMES if name in expected][-1]
        for _ in (1, 2):
            for told in await reader.until("objective", f"{last}/good"):
                seen.add((told.name or "").partition("/")[0])
        assert seen == expected


@on_sqlite
async def test_a_team_that_becomes_private_is_not_told_any_more(teams: World) -> None:
    async with reading(teams, await teams.as_("read")) as reader:
        await ready(reader)
        await value(teams, "finance", 1)
        await reader.until("objective", "finance/good")
        await teams.apply(**team_file("finance", private=True))
        (audience,) = teams.api.live._audiences.values()
        while "finance" not in audience.principal.hidden:
            await asyncio.sleep(0)
        await value(teams, "finance", 2)
        assert {told.name for told in await marker(teams, reader)} == {"operations/good"}


async def test_a_revoked_token_ends_its_streams(teams: World) -> None:
    token = await teams.token("read")
    async with (
        reading(teams, {"Authorization": f"Bearer {token}"}) as reader,
        reading(teams, await teams.as_("read")) as other,
    ):
        await ready(reader)
        await ready(other)
        principal = await authenticate(teams.services.database, token)
        await revoke_token(teams.services.database, principal.token_id, principal=ADMIN, now=teams.services.clock())
        await teams.bell.changed()
        await reader.ended()
        await marker(teams, other)


@on_sqlite
async def test_who_is_not_let_in(teams: World, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = await teams.as_("read")
    cookie = {"cookie": "krsync_token=" + headers["Authorization"].removeprefix("Bearer ")}
    cases: list[tuple[int, dict[str, Any]]] = [
        (401, {"headers": {}}),
        (401, {"headers": {"Authorization": "Bearer okr_x"}}),
        (401, {"headers": {"Authorization": headers["Authorization"].replace("Bearer", "Basic")}}),
        (401, {"headers": {**cookie, "sec-fetch-site": "cross-site"}}),
        (403, {"headers": await teams.as_("ingest")}),
        (405, {"headers": headers, "method": "POST"}),
        (405, {"headers": headers, "method": "HEAD"}),
        (400, {"headers": headers, "query": b"token=x"}),
    ]
    for status, given in cases:
        async with reading(teams, **given) as reader:
            await reader.ended()
            assert reader.status == status, given
            assert reader.headers["content-type"] == "application/problem+json"
            assert bool(reader.body) is (given.get("method") != "HEAD")
    for site in ({}, {"sec-fetch-site": "same-origin"}):
        async with reading(teams, {**cookie, **site}) as reader:
            await ready(reader)
    monkeypatch.setattr(app.api.live, "MOST_OF_A_TOKEN", 1)
    async with reading(teams, headers) as first:
        await ready(first)
        async with reading(teams, headers) as second:
            await second.ended()
            assert (second.status, second.headers["retry-after"]) == (503, "30")
    async with reading(teams, headers) as third:
        await ready(third)


# --- coming back -----------------------------------------------------------------------------------------------------


async def test_a_reader_goes_on_where_it_was(teams: World) -> None:
    headers = await teams.as_("read")
    async with reading(teams, headers) as other:
        async with reading(teams, headers) as reader:
            await ready(reader)
            await value(teams, "operations", 1)
            await reader.until("objective", "operations/good")
        for number, team in ((2, "finance"), (3, "people"), (4, "operations")):
            await value(teams, team, number)
        await other.until("objective", "finance/good")
        await other.until("objective", "operations/good")
        async with reading(teams, headers, last_id=reader.last_id) as again:
            told = [await again.next() for _ in range(4)]
            assert [(item.kind, item.name, item.data.get("value")) for item in told] in (
                [
                    ("key_result", "finance/mood_up", "2"),
                    ("objective", "finance/good", None),
                    ("key_result", "operations/mood_up", "4"),
                    ("objective", "operations/good", None),
                ],
                [
                    ("key_result", "finance/mood_up", "2"),
                    ("key_result", "operations/mood_up", "4"),
                    ("objective", "finance/good", None),
                    ("objective", "operations/good", None),
                ],
            )
            assert [told.kind for told in await marker(teams, again)] == ["objective"]


async def test_a_reader_goes_on_in_another_process(teams: World, database_url: str, clock: FakeClock) -> None:
    headers = await teams.as_("read")
    async with reading(teams, headers) as reader:
        await ready(reader)
        await value(teams, "operations", 1)
        await reader.until("objective", "operations/good")
    await value(teams, "finance", 2)
    await value(teams, "people", 3)
    async with open_world(database_url, clock) as second, reading(second, headers, last_id=reader.last_id) as again:
        told = await again.until("objective", "finance/good")
        assert ("finance/mood_up", "2") in [(item.name, item.data.get("value")) for item in told]
        assert not any((item.name or "").startswith("people/") for item in told)
    clock.advance(timedelta(minutes=1))
    async with open_world(database_url, clock) as third, reading(third, headers, last_id=again.last_id) as late:
        # What the clock moved meanwhile, nobody has noted.
        assert (await late.next()).kind == "reset"


@on_sqlite
@pytest.mark.parametrize("last_id", ["1", "", "a.b", "9" * 200, "99999.99999.1.1.ab", "1.1.1.1.zz", "1.1\r\n"])
async def test_an_id_that_can_not_be_gone_on_from_is_a_reset(teams: World, last_id: str) -> None:
    async with reading(teams, await teams.as_("read"), last_id=last_id) as reader:
        assert await reader.next() == Told("reset", {})
        assert reader.last_id
        await marker(teams, reader)


@on_sqlite
async def test_a_reader_that_is_far_behind_reads_everything_again(
    teams: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.services.live, "MOST_BEHIND", 3)
    headers = await teams.as_("read")
    async with reading(teams, headers) as other, reading(teams, headers) as slow:
        await ready(slow)
        slow.is_read.clear()
        for number in range(1, 5):
            await value(teams, "finance", number)
            await other.until("objective", "finance/good")
        slow.is_read.set()
        assert (await slow.until("reset"))[-1] == Told("reset", {})
        # It goes on from there.
        assert [told.kind for told in await marker(teams, slow)] == ["objective"]
        async with reading(teams, headers, last_id="0.0.0.0.00") as lost:
            assert (await lost.next()).kind == "reset"


async def note(session: Any, name: str, kind: str = "key_result") -> None:
    now = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    await audit.append_audit(session, at=now, actor="tests", action="check_in", object_kind=kind, object_id=name)
    await session.flush()


@on_postgresql
async def test_what_is_committed_late_is_not_lost(teams: World) -> None:
    """An id is given out before the commit: the one with the lower id may come after the other."""
    database = teams.services.database
    async with reading(teams, await teams.as_("read")) as reader:
        await ready(reader)
        async with database.writing() as late:
            await note(late, "operations/mood_up")
            async with database.writing() as many:
                for _ in range(500):
                    await note(many, "finance/mood_up")
            await teams.bell.changed()
            assert [told.name for told in await reader.until("objective")] == ["finance/mood_up", "finance/good"]
        await teams.bell.changed()
        assert [told.name for told in await reader.until("objective")] == ["operations/mood_up", "operations/good"]


@on_postgresql
@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("key_result", "operations/mood_up", ("key_result", "operations/mood_up")),
        ("team", "operations", ("reset", None)),
    ],
)
async def test_what_is_committed_late_is_told_in_another_process(
    teams: World, database_url: str, clock: FakeClock, kind: str, name: str, expected: tuple[str, str | None]
) -> None:
    headers = await teams.as_("read")
    async with reading(teams, headers) as reader:
        await ready(reader)
        async with teams.services.database.writing() as late:
            await note(late, name, kind)
            await value(teams, "finance", 1)
            await reader.until("objective", "finance/good")
    async with open_world(database_url, clock) as second, reading(second, headers, last_id=reader.last_id) as again:
        told = await again.until(*expected)
        assert [item.kind for item in told].count("reset") == (expected[0] == "reset")


async def test_processes_tell_each_others_changes(database_url: str, clock: FakeClock, redis_url: str) -> None:
    async with (
        doorbell(redis_url) as first_bell,
        doorbell(redis_url) as second_bell,
        open_world(database_url, clock, first_bell) as first,
        open_world(database_url, clock, second_bell) as second,
    ):
        await first.apply(**team_file("operations"))
        headers = await first.as_("read")
        async with reading(first, headers) as here, reading(second, headers) as there:
            await ready(here)
            await ready(there)
            for number, world in ((1, first), (2, second)):
                await value(world, "operations", number)
                for reader in (here, there):
                    # What was applied a moment ago may be told to one that has not looked since.
                    while (await reader.until("key_result", "operations/mood_up"))[-1].data["value"] != str(number):
                        pass


@on_sqlite
async def test_without_redis_it_looks_once_a_second(database_url: str, clock: FakeClock) -> None:
    async with (
        doorbell("redis://127.0.0.1:1/0") as deaf,  # nothing listens there
        open_world(database_url, clock, deaf) as world,
    ):
        await world.apply(**team_file("operations"))
        async with reading(world, await world.as_("read")) as reader:
            await ready(reader)
            await value(world, "operations", 1)
            while (await reader.until("key_result", "operations/mood_up"))[-1].data["value"] != "1":
                pass


class Bells(Bell):
    """A doorbell that is rung by hand; a ring ends when it was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.rung: asyncio.Queue[None] = asyncio.Queue()

    async def ring(self) -> None:
        self.rung.put_nowait(None)
        await self.rung.join()

    async def changes(self) -> AsyncIterator[None]:
        while True:
            await self.rung.get()
            yield
            self.rung.task_done()


@on_sqlite
async def test_nobody_looks_when_the_bell_rings_while_nobody_listens(
    teams: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    has_looked = asyncio.Event()

    class NotingFollower(Follower):
        async def skip(self, is_wanted: Callable[[], bool]) -> bool:
            nonlocal looks
            looks += 1
            has_skipped = await super().skip(is_wanted)
            has_looked.set()
            return has_skipped

    monkeypatch.setattr(app.services.live, "LONGEST_WAIT", 3_600)
    monkeypatch.setattr(app.services.live, "Follower", NotingFollower)
    bells = Bells()
    hub = LiveHub(replace(teams.services, queue=bells), teams.api.routes.state.shelf)
    running = asyncio.create_task(hub.run())
    await has_looked.wait()
    await bells.ring()
    assert looks == 1  # the one that it begins with
    running.cancel()


# --- staying and going -----------------------------------------------------------------------------------------------


@pytest.fixture
async def hasty(database_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(app.api.live, "HEARTBEAT", 0.02)
    monkeypatch.setattr(app.api.live_stream, "PATIENCE", 0.05)
    async with open_world(database_url, clock) as world:
        yield world


@on_sqlite
async def test_a_quiet_stream_gives_signs_of_life(hasty: World) -> None:
    async with reading(hasty, await hasty.as_("read")) as reader:
        await ready(reader)
        while reader.comments < 3:
            await asyncio.sleep(0.01)
        assert reader.last_id


@on_sqlite
async def test_a_reader_that_does_not_read_is_let_go(hasty: World) -> None:
    slow = Reader()
    headers = [(name.lower().encode(), text.encode()) for name, text in (await hasty.as_("read")).items()]
    scope = {"type": "http", "method": "GET", "path": "/v1/live", "query_string": b"", "headers": headers}
    task = asyncio.create_task(hasty.api(scope, slow.receive, slow.send))
    await ready(slow)
    slow.is_read.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(task, 120)
    assert hasty.api.live._audiences == {}
    async with reading(hasty, await hasty.as_("read")) as other:
        await ready(other)


@on_sqlite
async def test_streams_are_counted_and_end_with_the_server(teams: World) -> None:
    headers = await teams.as_("read")
    async with reading(teams, headers) as first, reading(teams, headers) as second:
        await ready(first)
        await ready(second)
        assert b"krsync_live_streams 2.0" in teams.api.telemetry.exposition()
        teams.api.live.end()
        await first.ended()
        await second.ended()
    assert b"krsync_live_streams 0.0" in teams.api.telemetry.exposition()


@on_sqlite
async def test_the_document_tells_of_the_stream(world: World) -> None:
    document = (await world.http.get("/openapi.json", headers=await world.as_("read"))).json()
    operation = document["paths"]["/v1/live"]["get"]
    assert "text/event-stream" in operation["responses"]["200"]["content"]
    assert operation["parameters"][0]["name"] == "Last-Event-ID"
