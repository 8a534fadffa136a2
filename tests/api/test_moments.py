"""`?as_of=` and `?known_at=` on every read of values: one metric and many, objectives and the cascade, and how old a
value was at that moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.services.deliveries import apply_pending
from app.store.deliveries import NewDelivery
from app.store.delivery_log import delivery_log
from app.store.organisation import get_connection
from tests.api.conftest import World, on_sqlite
from tests.conftest import FakeClock

READS = ("/v1/metrics", "/v1/metrics/operations/satisfaction", "/v1/objectives", "/v1/objectives/operations/happy_desk")
READS += ("/v1/alignment", "/v1/key-results", "/v1/key-results/operations/satisfaction_up")
READS += ("/v1/datasets/operations/orders/records",)
READS += ("/v1/key-results/operations/satisfaction_up/explain", "/v1/metrics/operations/satisfaction/explain")


def z(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def asserted(world: World, clock: FakeClock) -> dict[datetime, str]:
    """Three values for three days, an hour apart; the day's value by the moment that it was said at."""
    await world.apply()
    script = await world.as_("ingest")
    said = {}
    for day, value in (("2026-11-18", "7.0"), ("2026-11-19", "7.5"), ("2026-11-20", "6.5")):
        clock.advance(timedelta(hours=1))
        path = f"/v1/metrics/operations/satisfaction/values/{day}"
        assert (await world.http.put(path, json={"value": value}, headers=script)).status_code == 200
        said[clock()] = value
    clock.advance(timedelta(hours=1))
    return said


async def test_a_metric_and_its_objective_are_shown_as_of_a_day(world: World, clock: FakeClock) -> None:
    await asserted(world, clock)
    reader = await world.as_("read")
    for day, value, progress in ((19, "7.0", 0.5), (20, "7.5", 0.75), (21, "6.5", 0.25)):
        query = {"as_of": z(datetime(2026, 11, day, 12, tzinfo=UTC))}

        async def get(path: str, query: dict[str, str] = query) -> Any:
            answer = await world.http.get(path, params=query, headers=reader)
            assert answer.status_code == 200, answer.text
            return answer.json()

        one = await get("/v1/metrics/operations/satisfaction")
        assert (one["value"], one["freshness"]["level"]) == (value, "fresh")
        (listed,) = [item for item in (await get("/v1/metrics"))["items"] if item["id"] == one["id"]]
        assert listed == one
        # The other key result has not begun to have a value: its weight is not known.
        objective = await get("/v1/objectives/operations/happy_desk", {**query, "expand": "key_results"})
        assert (objective["roll_up"]["progress"], objective["roll_up"]["coverage"]) == (progress, 0.5)
        assert (await get("/v1/objectives"))["items"][0]["roll_up"] == objective["roll_up"]
        (node,) = (await get("/v1/alignment"))["nodes"]
        assert node["progress"] == progress
        key_results = {item["id"].split("/")[1]: item for item in objective["key_results"]}
        assert key_results["satisfaction_up"]["value"] == value


async def test_a_datasets_events_are_shown_as_of_a_moment_and_as_known_at_one(world: World, clock: FakeClock) -> None:
    await world.apply()
    reader, start = await world.as_("read"), clock()
    for number, days in (("1", 3), ("2", 9), ("3", 1)):
        clock.advance(timedelta(hours=1))
        body = f'{{"id": "{number}", "event": "placed", "at": "{z(start - timedelta(days=days))}"}}'.encode()
        row = NewDelivery((await _connection(world)), f"msg_{number}", number, clock(), (), body)
        log = delivery_log(world.services.database)
        try:
            await log.append([row])
        finally:
            await log.close()
        await apply_pending(world.services)

    async def shown(**query: datetime) -> list[str]:
        path = "/v1/datasets/operations/orders/records"
        answer = await world.http.get(path, params={name: z(at) for name, at in query.items()}, headers=reader)
        assert answer.status_code == 200, answer.text
        return [item["entity"] for item in answer.json()["items"]]

    assert await shown() == ["1", "2", "3"]
    assert await shown(as_of=start - timedelta(days=2)) == ["1", "2"]
    assert await shown(known_at=start + timedelta(hours=1)) == ["1"]
    assert await shown(as_of=start - timedelta(days=5), known_at=start + timedelta(hours=1)) == []


async def _connection(world: World) -> int:
    async with world.services.database.reading() as session:
        found = await get_connection(session, "operations", "erp")
    assert found is not None
    return found[0].id


async def test_what_was_known_is_shown_again(world: World, clock: FakeClock) -> None:
    said = await asserted(world, clock)
    reader = await world.as_("read")
    for at, value in said.items():
        query = {"as_of": z(at), "known_at": z(at)}
        one = (await world.http.get("/v1/metrics/operations/satisfaction", params=query, headers=reader)).json()
        assert one["value"] == value
    before = {"known_at": z(min(said) - timedelta(minutes=1))}
    one = (await world.http.get("/v1/metrics/operations/satisfaction", params=before, headers=reader)).json()
    assert (one["value"], one["reason"]) == (None, "no value has been asserted")


@on_sqlite
@pytest.mark.parametrize("path", READS)
async def test_every_read_of_values_takes_both_and_refuses_the_future(
    world: World, clock: FakeClock, path: str
) -> None:
    await asserted(world, clock)
    reader = await world.as_("read")
    past = {"as_of": z(clock() - timedelta(hours=1)), "known_at": z(clock())}
    assert (await world.http.get(path, params=past, headers=reader)).status_code == 200
    ahead = {"as_of": z(clock() + timedelta(seconds=1))}
    refused = await world.http.get(path, params=ahead, headers=reader)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == "/as_of"
