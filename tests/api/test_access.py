"""Every operation under /v1 × no token, a wrong one, every scope, another team."""

import re
from typing import Any, get_args

import pytest

from app.api.application import Api
from app.services.tokens import Scope, generate_token
from tests.api.conftest import World, on_sqlite

# What each operation needs; one that is missing here fails the test below.
NEEDS: dict[str, tuple[Scope, ...]] = {
    "GET /v1/key-results": ("read",),
    "GET /v1/key-results/{team}/{name}": ("read",),
    "PUT /v1/key-results/{team}/{name}": ("write",),
    "DELETE /v1/key-results/{team}/{name}": ("write",),
    "GET /v1/key-results/{team}/{name}/history": ("read",),
    "GET /v1/key-results/{team}/{name}/explain": ("read",),
    "GET /v1/key-results/{team}/{name}/check-ins": ("read",),
    "POST /v1/key-results/{team}/{name}/check-ins": ("write", "ingest"),
    "GET /v1/alignment": ("read",),
    "GET /v1/objectives": ("read",),
    "GET /v1/objectives/{team}/{name}": ("read",),
    "PUT /v1/objectives/{team}/{name}": ("write",),
    "DELETE /v1/objectives/{team}/{name}": ("write",),
    "GET /v1/teams": ("read",),
    "GET /v1/teams/{team}": ("read",),
    "POST /v1/teams/{team}/plan": ("write",),
    "POST /v1/teams/{team}/apply": ("write",),
    "GET /v1/teams/{team}/health-check": ("read",),
    "POST /v1/teams/{team}/health-check": ("write",),
    "GET /v1/teams/{team}/export": ("read",),
    "GET /v1/metrics": ("read",),
    "GET /v1/metrics/{team}/{name}": ("read",),
    "PUT /v1/metrics/{team}/{name}": ("write",),
    "DELETE /v1/metrics/{team}/{name}": ("write",),
    "GET /v1/metrics/{team}/{name}/explain": ("read",),
    "GET /v1/metrics/{team}/{name}/history": ("read",),
    "POST /v1/metrics/{team}/{name}/milestones/{step}": ("write", "ingest"),
    "POST /v1/metrics/{team}/{name}/refresh": ("write",),
    "POST /v1/datasets/{team}/{name}/confirm-drop": ("write",),
    "PUT /v1/metrics/{team}/{name}/values/{date}": ("write", "ingest"),
    "GET /v1/datasets": ("read",),
    "GET /v1/datasets/{team}/{name}": ("read",),
    "PUT /v1/datasets/{team}/{name}": ("write",),
    "DELETE /v1/datasets/{team}/{name}": ("write",),
    "GET /v1/datasets/{team}/{name}/records": ("read",),
    "GET /v1/connections": ("read",),
    "GET /v1/connections/{team}/{name}": ("read",),
    "PUT /v1/connections/{team}/{name}": ("write",),
    "DELETE /v1/connections/{team}/{name}": ("write",),
    "PUT /v1/connections/{team}/{name}/secrets/{secret}": ("write",),
    "POST /v1/connections/{team}/{name}/check": ("write",),
    "GET /v1/connections/{team}/{name}/discover": ("write",),
    "GET /v1/connectors": ("read",),
    "GET /v1/runs": ("read",),
    "GET /v1/deliveries": ("read",),
    "POST /v1/deliveries/{id}/replay": ("write",),
    "GET /v1/cycles": ("read",),
    "GET /v1/cycles/{team}/{cycle}": ("read",),
    "POST /v1/cycles/{team}/{cycle}/close": ("write",),
    "POST /v1/cycles/{team}/{cycle}/reopen": ("admin",),
    "PUT /v1/cycles/{team}/{cycle}/grades/{name}": ("write",),
    "GET /v1/organisation": ("read",),
    "PUT /v1/organisation": ("admin",),
    "POST /v1/organisation/plan": ("admin",),
    "POST /v1/teams/{team}/backfill": ("write",),
    "GET /v1/teams/{team}/backfill/{id}": ("read",),
    "POST /v1/connections/{team}/{name}/try": ("write",),
    "POST /v1/deliveries/replay": ("write",),
    "GET /v1/deliveries/summary": ("read",),
    "GET /v1/notifications": ("read",),
    "GET /v1/notifications/preview": ("read",),
    "POST /v1/notifications/{id}/replay": ("write",),
    "GET /v1/tokens": ("admin",),
    "POST /v1/tokens": ("admin",),
    "DELETE /v1/tokens/{id}": ("admin",),
    "GET /v1/audit": ("admin",),
    "GET /metrics": ("read",),
    "GET /v1/key-results/{team}/{name}/badge": ("read",),
}
OPEN = {
    "GET /badge/{team}/{name}.html",  # a token or the badge's own key: see test_badges.py
    "GET /badge/{team}/{name}.svg",
    "GET /healthz",
    "GET /readyz",
    "POST /v1/hooks/{team}/{connection}",
    "POST /v1/slack/{team}/commands",
    "POST /v1/slack/{team}/interactions",
}
SCOPES: tuple[Scope, ...] = get_args(Scope)


