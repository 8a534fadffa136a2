"""Bad input of every kind gets a 4xx with a pointer, as problem+json, and is never echoed."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.conftest import World, on_sqlite
from tests.api.test_access import NEEDS, filled

CANARY = "canary9c41"


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert CANARY not in response.text
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    for error in problem["errors"]:
        assert set(error) == {"pointer", "code", "detail", "part"}
    return problem


LISTS = [
    f"/v1/{name}"
    for name in (
        "key-results",
        "objectives",
        "teams",
        "metrics",
        "datasets",
        "connections",
        "runs",
        "deliveries",
        "tokens",
        "audit",
    )
]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=1000000000",
        "limit=" + "9" * 400,
        "limit=1&limit=2",
        "limit=%201_0%20",
        "limit=1_0",
        "limit=+5",
        "limit=05",
        "limit=5.0",
        "limit=1e2",
        "limit=true",
        "limit=",
        "limit=%D9%A3",
        f"limit={CANARY}",
        f"after={CANARY}",
        "after=",
        "after=AAAA",
        "after=" + "A" * 5000,
        "after=%00",
        f"{CANARY}=1",
        "limit=1&%ff=2",
        "after=%ed%a0%80",
        "after=%ff",
    ],
)
@on_sqlite
async def test_query_parameters_of_lists(world: World, query: str) -> None:
    headers = await world.as_("admin")
    for path in LISTS:
        problem = assert_problem(await world.http.get(f"{path}?{query}", headers=headers), 422)
        assert problem["errors"]
        assert all(error["part"] == "query" for error in problem["errors"])


@on_sqlite
async def test_a_cursor_is_of_its_list_alone_and_can_not_be_tampered_with(world: World) -> None:
    headers = await world.as_("admin")
    for _ in range(3):
        await world.token("read")
    first = (await world.http.get("/v1/tokens?limit=2", headers=headers)).json()
    cursor = first["next"]
    assert (await world.http.get("/v1/tokens", params={"after": cursor}, headers=headers)).status_code == 200
    for place in range(len(cursor)):
        changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        response = await world.http.get("/v1/tokens", params={"after": changed}, headers=headers)
        # The last character may hold spare bits: then it is the same cursor.
        assert (
            response.status_code == 422
            or response.json()["items"]
            == ((await world.http.get("/v1/tokens", params={"after": cursor}, headers=headers)).json()["items"])
        )
    for path in LISTS:
        if path != "/v1/tokens":
            assert_problem(await world.http.get(path, params={"after": cursor}, headers=headers), 422)


@pytest.mark.parametrize(
    "query",
    [
        "as_of=2026-11-22",
        "as_of=2026-11-22T09:30:00",
        "as_of=2026-11-22T09:30:00+01:00",
        "as_of=2026-02-30T09:30:00Z",
        "as_of=2026-11-22T25:30:00Z",
        "as_of=0001-01-01T00:00:00%2B14:00",
        "as_of=9999-12-31T23:59:59-14:00",
        "as_of=1763800000",
        "as_of=now",
        "as_of=2999-01-01T00:00:00Z",
        "known_at=",
        "status=green",
        "freshness=Fresh",
        "kind=" + CANARY,
        "cycle=2026-Q5",
        "cycle=2026-13",
        "team=Operations",
        "team=" + "a" * 64,
        "owner=a%00b",
        "owner=a%0Ab",
        "owner=" + "a" * 201,
        "q=",
        "q=%ed%a0%80",
        "metric=a/b/c",
        "objective=../x",
    ],
)
@on_sqlite
async def test_filters_of_key_results(world: World, query: str) -> None:
    assert_problem(await world.http.get(f"/v1/key-results?{query}", headers=await world.as_("read")), 422)


@on_sqlite
async def test_a_moment_to_come_is_not_judged(world: World) -> None:
    headers = await world.as_("read")
    later = {"as_of": "2999-01-01T00:00:00Z"}
    for path in ("/v1/key-results", "/v1/key-results/operations/x", "/v1/key-results/operations/x/explain"):
        response = await world.http.get(path, params=later, headers=headers)
        assert_problem(response, 422)
        assert [(one["pointer"], one["code"]) for one in response.json()["errors"]] == [("/as_of", "future")]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/key-results/Operations/x",
        "/v1/key-results/operations/x%00",
        "/v1/key-results/operations/%ED%A0%80",
        "/v1/key-results/operations/" + "x" * 64,
        "/v1/key-results/operations/..%2f..%2fetc",
        "/v1/metrics/operations/a%20b",
        "/v1/metrics/operations/a'--",
    ],
)
@on_sqlite
async def test_names_in_paths(world: World, path: str) -> None:
    response = await world.http.get(path, headers=await world.as_("read"))
    assert response.status_code in (404, 422)
    assert_problem(response, response.status_code)


@pytest.mark.parametrize(
    "identity", ["0", "-1", "01", "1_0", " 1", "9" * 19, "9" * 400, "true", "1.0", "x", "%00", "٣"]
)
@on_sqlite
async def test_ids_in_paths(world: World, identity: str) -> None:
    headers = await world.as_("admin")
    assert_problem(await world.http.delete(f"/v1/tokens/{identity}", headers=headers), 422)
    assert_problem(await world.http.post(f"/v1/deliveries/{identity}/replay", headers=headers), 422)


async def test_an_id_at_the_edge_of_the_stores_integers_is_404(world: World) -> None:
    headers = await world.as_("admin")
    assert_problem(await world.http.delete(f"/v1/tokens/{2**63 - 1}", headers=headers), 404)
    assert_problem(await world.http.post(f"/v1/deliveries/{2**63 - 1}/replay", headers=headers), 404)


@pytest.mark.parametrize(
    "day", ["2026-02-30", "2026-11-23", "20261122", "2026-11-22T00:00:00Z", "1763800000", "0000-01-01", "today"]
)
@on_sqlite
async def test_days_in_paths(world: World, day: str) -> None:
    await world.apply()
    path = f"/v1/metrics/operations/satisfaction/values/{day}"
    assert_problem(await world.http.put(path, json={"value": 7}, headers=await world.as_("ingest")), 422)


BAD_JSON = [
    b"",
    b"[" * 100_000,
    b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    b'{"value": ' + b"9" * 5_000 + b"}",
    b'{"value": NaN}',
    b'{"value": Infinity}',
    b'{"value": -Infinity}',
    b'{"value": 1e300000}',
    b'{"value": 1, "value": 2}',
    b'{"value": 1, "note": "\\ud800"}',
    b'{"value": 1, "note": "a\\u0000b"}',
    b'{"value": 1, "note": "\xff"}',
    b"\xef\xbb\xbf{}",
    '{"value": 1}'.encode("utf-16"),
    b'{"value": 1} trailing',
    b'{"value": 1',
    b"not json canary9c41",
    b"[1, 2]",
    b"1",
    b"null",
    b'"canary9c41"',
    b'{"value": true}',
    b'{"value": null}',
    b'{"value": {"canary9c41": 1}}',
    b'{"value": 1, "surplus": 1}',
    b'{"value": 1, "link": "javascript:alert(1)"}',
    b'{"value": 1, "note": ""}',
    b'{"value": 1, "note": 5}',
]


BAD_NUMBERS = [
    b'{"value": 1, "canary9c41' + b"x" * 200 + b'": 1}',
    b'{"value": "NaN"}',
    b'{"value": "1_0"}',
    b'{"value": " 10 "}',
    b'{"value": "1e5"}',
    b'{"value": ""}',
]


@pytest.mark.parametrize("body", BAD_NUMBERS)
@on_sqlite
async def test_asserted_values_that_are_none(world: World, body: bytes) -> None:
    await world.apply()
    headers = {**await world.as_("ingest"), "content-type": "application/json"}
    value = "/v1/metrics/operations/satisfaction/values/2026-11-20"
    assert_problem(await world.http.put(value, content=body, headers=headers), 422)


@pytest.mark.parametrize("body", BAD_JSON, ids=range(len(BAD_JSON)))
@on_sqlite
async def test_bodies_of_json(world: World, body: bytes) -> None:
    """One operation with a model of its own, one that takes a team's object, one that takes a whole file."""
    await world.apply()
    headers = {**await world.as_("admin"), "content-type": "application/json"}
    value = "/v1/metrics/operations/satisfaction/values/2026-11-20"
    assert_problem(await world.http.put(value, content=body, headers=headers), 422)
    for method, path in (
        ("PUT", "/v1/metrics/operations/other"),
        ("PUT", "/v1/key-results/operations/other"),
        ("PUT", "/v1/objectives/operations/other"),
        ("PUT", "/v1/datasets/operations/other"),
        ("PUT", "/v1/connections/operations/other"),
        ("PUT", "/v1/connections/operations/erp/secrets/other"),
        ("POST", "/v1/teams/operations/plan"),
        ("POST", "/v1/tokens"),
    ):
        assert_problem(await world.http.request(method, path, content=body, headers=headers), 422)


