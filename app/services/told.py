"""A webhook that says which of its tool's entities changed, and no more: they are read again by their ids, soon.

Only the tool can say whether a dataset's query takes an entity. Others of the same entity that come within moments are
followed by one read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from app.domain.language import DatasetSpec
from app.services.pull import HINTS_AFTER
from app.store import hints, plans
from app.store.database import Session
from app.store.tables import Dataset, Delivery
from connectors.contract import Changed, Connector


def relevant_to(dataset: Dataset, changed: Changed, connector: Connector) -> Changed | None:
    """What of a delivery's word is about a dataset; None: nothing."""
    if dataset.shape != "entities":
        return None
    if connector.relevant is None or connector.dataset is None:
        return changed
    try:
        options = connector.dataset.model_validate(DatasetSpec.model_validate(dataset.spec).options)
    except ValidationError:
        return changed  # its next read says what is wrong with it
    return connector.relevant(options, changed)


def outcome_of(changed: Changed | None, dataset: Dataset, connector: Connector) -> tuple[str, str]:
    """What becomes of such a delivery for a dataset that it says this of, and why."""
    if dataset.shape != "entities":
        return "ignored", "It says what changed and holds no event."
    if changed is None:
        return "ignored", "It is about nothing that this dataset keeps."
    if connector.fetch is None or not _names(changed):
        return "applied", "It says that something changed: the dataset is read again."
    return "applied", "It says what changed: that is read again by its id."


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery that only says what changed, by the datasets that it is about, and whether its tool can be asked for
    that alone."""

    delivery: Delivery
    connection_id: int
    changed: Mapping[int, Changed]
    can_fetch: bool


async def follow(session: Session, told: Sequence[Told], now: datetime) -> None:
    """Have what these deliveries tell of read again. What may concern much makes whole datasets due, their ids too."""
    if not told:
        return
    reading = await plans.dataset_plans(session, {one.connection_id for one in told})
    far_reaching: set[int] = set()
    rows: list[dict[str, Any]] = []
    for plan, (_, dataset_id) in reading.items():
        for one in told:
            changed = one.changed.get(dataset_id)
            if changed is None:
                continue
            if not one.can_fetch or not _names(changed):
                far_reaching.add(plan)
                continue
            rows += [
                {"plan_id": plan, "entity": entity, "is_deleted": is_deleted, "told_at": one.delivery.received_at}
                for entities, is_deleted in ((changed.entities, False), (changed.deleted, True))
                for entity in entities
            ]
    if far_reaching:
        await plans.sweep_soon(session, far_reaching, now + HINTS_AFTER)
    if rows:
        await hints.note_hints(session, rows)
        await hints.read_soon(session, {row["plan_id"] for row in rows}, now + HINTS_AFTER)


def _names(changed: Changed) -> bool:
    return bool(changed.entities or changed.deleted)
