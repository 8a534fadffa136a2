"""What teams are told, beside the tick: what has changed is written down, and what is written down is sent."""

import asyncio

import structlog

from app.services.context import Services
from app.services.notify.dispatch import dispatch_due
from app.services.notify.regular import tell_regularly
from app.services.notify.watch import watch_due
from app.store.database import is_unavailable

log = structlog.get_logger(__name__)


async def tell(services: Services, telling: asyncio.Lock) -> None:
    """One round; a second caller in this process leaves it to the first."""
    if telling.locked():
        return
    async with telling:
        try:
            await watch_due(services)
            await tell_regularly(services)
            while await dispatch_due(services):
                pass
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("notify.store_away", error=type(error).__name__)