BAD_YAML = [
    b"a: &x [1]\nb: *x\n",
    b"a: &a [*a]\n",
    b"a: 1\na: 2\n",
    b"a: !!python/object/apply:os.system [ls]\n",
    b"[" * 3000,
    b"version: 1\n---\nversion: 2\n",
    b"a: \x00\n",
    b"\xff\xfe\x00",
    b"{canary9c41: 1}",
    b"version: 1\nteam: finance\n",
    b"",
    b"just text",
]


@pytest.mark.parametrize("body", BAD_YAML, ids=range(len(BAD_YAML)))
@on_sqlite
async def test_bodies_of_yaml(world: World, body: bytes) -> None:
    headers = {**await world.as_("write"), "content-type": "application/yaml"}
    for verb in ("plan", "apply"):
        response = await world.http.post(f"/v1/teams/operations/{verb}", content=body, headers=headers)
        assert response.status_code == 422, response.text
        assert response.json()["errors"]
    assert_problem(await world.http.get("/v1/teams/operations", headers=await world.as_("read")), 404)


@pytest.mark.parametrize(
    "media",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ],
)
@on_sqlite
async def test_content_types(world: World, media: str | None) -> None:
    headers = await world.as_("write")
    request = world.http.build_request("PUT", "/v1/metrics/operations/x", content=b"{}", headers=headers)
    request.headers.pop("content-type", None)
    if media is not None:
        request.headers["content-type"] = media
    assert_problem(await world.http.send(request), 415)


