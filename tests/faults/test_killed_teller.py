"""A worker that is killed while it tells: the transition is told all the same, and each receiver sees one."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from app.services.notify.dispatch import LEASE
from tests.conftest import FakeClock
from tests.services.telling import Told, open_told

HOOK = '\nnotify:\n  webhook: {url: "https://receiver.test/okr", secret: {env: OKR_HOOK}}\n'


@pytest_asyncio.fixture
async def told(database_url: str, clock: FakeClock) -> AsyncIterator[Told]:
    async with open_told(database_url, clock) as opened:
        yield opened


async def killed(url: str, told: Told, moment: str) -> list[str]:
    """Start the worker, kill it where it is held, and return the ids of what it had sent."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fakes.teller",
        url,
        told.clock().isoformat(),
        moment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    sent: list[str] = []
    async with asyncio.timeout(240):
        while line := (await process.stdout.readline()).decode().strip():
            if line == "held":
                break
            if line.startswith("sent "):
                sent.append(line.removeprefix("sent "))
        else:
            pytest.fail("the worker ended by itself")
        process.kill()
        await process.wait()
    return sent


@pytest.mark.parametrize("moment", ["before", "between"])
async def test_one_notice_reaches_the_receiver(told: Told, database_url: str, moment: str) -> None:
    await told.begin(HOOK)
    await told.say("1")
    await told.look()
    told.clock.advance(timedelta(minutes=5))
    sent = await killed(database_url, told, moment)
    assert len(sent) == (1 if moment == "between" else 0)
    assert await told.story.count("notice") == (1 if moment == "between" else 0)
    assert await told.look() == (0 if moment == "between" else 1)
    await told.send()
    assert len(told.outside.received) == (0 if moment == "between" else 1)  # the dead worker's lease still holds
    told.clock.advance(LEASE)
    await told.send()
    assert await told.story.count("notice") == 1
    assert await told.states() == {"webhook": "sent"}
    assert len({*sent, *told.outside.received}) == 1
