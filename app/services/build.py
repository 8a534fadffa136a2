"""Building a metric's new revision from what is stored, batch by batch, while the old one is served.

Each batch is a transaction of its own and notes how far it came, so a build goes on where a killed worker left it.
Entities that change meanwhile are extracted for both revisions (`evaluate.extract`). The last batch makes the new
revision the current one.
"""

from collections.abc import Collection
from datetime import datetime

import structlog

from app.services.baselines import freeze_due
from app.services.context import Services
from app.services.definitions import definition_of
from app.services.evaluate import evaluate, extract_part
from app.store import deliveries, organisation, records
from app.store.database import Session, is_unavailable

log = structlog.get_logger(__name__)

#: How many entities are extracted in a transaction: the days of a batch are rolled up once.
ENTITY_BATCH = 2000


async def build_revisions(services: Services) -> int:
    """Build every revision that waits for it; returns how many became current."""
    async with services.database.reading() as session:
        waiting = await organisation.metrics_to_build(session)
    built = 0
    for metric_id in waiting:
        try:
            built += await _build(services, metric_id) == "whole"
        except Exception as error:
            if is_unavailable(error):
                raise
            log.exception("build.failed", metric=metric_id)  # a metric that can not be built holds up no other
    return built


async def _build(services: Services, metric_id: int) -> str:
    while True:
        async with services.database.writing() as session:
            state = await _step(session, metric_id, services.clock())
        if state != "more":
            return state


async def build_within(session: Session, metric_ids: Collection[int], *, now: datetime) -> None:
    """Build inside the caller's transaction: for a plan, which is rolled back."""
    for metric_id in metric_ids:
        while await _step(session, metric_id, now) == "more":
            pass


async def _step(session: Session, metric_id: int, now: datetime) -> str:
    """Extract the next batch; `whole` when the revision became current, `waits` while
    deliveries are still to be applied, `gone` when there is nothing to build."""
    item = (await organisation.revised_metrics(session, [metric_id], building=True)).get(metric_id)
    if item is None:
        return "gone"
    definition = definition_of(item.revision)
    reading = sorted((part for part in item.parts.values() if part.dataset_id is not None), key=lambda part: part.part)
    held = await records.lock_datasets(session, {part.dataset_id for part in reading if part.dataset_id is not None})
    # Deliveries that are put back in line by a change of rules come first: a build without them would not be whole.
    for dataset in held.values():
        if dataset.shape == "events" and await deliveries.has_pending(session, dataset.connection_id):
            return "waits"
    # The place to go on from: parts already done, and the last entity of the part that is being walked.
    done, after = await organisation.build_progress(session, item.revision.id)
    revision = item.revision
    if revision.entities_to_build is None:
        counts = await records.count_entities(session, list(held))
        revision.entities_to_build = sum(counts.get(part.dataset_id or 0, 0) for part in reading)
    for index, part in enumerate(reading):
        if index < done or part.dataset_id is None:
            continue
        dataset = held[part.dataset_id]
        batch = await records.entities_after(session, dataset, after, ENTITY_BATCH)
        if batch:
            await extract_part(session, dataset, batch, definition, revision.id, part.part, now)
            revision.built_entities += len(batch)
            await organisation.note_build_progress(session, revision.id, index, batch[-1])
            return "more"
        after = None
        await organisation.note_build_progress(session, revision.id, index + 1, None)
    if not await organisation.serve_revision(session, metric_id, revision.id):
        return "more"  # edited again, or built by another worker, since it was looked up
    await evaluate(session, [metric_id], now=now)
    await freeze_due(session, now=now, team_id=item.team.id)
    return "whole"
