"""The audit log: every change says who, when, from, to and why; filtered, paged, exported without formulas."""

import csv
import hashlib
import hmac
import io
from datetime import timedelta
from typing import Any

import pytest

from tests.api.conftest import World, on_sqlite
from tests.api.test_access import NEEDS
from tests.conftest import FakeClock

WHY = "Weil es so besser ist – 改善"
#: Operations that write nothing of the organisation's words: they look, or ask for a read.
_CHANGE_NOTHING = {
    "POST /v1/teams/{team}/plan",
    "POST /v1/metrics/{team}/{name}/refresh",
    "POST /v1/connections/{team}/{name}/check",
    "POST /v1/organisation/plan",
    "POST /v1/connections/{team}/{name}/try",
    # It needs a read that found far less than before: see the stories of deletion.
    "POST /v1/datasets/{team}/{name}/confirm-drop",
    # It needs something that was told: see the notifications.
    "POST /v1/notifications/{id}/replay",
}


async def entries(world: World, query: str = "limit=1000", headers: Any = None) -> list[dict[str, Any]]:
    response = await world.http.get(f"/v1/audit?{query}", headers=headers or await world.as_("admin"))
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def because(headers: dict[str, str], reason: bytes) -> list[tuple[bytes, bytes]]:
    """The headers with a reason, as the bytes that are sent."""
    return [*((name.encode(), value.encode()) for name, value in headers.items()), (b"X-KRSync-Reason", reason)]


def writes() -> list[str]:
    return [name for name in NEEDS if not name.startswith("GET ") and name not in _CHANGE_NOTHING]


async def send(world: World, operation: str, path: str, body: Any, headers: Any) -> None:
    known = {entry["id"] for entry in await entries(world, headers=headers)}
    method = operation.split(" ")[0]
    options: dict[str, Any] = {} if body is None else {"json": body}
    response = await world.http.request(method, path, headers=headers, **options)
    assert response.status_code < 300, (operation, response.text)
    new = [entry for entry in await entries(world, headers=headers) if entry["id"] not in known]
    assert new, operation
    for entry in new:
        assert entry["actor"] == "token:admin", operation
        assert entry["reason"] == WHY, (operation, entry)
        assert entry["object"], operation
        # A secret's value is nobody's business, and a delivery stays as it came.
        is_silent = entry["kind"] in ("secret", "delivery")
        assert (entry["before"] is None and entry["after"] is None) == is_silent, operation


async def test_every_operation_that_changes_something_says_who_what_and_why(world: World) -> None:
    """One call of each: a new operation that writes has to be added here, with what it takes."""
    await world.apply()
    headers = because(await world.as_("admin"), WHY.encode())
    token = (await world.http.post("/v1/tokens", json={"name": "t", "scopes": ["read"]}, headers=headers)).json()
    world.environ["DESK_SECRET"] = "s"
    delivery = await deliver(world)
    cutover = {"unit": "percent", "milestones": [{"name": "go-live", "weight": 1, "done": "manual"}]}
    tried: dict[str, tuple[str, Any]] = {
        "PUT /v1/metrics/{team}/{name}": ("/v1/metrics/operations/cutover", cutover),
        "POST /v1/metrics/{team}/{name}/milestones/{step}": (
            "/v1/metrics/operations/cutover/milestones/go-live",
            {"done": True},
        ),
        "DELETE /v1/metrics/{team}/{name}": ("/v1/metrics/operations/cutover", None),
        "PUT /v1/metrics/{team}/{name}/values/{date}": (
            "/v1/metrics/operations/satisfaction/values/2026-11-20",
            {"value": 7},
        ),
        "POST /v1/key-results/{team}/{name}/check-ins": (
            "/v1/key-results/operations/orders_up/check-ins",
            {"note": "Fine"},
        ),
        "PUT /v1/key-results/{team}/{name}": (
            "/v1/key-results/operations/satisfaction_up",
            {"objective": "happy_desk", "metric": "satisfaction", "baseline": 6, "target": 9},
        ),
        "DELETE /v1/key-results/{team}/{name}": ("/v1/key-results/operations/satisfaction_up", None),
        "PUT /v1/objectives/{team}/{name}": ("/v1/objectives/operations/new", {"title": "N", "cycle": "2026-Q4"}),
        "DELETE /v1/objectives/{team}/{name}": ("/v1/objectives/operations/new", None),
        "POST /v1/teams/{team}/apply": ("/v1/teams/sales/apply", {"version": 1, "team": "sales"}),
        "POST /v1/teams/{team}/health-check": ("/v1/teams/operations/health-check", None),
        "PUT /v1/datasets/{team}/{name}": (
            "/v1/datasets/operations/calls",
            {"connection": "desk", "entity": "body.id", "at": "body.at"},
        ),
        "DELETE /v1/datasets/{team}/{name}": ("/v1/datasets/operations/calls", None),
        "PUT /v1/connections/{team}/{name}": (
            "/v1/connections/operations/new",
            {"connector": "webhook", "verify": {"scheme": "hmac-sha256", "secret": {"env": "NEW"}}},
        ),
        "PUT /v1/connections/{team}/{name}/secrets/{secret}": (
            "/v1/connections/operations/new/secrets/hook",
            {"value": "a-secret-value"},
        ),
        "DELETE /v1/connections/{team}/{name}": ("/v1/connections/operations/new", None),
        "POST /v1/deliveries/{id}/replay": (f"/v1/deliveries/{delivery}/replay", None),
        "POST /v1/deliveries/replay": (
            "/v1/deliveries/replay",
            {"team": "operations", "connection": "desk", "outcome": "ignored"},
        ),
        "POST /v1/teams/{team}/backfill": ("/v1/teams/operations/backfill", {"since": "2026-01-01"}),
        "POST /v1/tokens": ("/v1/tokens", {"name": "u", "scopes": ["read"]}),
        "DELETE /v1/tokens/{id}": (f"/v1/tokens/{token['id']}", None),
    }
    tried |= {
        "POST /v1/cycles/{team}/{cycle}/close": (
            "/v1/cycles/operations/2026-Q4/close",
            {"early": True, "reason": WHY},
        ),
        "PUT /v1/cycles/{team}/{cycle}/grades/{name}": (
            "/v1/cycles/operations/2026-Q4/grades/orders_up",
            {"score": "0.5", "note": WHY},
        ),
        "POST /v1/cycles/{team}/{cycle}/reopen": ("/v1/cycles/operations/2026-Q4/reopen", {"reason": WHY}),
        "PUT /v1/organisation": ("/v1/organisation", {"version": 1, "name": "Acme"}),
    }
    for operation, (path, body) in tried.items():
        await send(world, operation, path, body, headers)
    assert set(writes()) - tried.keys() == set()