def operations(api: Api) -> list[str]:
    """Every operation but the stream, which does not end (tests/api/test_live.py)."""
    paths = {path: item for path, item in api.routes.openapi()["paths"].items() if path != "/v1/live"}
    return [f"{method.upper()} {path}" for path, item in paths.items() for method in item]


def filled(path: str, team: str) -> str:
    values = {
        "team": team,
        "name": "satisfaction",
        "date": "2026-11-20",
        "id": "1",
        "secret": "hook",
        "step": "go-live",
        "cycle": "2026-Q4",
        "connection": "erp",
    }
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)


async def call(world: World, operation: str, headers: Any, team: str = "operations") -> int:
    method, path = operation.split(" ")
    response = await world.http.request(method, filled(path, team), headers=headers)
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json", response.text
    assert response.status_code < 500, response.text
    return response.status_code


@on_sqlite
async def test_the_table_names_every_operation(world: World) -> None:
    assert set(operations(world.api)) == NEEDS.keys() | OPEN


@on_sqlite
async def test_nobody_gets_in_without_a_good_token(world: World) -> None:
    good = await world.token("admin")
    bad: list[list[tuple[str, str]]] = [
        [],
        [("Authorization", "")],
        [("Authorization", good)],
        [("Authorization", f"Basic {good}")],
        [("Authorization", f"Bearer  {good}")],
        [("Authorization", f"Bearer {good} ")],
        [("Authorization", f"Bearer {good}\x00")],
        [("Authorization", f"Bearer {generate_token()}")],
        [("Authorization", f"Bearer {good[:-1]}")],
        [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")],
        [("Cookie", f"token={good}")],
    ]
    for operation in NEEDS:
        for headers in bad:
            method, path = operation.split(" ")
            response = await world.http.request(method, filled(path, "operations"), headers=headers)
            assert response.status_code == 401, (operation, headers)
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert good not in response.text
    assert (await world.http.get(f"/v1/key-results?token={good}")).status_code == 401


@on_sqlite
async def test_each_operation_asks_for_its_scope(world: World) -> None:
    await world.apply()
    for scope in SCOPES:
        headers = await world.as_(scope)
        for operation, needed in NEEDS.items():
            status = await call(world, operation, headers)
            is_let_in = scope in needed or scope == "admin"
            assert (status != 403) == is_let_in, (operation, scope, status)
            assert status != 401


@on_sqlite
async def test_a_teams_token_touches_no_other_team_there_or_not(world: World) -> None:
    await world.apply()
    await world.apply(
        team="finance",
        connections={},
        datasets={},
        metrics={"satisfaction": {"unit": "x", "manual": {}}},
        objectives={},
    )
    for scope in SCOPES:
        headers = await world.as_(scope, team="operations")
        for operation in NEEDS:
            if "{team}" in operation:
                for foreign in ("finance", "nobody"):
                    assert await call(world, operation, headers, foreign) == 403, (operation, scope)
    async with world.services.database.reading():
        pass


async def test_lists_are_narrowed_to_the_tokens_team(world: World) -> None:
    await world.apply()
    await world.apply(team="finance")
    mine, everybody = await world.as_("read", team="operations"), await world.as_("read")
    for path in ("key-results", "objectives", "teams", "metrics", "datasets", "connections"):
        own = (await world.http.get(f"/v1/{path}", headers=mine)).json()["items"]
        every = (await world.http.get(f"/v1/{path}", headers=everybody)).json()["items"]
        assert {item["id"].split("/")[0] for item in own} == {"operations"}
        assert {item["id"].split("/")[0] for item in every} == {"finance", "operations"}
        if path != "teams":
            assert (await world.http.get(f"/v1/{path}?team=finance", headers=mine)).status_code == 403
            assert (await world.http.get(f"/v1/{path}?team=operations", headers=mine)).json()["items"] == own
    for path in ("runs", "deliveries"):
        assert (await world.http.get(f"/v1/{path}?team=finance", headers=mine)).status_code == 403
    owner = await world.as_("admin", team="operations")
    entries = (await world.http.get("/v1/audit?limit=1000", headers=owner)).json()["items"]
    assert entries
    assert all(entry["object"].split("/")[0] == "operations" for entry in entries)
    tokens = (await world.http.get("/v1/tokens", headers=owner)).json()["items"]
    assert {token["team"] for token in tokens} == {"operations"}
    assert (await world.http.get("/metrics", headers=mine)).status_code == 403


async def test_a_revoked_token_is_out_at_once(world: World) -> None:
    headers, admin = await world.as_("read"), await world.as_("admin")
    assert (await world.http.get("/v1/teams", headers=headers)).status_code == 200
    (found,) = [
        token
        for token in (await world.http.get("/v1/tokens", headers=admin)).json()["items"]
        if token["scopes"] == ["read"]
    ]
    assert (await world.http.delete(f"/v1/tokens/{found['id']}", headers=admin)).status_code == 204
    assert (await world.http.get("/v1/teams", headers=headers)).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
@on_sqlite
async def test_what_is_open_to_everybody(world: World, path: str) -> None:
    response = await world.http.get(path)
    assert response.status_code == 200
    assert response.headers["x-content-type-options"] == "nosniff"
    if response.headers["content-type"].startswith("text/html"):
        assert "<script" not in response.text
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", response.text)
