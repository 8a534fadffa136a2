"""What the door did not take is told on the connection's page: how often, why, first and last."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from app.services.refusals import Refusals
from app.store import delivery_summary
from tests.api.conftest import World
from tests.api.test_hooks import BODY, DESK_SECRET, PATH, SECRET, signed
from tests.conftest import FakeClock


@pytest.fixture
async def door(world: World) -> World:
    world.environ.update(ERP_SECRET=SECRET, DESK_SECRET=DESK_SECRET)
    await world.apply()
    return world


async def refused(world: World) -> list[dict[str, object]]:
    assert world.api.hooks.door is not None
    assert await world.api.hooks.door.refusals.write()
    found = await world.http.get("/v1/connections/operations/erp", headers=await world.as_("read"))
    items: list[dict[str, object]] = found.json()["refused"]
    return items


async def test_signatures_that_do_not_hold_are_counted(door: World, clock: FakeClock) -> None:
    assert await refused(door) == []
    for _ in range(3):
        headers = signed(BODY, clock(), secret="whsec_" + "A" * 32)
        assert (await door.http.post(PATH, content=BODY, headers=headers)).status_code == 401
    (item,) = await refused(door)
    assert item == {
        "code": "signature",
        "count": 3,
        "first_at": "2026-11-22T09:30:00Z",
        "last_at": "2026-11-22T09:30:00Z",
    }
    clock.advance(timedelta(minutes=1))
    await door.http.post(PATH, content=BODY, headers={"content-type": "application/json"})
    (item,) = await refused(door)
    assert (item["count"], item["first_at"], item["last_at"]) == (4, "2026-11-22T09:30:00Z", "2026-11-22T09:31:00Z")


async def test_a_store_that_was_away_is_told_once_it_is_back(
    door: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Refusals(door.services.database, clock)
    log.note(1, "store_unavailable")
    with monkeypatch.context() as away:

        async def fail(*_: object) -> None:
            raise OperationalError("INSERT", {}, Exception("away"))

        away.setattr("app.services.refusals.add_refusals", fail)
        assert not await log.write()
    log.note(1, "store_unavailable")
    assert await log.write()
    async with door.services.database.reading() as session:
        (row,) = await delivery_summary.list_refusals(session, 1)
    assert (row.code, row.count) == ("store_unavailable", 2)
    await log.close()


async def test_a_connection_that_is_gone_takes_nothing_with_it(door: World, clock: FakeClock) -> None:
    log = Refusals(door.services.database, clock)
    log.note(999_999, "signature")
    log.note(1, "signature")
    assert await log.write()
    assert len(await refused(door)) == 1
    await log.close()
