"""The webhook door: verified bytes, stored before the 202, and an answer in kind for everything else."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from standardwebhooks import Webhook
from structlog.testing import capture_logs

import app.api.hooks
from app.services.hook_directory import BURST, LIFETIME, HookDirectory
from app.services.ingest import DeliveryWriter
from app.services.secrets import generate_webhook_secret
from app.store.delivery_log import PostgresLog, SqliteLog
from tests.api.conftest import World, on_sqlite

SECRET = generate_webhook_secret()
DESK_SECRET = "desk-canary-5f0a"
PATH = "/v1/hooks/operations/erp"
DESK = "/v1/hooks/operations/desk"
BODY = b'{"id": "po-1", "at": "2026-11-22T09:00:00Z", "event": "po.requested"}'


@pytest.fixture
async def hooks(world: World) -> World:
    world.environ.update(ERP_SECRET=SECRET, DESK_SECRET=DESK_SECRET)
    await world.apply()
    world.bell.rings.clear()
    return world


def signed(
    body: bytes, at: datetime, *, identity: str = "msg_1", secret: str = SECRET, timestamp: str | None = None
) -> dict[str, str]:
    """Headers of Standard Webhooks, made by their reference implementation where the time is one."""
    seconds = timestamp or str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{seconds}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    if timestamp is None and key:
        assert signature == Webhook(secret).sign(identity, at, body.decode("latin-1")) or not body.isascii()
    return {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": seconds,
        "webhook-signature": signature,
    }


def desk_signed(body: bytes) -> dict[str, str]:
    digest = hmac.new(DESK_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"}


async def stored(world: World) -> list[Any]:
    async with world.services.database.reading() as session:
        return list(
            await session.execute(
                text("SELECT dedupe_key, digest, headers, body, conflicts, is_pending FROM delivery ORDER BY id")
            )
        )


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == response.headers["x-request-id"]


async def test_a_signed_delivery_is_stored_as_it_came_before_the_202(hooks: World) -> None:
    headers = signed(BODY, hooks.services.clock()) | {"authorization": "Bearer canary-1", "cookie": "a=canary-2"}
    response = await hooks.http.post(PATH, content=BODY, headers=headers)
    assert response.status_code == 202
    assert response.json() == {"id": 1, "duplicate": False}
    ((key, digest, kept_headers, body, conflicts, is_pending),) = await stored(hooks)
    assert key == "id:msg_1"
    assert bytes(body) == BODY
    assert digest == hashlib.sha256(BODY).hexdigest()
    assert (conflicts, bool(is_pending)) == (0, True)
    assert "webhook-id" in kept_headers
    assert "canary" not in kept_headers
    assert "webhook-signature" not in kept_headers
    assert hooks.bell.rings == ["deliveries"]


async def test_a_redelivery_is_told_and_has_no_effect(hooks: World) -> None:
    now = hooks.services.clock()
    first = await hooks.http.post(PATH, content=BODY, headers=signed(BODY, now))
    again = await hooks.http.post(PATH, content=BODY, headers=signed(BODY, now))
    assert again.status_code == 202
    assert again.json() == {"id": first.json()["id"], "duplicate": True}
    other = BODY.replace(b"po-1", b"po-2")
    conflicting = await hooks.http.post(PATH, content=other, headers=signed(other, now))
    assert conflicting.json() == {"id": first.json()["id"], "duplicate": True}
    ((_, _, _, body, conflicts, _),) = await stored(hooks)
    assert bytes(body) == BODY
    assert conflicts == 1


async def test_without_a_senders_id_the_body_tells_deliveries_apart(hooks: World) -> None:
    for body, duplicate in ((BODY, False), (BODY, True), (BODY + b" ", False)):
        response = await hooks.http.post(DESK, content=body, headers=desk_signed(body))
        assert response.json()["duplicate"] is duplicate
    assert [row[0] for row in await stored(hooks)] == [
        f"sha256:{hashlib.sha256(body).hexdigest()}" for body in (BODY, BODY + b" ")
    ]


async def test_ten_at_once_are_one(hooks: World) -> None:
    headers = signed(BODY, hooks.services.clock())
    answers = await asyncio.gather(*(hooks.http.post(PATH, content=BODY, headers=headers) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 9
    assert len(await stored(hooks)) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("none", {"webhook-signature": None}),
        ("empty", {"webhook-signature": ""}),
        ("wrong", {"webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()}),
        ("not base64", {"webhook-signature": "v1,%%%"}),
        ("another version", {"webhook-signature": "v2,AAAA"}),
        ("no id", {"webhook-id": None}),
        ("another id", {"webhook-id": "msg_2"}),
        ("no timestamp", {"webhook-timestamp": None}),
        ("another body", {}),
    ],
)
async def test_a_signature_that_does_not_hold_is_401(hooks: World, name: str, change: dict[str, str | None]) -> None:
    headers = {
        key: value for key, value in (signed(BODY, hooks.services.clock()) | change).items() if value is not None
    }
    body = BODY.replace(b"po-1", b"po-9") if name == "another body" else BODY
    response = await hooks.http.post(PATH, content=body, headers=headers)
    assert_problem(response, 401, "signature")
    assert await stored(hooks) == []
    assert hooks.bell.rings == []


@on_sqlite
async def test_header_tricks_are_401(hooks: World) -> None:
    good = desk_signed(BODY)["x-hub-signature-256"].encode()
    sha1 = b"sha1=" + hmac.new(DESK_SECRET.encode(), BODY, hashlib.sha1).hexdigest().encode()
    json_type = (b"content-type", b"application/json")
    for values in (
        [sha1],
        [b" " + good],
        [good + b" "],
        [good, good],
        [b"sha256=\xc3\xa9"],
        [good.upper()],
        [good[:-1]],
    ):
        headers = [json_type, *((b"x-hub-signature-256", value) for value in values)]
        assert_problem(await hooks.http.post(DESK, content=BODY, headers=headers), 401, "signature")
    assert await stored(hooks) == []


@on_sqlite
@pytest.mark.parametrize("timestamp", ["nan", "inf", "1e9", "", "-1", "9" * 400, "١٢٣", " 1 "])
async def test_a_timestamp_that_is_none_is_401(hooks: World, timestamp: str) -> None:
    headers = signed(BODY, hooks.services.clock(), timestamp=timestamp or "x")
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert_problem(await hooks.http.post(PATH, content=BODY, headers=raw), 401, "signature")


@on_sqlite
@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (301, 401), (-300, 202), (300, 202)])
async def test_the_age_of_a_signature_is_bounded(hooks: World, seconds: int, status: int) -> None:
    at = hooks.services.clock() + timedelta(seconds=seconds)
    response = await hooks.http.post(PATH, content=BODY, headers=signed(BODY, at))
    assert response.status_code == status


@on_sqlite
async def test_one_endpoints_signature_opens_no_other(hooks: World) -> None:
    await hooks.apply(team="finance", datasets={}, metrics={}, objectives={})
    response = await hooks.http.post(
        "/v1/hooks/operations/desk", content=BODY, headers=signed(BODY, hooks.services.clock())
    )
    assert_problem(response, 401, "signature")


@on_sqlite
@pytest.mark.parametrize(
    "path",
    [
        "/v1/hooks/operations/nobody",
        "/v1/hooks/nobody/erp",
        "/v1/hooks/operations",
        "/v1/hooks/",
        "/v1/hooks/operations/erp/",
        "/v1/hooks/Operations/erp",
        "/v1/hooks/operations/erp%00",
        "/v1/hooks/operations/%2e%2e",
        "/v1/hooks/operations/" + "x" * 500,
    ],
)
async def test_an_endpoint_that_is_not_there_is_404_in_one_shape(hooks: World, path: str) -> None:
    response = await hooks.http.post(path, content=BODY, headers=signed(BODY, hooks.services.clock()))
    assert_problem(response, 404, "not_found")
    shape = {key: value for key, value in response.json().items() if key not in ("request_id", "instance")}
    assert shape == {
        "type": "urn:krsync:problem:not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no such endpoint.",
        "code": "not_found",
        "errors": [],
    }


async def test_a_secret_in_rotation_opens_with_both(hooks: World) -> None:
    old = generate_webhook_secret()
    hooks.environ["ERP_OLD"] = old
    proof = {"scheme": "standard-webhooks", "secret": {"env": "ERP_SECRET"}, "previous": {"env": "ERP_OLD"}}
    response = await hooks.http.put(
        "/v1/connections/operations/erp",
        json={"connector": "webhook", "verify": proof},
        headers=await hooks.as_("write"),
    )
    assert response.status_code == 200, response.text
    for number, secret in enumerate((SECRET, old)):
        headers = signed(BODY, hooks.services.clock(), secret=secret, identity=f"msg_{number}")
        assert (await hooks.http.post(PATH, content=BODY, headers=headers)).status_code == 202


async def test_a_connection_without_its_secret_lets_nobody_in(hooks: World) -> None:
    del hooks.environ["ERP_SECRET"]
    for secret in (SECRET, "whsec_"):
        headers = signed(BODY, hooks.services.clock(), secret=secret)
        assert_problem(await hooks.http.post(PATH, content=BODY, headers=headers), 401, "signature")


async def test_a_sealed_secret_opens_the_door(hooks: World) -> None:
    headers = await hooks.as_("write")
    spec = {"connector": "webhook", "verify": {"scheme": "standard-webhooks", "secret": {"sealed": "hook"}}}
    assert (await hooks.http.put("/v1/connections/operations/sealed", json=spec, headers=headers)).status_code == 200
    path = "/v1/connections/operations/sealed/secrets/hook"
    secret = (await hooks.http.put(path, json={"generate": True}, headers=headers)).json()["generated"]
    delivery = signed(BODY, hooks.services.clock(), secret=secret)
    assert (await hooks.http.post("/v1/hooks/operations/sealed", content=BODY, headers=delivery)).status_code == 202


@on_sqlite
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_only_post_is_allowed(hooks: World, method: str) -> None:
    response = await hooks.http.request(method, PATH)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


@on_sqlite
@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, b"payload=%7B%7D", 415, "unsupported_media_type"),
        ({"content-type": "application/xml"}, b"<a/>", 415, "unsupported_media_type"),
        ({"content-type": "application/json; charset=utf-16"}, b"\xff\xfe{\x00}\x00", 415, "unsupported_media_type"),
        ({}, b"{}", 415, "unsupported_media_type"),
        (
            {"content-type": "application/json", "content-encoding": "gzip"},
            gzip.compress(bytes(200_000), mtime=0),
            415,
            "unsupported_media_type",
        ),
        ({"content-type": "application/json", "content-encoding": "zstd"}, b"{}", 415, "unsupported_media_type"),
        ({"content-type": "application/json"}, b"", 400, "bad_request"),
        ({"content-type": "application/json"}, b" " * (1024 * 1024 + 1), 413, "too_large"),
        ({"content-type": "application/json", "content-length": "2000000"}, b"{}", 413, "too_large"),
        ({"content-type": "application/json", "content-length": "5"}, b"{}", 400, "bad_request"),
        ({"content-type": "application/json", "content-length": "1"}, b"{}", 400, "bad_request"),
        ({"content-type": "application/json", "content-length": "-1"}, b"{}", 400, "bad_request"),
        ({"content-type": "application/json", "content-length": "1e3"}, b"{}", 400, "bad_request"),
    ],
)
async def test_bodies_that_are_not_taken(
    hooks: World, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    request = hooks.http.build_request("POST", PATH, content=body)
    request.headers = httpx.Headers(headers)
    assert_problem(await hooks.http.send(request), status, code)
    assert await stored(hooks) == []


@on_sqlite
async def test_an_endless_chunked_body_is_cut_at_the_cap(hooks: World) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    response = await hooks.http.post(PATH, content=endless(), headers={"content-type": "application/json"})
    assert_problem(response, 413, "too_large")
    assert sent <= 1024 * 1024 + 2 * 65536


@on_sqlite
async def test_a_body_that_never_ends_in_time_is_408(hooks: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.api.hooks, "DEADLINE", 0.01)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": [(b"content-type", b"application/json")]}
    await hooks.api(scope, receive, send)
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "request_timeout"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"a": NaN, "b": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\xff"}',
        b"[1, 2]",
        b"not json",
        '{"a": 1}'.encode("utf-16"),
    ],
    ids=range(10),
)
async def test_a_verified_body_is_stored_whatever_is_in_it(hooks: World, body: bytes) -> None:
    """Nothing is parsed at the door: what can not be read ends as a dead letter, to be seen and replayed."""
    response = await hooks.http.post(DESK, content=body, headers=desk_signed(body))
    assert response.status_code == 202, response.text
    ((_, _, _, kept, _, _),) = await stored(hooks)
    assert bytes(kept) == body


async def test_a_store_that_is_away_is_503_and_nothing_is_acknowledged(
    hooks: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    for log in (SqliteLog, PostgresLog):
        monkeypatch.setattr(log, "append", fail)
    with capture_logs() as said:
        response = await hooks.http.post(PATH, content=BODY, headers=signed(BODY, hooks.services.clock()))
    assert_problem(response, 503, "store_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert hooks.bell.rings == []
    assert "disk" not in response.text  # a sender need not know; the operator does
    assert [(line["event"], line["reason"]) for line in said] == [("delivery.store_away", "the disk is full")]


@on_sqlite
async def test_a_full_line_is_503_with_a_moment_to_wait(hooks: World) -> None:
    assert hooks.api.hooks.door is not None
    door = hooks.api.hooks.door
    hooks.api.hooks.door = type(door)(
        door.services, door.directory, DeliveryWriter(hooks.services.database, max_waiting=0), door.refusals
    )
    response = await hooks.http.post(PATH, content=BODY, headers=signed(BODY, hooks.services.clock()))
    assert_problem(response, 503, "store_unavailable")
    assert response.headers["retry-after"] == "1"


async def test_a_queue_that_is_away_takes_nothing_from_the_202(hooks: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise ConnectionError("redis is away")

    monkeypatch.setattr(hooks.bell, "deliveries", broken)
    response = await hooks.http.post(PATH, content=BODY, headers=signed(BODY, hooks.services.clock()))
    assert response.status_code == 202
    assert len(await stored(hooks)) == 1


# --- the directory ---------------------------------------------------------------------------------------------------


class Timer:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_known_connection_costs_no_query_until_it_is_a_few_seconds_old(hooks: World) -> None:
    timer = Timer()
    directory = HookDirectory(hooks.services, timer=timer)
    before = await directory.find("operations", "erp")
    assert before is not None
    assert await directory.find("operations", "erp") is before
    timer.seconds += LIFETIME
    after = await directory.find("operations", "erp")
    assert after is not None
    assert after is not before


@on_sqlite
async def test_what_is_asked_for_all_the_time_is_looked_up_before_it_is_too_old(
    hooks: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = Timer()
    directory = HookDirectory(hooks.services, timer=timer)
    assert directory.known("operations", "erp") is None
    before = await directory.find("operations", "erp")
    assert before is not None
    assert directory.known("operations", "erp") is before
    timer.seconds += LIFETIME / 2
    assert directory.known("operations", "erp") is before
    await asyncio.gather(*directory._reading.values())
    timer.seconds += LIFETIME / 2
    after = directory.known("operations", "erp")
    assert after is not None
    assert after is not before

    await asyncio.gather(*directory._reading.values())
    asked = 0

    async def away(team: str, name: str) -> Any:
        nonlocal asked
        asked += 1
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(directory, "_look_up", away)
    timer.seconds += LIFETIME / 2
    for _ in range(3):  # a store that is away is not asked by each delivery
        assert directory.known("operations", "erp") is not None
        await asyncio.gather(*directory._reading.values(), return_exceptions=True)
    assert asked == 1
    timer.seconds += LIFETIME / 2
    assert directory.known("operations", "erp") is None, "too old to rely on without a question"


async def test_a_deleted_connection_is_gone_after_a_few_seconds(hooks: World) -> None:
    timer = Timer()
    directory = HookDirectory(hooks.services, timer=timer)
    assert await directory.find("operations", "desk") is not None
    deleted = await hooks.http.delete("/v1/connections/operations/desk", headers=await hooks.as_("write"))
    assert deleted.status_code == 200, deleted.text
    timer.seconds += LIFETIME
    assert await directory.find("operations", "desk") is None


@on_sqlite
async def test_guessed_names_are_not_looked_up_without_bound(hooks: World, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Timer()
    directory = HookDirectory(hooks.services, timer=timer)
    asked: list[tuple[str, str]] = []
    look_up = directory._look_up

    async def counted(team: str, name: str) -> Any:
        asked.append((team, name))
        return await look_up(team, name)

    monkeypatch.setattr(directory, "_look_up", counted)
    assert await directory.find("operations", "erp") is not None
    for number in range(500):
        assert await directory.find("operations", f"guess_{number}") is None
    assert len(asked) == BURST
    timer.seconds += LIFETIME
    assert await directory.find("operations", "erp") is not None


@on_sqlite
async def test_many_who_ask_at_once_cost_one_query(hooks: World, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = HookDirectory(hooks.services)
    calls = 0
    look_up = directory._look_up

    async def counted(team: str, name: str) -> Any:
        nonlocal calls
        calls += 1
        return await look_up(team, name)

    monkeypatch.setattr(directory, "_look_up", counted)
    found = await asyncio.gather(*(directory.find("operations", "erp") for _ in range(50)))
    assert calls == 1
    assert all(hook is found[0] for hook in found)


@on_sqlite
async def test_a_known_connection_is_known_while_the_store_hangs(hooks: World, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Timer()
    directory = HookDirectory(hooks.services, timer=timer)
    known = await directory.find("operations", "erp")
    looks = 0

    async def hangs(team: str, name: str) -> Any:
        nonlocal looks
        looks += 1
        await asyncio.Event().wait()

    monkeypatch.setattr(directory, "_look_up", hangs)
    monkeypatch.setattr("app.services.hook_directory.PATIENCE", 0.01)
    monkeypatch.setattr("app.services.hook_directory.LONGEST", 0.05)
    timer.seconds += LIFETIME
    assert await directory.find("operations", "erp") is known
    monkeypatch.setattr("app.services.hook_directory.PATIENCE", 1_000)
    assert await directory.find("operations", "erp") is known, "the next one does not wait at all"
    assert looks == 1
    with pytest.raises(TimeoutError):  # which the door answers with 503
        await directory.find("operations", "desk")
    assert (looks, directory._reading) == (2, {})


@on_sqlite
async def test_a_known_connection_is_known_while_the_store_is_away(
    hooks: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = Timer()
    directory = HookDirectory(hooks.services, timer=timer)
    known = await directory.find("operations", "erp")

    async def away(team: str, name: str) -> Any:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(directory, "_look_up", away)
    timer.seconds += LIFETIME
    assert await directory.find("operations", "erp") is known
    with pytest.raises(OperationalError):
        await directory.find("operations", "desk")
