"""Trying a delivery, finding out why nothing moves, and replaying what failed."""

import json
from typing import Any

import pytest

from app.services.deliveries import apply_pending
from tests.api.conftest import World
from tests.api.test_hooks import BODY, DESK, DESK_SECRET, PATH, SECRET, desk_signed, signed

TRY = "/v1/connections/operations/erp/try"
DATASETS: dict[str, Any] = {
    "orders": {"connection": "erp", "entity": "body.id", "at": "body.at", "event": "body.event"},
    "approvals": {"connection": "erp", "entity": "body.id", "where": "body.event == 'po.approved'"},
    "fragile": {"connection": "erp", "entity": "body.lines[0].id + 1"},
}


@pytest.fixture
async def shop(world: World) -> World:
    world.environ.update(ERP_SECRET=SECRET, DESK_SECRET=DESK_SECRET)
    await world.apply(datasets=DATASETS)
    await world.apply(team="finance", datasets={}, metrics={}, objectives={})
    world.bell.rings.clear()
    return world


async def send(world: World, body: bytes, identity: str) -> int:
    response = await world.http.post(
        PATH, content=body, headers=signed(body, world.services.clock(), identity=identity)
    )
    assert response.status_code == 202, response.text
    return int(response.json()["id"])


async def count(world: World, what: str) -> int:
    headers = await world.as_("read")
    return len((await world.http.get(what, headers=headers)).json()["items"])


async def test_a_pasted_delivery_is_shown_step_by_step_and_nothing_is_saved(shop: World) -> None:
    headers = await shop.as_("write")
    given = {"headers": signed(BODY, shop.services.clock()), "body": BODY.decode()}
    tried = (await shop.http.post(TRY, json=given, headers=headers)).json()
    assert tried["signature"] == {"outcome": "ok", "reason": None}
    assert tried["parse"] == {"outcome": "ok", "reason": None}
    assert (tried["kind"], tried["event"]) == ("event", "po.requested")
    assert (tried["dedupe_key"], tried["is_duplicate"]) == ("id:msg_1", False)
    assert tried["body"] == json.loads(BODY)
    assert (tried["headers"]["webhook-id"], "webhook-signature" in tried["headers"]) == ("msg_1", False)
    found = {item["dataset"]: item for item in tried["datasets"]}
    assert found["approvals"] == {
        "dataset": "approvals",
        "outcome": "ignored",
        "reason": "where is false",
        "events": [],
    }
    assert found["fragile"]["outcome"] == "ignored"
    (event,) = found["orders"]["events"]
    assert (event["entity"], event["event"], event["at"]) == ("po-1", "po.requested", "2026-11-22T09:00:00Z")
    assert event["is_new"] is True
    (fact,) = event["facts"]
    assert fact == {
        "metric": "operations/orders_placed",
        "part": "value",
        "counts": True,
        "value": "1",
        "at": "2026-11-22T09:00:00Z",
        "reason": None,
    }
    assert await count(shop, "/v1/deliveries") == 0
    assert shop.bell.rings == []


async def test_what_is_wrong_is_told_at_its_step_and_stops_nothing_else(shop: World) -> None:
    headers = await shop.as_("write")
    tried = (await shop.http.post(TRY, json={"body": {"id": "po-9", "lines": [{"id": {}}]}}, headers=headers)).json()
    assert tried["signature"]["outcome"] == "failed"
    assert "webhook-id" in tried["signature"]["reason"]
    found = {item["dataset"]: item for item in tried["datasets"]}
    assert found["orders"]["outcome"] == "applied"
    assert found["orders"]["events"][0]["at_is_receipt"] is True
    assert found["fragile"]["outcome"] == "dead"
    assert found["fragile"]["reason"].startswith("entity: ")
    unreadable = (await shop.http.post(TRY, json={"body": "<xml/>"}, headers=headers)).json()
    assert unreadable["parse"]["outcome"] == "failed"
    assert unreadable["datasets"] == []
    assert (unreadable["headers"], unreadable["body"]) == ({}, "<xml/>")
    large = (await shop.http.post(TRY, json={"body": "x" + "é" * 5_000}, headers=headers)).json()
    assert large["body"] == "x" + "é" * 999 + "\N{REPLACEMENT CHARACTER}"
    for body in (
        {},
        {"body": {}, "delivery": 1},
        {"delivery": 0},
        {"delivery": True},
        {"headers": {"a b": "c"}, "body": 1},
    ):
        assert (await shop.http.post(TRY, json=body, headers=headers)).status_code == 422, body
    assert (await shop.http.post(TRY, json={"delivery": 999}, headers=headers)).status_code == 404
    assert (await shop.http.post(TRY.replace("erp", "nobody"), json={"body": 1}, headers=headers)).status_code == 404


