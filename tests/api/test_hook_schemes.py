"""The door with tools known by name: handshakes, redaction, unverified senders, pushed numbers, CloudEvents."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from sqlalchemy import text

from app.services.deliveries import apply_pending
from tests.api.conftest import World, on_sqlite
from tests.api.test_hooks import assert_problem, stored

SECRET = "door-canary-77ab"
CONNECTIONS: dict[str, Any] = {
    "slack": {"connector": "webhook", "verify": {"scheme": "slack", "secret": {"env": "S"}}},
    "people": {
        "connector": "webhook",
        "verify": {"scheme": "github", "secret": {"env": "S"}},
        "redact": ["body.user.email", "body.comments[*].author"],
    },
    "numbers": {"connector": "webhook", "verify": {"scheme": "bearer", "secret": {"env": "S"}, "without_id": "every"}},
    "open": {"connector": "webhook", "verify": {"scheme": "none", "i_accept": "forged deliveries"}},
    "events": {"connector": "webhook", "verify": {"scheme": "bearer", "secret": {"env": "S"}}},
}
DATASETS: dict[str, Any] = {
    "numbers": {"connection": "numbers", "preset": "value"},
    "events": {"connection": "events", "preset": "cloudevents"},
}
METRICS: dict[str, Any] = {
    "satisfaction": {
        "unit": "score",
        "records": {"dataset": "numbers", "where": "record.event == 'value'", "value": "record.body.value"},
        "aggregate": "last",
        "window": "all",
    },
    "signups": {
        "unit": "signups",
        "records": {"dataset": "numbers", "where": "record.event == 'increment'", "value": "record.body.increment"},
        "aggregate": "sum",
        "window": "all",
    },
    "orders": {"unit": "orders", "records": {"dataset": "events"}, "window": "all"},
}
BEARER = {"content-type": "application/json", "authorization": f"Bearer {SECRET}"}


@pytest.fixture
async def tools(world: World) -> World:
    world.environ["S"] = SECRET
    await world.apply(connections=CONNECTIONS, datasets=DATASETS, metrics=METRICS, objectives={})
    world.bell.rings.clear()
    return world


def slack(world: World, body: bytes, secret: str = SECRET) -> dict[str, str]:
    seconds = str(int(world.services.clock().timestamp()))
    digest = hmac.new(secret.encode(), f"v0:{seconds}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-slack-request-timestamp": seconds,
        "x-slack-signature": f"v0={digest}",
    }


def github(body: bytes) -> dict[str, str]:
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}", "x-github-delivery": "d-1"}


@on_sqlite
async def test_slacks_challenge_is_answered_only_after_its_signature(tools: World) -> None:
    body = b'{"token": "x", "challenge": "3eZbrw1a", "type": "url_verification"}'
    path = "/v1/hooks/operations/slack"
    forged = await tools.http.post(path, content=body, headers=slack(tools, body, "other"))
    assert_problem(forged, 401, "signature")
    assert "3eZbrw1a" not in forged.text
    answer = await tools.http.post(path, content=body, headers=slack(tools, body))
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1a"})
    assert await stored(tools) == []
    assert tools.bell.rings == []
    # The word alone makes no handshake.
    event = b'{"type": "event_callback", "event": {"type": "message", "text": "url_verification"}}'
    assert (await tools.http.post(path, content=event, headers=slack(tools, event))).status_code == 202
    assert len(await stored(tools)) == 1


async def test_redacted_fields_are_stored_nowhere_and_the_rest_is_exact(tools: World) -> None:
    given = b'{"user": {"id": 7, "email": "dana@acme.example"}, "total": 0.10, "comments": [{"author": "d", "n": 1}]}'
    path = "/v1/hooks/operations/people"
    first = await tools.http.post(path, content=given, headers=github(given))
    assert first.json() == {"id": 1, "duplicate": False}
    again = await tools.http.post(path, content=given, headers=github(given))
    assert again.json() == {"id": 1, "duplicate": True}
    ((key, digest, _, body, conflicts, _),) = await stored(tools)
    assert (key, digest, conflicts) == ("id:d-1", hashlib.sha256(given).hexdigest(), 0)
    assert bytes(body) == b'{"user":{"id":7},"total":0.10,"comments":[{"n":1}]}'
    other = b'{"user": {"id": 7, "email": "other@acme.example"}}'
    await tools.http.post(path, content=other, headers=github(other))
    assert (await stored(tools))[0][4] == 1, "what differs in a dropped field differs all the same"
    unreadable = b'{"user": {"email": "dana@acme.example"'
    refused = await tools.http.post(path, content=unreadable, headers=github(unreadable))
    assert_problem(refused, 422, "unreadable")
    assert "dana" not in refused.text
    assert len(await stored(tools)) == 1


@on_sqlite
async def test_an_unverified_connection_takes_what_comes(tools: World) -> None:
    answer = await tools.http.post(
        "/v1/hooks/operations/open", content=b"{}", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 202


async def test_a_cron_job_pushes_numbers_and_increments(tools: World) -> None:
    path = "/v1/hooks/operations/numbers"

    async def push(body: dict[str, Any], **more: str) -> bool:
        answer = await tools.http.post(path, content=json.dumps(body), headers=BEARER | more)
        assert answer.status_code == 202, answer.text
        return bool(answer.json()["duplicate"])

    assert not await push({"value": 7.5, "at": "2026-11-20T09:00:00Z"})
    assert not await push({"value": 7.9, "note": "October survey"})
    retried = [await push({"increment": 2}, **{"idempotency-key": key}) for key in ("order-1", "order-2", "order-2")]
    assert retried == [False, False, True]
    assert not await push({"increment": 100}), "without a key it is taken, and counts nothing"
    await apply_pending(tools.services)
    headers = await tools.as_("read")
    values = {
        name: (await tools.http.get(f"/v1/metrics/operations/{name}", headers=headers)).json()["value"]
        for name in ("satisfaction", "signups")
    }
    assert values == {"satisfaction": "7.9", "signups": "4"}


async def test_cloudevents_in_both_modes_are_one_event(tools: World) -> None:
    attributes = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/shop",
        "type": "com.acme.order.placed",
        "time": "2026-11-20T09:00:00Z",
    }
    path = "/v1/hooks/operations/events"
    structured = json.dumps({**attributes, "data": {"total": 1.5}})
    first = await tools.http.post(
        path, content=structured, headers=BEARER | {"content-type": "application/cloudevents+json; charset=UTF-8"}
    )
    binary = await tools.http.post(
        path,
        content=json.dumps({"total": 1.5}),
        headers=BEARER | {f"ce-{name}": value for name, value in attributes.items()},
    )
    assert (first.status_code, binary.status_code) == (202, 202)
    await apply_pending(tools.services)
    async with tools.services.database.reading() as session:
        rows = list(await session.execute(text("SELECT key, entity, event FROM event")))
    assert [tuple(row) for row in rows] == [("key:/shop e-1", "/shop", "com.acme.order.placed")]
    headers = await tools.as_("read")
    assert (await tools.http.get("/v1/metrics/operations/orders", headers=headers)).json()["value"] == "1"
