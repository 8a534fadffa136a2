"""No acknowledged delivery is lost, and each has one effect, however often the service is killed under load."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.store.migrate import upgrade
from tests.faults.forked import forked
from tests.faults.payments import SECRETS, Payments, apply, check_effects
from tests.journeys.running import running
from tests.services_fixtures.postgres import PostgresServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and has children die with their parent")

CLIENTS = 16
MOST_BETWEEN_KILLS = 60


async def test_up_starts_a_killed_api_again(tmp_path: Path) -> None:
    async with running(tmp_path, **SECRETS) as krsync, krsync.client() as http:
        await apply(http)
        payments = Payments(http)
        for _ in range(2):
            api = await krsync.child("serve")
            await asyncio.gather(*(payments.send_next() for _ in range(CLIENTS)))
            os.kill(api, signal.SIGKILL)
            await krsync.child("serve", other_than=api)
        await asyncio.gather(*(payments.send_next() for _ in range(CLIENTS)))
        counts = await check_effects(http, payments)
        assert krsync.said().count("The API ended (signal 9); starting it again") == 2, counts


@pytest.fixture(params=["sqlite", "postgresql"])
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database that writes through to the disk, this test's own."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'krsync.db'}"
        upgrade(url)
        yield url
        return
    server = PostgresServer(is_durable=True)
    server.start()
    try:
        asyncio.run(_create(server))
        upgrade(server.url("payments"))
        yield server.url("payments")
    finally:
        server.stop()


async def _create(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    await connection.execute("CREATE DATABASE payments")
    await connection.close()


@pytest.mark.parametrize("kills", [7, pytest.param(200, marks=pytest.mark.slow)])
async def test_the_service_is_killed_under_load(tmp_path: Path, durable_url: str, kills: int) -> None:
    """Sixteen clients send, some of it unreadable, while the API, and now and then the worker, is killed after anything
    from none to sixty more acknowledgements."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    async with forked(tmp_path, durable_url) as service, await service.client() as http:
        await apply(http)
        payments = Payments(http, unreadable_every=11)
        is_over = asyncio.Event()

        async def send() -> None:
            while not is_over.is_set():
                await payments.send_next()

        async def kill() -> None:
            try:
                for number in range(kills):
                    enough = len(payments.acknowledged) + chance.randint(0, MOST_BETWEEN_KILLS)
                    while len(payments.acknowledged) < enough:
                        await asyncio.sleep(0.005)
                    await service.kill("worker" if number % 5 == 4 else "serve")
            finally:
                is_over.set()

        await asyncio.gather(kill(), *(send() for _ in range(CLIENTS)))
        counts = f"seed {seed}, {kills} kills, {await check_effects(http, payments)}"
        print(counts)
        assert payments.answers.total() > payments.answers[202], f"no request was hit by a kill: {counts}"