async def test_what_is_tried_is_what_then_happens(shop: World) -> None:
    """Moments that can not be read, events of a deleted entity, and several events of one delivery."""
    rules = {"entity": "item.id", "event": "item.event", "at": "item.at", "deleted": "item.event == 'deleted'"}
    await shop.apply(
        datasets={"orders": {"connection": "erp", "each": "body.events"} | rules},
        metrics={
            "hours": {
                "unit": "hours",
                "duration": {"dataset": "orders", "from": {"event": "placed"}, "to": {"event": "sent"}},
                "aggregate": "avg",
                "window": "all",
            }
        },
        objectives={},
    )

    def events(*found: tuple[str, str, str]) -> bytes:
        return json.dumps({"events": [dict(zip(("id", "event", "at"), one, strict=True)) for one in found]}).encode()

    async def tried_and_sent(body: bytes, identity: str) -> tuple[dict[str, Any], Any]:
        given = {"headers": signed(body, shop.services.clock(), identity=identity), "body": body.decode()}
        found = (await shop.http.post(TRY, json=given, headers=headers)).json()["datasets"]
        tried = next(item for item in found if item["dataset"] == "orders")
        number = await send(shop, body, identity)
        await apply_pending(shop.services)
        (delivery,) = (await shop.http.get("/v1/deliveries?limit=1", headers=headers)).json()["items"]
        assert delivery["id"] == number
        intake = next(item for item in delivery["intakes"] if item["dataset"] == "orders")
        assert (tried["outcome"], tried["reason"]) == (intake["outcome"], intake["reason"])
        shown = (await shop.http.get("/v1/metrics/operations/hours", headers=headers)).json()["value"]
        return tried, shown

    headers = await shop.as_("read", "write")
    both = (("a", "placed", "2026-11-20T09:00:00Z"), ("a", "sent", "2026-11-20T12:00:00Z"))
    tried, shown = await tried_and_sent(events(*both), "m1")
    facts = [fact for event in tried["events"] for fact in event["facts"]]
    assert [fact["value"] for fact in facts if fact["metric"] == "operations/hours"] == ["3", "3"]
    assert shown == "3"
    tried, _ = await tried_and_sent(events(("b", "placed", "soon")), "m2")
    assert tried["reason"] == "at gives no moment that can be read: it counts at the moment it was received"
    await tried_and_sent(events(("a", "deleted", "2026-11-21T09:00:00Z")), "m3")
    tried, shown = await tried_and_sent(events(("a", "placed", "2026-11-20T10:00:00Z")), "m4")
    assert [(event["is_before_deletion"], event["facts"]) for event in tried["events"]] == [(True, [])]
    assert shown is None


async def test_a_past_delivery_is_tried_under_the_rules_of_now(shop: World) -> None:
    delivery = await send(shop, BODY, "a")
    await apply_pending(shop.services)
    await shop.apply(datasets={**DATASETS, "approvals": {"connection": "erp", "entity": "body.id"}})
    await apply_pending(shop.services)
    headers = await shop.as_("write")
    tried = (await shop.http.post(TRY, json={"delivery": delivery}, headers=headers)).json()
    assert tried["signature"]["outcome"] == "skipped"
    assert tried["is_duplicate"] is True
    found = {item["dataset"]: item for item in tried["datasets"]}
    assert found["approvals"]["outcome"] == "applied"
    assert found["orders"]["events"][0]["is_new"] is False
    other = await shop.http.post(TRY.replace("erp", "desk"), json={"delivery": delivery}, headers=headers)
    assert other.status_code == 404, "a delivery belongs to its connection"