async def deliver(world: World) -> int:
    body = b'{"id": 1}'
    digest = hmac.new(b"s", body, hashlib.sha256).hexdigest()
    response = await world.http.post(
        "/v1/hooks/operations/desk",
        content=body,
        headers={"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"},
    )
    identity: int = response.json()["id"]
    return identity


async def test_it_is_filtered_by_team_kind_object_actor_action_and_time(world: World, clock: FakeClock) -> None:
    await world.apply()
    clock.advance(timedelta(hours=1))
    middle = clock()
    await world.apply(team="sales", connections={}, datasets={}, metrics={}, objectives={})
    await world.http.put(
        "/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": 7}, headers=await world.as_("ingest")
    )
    moment = f"{middle:%Y-%m-%dT%H:%M:%SZ}"
    for query, expected in {
        "team=sales": {"sales"},
        "kind=team": {"operations", "sales"},
        "object=operations/open_p1": {"operations/open_p1"},
        "object=operations": {"operations"},
        "actor=token:ingest": {"operations/satisfaction"},
        "action=assert": {"operations/satisfaction"},
        f"since={moment}&kind=team": {"sales"},
        f"until={moment}&kind=team": {"operations"},
        "kind=metric&action=delete": set(),
    }.items():
        assert {entry["object"] for entry in await entries(world, query)} == expected, query
    (said,) = await entries(world, "action=assert")
    assert (said["before"], said["after"]["value"], said["reason"]) == (None, "7", None)
    pages, after = [], ""
    while True:
        page = (await world.http.get(f"/v1/audit?limit=3{after}", headers=await world.as_("admin"))).json()
        pages += page["items"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    # Making a token to read with is audited too.
    ids = [entry["id"] for entry in pages]
    assert ids == sorted(set(ids), reverse=True)


async def test_an_export_holds_everything_and_no_formula(world: World) -> None:
    await world.apply()
    hostile = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", 'plain, with "quotes"']
    headers = await world.as_("write")
    for number, reason in enumerate(hostile):
        response = await world.http.put(
            f"/v1/metrics/operations/satisfaction/values/2026-11-{number + 1:02d}",
            json={"value": 7, "note": reason},
            headers=headers | {"X-KRSync-Reason": reason},
        )
        assert response.status_code == 200
    response = await world.http.get("/v1/audit?format=csv&limit=1", headers=await world.as_("admin"))
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) >= len(await entries(world)) - 1
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row.values())
    said = [row["reason"] for row in rows if row["action"] == "assert"]
    assert said == ['plain, with "quotes"', "'@SUM(A1)", "'-2+3", "'+cmd|' /C calc'!A0", "'=1+1"]
    empty = await world.http.get("/v1/audit?format=csv&team=nobody", headers=await world.as_("admin"))
    assert empty.text == "id,at,actor,action,kind,object,before,after,reason\r\n"


@on_sqlite
@pytest.mark.parametrize("reason", [b"two\x09lines", b"\xff\xfe", b"x" * 501])
async def test_a_reason_is_one_line_of_text(world: World, reason: bytes) -> None:
    await world.apply()
    refused = await world.http.put(
        "/v1/metrics/operations/satisfaction/values/2026-11-20",
        json={"value": 7},
        headers=because(await world.as_("write"), reason),
    )
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == "reason"
    assert await entries(world, "action=assert") == []


@on_sqlite
async def test_one_requests_reason_is_not_the_nexts(world: World) -> None:
    await world.apply()
    headers = await world.as_("write")
    path = "/v1/metrics/operations/satisfaction/values/2026-11"
    await world.http.put(f"{path}-01", json={"value": 1}, headers={**headers, "X-KRSync-Reason": "Because"})
    await world.http.put(f"{path}-02", json={"value": 2}, headers=headers)
    assert [entry["reason"] for entry in await entries(world, "action=assert")] == [None, "Because"]
