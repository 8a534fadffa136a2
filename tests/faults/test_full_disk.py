"""The disk is full: no delivery is acknowledged, the sender is told to come back, and what was stored is kept."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event

from tests.conftest import FakeClock
from tests.faults.payments import SECRETS, Payments, apply, check_effects
from tests.journeys.support import local_service

_NO_LIMIT = 2**31 - 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_full_disk_is_no_acknowledgement(database_url: str) -> None:
    async with local_service(database_url, FakeClock(datetime.now(UTC)), SECRETS) as service:
        service.http.headers.update(await service.headers("admin"))
        await apply(service.http)
        limit = _NO_LIMIT

        # To SQLite a file that may not grow is a full disk (SQLITE_FULL); 1 is as many pages as there are.
        @event.listens_for(service.services.database.engine.sync_engine, "checkout")
        def _limit(connection: Any, *_: object) -> None:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA max_page_count = {limit}")
            cursor.close()

        payments = Payments(service.http)
        for _ in range(20):
            assert await payments.send(next(payments.numbers))
        limit = 1
        for _ in range(200):  # the last pages have room for some
            await payments.send(next(payments.numbers))
        assert set(payments.answers) == {202, 503}, payments.answers
        assert payments.answers[503] > 100, payments.answers
        assert all(int(answer.headers["retry-after"]) > 0 for answer in payments.refusals)
        assert (await service.http.get("/v1/key-results")).status_code == 200

        limit = _NO_LIMIT
        assert await payments.send(next(payments.numbers))
        await service.work()
        await check_effects(service.http, payments)
