"""Stored deliveries → the service that applies them."""

import asyncio
from typing import Any

from app.services.build import build_revisions
from app.services.context import Services
from app.services.deliveries import apply_pending


async def apply_deliveries(context: dict[str, Any]) -> None:
    """Someone rang: apply all that waits."""
    await drain(context["services"], context["errands"].applying)


async def drain(services: Services, applying: asyncio.Lock) -> None:
    """Apply until nothing waits. Whoever holds the lock looks once more after every batch, so that a caller who finds
    it taken may leave."""
    if applying.locked():
        return
    async with applying:
        applied = 0
        while count := await apply_pending(services):
            applied += count
    if applied:
        await services.queue.changed()
        await build_revisions(services)
