"""Stored deliveries → the service that applies them."""

import asyncio
import time
from typing import Any

from app.services.build import build_revisions
from app.services.context import Services
from app.services.deliveries import BATCH, apply_pending

_SMALLEST = 100
_LONG_SECONDS = 0.25


async def apply_deliveries(context: dict[str, Any]) -> None:
    """Someone rang: apply all that waits."""
    await drain(context["services"], context["errands"].applying)


async def drain(services: Services, applying: asyncio.Lock) -> None:
    """Apply until nothing waits. Whoever holds the lock looks once more after every batch, so that a caller who finds
    it taken may leave."""
    if applying.locked():
        return
    async with applying:
        applied, limit, began = 0, BATCH, time.monotonic()
        while count := await apply_pending(services, limit=limit):
            applied += count
            took, began = time.monotonic() - began, time.monotonic()
            if services.database.dialect == "sqlite":
                # One writer at a time: a long transaction here is what every webhook at the door waits for.
                limit = max(_SMALLEST, limit // 2) if took > _LONG_SECONDS else min(BATCH, limit * 2)
    if applied:
        await services.queue.changed()
        await build_revisions(services)