@on_sqlite
async def test_large_lying_and_encoded_bodies(world: World) -> None:
    headers = {**await world.as_("write"), "content-type": "application/json"}
    path = "/v1/teams/operations/apply"
    assert_problem(await world.http.post(path, content=b" " * (1024 * 1024 + 1), headers=headers), 413)
    assert_problem(await world.http.post(path, content=b"{}", headers={**headers, "content-length": "9999999"}), 413)
    assert_problem(await world.http.post(path, content=b"{}", headers={**headers, "content-length": "3"}), 400)
    assert_problem(await world.http.post(path, content=b"{}", headers={**headers, "content-encoding": "gzip"}), 415)

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    assert_problem(await world.http.post(path, content=chunks(), headers=headers), 413)


@on_sqlite
async def test_a_body_where_none_is_taken_is_refused(world: World) -> None:
    await world.apply()
    headers = await world.as_("write")
    path = "/v1/metrics/operations/open_p1/refresh"
    assert_problem(await world.http.post(path, content=b'{"now": true}', headers=headers), 422)
    assert (await world.http.post(path, headers=headers)).status_code == 202


@on_sqlite
async def test_unknown_routes_and_methods(world: World) -> None:
    headers = await world.as_("admin")
    for path in (
        f"/{CANARY}",
        f"/v1/{CANARY}",
        "/v1/key-results/",
        "/v2/key-results",
        "/v1/teams/a/b/c/d",
    ):
        assert_problem(await world.http.get(path, headers=headers), 404)
    response = await world.http.patch("/v1/metrics/operations/x", headers=headers)
    assert_problem(response, 405)
    assert response.headers["allow"] == "DELETE, GET, HEAD, PUT"
    response = await world.http.request("OPTIONS", "/v1/tokens", headers=headers)
    assert_problem(response, 405)
    assert response.headers["allow"] == "GET, HEAD, POST"
    assert_problem(await world.http.request("CANARY9C41", "/v1/tokens", headers=headers), 405)


