"""What good requests get: entity tags, versions, requests sent twice, pages, and the values behind it all."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
import yaml
from sqlalchemy import text

from tests.api.conftest import World, on_sqlite

SPEC = {"unit": "score", "manual": {"every": "7d"}}


async def test_an_asserted_value_shows_in_the_key_result_its_history_and_its_explanation(world: World) -> None:
    await world.apply()
    script, reader = await world.as_("ingest", team="operations"), await world.as_("read")
    path = "/v1/metrics/operations/satisfaction/values/2026-11-20"
    body = {"value": "7.250", "note": "Survey", "link": "https://survey.example/11"}
    for _ in range(2):
        sample = (await world.http.put(path, json=body, headers=script)).json()
        assert sample["value"] == "7.250"
    one = (await world.http.get("/v1/key-results/operations/satisfaction_up", headers=reader)).json()
    assert (one["value"], one["progress"], one["baseline"], one["target"]) == ("7.250", 0.625, "6", "8")
    listed = (await world.http.get("/v1/key-results?metric=operations/satisfaction", headers=reader)).json()
    assert listed == {"items": [one], "next": None}
    history = (await world.http.get("/v1/key-results/operations/satisfaction_up/history", headers=reader)).json()
    assert [item["progress"] for item in history["items"]][-1] == 0.625
    why = (await world.http.get("/v1/key-results/operations/satisfaction_up/explain", headers=reader)).json()
    assert why["value"] == "7.250"
    gauges = (await world.http.get("/metrics", headers=reader)).text
    labels = '{cycle="2026-Q4",name="satisfaction_up",team="operations"}'
    assert f"krsync_key_result_progress{labels} 0.625" in gauges
    assert f"krsync_key_result_value{labels} 7.25" in gauges
    assert gauges.count("# EOF") == 1
    assert gauges.endswith("# EOF\n")


async def test_numbers_keep_their_digits_from_the_door_to_the_answer(world: World) -> None:
    await world.apply()
    headers = await world.as_("admin")
    for written, read in (
        (b"0.1", "0.1"),
        (b"9007199254740993", "9007199254740993"),
        (b'"1.10"', "1.10"),
        (b"1E2", "100"),
    ):
        response = await world.http.put(
            "/v1/metrics/operations/satisfaction/values/2026-11-20",
            content=b'{"value": ' + written + b"}",
            headers={**headers, "content-type": "application/json"},
        )
        assert response.json()["value"] == read


@on_sqlite
async def test_a_read_that_changed_nothing_is_304(world: World, clock: Any) -> None:
    await world.apply()
    headers = await world.as_("admin")
    for path in (
        "/v1/key-results",
        "/v1/key-results/operations/satisfaction_up",
        "/v1/objectives/operations/happy_desk",
        "/v1/teams/operations/export",
        "/v1/connectors",
        "/openapi.json",
    ):
        first = await world.http.get(path, headers=headers)
        tag = first.headers["etag"]
        for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            again = await world.http.get(path, headers={**headers, "If-None-Match": given})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), (path, given)
        assert (await world.http.get(path, headers={**headers, "If-None-Match": '"other"'})).status_code == 200
    path = "/v1/key-results/operations/satisfaction_up"
    await world.http.put("/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": 7}, headers=headers)
    before = (await world.http.get(path, headers=headers)).headers["etag"]
    clock.advance(timedelta(seconds=59))
    again = await world.http.get(path, headers={**headers, "If-None-Match": before})
    assert again.status_code == 304  # an age that moved on is no news
    await world.http.put("/v1/metrics/operations/satisfaction/values/2026-11-21", json={"value": 8}, headers=headers)
    again = await world.http.get(path, headers={**headers, "If-None-Match": before})
    assert (again.status_code, again.json()["value"]) == (200, "8")


async def test_if_match_guards_against_a_lost_update(world: World) -> None:
    await world.apply()
    headers = await world.as_("admin")
    path = "/v1/metrics/operations/satisfaction"
    tag = (await world.http.get(path, headers=headers)).headers["etag"]
    stale = {**headers, "If-Match": tag}
    assert (await world.http.put(path, json=SPEC, headers=stale)).status_code == 200
    refused = await world.http.put(path, json={**SPEC, "unit": "points"}, headers=stale)
    assert (refused.status_code, refused.json()["code"]) == (412, "version_conflict")
    assert (await world.http.delete(path, headers=stale)).status_code == 412
    view = (await world.http.get(path, headers=headers)).json()
    assert view["unit"] == "score"
    by_version = {**headers, "If-Match": f'"{view["version"]}"'}
    assert (await world.http.put(path, json={**SPEC, "unit": "points"}, headers=by_version)).status_code == 200
    absent = await world.http.put("/v1/metrics/operations/new", json=SPEC, headers={**headers, "If-Match": '"1"'})
    assert absent.status_code == 412
    for bad in ("1", "*", '"0"', '"a"', '"1", "2"', '"99999999999999999999"', ""):
        response = await world.http.put(path, json=SPEC, headers={**headers, "If-Match": bad})
        assert (response.status_code, response.json()["errors"][0]["part"]) == (422, "header"), bad


async def test_every_kind_of_object_is_put_read_and_deleted(world: World) -> None:
    await world.apply()
    headers = await world.as_("admin")
    objects: list[tuple[str, dict[str, Any]]] = [
        ("connections", {"connector": "webhook", "verify": {"scheme": "bearer", "secret": {"env": "X"}}}),
        ("datasets", {"connection": "erp", "entity": "body.id", "event": "body.event"}),
        ("metrics", SPEC),
        ("objectives", {"title": "More", "cycle": "2026-Q4"}),
        ("key-results", {"objective": "happy_desk", "metric": "satisfaction", "baseline": 6, "target": "9.5"}),
    ]
    for kind, spec in objects:
        path = f"/v1/{kind}/operations/another"
        assert (await world.http.get(path, headers=headers)).status_code == 404
        put = await world.http.put(path, json=spec, headers=headers)
        assert put.status_code == 200, put.text
        view = (await world.http.get(path, headers=headers)).json()
        assert (view["id"], view["managed_by"], view["version"]) == ("operations/another", "api", 1)
        again = (await world.http.put(path, json=spec, headers=headers)).json()
        assert {change["action"] for change in again["changes"]} <= {"unchanged", "kept"}
    for kind, _ in reversed(objects):
        path = f"/v1/{kind}/operations/another"
        assert (await world.http.delete(path, headers=headers)).status_code == 200
        assert (await world.http.get(path, headers=headers)).status_code == 404
        assert (await world.http.delete(path, headers=headers)).status_code == 404


async def test_a_plan_keeps_nothing_and_an_export_applies_to_nothing(world: World) -> None:
    headers = await world.as_("admin")
    file = "version: 1\nteam: operations\nmetrics:\n  mood: {unit: score, manual: {}}\n"
    yaml_type = {**headers, "content-type": "application/yaml"}
    planned = (await world.http.post("/v1/teams/operations/plan", content=file, headers=yaml_type)).json()
    assert not planned["is_applied"]
    assert ("metric", "operations/mood", "create") in [(c["kind"], c["id"], c["action"]) for c in planned["changes"]]
    assert (await world.http.get("/v1/teams/operations", headers=headers)).status_code == 404
    applied = (await world.http.post("/v1/teams/operations/apply", content=file, headers=yaml_type)).json()
    assert applied["is_applied"]
    exported = await world.http.get("/v1/teams/operations/export", headers=headers)
    assert exported.headers["content-type"].startswith("application/yaml")
    assert yaml.safe_load(exported.text)["metrics"] == {"mood": {"unit": "score", "manual": {}}}
    again = (await world.http.post("/v1/teams/operations/apply", content=exported.content, headers=yaml_type)).json()
    assert {change["action"] for change in again["changes"]} == {"unchanged"}


async def test_prune_is_asked_for(world: World) -> None:
    await world.apply()
    headers = await world.as_("write")
    smaller = {"version": 1, "team": "operations", "metrics": {"satisfaction": SPEC}}
    for query, gone in (("", False), ("?prune=false", False), ("?prune=true", True)):
        await world.http.post(f"/v1/teams/operations/apply{query}", json=smaller, headers=headers)
        read = await world.http.get("/v1/metrics/operations/open_p1", headers=await world.as_("read"))
        assert (read.status_code == 404) == gone, query
    for bad in ("1", "yes", "True", ""):
        response = await world.http.post(f"/v1/teams/operations/apply?prune={bad}", json=smaller, headers=headers)
        assert response.status_code == 422


# --- sent twice ------------------------------------------------------------------------------------------------------


async def test_a_request_sent_twice_with_its_key_has_one_effect(world: World) -> None:
    headers = {**await world.as_("admin"), "Idempotency-Key": "k-1"}
    body = {"name": "twice", "scopes": ["read"]}
    first = await world.http.post("/v1/tokens", json=body, headers=headers)
    again = await world.http.post("/v1/tokens", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == {**first.json(), "token": None}
    listed = (await world.http.get("/v1/tokens", headers=headers)).json()["items"]
    assert [item["name"] for item in listed].count("twice") == 1
    async with world.services.database.reading() as session:
        kept = repr([*await session.execute(text("SELECT * FROM idempotency_key"))])
    assert first.json()["token"] not in kept


async def test_a_key_is_for_one_request_and_one_token(world: World) -> None:
    headers = {**await world.as_("admin"), "Idempotency-Key": "k-1"}
    await world.http.post("/v1/tokens", json={"name": "a", "scopes": ["read"]}, headers=headers)
    other = await world.http.post("/v1/tokens", json={"name": "b", "scopes": ["read"]}, headers=headers)
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "idempotency_key_reused")
    elsewhere = {**await world.as_("admin"), "Idempotency-Key": "k-1"}
    assert (
        await world.http.post("/v1/tokens", json={"name": "b", "scopes": ["read"]}, headers=elsewhere)
    ).status_code == 201


async def test_a_request_that_failed_leaves_its_key_free(world: World) -> None:
    headers = {**await world.as_("admin"), "Idempotency-Key": "k-1"}
    path = "/v1/metrics/operations/satisfaction/refresh"
    assert (await world.http.post(path, headers=headers)).status_code == 404
    await world.apply()
    assert (await world.http.post(path, headers=headers)).status_code == 202


async def test_a_key_whose_first_request_is_at_work_is_409_until_it_is_abandoned(world: World, clock: Any) -> None:
    headers = {**await world.as_("admin"), "Idempotency-Key": "k-1"}
    body = {"name": "a", "scopes": ["read"]}
    answers = await asyncio.gather(*(world.http.post("/v1/tokens", json=body, headers=headers) for _ in range(5)))
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    listed = (await world.http.get("/v1/tokens", headers=headers)).json()["items"]
    assert [item["name"] for item in listed].count("a") == 1
    async with world.services.database.writing() as session:
        await session.execute(text("UPDATE idempotency_key SET status = 0"))
    stuck = await world.http.post("/v1/tokens", json=body, headers=headers)
    assert (stuck.status_code, stuck.json()["code"]) == (409, "idempotency_key_in_progress")
    clock.advance(timedelta(minutes=3))
    assert (await world.http.post("/v1/tokens", json=body, headers=headers)).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
@on_sqlite
async def test_keys_that_are_none(world: World, key: str) -> None:
    headers = [*httpx.Headers(await world.as_("admin")).raw, (b"Idempotency-Key", key.encode())]
    response = await world.http.post("/v1/tokens", json={"name": "a", "scopes": ["read"]}, headers=headers)
    assert response.status_code == 422


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_lists_page_through_everything_once(world: World) -> None:
    metrics = {f"m{number}": SPEC for number in range(7)}
    key_results = {f"k{number}": {"metric": f"m{number}", "baseline": 0, "target": 1} for number in range(7)}
    objectives = {"many": {"title": "Many", "cycle": "2026-Q4", "key_results": key_results}}
    await world.apply(metrics=metrics, objectives=objectives, datasets={})
    await world.apply(team="alpha", metrics={}, objectives={}, datasets={})
    headers = await world.as_("admin")
    for kind in ("key-results", "metrics", "teams", "connections", "audit", "tokens"):
        whole = (await world.http.get(f"/v1/{kind}?limit=1000", headers=headers)).json()["items"]
        seen, after = [], None
        while True:
            query = {"limit": "2"} | ({"after": after} if after else {})
            page = (await world.http.get(f"/v1/{kind}", params=query, headers=headers)).json()
            assert len(page["items"]) <= 2
            seen += page["items"]
            after = page["next"]
            if after is None:
                break
        assert seen == whole, kind
        assert len(whole) >= 2


@on_sqlite
async def test_a_check_tells_what_is_wrong_and_no_secret(world: World) -> None:
    await world.apply()
    world.environ["JIRA_TOKEN"] = "canary-77aa"
    headers = await world.as_("write")
    response = await world.http.post("/v1/connections/operations/jira/check", headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["is_working"] is False
    assert response.json()["error_code"] == "access_denied"
    discovered = await world.http.get("/v1/connections/operations/jira/discover", headers=headers)
    assert (discovered.status_code, discovered.json()["code"]) == (502, "access_denied")
    everything = response.text + discovered.text
    for path in ("/v1/connections", "/v1/connections/operations/jira", "/v1/audit", "/v1/teams/operations/export"):
        everything += (await world.http.get(path, headers=await world.as_("admin"))).text
    assert "canary-77aa" not in everything
    assert (await world.http.post("/v1/connections/operations/desk/check", headers=headers)).json()[
        "is_working"
    ] is True
    assert (await world.http.post("/v1/connections/operations/nobody/check", headers=headers)).status_code == 404


@on_sqlite
async def test_a_sealed_secret_never_comes_back(world: World) -> None:
    await world.apply()
    headers = await world.as_("admin")
    path = "/v1/connections/operations/erp/secrets/hook"
    given = await world.http.put(path, json={"value": "canary-31bd"}, headers=headers)
    assert given.json() == {"name": "hook", "generated": None}
    generated = (await world.http.put(path, json={"generate": True}, headers=headers)).json()["generated"]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/=]{44}", generated)
    for bad in ({}, {"generate": False}, {"value": "x", "generate": True}, {"value": ""}, {"generate": "true"}):
        assert (await world.http.put(path, json=bad, headers=headers)).status_code == 422, bad
    everything = ""
    for read in (
        "/v1/connections/operations/erp",
        "/v1/connections",
        "/v1/audit?limit=1000",
        "/v1/teams/operations/export",
    ):
        everything += (await world.http.get(read, headers=headers)).text
    assert "canary-31bd" not in everything
    assert generated not in everything
    assert "secret" in everything
    assert (await world.http.get(path, headers=headers)).status_code == 405


@on_sqlite
async def test_a_delivery_is_replayed_by_its_own_team_only(world: World) -> None:
    await world.apply()
    world.environ["DESK_SECRET"] = "s"
    import hashlib
    import hmac

    body = b'{"id": 1}'
    digest = hmac.new(b"s", body, hashlib.sha256).hexdigest()
    delivered = await world.http.post(
        "/v1/hooks/operations/desk",
        content=body,
        headers={"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"},
    )
    path = f"/v1/deliveries/{delivered.json()['id']}/replay"
    assert (await world.http.post(path, headers=await world.as_("write", team="operations"))).status_code == 202
    await world.apply(team="finance", connections={}, datasets={}, metrics={}, objectives={})
    assert (await world.http.post(path, headers=await world.as_("write", team="finance"))).status_code == 404
    listed = (await world.http.get("/v1/deliveries", headers=await world.as_("read"))).json()["items"]
    assert [item["connection"] for item in listed] == ["operations/desk"]


@on_sqlite
async def test_the_documents_examples_have_the_shapes_they_illustrate(world: World) -> None:
    """Each operation has a summary and an example, and documents its errors."""
    document = world.api.routes.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method} {path}"
            assert operation["summary"], name
            good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            if "204" not in operation["responses"]:
                assert any("example" in media for answer in good for media in answer["content"].values()), name
            if path.startswith("/v1/"):
                assert {"401", "503"} <= operation["responses"].keys(), name
                problems = [a for s, a in operation["responses"].items() if s[0] in "45"]
                assert all("application/problem+json" in answer["content"] for answer in problems), name
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert msgspec.json.decode((await world.http.get("/openapi.json")).content) == msgspec.json.decode(
        msgspec.json.encode(document)
    )


@on_sqlite
async def test_a_name_that_is_none_is_answered_in_words(world: World) -> None:
    await world.apply()
    answer = await world.http.get("/v1/deliveries?connection=operations/erp", headers=await world.as_("read"))
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/connection"
    assert error["detail"] == "A name of lower-case letters, digits and _ that starts with a letter is expected."
