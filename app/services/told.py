"""A webhook that says which of its tool's entities changed, and no more: they are read again by their ids, soon.

Only the tool can say whether a dataset's query takes an entity. Others of the same entity that come within moments are
followed by one read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.services.pull import HINTS_AFTER
from app.store import hints, plans
from app.store.database import Session
from app.store.tables import Dataset, Delivery
from connectors.contract import Changed, Connector


def outcome_of(changed: Changed, dataset: Dataset, connector: Connector) -> tuple[str, str]:
    """What becomes of such a delivery for a dataset, and why."""
    if dataset.shape != "entities":
        return "ignored", "It says what changed and holds no event."
    if connector.fetch is None or not _names(changed):
        return "applied", "It says that something changed: the dataset is read again."
    return "applied", "It says what changed: that is read again by its id."


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery that only says what changed, and whether its tool can be asked for that alone."""

    delivery: Delivery
    connection_id: int
    changed: Changed
    can_fetch: bool


async def follow(session: Session, told: Sequence[Told], now: datetime) -> None:
    """Have what these deliveries tell of read again. What may concern much makes whole datasets due, their ids too."""
    far_reaching = {one.connection_id for one in told if not one.can_fetch or not _names(one.changed)}
    if far_reaching:
        await plans.make_connections_due(session, far_reaching, now + HINTS_AFTER)
    single = [one for one in told if one.can_fetch and _names(one.changed)]
    if not single:
        return
    reading = await plans.dataset_plans(session, {one.connection_id for one in single})
    rows: list[dict[str, Any]] = [
        {"plan_id": plan, "entity": entity, "is_deleted": is_deleted, "told_at": one.delivery.received_at}
        for plan, (connection_id, _) in reading.items()
        for one in single
        if one.connection_id == connection_id
        for entities, is_deleted in ((one.changed.entities, False), (one.changed.deleted, True))
        for entity in entities
    ]
    await hints.note_hints(session, rows)
    await hints.read_soon(session, {row["plan_id"] for row in rows}, now + HINTS_AFTER)


def _names(changed: Changed) -> bool:
    return bool(changed.entities or changed.deleted)
