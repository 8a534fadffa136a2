"""`?known_at=`: what was shown then is shown again, and nothing was known before it was asked for."""

from datetime import datetime, timedelta

from tests.api.conftest import World
from tests.conftest import FakeClock


async def test_a_value_is_shown_again_as_it_was_known(world: World, clock: FakeClock) -> None:
    before = clock() - timedelta(days=1)
    await world.apply()
    script, reader = await world.as_("ingest"), await world.as_("read")
    path = "/v1/metrics/operations/satisfaction/values/2026-11-20"
    known: dict[datetime, str] = {}
    for value in ("7.0", "7.5", "6.5"):
        assert (await world.http.put(path, json={"value": value}, headers=script)).status_code == 200
        known[clock()] = value
        clock.advance(timedelta(hours=1))

    async def shown(name: str, at: datetime) -> tuple[str | None, str, str | None]:
        query = {"known_at": at.isoformat().replace("+00:00", "Z")}
        one = (await world.http.get(f"/v1/key-results/operations/{name}", params=query, headers=reader)).json()
        return one["value"], one["status"], one["reason"]

    for at, value in known.items():
        assert (await shown("satisfaction_up", at))[0] == value
        assert (await shown("satisfaction_up", at + timedelta(minutes=59)))[0] == value
    for name in ("satisfaction_up", "orders_up"):
        assert await shown(name, before) == (None, "unknown", "it was not asked for yet")
