"""The disk is full: no delivery is acknowledged, the sender is told to come back, and what was stored is kept."""

import sqlite3
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

import pytest

from tests.conftest import FakeClock
from tests.faults.payments import SECRETS, Payments, apply, check_effects
from tests.journeys.support import local_service

_NO_LIMIT = 2**31 - 1


class _SmallDisk(sqlite3.Connection):
    """A connection to a file that may not grow beyond `pages`, which to SQLite is a full disk (SQLITE_FULL).

    The limit is not kept in the file, so each connection sets it with all that it does.
    """

    pages: ClassVar[int] = _NO_LIMIT

    def cursor(self, *args: Any) -> Any:
        self._limit()
        return super().cursor(*args)

    def execute(self, *args: Any) -> sqlite3.Cursor:
        self._limit()
        return super().execute(*args)

    def _limit(self) -> None:
        super().execute(f"PRAGMA max_page_count = {self.pages}").close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_full_disk_is_no_acknowledgement(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # At the driver: the engine and the log of deliveries have connections of their own.
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_SmallDisk))
    monkeypatch.setattr(_SmallDisk, "pages", _NO_LIMIT)
    async with local_service(database_url, FakeClock(datetime.now(UTC)), SECRETS) as service:
        service.http.headers.update(await service.headers("admin"))
        await apply(service.http)

        payments = Payments(service.http)
        for _ in range(20):
            assert await payments.send(next(payments.numbers))
        monkeypatch.setattr(_SmallDisk, "pages", 1)  # as many as there are
        for _ in range(200):  # the last pages have room for some
            await payments.send(next(payments.numbers))
        assert set(payments.answers) == {202, 503}, payments.answers
        assert payments.answers[503] > 100, payments.answers
        assert all(int(answer.headers["retry-after"]) > 0 for answer in payments.refusals)
        assert (await service.http.get("/v1/key-results")).status_code == 200

        monkeypatch.setattr(_SmallDisk, "pages", _NO_LIMIT)
        assert await payments.send(next(payments.numbers))
        await service.work()
        await check_effects(service.http, payments)
