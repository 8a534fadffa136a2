"""What moves with the clock alone: windows that slide, quarters that turn."""

from app.services.baselines import freeze_due
from app.services.context import Services
from app.services.evaluate import evaluate
from app.store import organisation

BATCH = 200


async def evaluate_due(services: Services) -> int:
    """Evaluate the metrics whose window has moved since they were evaluated; returns how many were looked at."""
    now = services.clock()
    async with services.database.reading() as session:
        due = await organisation.metrics_due(session, now, BATCH)
    if not due:
        return 0
    async with services.database.writing() as session:
        await evaluate(session, due, now=now)
        await freeze_due(session, now=now)
    return len(due)
