"""What is kept of webhook deliveries, and for how long: by age and by size, the oldest going first.

Only deliveries that are applied go, with what became of each; the events that they brought stay: an
event has its delivery's key, so that one which comes again is still no second event.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.services.context import Services
from app.store import touches
from app.store.deliveries import purge_deliveries, stored_bytes

log = structlog.get_logger(__name__)

#: How many deliveries one transaction drops.
BATCH = 200


@dataclass(frozen=True, slots=True)
class Retention:
    """How long and how much; None is no limit."""

    days: int | None
    megabytes: int | None


async def purge_words(services: Services) -> int:
    """Drop the words of what was touched that nobody asks for any more; how many that were."""
    async with services.database.writing() as session:
        return await touches.purge(session, services.clock())


async def purge(services: Services, retention: Retention) -> int:
    """Drop what is beyond the limits, in short transactions; how many deliveries that were."""
    dropped = 0
    if retention.days is not None:
        before = services.clock() - timedelta(days=retention.days)
        while True:
            async with services.database.writing() as session:
                count = await purge_deliveries(session, before=before, limit=BATCH)
            dropped += count
            if count < BATCH:
                break
            await asyncio.sleep(0)
    if retention.megabytes is not None:
        while True:
            async with services.database.reading() as session:
                if await stored_bytes(session) <= retention.megabytes * 1_000_000:
                    break
            async with services.database.writing() as session:
                count = await purge_deliveries(session, before=None, limit=BATCH)
            dropped += count
            if not count:
                break
    if dropped:
        log.info("deliveries.purged", count=dropped)
    return dropped
