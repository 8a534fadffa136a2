"""Check-ins: kept, shown, paged, and a value that becomes today's."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.conftest import World, on_sqlite
from tests.api.judged_case import get, one
from tests.conftest import FakeClock


async def check_in(world: World, name: str, body: dict[str, Any], **headers: str) -> Any:
    return await world.http.post(
        f"/v1/key-results/operations/{name}/check-ins", json=body, headers={**await world.as_("write"), **headers}
    )


async def test_a_check_in_is_kept_shown_and_a_value_becomes_todays(world: World, clock: FakeClock) -> None:
    await world.apply()
    first = await check_in(world, "orders_up", {"note": "Slow start", "confidence": 0.6, "blockers": ["Supplier"]})
    assert first.status_code == 201
    clock.advance(timedelta(days=1))
    second = await check_in(world, "orders_up", {"confidence": "0.75"})
    listed = await get(world, "/v1/key-results/operations/orders_up/check-ins")
    assert [(item["note"], item["confidence"], item["blockers"]) for item in listed["items"]] == [
        (None, 0.75, []),
        ("Slow start", 0.6, ["Supplier"]),
    ]
    shown = (await one(world, "orders_up"))["check_in"]
    assert shown == second.json()
    page = await get(world, "/v1/key-results/operations/orders_up/check-ins?limit=1")
    rest = await get(world, f"/v1/key-results/operations/orders_up/check-ins?limit=1&after={page['next']}")
    assert (rest["items"], rest["next"]) == ([first.json()], None)

    assert (await check_in(world, "satisfaction_up", {"note": "Survey", "value": "7.25"})).status_code == 201
    happy = await one(world, "satisfaction_up")
    assert (happy["value"], happy["progress"], happy["check_in"]["value"]) == ("7.25", 0.625, "7.25")


@on_sqlite
@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "", "empty"),
        ({"confidence": 1.01}, "/confidence", "less_than_equal"),
        ({"confidence": -0.01}, "/confidence", "greater_than_equal"),
        ({"confidence": True}, "/confidence", "number"),
        ({"note": ""}, "/note", "string_too_short"),
        ({"note": "x", "value": 3}, "/value", "not_manual"),
        ({"note": "x", "mood": 3}, "/mood", "extra_forbidden"),
        ({"blockers": ["x"] * 21}, "/blockers", "too_long"),
    ],
)
async def test_a_check_in_that_says_nothing_or_too_much_is_refused(
    world: World, body: dict[str, Any], pointer: str, code: str
) -> None:
    await world.apply()
    refused = await check_in(world, "orders_up", body)
    assert refused.status_code == 422
    assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [(pointer, code)]
    assert (await get(world, "/v1/key-results/operations/orders_up/check-ins"))["items"] == []


@on_sqlite
async def test_a_check_in_sent_twice_with_its_key_is_one(world: World) -> None:
    await world.apply()
    headers = {**await world.as_("write"), "Idempotency-Key": "slack-881"}
    path = "/v1/key-results/operations/orders_up/check-ins"
    answers = [await world.http.post(path, json={"note": "Yes"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len((await get(world, path))["items"]) == 1
    nobody = await world.http.post(path.replace("orders_up", "nobody"), json={"note": "Yes"}, headers=headers)
    assert nobody.status_code in (404, 422)
