"""`GET …/history?step=`: the last value about each span, for charts."""

from datetime import timedelta

import pytest

from tests.api.conftest import World
from tests.conftest import FakeClock


@pytest.mark.parametrize(
    ("step", "values"),
    [
        pytest.param(None, ["7.0", "7.1", "7.2", "7.3"], id="every value"),
        pytest.param("1d", ["7.1", "7.3"], id="the last of each day"),
        pytest.param("30d", ["7.3"], id="the last of all"),
    ],
)
async def test_a_step_keeps_the_last_value_of_each_span(
    world: World, clock: FakeClock, step: str | None, values: list[str]
) -> None:
    await world.apply()
    script, reader = await world.as_("ingest"), await world.as_("read")
    for value, pause in (("7.0", 1), ("7.1", 24), ("7.2", 1), ("7.3", 0)):
        path = f"/v1/metrics/operations/satisfaction/values/{clock().date()}"
        assert (await world.http.put(path, json={"value": value}, headers=script)).status_code == 200
        clock.advance(timedelta(hours=pause))
    query = {"from": "2026-11-01T00:00:00Z"} | ({} if step is None else {"step": step})
    for path in ("/v1/metrics/operations/satisfaction", "/v1/key-results/operations/satisfaction_up"):
        found = (await world.http.get(f"{path}/history", params=query, headers=reader)).json()
        assert [item["value"] for item in found["items"] if item["value"] is not None] == values


async def test_a_step_that_is_no_span_is_refused(world: World) -> None:
    await world.apply()
    found = await world.http.get(
        "/v1/metrics/operations/satisfaction/history", params={"step": "often"}, headers=await world.as_("read")
    )
    assert (found.status_code, found.json()["errors"][0]["pointer"]) == (422, "/step")
