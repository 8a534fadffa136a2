"""The tick: what is due is found in the database, whatever became of the queue."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.services.build import build_revisions
from app.services.clockwork import evaluate_due
from app.services.context import Services
from app.services.pull import claim_due
from app.store.database import is_unavailable
from workers.deliveries import drain
from workers.housekeeping import keep_house
from workers.notify import tell

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Errands:
    """One of a kind at a time in this process: a second caller lets the first one do its work too."""

    ticking: asyncio.Lock = field(default_factory=asyncio.Lock)
    applying: asyncio.Lock = field(default_factory=asyncio.Lock)
    building: asyncio.Lock = field(default_factory=asyncio.Lock)
    keeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)


async def tick(context: dict[str, Any]) -> None:
    """Apply what waits, claim and ring what is due, build what is to be built, evaluate what the clock has moved; then
    see to the house."""
    services: Services = context["services"]
    errands: Errands = context["errands"]
    if errands.ticking.locked():
        return
    async with errands.ticking:
        try:
            await drain(services, errands.applying)
            for plan_id, fence in await claim_due(services, owner=context["owner"]):
                await services.queue.pull(plan_id, fence)
            if not errands.building.locked():
                async with errands.building:
                    await build_revisions(services)
            while await evaluate_due(services):
                await services.queue.changed()
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("tick.store_away", error=type(error).__name__)
            return
    # Beside the tick: what takes its time must hold up nothing that is due.
    await tell(services, errands.telling)
    await keep_house(services, errands.keeping)