async def test_trying_needs_the_scope_and_the_team(shop: World) -> None:
    for headers, status in (
        (await shop.as_("read"), 403),
        (await shop.as_("ingest"), 403),
        (await shop.as_("write", team="finance"), 403),
    ):
        assert (await shop.http.post(TRY, json={"body": {}}, headers=headers)).status_code == status


async def test_why_nothing_moves_is_counted_by_event_with_the_latest(shop: World) -> None:
    for number in range(3):
        await send(shop, json.dumps({"id": f"po-{number}", "event": "po.requested"}).encode(), f"r{number}")
    last = await send(shop, json.dumps({"id": "po-9", "event": "po.approved"}).encode(), "a1")
    response = await shop.http.post(DESK, content=b'{"x": 1}', headers=desk_signed(b'{"x": 1}'))
    unread = response.json()["id"]
    await apply_pending(shop.services)
    headers = await shop.as_("read")
    items = (await shop.http.get("/v1/deliveries/summary", headers=headers)).json()["items"]
    found = {(item["dataset"], item["event"], item["outcome"]): item for item in items}
    assert found["approvals", "po.requested", "ignored"]["count"] == 3
    assert found["approvals", "po.requested", "ignored"]["reason"] == "where is false"
    assert found["approvals", "po.approved", "applied"]["last_delivery"] == last
    assert found[None, None, "unmatched"]["connection"] == "operations/desk"
    assert found[None, None, "unmatched"]["last_delivery"] == unread
    narrowed = (await shop.http.get("/v1/deliveries/summary?connection=desk", headers=headers)).json()["items"]
    assert [item["outcome"] for item in narrowed] == ["unmatched"]


async def test_all_dead_letters_are_replayed_after_a_rule_edit(shop: World) -> None:
    for number in range(3):
        await send(shop, json.dumps({"id": f"po-{number}", "lines": [{"id": {}}]}).encode(), f"d{number}")
    await apply_pending(shop.services)
    headers = await shop.as_("write", "read")
    dead = (await shop.http.get("/v1/deliveries?outcome=dead", headers=headers)).json()["items"]
    assert len(dead) == 3
    assert {item["reason"].split(":")[0] for one in dead for item in one["intakes"] if item["outcome"] == "dead"} == {
        "entity"
    }
    given = {"team": "operations", "connection": "erp", "outcome": "dead", "dataset": "fragile"}
    for wrong, status in (
        ({**given, "dataset": "nothing"}, 404),
        ({**given, "connection": "nothing"}, 404),
        ({**given, "outcome": "applied"}, 422),
        ({**given, "event": "po.requested"}, 202),
    ):
        response = await shop.http.post("/v1/deliveries/replay", json=wrong, headers=headers)
        assert response.status_code == status, response.text
    foreign = await shop.as_("write", team="finance")
    assert (await shop.http.post("/v1/deliveries/replay", json=given, headers=foreign)).status_code == 403
    mended = {**DATASETS, "fragile": {"connection": "erp", "entity": "body.id"}}
    await shop.apply(datasets=mended)  # a changed dataset is judged anew by itself
    await apply_pending(shop.services)
    assert await count(shop, "/v1/deliveries?outcome=dead") == 0
    first = await shop.http.post("/v1/deliveries/replay", json={**given, "outcome": "ignored"}, headers=headers)
    assert first.json() == {"replayed": 0}
    before = await count(shop, "/v1/datasets/operations/orders/records")
    again = await shop.http.post(
        "/v1/deliveries/replay", json={"team": "operations", "connection": "erp", "outcome": "ignored"}, headers=headers
    )
    assert again.json() == {"replayed": 3}
    assert shop.bell.rings[-1] == "deliveries"
    await apply_pending(shop.services)
    assert await count(shop, "/v1/datasets/operations/orders/records") == before, "nothing is done twice"
