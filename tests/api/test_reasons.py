"""Every refusal says what to do: a sentence, and a code for programs."""

from typing import Any

import pytest

from tests.api.conftest import TEAM_FILE, World, on_sqlite
from tests.api.test_doors import assert_problem

SPEC: dict[str, Any] = {"unit": "score", "manual": {}}


@on_sqlite
async def test_each_refusal_has_a_sentence(world: World) -> None:
    await world.apply()
    read, write = await world.as_("read"), await world.as_("write")
    path = "/v1/metrics/operations/satisfaction"
    no_token = assert_problem(await world.http.get(path), 401)
    assert "Authorization: Bearer" in no_token["detail"]
    no_scope = assert_problem(await world.http.put(path, json=SPEC, headers=read), 403)
    assert "scope" in no_scope["detail"]
    not_there = assert_problem(await world.http.get(f"{path}x", headers=read), 404)
    assert not_there["detail"]
    stale = assert_problem(await world.http.put(path, json=SPEC, headers=write | {"If-Match": '"99"'}), 412)
    assert "If-Match" in stale["detail"]


@pytest.mark.parametrize(
    ("path", "users"),
    [
        ("metrics/operations/satisfaction", "key result operations/satisfaction_up"),
        ("datasets/operations/orders", "metric operations/orders_placed"),
        ("connections/operations/jira", "metric operations/open_p1"),
    ],
)
@on_sqlite
async def test_what_is_in_use_is_not_deleted_and_its_users_are_named(world: World, path: str, users: str) -> None:
    await world.apply()
    response = await world.http.delete(f"/v1/{path}", headers=await world.as_("write"))
    problem = assert_problem(response, 409)
    assert problem["code"] == "in_use"
    assert problem["detail"] == f"It is still used by {users}: change or delete that first."


@on_sqlite
async def test_what_other_teams_use_is_not_deleted_either(world: World) -> None:
    await world.apply()
    theirs = {
        "version": 1,
        "team": "hr",
        "metrics": {"double": {"unit": "issues", "formula": "operations.open_p1 * 2"}},
    }
    headers = await world.as_("write")
    assert (await world.http.post("/v1/teams/hr/apply", json=theirs, headers=headers)).status_code == 200
    problem = assert_problem(await world.http.delete("/v1/metrics/operations/open_p1", headers=headers), 409)
    assert (problem["code"], "hr/double" in problem["detail"]) == ("in_use", True)


@pytest.mark.parametrize(
    ("section", "kind", "old"),
    [
        ("metrics", "metrics", "satisfaction"),
        ("datasets", "datasets", "orders"),
        ("connections", "connections", "desk"),
        ("objectives", "objectives", "happy_desk"),
    ],
)
@on_sqlite
async def test_the_old_name_of_what_was_renamed_says_the_new_one(
    world: World, section: str, kind: str, old: str
) -> None:
    await world.apply()
    headers = await world.as_("read", "write")
    spec = dict(TEAM_FILE[section][old]) | {"renamed_from": old}
    spec.pop("key_results", None)
    renamed = await world.http.put(f"/v1/{kind}/operations/other", json=spec, headers=headers)
    assert renamed.status_code == 200, renamed.text
    assert [change["action"] for change in renamed.json()["changes"] if change["id"] == "operations/other"] == [
        "rename"
    ]
    assert (await world.http.get(f"/v1/{kind}/operations/other", headers=headers)).status_code == 200
    for method in ("GET", "DELETE"):
        problem = assert_problem(await world.http.request(method, f"/v1/{kind}/operations/{old}", headers=headers), 404)
        assert problem["detail"] == "It was renamed: it is operations/other now."
