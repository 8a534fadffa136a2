"""The queue may be emptied or killed at any time: what was acknowledged is in the database and is applied."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import redis.asyncio

from tests.faults.payments import SECRETS, Payments, apply, check_effects
from tests.journeys.running import RunningKrsync, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


async def test_an_emptied_and_a_killed_valkey_lose_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, **SECRETS) as krsync, krsync.client() as http:
        await apply(http)
        payments = Payments(http)

        async def send_until(acknowledged: int) -> None:
            while len(payments.acknowledged) < acknowledged:
                await payments.send_next()

        async def break_it() -> None:
            for emptied in range(5):
                await wait_for(payments, 40 + 40 * emptied)
                await empty(krsync)
            await wait_for(payments, 260)
            valkey = await krsync.child("valkey")
            os.kill(valkey, signal.SIGKILL)
            await wait_for(payments, 300)  # deliveries are taken while it is away
            await krsync.child("valkey", other_than=valkey)

        await asyncio.gather(break_it(), *(send_until(400) for _ in range(8)))
        assert set(payments.answers) == {202}, payments.answers
        counts = await check_effects(http, payments)
        assert len(payments.acknowledged) >= 400, counts
        assert "Valkey ended (signal 9); starting it again" in krsync.said()


async def wait_for(payments: Payments, acknowledged: int) -> None:
    while len(payments.acknowledged) < acknowledged:
        await asyncio.sleep(0.01)


async def empty(krsync: RunningKrsync) -> None:
    socket = (krsync.data / "valkey.socket-path").read_text()
    async with redis.asyncio.Redis(unix_socket_path=socket) as client:
        await client.flushall()
