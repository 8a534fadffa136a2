"""No acknowledged delivery is lost, and each has one effect, however often the API is killed under load."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.faults.payments import SECRETS, Payments, apply, check_effects
from tests.journeys.running import running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CLIENTS = 16
BETWEEN_KILLS = 50


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
async def test_the_api_is_killed_under_load(tmp_path: Path, kills: int) -> None:
    async with running(tmp_path, **SECRETS) as krsync, krsync.client() as http:
        await apply(http)
        payments = Payments(http)
        is_over = asyncio.Event()

        async def send() -> None:
            while not is_over.is_set():
                await payments.send_next()

        async def kill() -> None:
            try:
                for _ in range(kills):
                    api = await krsync.child("serve")
                    enough = len(payments.acknowledged) + BETWEEN_KILLS
                    while len(payments.acknowledged) < enough:
                        await asyncio.sleep(0.005)
                    os.kill(api, signal.SIGKILL)
                    await krsync.child("serve", other_than=api)
            finally:
                is_over.set()

        await asyncio.gather(kill(), *(send() for _ in range(CLIENTS)))
        counts = await check_effects(http, payments)
        assert payments.answers.total() > payments.answers[202], f"no request was hit by a kill: {counts}"
        assert krsync.said().count("The API ended (signal 9); starting it again") == kills, counts
