"""A webhook that says which of its tool's entities changed: they are read again by their ids, soon, or taken as they
are where it holds them whole.

Only the tool can say whether a dataset's query takes an entity. Others of the same entity that come within moments are
followed by one read. A dataset that was never read takes nothing as it is: it would count what little was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from pydantic import ValidationError

from app.domain.language import DatasetSpec
from app.services.publish import publish_pushed
from app.services.pull import HINTS_AFTER
from app.store import hints, plans, records
from app.store.database import Session
from app.store.tables import Dataset, Delivery
from connectors.contract import Changed, Connector, Pushed

#: What a delivery says of its tool's entities: which changed, or the records themselves.
Said: TypeAlias = Changed | Pushed


def relevant_to(dataset: Dataset, said: Said, connector: Connector) -> Said | None:
    """What of a delivery's word is about a dataset; None: nothing."""
    if dataset.shape != "entities":
        return None
    if connector.relevant is None or connector.dataset is None:
        return said
    try:
        options = connector.dataset.model_validate(DatasetSpec.model_validate(dataset.spec).options)
    except ValidationError:
        return said  # its next read says what is wrong with it
    changed = connector.relevant(options, _as_hint(said))
    if changed is None or isinstance(said, Changed):
        return changed
    named = {*changed.entities, *changed.deleted}
    kept = [change for change in said.changes if change.entity in named]
    return Pushed(kept) if kept else None


def outcome_of(said: Said | None, dataset: Dataset, connector: Connector) -> tuple[str, str | None]:
    """What becomes of such a delivery for a dataset that it says this of, and why."""
    if dataset.shape != "entities":
        return "ignored", "It says what changed and holds no event."
    if said is None:
        return "ignored", "It is about nothing that this dataset keeps."
    if isinstance(said, Pushed):
        return "applied", "It holds the records: they are taken once the dataset has been read whole."
    if connector.fetch is None or not _names(said):
        return "applied", "It says that something changed: the dataset is read again."
    return "applied", "It says what changed: that is read again by its id."


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery that says what changed, by the datasets that it is about, and whether its tool can be asked for that
    alone."""

    delivery: Delivery
    connection_id: int
    said: Mapping[int, Said]
    can_fetch: bool


async def follow(
    session: Session, told: Sequence[Told], held: Mapping[int, Dataset], now: datetime
) -> set[tuple[int, str]]:
    """Take what these deliveries hold into the datasets, which are `held`, and have the rest of what they tell of read
    again. What may concern much makes whole datasets due, their ids too. Returns the (dataset, entity) pairs that are
    others now."""
    if not told:
        return set()
    pushed_to = await _ready_for_records(session, told)
    changed: set[tuple[int, str]] = set()
    for dataset_id in sorted(pushed_to):
        records_of_it = [
            change for one in told if isinstance(said := one.said.get(dataset_id), Pushed) for change in said.changes
        ]
        entities = await publish_pushed(session, held[dataset_id], records_of_it, now=now)
        changed |= {(dataset_id, entity) for entity in entities}
    await _read_again(session, told, pushed_to, now)
    return changed


async def _ready_for_records(session: Session, told: Sequence[Told]) -> set[int]:
    """The datasets that records were sent for and that have been read whole."""
    sent_for = {dataset_id for one in told for dataset_id, said in one.said.items() if isinstance(said, Pushed)}
    return {dataset_id for dataset_id in sent_for if await records.has_been_read(session, dataset_id)}


async def _read_again(session: Session, told: Sequence[Told], pushed_to: set[int], now: datetime) -> None:
    reading = await plans.dataset_plans(session, {one.connection_id for one in told})
    far_reaching: set[int] = set()
    rows: list[dict[str, Any]] = []
    for plan, (_, dataset_id) in reading.items():
        for one in told:
            said = one.said.get(dataset_id)
            if said is None or (isinstance(said, Pushed) and dataset_id in pushed_to):
                continue
            changed = _as_hint(said)
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


def _as_hint(said: Said) -> Changed:
    if isinstance(said, Changed):
        return said
    return Changed(
        entities=tuple(change.entity for change in said.changes if not change.is_deleted),
        deleted=tuple(change.entity for change in said.changes if change.is_deleted),
    )


def _names(changed: Changed) -> bool:
    return bool(changed.entities or changed.deleted)
