"""What is seen to now and then, beside the tick: sealed values that would be others by now, health checks that
are due, history that was asked for."""

import asyncio

import structlog

from app.services.backfill import work_backfills
from app.services.context import Services
from app.services.health_check import make_due_health_checks
from app.services.restate import restate_due
from app.store.database import is_unavailable

log = structlog.get_logger(__name__)


async def keep_house(services: Services, keeping: asyncio.Lock) -> None:
    """One round of what is due; a second caller in this process leaves it to the first."""
    if keeping.locked():
        return
    async with keeping:
        try:
            await restate_due(services)
            await make_due_health_checks(services)
            while await work_backfills(services):
                pass
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("housekeeping.store_away", error=type(error).__name__)
