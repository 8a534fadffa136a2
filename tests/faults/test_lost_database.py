"""PostgreSQL dies and comes back while the service runs: 503 while it is away, and nothing acknowledged is lost."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import pytest

from app.store.migrate import upgrade
from tests.conftest import FakeClock
from tests.faults.payments import SECRETS, Payments, apply, check_effects
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
