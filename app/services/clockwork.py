"""What moves with the clock alone: windows that slide, quarters that turn."""

from collections.abc import Collection
from datetime import datetime

import structlog

from app.services.baselines import freeze_due
from app.services.context import Services
from app.services.evaluate import LONGEST_REST, evaluate
from app.store import organisation
from app.store.database import is_unavailable

log = structlog.get_logger(__name__)

BATCH = 200


async def evaluate_due(services: Services) -> int:
    """Evaluate the metrics whose window has moved since they were evaluated; returns how many were looked at."""
    now = services.clock()
    async with services.database.reading() as session:
        due = await organisation.metrics_due(session, now, BATCH)
    if not due:
        return 0
    try:
        await _evaluate(services, due, now)
    except Exception as error:
        if is_unavailable(error):
            raise
        for metric_id in due:
            await _evaluate_alone(services, metric_id, now)
    return len(due)


async def _evaluate(services: Services, metric_ids: Collection[int], now: datetime) -> None:
    async with services.database.writing() as session:
        await evaluate(session, metric_ids, now=now)
        await freeze_due(session, now=now)


async def _evaluate_alone(services: Services, metric_id: int, now: datetime) -> None:
    """A metric that can not be evaluated holds up no other, and is tried again when it has rested."""
    try:
        await _evaluate(services, [metric_id], now)
    except Exception as error:
        if is_unavailable(error):
            raise
        log.exception("clockwork.metric_failed", metric=metric_id)
        async with services.database.writing() as session:
            await organisation.rest_metric(session, metric_id, now + LONGEST_REST)
