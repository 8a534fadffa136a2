"""PostgreSQL dies and comes back while the service runs: 503 while it is away, and nothing acknowledged is lost."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import pytest

from app.store.migrate import upgrade
from tests.conftest import FakeClock
from tests.faults.payments import SECRETS, Payments, apply, check_effects
from tests.journeys.running import eventually
from tests.journeys.support import LocalService, local_service
from tests.services_fixtures.postgres import PostgresServer

CLIENTS = 16


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test's own, that writes through to the disk."""
    server = PostgresServer(is_durable=True)
    server.start()
    yield server
    server.stop()


async def test_postgresql_is_killed_and_comes_back(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    await connection.execute("CREATE DATABASE payments")
    await connection.close()
    await asyncio.to_thread(upgrade, server.url("payments"))
    async with local_service(server.url("payments"), FakeClock(datetime.now(UTC)), SECRETS) as service:
        service.http.headers.update(await service.headers("admin"))
        await apply(service.http)
        payments = Payments(service.http)
        is_over = asyncio.Event()

        async def send() -> None:
            while not is_over.is_set():
                await payments.send(next(payments.numbers))
                await asyncio.sleep(0.001)

        async def break_it() -> None:
            try:
                for _ in range(2):
                    await answered(payments, 202, 100)
                    server.kill()
                    await answered(payments, 503, 50)
                    await readers_are_told(service)
                    server.launch()
            finally:
                is_over.set()

        await asyncio.gather(break_it(), *(send() for _ in range(CLIENTS)))
        assert set(payments.answers) == {202, 503}, payments.answers
        waits = Counter(answer.headers.get("retry-after") for answer in payments.refusals)
        assert all(wait is not None and int(wait) > 0 for wait in waits), waits
        assert {answer.headers["content-type"] for answer in payments.refusals} == {"application/problem+json"}

        # The same service, not started anew.
        first = next(payments.numbers)
        assert await payments.send(first)
        await service.work()
        counts = await check_effects(service.http, payments)
        assert len(payments.acknowledged) > 200, counts
        await is_told_on_the_page(service, payments)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_postgresql_hangs_and_goes_on(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections stay open and nothing is answered: senders are told, and nobody waits for ever."""
    connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    await connection.execute("CREATE DATABASE payments")
    await connection.close()
    await asyncio.to_thread(upgrade, server.url("payments"))
    async with local_service(server.url("payments"), FakeClock(datetime.now(UTC)), SECRETS) as service:
        service.http.headers.update(await service.headers("admin"))
        await apply(service.http)
        payments = Payments(service.http)
        for _ in range(20):
            assert await payments.send(next(payments.numbers))
        server.hang()
        try:
            with monkeypatch.context() as impatient:
                impatient.setattr("app.services.hook_directory.LIFETIME", 0.0)  # it is looked up each time
                impatient.setattr("app.services.hook_directory.PATIENCE", 0.1)
                impatient.setattr("app.services.ingest.SLOW", 0.1)
                impatient.setattr("app.store.delivery_log.PATIENCE", 0.5)
                await asyncio.gather(*(payments.send(next(payments.numbers)) for _ in range(400)))
            assert payments.answers == {202: 20, 503: 400}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in payments.refusals)
            assert (await service.http.get("/healthz")).status_code == 200
            with monkeypatch.context() as impatient:
                impatient.setattr(service.services.database, "patience", 0.5)
                impatient.setattr("app.store.data_version.PATIENCE", 0.5)
                async with asyncio.timeout(60):
                    await readers_are_told(service)
                    told = await service.http.delete("/v1/key-results/till/taken")
                assert (told.status_code, int(told.headers["retry-after"]) > 0) == (503, True)
        finally:
            server.resume()

        async def is_back() -> bool:
            return await payments.send(next(payments.numbers))

        await eventually("it takes deliveries again", is_back)
        await service.work()
        # What was under way when it hung may have been committed: nobody was told so.
        await check_effects(service.http, payments)
        await is_told_on_the_page(service, payments)


async def is_told_on_the_page(service: LocalService, payments: Payments) -> None:
    """What was refused for want of a store, how often, and between when."""
    door = service.api.hooks.door
    assert door is not None

    async def is_told() -> bool:
        await door.refusals.write()
        found = (await service.http.get("/v1/connections/till/bank")).json()["refused"]
        told = [item for item in found if item["code"] == "store_unavailable"]
        return [item["count"] for item in told] == [payments.answers[503]] and told[0]["first_at"] <= told[0]["last_at"]

    await eventually("the page tells of each", is_told)


async def answered(payments: Payments, status: int, more: int) -> None:
    """Returns once so many more requests were answered with this status."""
    enough = payments.answers[status] + more
    while payments.answers[status] < enough:
        await asyncio.sleep(0.005)


async def readers_are_told(service: LocalService) -> None:
    for path in ("/v1/key-results", "/v1/deliveries", "/readyz"):
        answer = await service.http.get(path)
        assert answer.status_code == 503, path
        assert int(answer.headers["retry-after"]) > 0, path
    assert (await service.http.get("/healthz")).status_code == 200
