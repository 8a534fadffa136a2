"""`GET …/explain?since=`: the difference from a moment or a sample, refused where it names neither."""

from datetime import timedelta

import pytest

from tests.api.conftest import World, on_sqlite
from tests.conftest import FakeClock

PATH = "/v1/key-results/operations/satisfaction_up/explain"


async def assert_values(world: World, clock: FakeClock) -> dict[str, str]:
    await world.apply()
    script = await world.as_("ingest")
    for day, value in (("2026-11-18", "7.0"), ("2026-11-19", "7.5"), ("2026-11-20", "6.5")):
        path = f"/v1/metrics/operations/satisfaction/values/{day}"
        assert (await world.http.put(path, json={"value": value}, headers=script)).status_code == 200
        clock.advance(timedelta(hours=1))
    return await world.as_("read")


async def test_a_moment_or_a_sample_is_compared_with(world: World, clock: FakeClock) -> None:
    start = clock()
    reader = await assert_values(world, clock)
    late = (start + timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
    by_moment = (await world.http.get(PATH, params={"since": late}, headers=reader)).json()["delta"]
    assert (by_moment["value_before"], by_moment["value_now"], by_moment["progress_before"]) == ("7.0", "6.5", 0.5)
    assert [one["contribution"] for one in by_moment["causes"]] == ["-0.5"]
    query = {"since": str(by_moment["since_sample"])}
    assert (await world.http.get(PATH, params=query, headers=reader)).json()["delta"] == by_moment
    metric = "/v1/metrics/operations/satisfaction/explain"
    of_metric = (await world.http.get(metric, params=query, headers=reader)).json()["delta"]
    assert of_metric == {**by_moment, "progress_before": None}


@on_sqlite
@pytest.mark.parametrize(
    "since", ["", "0", "-1", "01", "9999999", "last week", "2026-11-20", "1e3", "99999999999999999999"]
)
async def test_what_names_no_sample_is_refused(world: World, clock: FakeClock, since: str) -> None:
    reader = await assert_values(world, clock)
    refused = await world.http.get(PATH, params={"since": since}, headers=reader)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == "/since"
