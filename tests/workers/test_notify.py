"""The worker's part: what changed is written down and sent, in the same round."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio

from tests.conftest import FakeClock
from tests.services.telling import Told, open_told
from workers.notify import tell


@pytest_asyncio.fixture
async def told(database_url: str, clock: FakeClock) -> AsyncIterator[Told]:
    async with open_told(database_url, clock) as opened:
        yield opened


async def test_rounds_tell_once_whatever_happens_between_them(told: Told) -> None:
    await told.begin()
    services, telling = told.story.services, asyncio.Lock()
    await told.say("1")
    for _ in range(40):
        told.clock.advance(timedelta(seconds=15))
        await asyncio.gather(tell(services, telling), tell(services, telling), tell(services, asyncio.Lock()))
    assert len(told.outside.posted) == len(told.outside.received) == len(told.mailbox.mails) == 1
    assert await told.states() == {"slack": "sent", "webhook": "sent", "email": "sent"}
