"""A private team is there for its own tokens and for admins of everything, and for nobody else."""

from typing import Any

import pytest

from tests.api.conftest import TEAM_FILE, World, on_sqlite
from tests.api.test_access import NEEDS, filled, operations

SECRET = "quietly"
#: Reads that are about no team, or whose tokens see everything anyway.
_ELSEWHERE = {"GET /v1/connectors", "GET /v1/tokens", "GET /v1/audit"}


async def both_teams(world: World) -> None:
    await world.apply()
    await world.apply(
        team=SECRET,
        private=True,
        title="Quietly",
        objectives={
            "plan": {
                "title": "Nobody knows",
                "cycle": "2026-Q4",
                "contributes_to": ["operations/happy_desk"],
                "key_results": {"quiet_up": {"metric": "satisfaction", "baseline": 0, "target": 10}},
            }
        },
    )
    await world.http.put(
        f"/v1/metrics/{SECRET}/satisfaction/values/2026-11-20", json={"value": 5}, headers=await world.as_("write")
    )


def reads(world: World) -> list[str]:
    return [one for one in operations(world.api) if one.startswith("GET /v1/") and one not in _ELSEWHERE]


async def ask(world: World, operation: str, headers: Any, team: str = SECRET) -> Any:
    path = filled(operation.removeprefix("GET "), team)
    path = path.replace("/satisfaction/explain", "/quiet_up/explain") if "/key-results/" in path else path
    return await world.http.get(path, headers=headers)


@on_sqlite
async def test_no_read_shows_a_private_team_to_tokens_of_others(world: World) -> None:
    await both_teams(world)
    everybody, other = await world.as_("read"), await world.as_("read", team="operations")
    writer = await world.as_("read", "write", "ingest")
    walked = 0
    for operation in reads(world):
        for headers in (everybody, other, writer):
            response = await ask(world, operation, headers)
            if "{team}" in operation:
                # A scope that is missing is told first; it says nothing about the team.
                assert response.status_code in ({403, 404} if headers is not writer else {404}), operation
                if NEEDS[operation] == ("read",):
                    assert response.status_code == 404, operation
            elif response.status_code == 200:
                assert SECRET not in response.text, operation
                assert "Nobody knows" not in response.text, operation
            walked += 1
    assert walked > 40
    assert SECRET not in (await world.http.get("/metrics", headers=everybody)).text


@on_sqlite
async def test_its_own_tokens_and_admins_of_everything_see_it(world: World) -> None:
    await both_teams(world)
    for headers in (await world.as_("read", team=SECRET), await world.as_("admin")):
        for path in ("key-results", "objectives", "metrics", "teams", "cycles", "datasets", "connections", "alignment"):
            assert SECRET in (await world.http.get(f"/v1/{path}", headers=headers)).text, path
        one = await world.http.get(f"/v1/key-results/{SECRET}/quiet_up", headers=headers)
        assert (one.status_code, one.json()["progress"]) == (200, 0.5)


async def test_a_private_contribution_counts_and_is_not_named(world: World) -> None:
    await both_teams(world)
    path = "/v1/objectives/operations/happy_desk"
    shown = (await world.http.get(path, headers=await world.as_("read"))).json()
    whole = (await world.http.get(path, headers=await world.as_("admin"))).json()
    assert shown["roll_up"]["progress"] == whole["roll_up"]["progress"]
    assert shown["roll_up"]["progress"] is not None
    assert shown["contributions"] == []
    (hidden,) = (part for part in shown["roll_up"]["parts"] if part["kind"] == "objective")
    assert (hidden["id"], hidden["progress"], hidden["status"]) == (None, None, None)
    assert hidden["reason"] == "it is of a private team"
    (named,) = (part for part in whole["roll_up"]["parts"] if part["kind"] == "objective")
    assert (named["id"], named["progress"]) == (f"{SECRET}/plan", 0.5)


@pytest.mark.parametrize("is_private", [False, True])
@on_sqlite
async def test_a_team_opens_and_closes_with_its_file(world: World, is_private: bool) -> None:
    await world.apply(private=not is_private)
    await world.apply(private=is_private)
    headers = await world.as_("read")
    one = await world.http.get("/v1/teams/operations", headers=headers)
    assert one.status_code == (404 if is_private else 200)
    listed = (await world.http.get("/v1/teams", headers=headers)).json()["items"]
    assert [team["id"] for team in listed] == ([] if is_private else ["operations"])


def reading(metric: str) -> dict[str, Any]:
    return {"team": "curious", "objectives": {"peek": {"title": "Peek", "cycle": "2026-Q4", "key_results": {
        "theirs": {"metric": metric, "baseline": 0, "target": 10}}}}}  # fmt: skip


async def plan_of(world: World, headers: Any, verb: str = "plan", **file: Any) -> Any:
    file = {"version": 1, **file}
    return await world.http.post(f"/v1/teams/{file['team']}/{verb}", json=file, headers=headers)


async def test_no_file_of_another_team_reads_a_private_ones_metric(world: World) -> None:
    await both_teams(world)
    writer, admin = await world.as_("read", "write"), await world.as_("admin")
    refused = await plan_of(world, writer, "apply", **reading(f"{SECRET}.satisfaction"))
    nowhere = await plan_of(world, writer, "apply", **reading("nobody.satisfaction"))
    assert (refused.status_code, refused.json()["errors"]) == (422, [
        one | {"detail": one["detail"].replace("nobody", SECRET)} for one in nowhere.json()["errors"]
    ])  # fmt: skip
    # Who sees the team may let another one read of it; from then on its file is applied by whoever may write.
    assert (await plan_of(world, admin, "apply", **reading(f"{SECRET}.satisfaction"))).status_code == 200
    assert (await plan_of(world, writer, "apply", **reading(f"{SECRET}.satisfaction"))).status_code == 200
    assert (await plan_of(world, writer, "apply", **reading(f"{SECRET}.orders_placed"))).status_code == 422


@on_sqlite
async def test_a_plan_names_no_private_team_that_reads_of_what_it_changes(world: World) -> None:
    await world.apply()
    await world.apply(**reading("operations.satisfaction") | {"private": True})
    mood = {"mood": TEAM_FILE["metrics"]["satisfaction"] | {"renamed_from": "satisfaction"}}
    renamed = {"version": 1, "team": "operations", "metrics": mood}
    bare = {"version": 1, "team": "operations"}
    for headers, is_told in ((await world.as_("admin"), True), (await world.as_("write", team="operations"), False)):
        for file, prune in ((renamed, "false"), (bare, "true")):
            path = f"/v1/teams/operations/plan?prune={prune}"
            told = await world.http.post(path, json=file, headers=headers)
            assert told.status_code == 200, told.text
            assert ("curious/theirs" in told.text) is is_told
    kept = {change["id"]: change["reason"] for change in told.json()["changes"]}
    assert kept["operations/satisfaction"] == "needed by a private team"
    await world.http.post("/v1/teams/operations/apply?prune=true", json=bare, headers=headers)
    refused = await world.http.delete("/v1/metrics/operations/satisfaction", headers=headers)
    assert (refused.status_code, "a private team" in refused.text, "curious" in refused.text) == (409, True, False)