@on_sqlite
async def test_no_operation_takes_a_parameter_that_it_does_not_know(world: World) -> None:
    headers = await world.as_("admin")
    for operation in NEEDS:
        method, path = operation.split(" ")
        response = await world.http.request(method, filled(path, "operations") + "?surprise=1", headers=headers)
        assert_problem(response, 422)


@on_sqlite
async def test_request_ids(world: World) -> None:
    given = await world.http.get("/v1/teams", headers={"X-Request-Id": "trace-1.a_b"})
    assert given.headers["x-request-id"] == given.json()["request_id"] == "trace-1.a_b"
    for bad in ("a b", "x" * 65, "é", "<script>"):
        response = await world.http.get("/v1/teams", headers=[(b"X-Request-Id", bad.encode())])
        assert len(response.json()["request_id"]) == 32


@on_sqlite
async def test_a_bug_is_a_500_without_details(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(CANARY)

    monkeypatch.setattr("app.api.routes.teams.list_teams", broken)
    problem = assert_problem(await world.http.get("/v1/teams", headers=await world.as_("read")), 500)
    assert problem["detail"] is None


@pytest.mark.parametrize("error", [ConnectionRefusedError(CANARY), TimeoutError(CANARY), OSError(28, CANARY)])
@on_sqlite
async def test_a_store_that_is_away_is_503(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    headers = await world.as_("read")

    def broken() -> None:
        raise error

    monkeypatch.setattr(world.services.database, "reading", broken)
    for path in ("/v1/teams", "/readyz"):
        response = await world.http.get(path, headers=headers)
        assert_problem(response, 503)
        assert int(response.headers["retry-after"]) >= 1
    assert (await world.http.get("/healthz")).status_code == 200


@on_sqlite
async def test_head_is_get_without_its_body(world: World) -> None:
    headers = await world.as_("read")
    got = await world.http.get("/v1/teams", headers=headers)
    head = await world.http.head("/v1/teams", headers=headers)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", got.headers["etag"])
    assert (await world.http.head("/v1/teams")).content == b""


async def test_many_at_once_who_put_the_same_new_object_get_an_answer_each(world: World) -> None:
    headers = await world.as_("write")
    spec = {"unit": "score", "manual": {}}
    await world.apply()
    answers = await asyncio.gather(
        *(world.http.put("/v1/metrics/operations/raced", json=spec, headers=headers) for _ in range(5)),
        *(
            world.http.post("/v1/teams/raced/apply", json={"version": 1, "team": "raced"}, headers=headers)
            for _ in range(5)
        ),
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    listed = (await world.http.get("/v1/metrics?limit=1000", headers=await world.as_("read"))).json()["items"]
    assert [item["id"] for item in listed].count("operations/raced") == 1


def test_the_examples_are_json() -> None:
    from app.api import examples

    for name in ("KEY_RESULT", "OBJECTIVE", "PLAN", "EXPLANATION"):
        assert json.loads(json.dumps(getattr(examples, name)))
