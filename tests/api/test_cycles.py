"""Cycles, the organisation and backfill through the front door: scopes, states, refusals."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.conftest import World, on_sqlite
from tests.conftest import FakeClock

CYCLE = "/v1/cycles/operations/2026-Q4"
GRADE = f"{CYCLE}/grades/satisfaction_up"
VALUE = "/v1/metrics/operations/satisfaction/values/2026-11-20"
ACME: dict[str, Any] = {"version": 1, "name": "Acme", "fiscal_year_start": 4}


async def a_quarter(world: World, clock: FakeClock) -> None:
    await world.apply()
    headers = await world.as_("write")
    assert (await world.http.put(VALUE, json={"value": "7"}, headers=headers)).status_code == 200
    clock.set(datetime(2027, 1, 2, tzinfo=UTC))


async def test_a_cycle_is_closed_graded_and_reopened(world: World, clock: FakeClock) -> None:
    await a_quarter(world, clock)
    writer, reader, admin = await world.as_("write"), await world.as_("read"), await world.as_("admin")
    (listed,) = (await world.http.get("/v1/cycles", headers=reader)).json()["items"]
    assert (listed["id"], listed["state"], listed["key_results"]) == ("operations/2026-Q4", "ended", 2)

    closed = await world.http.post(f"{CYCLE}/close", json={}, headers=writer)
    assert (closed.status_code, closed.json()["state"]) == (200, "closed")
    assert closed.json()["digest"].startswith("sha256:")
    again = await world.http.post(f"{CYCLE}/close", json={}, headers=writer)
    assert again.json() == closed.json()

    graded = await world.http.put(GRADE, json={"score": "0.7", "note": "Good enough"}, headers=writer)
    assert graded.status_code == 200, graded.text
    assert (graded.json()["score"], graded.json()["recommended"]["outcome"]) == ("0.7", "failed")
    one = (await world.http.get("/v1/key-results/operations/satisfaction_up", headers=reader)).json()
    assert (one["cycle"]["state"], one["grade"]["score"], one["value"]) == ("closed", "0.7", "7")
    assert one["sealed"]["digest"] == closed.json()["digest"]
    history = (await world.http.get("/v1/key-results/operations/satisfaction_up/history", headers=reader)).json()
    assert history["restatements"] == []

    reason = {"reason": "A survey was missing"}
    assert (await world.http.post(f"{CYCLE}/reopen", json=reason, headers=writer)).status_code == 403
    reopened = await world.http.post(f"{CYCLE}/reopen", json=reason, headers=admin)
    assert (reopened.json()["state"], reopened.json()["reopened_because"]) == ("reopened", "A survey was missing")
    one = (await world.http.get("/v1/key-results/operations/satisfaction_up", headers=reader)).json()
    assert (one["cycle"]["state"], one["grade"]) == ("ended", None)


@on_sqlite
async def test_a_close_that_is_sent_twice_with_its_key_is_one(world: World, clock: FakeClock) -> None:
    await a_quarter(world, clock)
    headers = {**await world.as_("write"), "Idempotency-Key": "close-1"}
    first = await world.http.post(f"{CYCLE}/close", json={}, headers=headers)
    again = await world.http.post(f"{CYCLE}/close", json={}, headers=headers)
    assert (again.content, again.headers.get("idempotency-replayed")) == (first.content, "true")


@on_sqlite
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", f"{CYCLE}/close", {}, 409),
        ("POST", f"{CYCLE}/close", {"early": True}, 422),
        ("POST", f"{CYCLE}/close", {"early": 1, "reason": "x"}, 422),
        ("POST", f"{CYCLE}/close", {"by": "me"}, 422),
        ("POST", "/v1/cycles/operations/2025-Q4/close", {}, 404),
        ("POST", "/v1/cycles/operations/2026-Q9/close", {}, 422),
        ("POST", "/v1/cycles/nobody/2026-Q4/close", {}, 404),
        ("POST", f"{CYCLE}/reopen", {"reason": "x"}, 409),
        ("POST", f"{CYCLE}/reopen", {}, 422),
        ("PUT", GRADE, {"score": "0.7", "note": "x"}, 409),
        ("PUT", GRADE, {"score": "1.1", "note": "x"}, 422),
        ("PUT", GRADE, {"score": "0.7"}, 422),
        ("GET", "/v1/cycles/operations/2025-Q4", None, 404),
        ("GET", "/v1/cycles/operations/migration", None, 404),
        ("GET", "/v1/key-results?cycle=migration", None, 200),
        ("GET", "/v1/metrics/operations/satisfaction/explain?cycle=migration", None, 200),
        ("POST", "/v1/teams/operations/backfill", {"since": "2026-11-22"}, 422),
        ("POST", "/v1/teams/operations/backfill", {"since": "2026-13-22"}, 422),
        ("POST", "/v1/teams/operations/backfill", {}, 422),
        ("POST", "/v1/teams/nobody/backfill", {"since": "2026-11-01"}, 404),
        ("POST", "/v1/teams/operations/backfill", {"since": "2026-11-01", "metric": "none"}, 404),
        ("GET", "/v1/teams/operations/backfill/1", None, 404),
        ("PUT", "/v1/organisation", {"version": 1}, 422),
        ("PUT", "/v1/organisation", ACME | {"fiscal_year_start": 0}, 422),
        ("POST", "/v1/organisation/plan", {"name": "Acme"}, 422),
    ],
)
async def test_what_can_not_be_done_is_refused(
    world: World, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    await world.apply()
    answer = await world.http.request(method, path, json=body, headers=await world.as_("admin"))
    assert answer.status_code == status, answer.text


@on_sqlite
@pytest.mark.parametrize(
    ("method", "path", "body", "scopes"),
    [
        ("POST", f"{CYCLE}/close", {}, ("read", "ingest")),
        ("POST", f"{CYCLE}/reopen", {"reason": "x"}, ("read", "ingest", "write")),
        ("PUT", GRADE, {"score": 1, "note": "x"}, ("read", "ingest")),
        ("PUT", "/v1/organisation", ACME, ("read", "ingest", "write")),
        ("POST", "/v1/organisation/plan", ACME, ("read", "ingest", "write")),
        ("POST", "/v1/teams/operations/backfill", {"since": "2026-11-01"}, ("read", "ingest")),
    ],
)
async def test_it_takes_the_scope(
    world: World, method: str, path: str, body: dict[str, Any], scopes: tuple[Any, ...]
) -> None:
    await world.apply()
    assert (await world.http.request(method, path, json=body)).status_code == 401
    assert (await world.http.request(method, path, json=body, headers=await world.as_(*scopes))).status_code == 403
    # A team's token reaches neither another team nor the organisation.
    await world.apply(team="support")
    other = await world.as_("admin", team="support")
    assert (await world.http.request(method, path, json=body, headers=other)).status_code in (403, 404)


async def test_the_organisations_settings_are_read_planned_and_set(world: World) -> None:
    await world.apply()
    admin = await world.as_("admin")
    none = (await world.http.get("/v1/organisation", headers=admin)).json()
    assert (none["version"], none["name"], none["fiscal_year_start"]) == (0, None, 1)
    planned = await world.http.post("/v1/organisation/plan", json=ACME, headers=admin)
    assert (planned.json()["is_applied"], planned.json()["teams"]) == (False, ["operations"])
    done = await world.http.put("/v1/organisation", json=ACME, headers=admin)
    assert (done.status_code, done.json()["is_applied"]) == (200, True)
    read = await world.http.get("/v1/organisation", headers=admin)
    assert (read.json()["version"], read.json()["fiscal_year_start"]) == (1, 4)
    stale = {**admin, "If-Match": '"9"'}
    assert (await world.http.put("/v1/organisation", json=ACME, headers=stale)).status_code == 412
    same = {**admin, "If-Match": read.headers["etag"]}
    assert (await world.http.put("/v1/organisation", json=ACME, headers=same)).status_code == 200


async def test_a_backfill_is_followed(world: World) -> None:
    await world.apply()
    headers = await world.as_("write", "read")
    job = await world.http.post("/v1/teams/operations/backfill", json={"since": "2026-11-01"}, headers=headers)
    assert (job.status_code, job.json()["state"], job.json()["total"]) == (202, "waiting", 63)
    followed = await world.http.get(job.headers["location"], headers=headers)
    assert followed.json() == job.json()


async def test_an_override_takes_a_note(world: World) -> None:
    await world.apply()
    headers = await world.as_("write", "read")
    path = "/v1/metrics/operations/orders_placed/values/2026-11-22"
    assert (await world.http.put(path, json={"value": 4}, headers=headers)).status_code == 422
    assert (await world.http.put(path, json={"value": 4, "override": True}, headers=headers)).status_code == 422
    said = await world.http.put(path, json={"value": 4, "override": True, "note": "By phone"}, headers=headers)
    assert (said.status_code, said.json()["quality"]) == (200, "override")
    one = (await world.http.get("/v1/key-results/operations/orders_up", headers=headers)).json()
    assert (one["value"], one["override"]["note"]) == ("4", "By phone")
