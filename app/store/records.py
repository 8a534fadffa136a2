"""Entities with their transitions, and events: what was kept of the tools."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain import records as domain
from app.store.deliveries import upsert
from app.store.tables import Dataset, Delivery, Event, Plan, Record

_IN = 500  # values in one IN (…) list
_events: Table = Event.__table__  # type: ignore[attr-defined]
_SAVED = (
    "name",
    "version",
    "created",
    "fields",
    "transitions",
    "link",
    "is_deleted",
    "is_out_of_scope",
    "missed_sweeps",
)
_EVENT = ("key", "entity", "at", "event", "body", "headers", "link", "at_is_receipt", "is_deletion")


async def lock_datasets(session: AsyncSession, dataset_ids: Collection[int]) -> dict[int, Dataset]:
    """Load datasets and hold them until the transaction ends, so that extraction over one dataset has one writer."""
    # KEY SHARE: rows that refer to a dataset may be written meanwhile, only its own row may not be changed.
    query = select(Dataset).where(col(Dataset.id).in_(dataset_ids)).order_by(col(Dataset.id))
    query = query.with_for_update(key_share=True)
    return {dataset.id: dataset for dataset in await session.scalars(query)}


async def append_events(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> set[tuple[int, str]]:
    """Add events, those already there having no effect; returns the (dataset, entity) pairs that gained one."""
    changed: set[tuple[int, str]] = set()
    statement = (
        upsert(session, _events)
        .on_conflict_do_nothing(index_elements=["dataset_id", "key"])
        .returning(_events.c.dataset_id, _events.c.entity)
    )
    for start in range(0, len(rows), _IN):
        added = await session.execute(statement, list(rows[start : start + _IN]))
        changed.update((row[0], row[1]) for row in added)
    return changed


async def delete_events(session: AsyncSession, dataset_id: int) -> None:
    """Drop the events of a dataset whose deliveries are kept, before its rules are applied anew to those. Events whose
    deliveries are past their retention stay as they were judged."""
    kept = select(col(Delivery.id)).where(col(Delivery.id) == col(Event.delivery_id)).exists()
    await session.execute(delete(Event).where(col(Event.dataset_id) == dataset_id, kept))


async def event_histories(
    session: AsyncSession, dataset_id: int, entities: Collection[str]
) -> dict[str, domain.EventHistory]:
    """The events of some entities that count, in order of their moments: none up to a deletion of its entity."""
    found: dict[str, list[domain.Event]] = {entity: [] for entity in entities}
    names = list(entities)
    for start in range(0, len(names), _IN):
        query = select(*(_events.c[name] for name in _EVENT)).where(
            _events.c.dataset_id == dataset_id, _events.c.entity.in_(names[start : start + _IN])
        )
        for row in await session.execute(query):
            event = domain.Event(**dict(zip(_EVENT, row, strict=True)))
            found[event.entity].append(event)
    return {entity: domain.EventHistory(entity, ordered(standing(events))) for entity, events in found.items()}


async def all_events(session: AsyncSession, dataset_id: int, entity: str) -> list[domain.Event]:
    """Every event of an entity, deletions and what they took with them included."""
    query = select(*(_events.c[name] for name in _EVENT)).where(
        _events.c.dataset_id == dataset_id, _events.c.entity == entity
    )
    return [domain.Event(**dict(zip(_EVENT, row, strict=True))) for row in await session.execute(query)]


def standing(events: Sequence[domain.Event]) -> list[domain.Event]:
    """The events of one entity after its last deletion, whatever order they came in."""
    deleted_at = max((event.at for event in events if event.is_deletion), default=None)
    if deleted_at is None:
        return list(events)
    return [event for event in events if not event.is_deletion and event.at > deleted_at]


def ordered(events: list[domain.Event]) -> tuple[domain.Event, ...]:
    """Events in the order that extraction expects: by moment, then by the source's order, then by key."""
    return tuple(sorted(events, key=lambda event: (event.at, event.order, event.key)))


async def entity_histories(
    session: AsyncSession, dataset_id: int, entities: Collection[str]
) -> dict[str, domain.EntityHistory]:
    """The newest version of some entities, with their transitions."""
    found: dict[str, domain.EntityHistory] = {}
    names = list(entities)
    for start in range(0, len(names), _IN):
        query = select(Record).where(
            col(Record.dataset_id) == dataset_id, col(Record.entity).in_(names[start : start + _IN])
        )
        for row in await session.scalars(query):
            found[row.entity] = domain.EntityHistory(
                entity=row.entity,
                name=row.name,
                created=row.created,
                fields=row.fields,
                transitions=tuple(unpack_transition(packed) for packed in row.transitions),
                link=row.link,
                is_deleted=row.is_deleted or row.is_out_of_scope,
            )
    return found


async def entities_after(session: AsyncSession, dataset: Dataset, after: str | None, limit: int) -> list[str]:
    """A dataset's entities in a stable order, to walk it in batches."""
    table: type[Event] | type[Record] = Event if dataset.shape == "events" else Record
    query = select(col(table.entity)).where(col(table.dataset_id) == dataset.id).distinct()
    if after is not None:
        query = query.where(col(table.entity) > after)
    return list(await session.scalars(query.order_by(col(table.entity)).limit(limit)))


async def has_content(session: AsyncSession, dataset: Dataset) -> bool:
    """Whether anything is kept in the dataset."""
    return bool(await entities_after(session, dataset, None, 1))


def pack_transition(transition: Any) -> list[Any]:
    """A transition as the JSON kept in its record; `unpack_transition` reads it back."""
    return [
        transition.field,
        (transition.at if transition.at.tzinfo is UTC else transition.at.astimezone(UTC)).isoformat(),
        transition.order,
        transition.before,
        transition.after,
        transition.before_category,
        transition.after_category,
    ]


def unpack_transition(packed: Sequence[Any]) -> domain.Transition:
    field, at, order, before, after, before_category, after_category = packed
    return domain.Transition(field, datetime.fromisoformat(at), order, before, after, before_category, after_category)


async def versions(session: AsyncSession, dataset_id: int, entities: Collection[str]) -> dict[str, Record]:
    """The stored rows of some entities."""
    found: dict[str, Record] = {}
    names = list(entities)
    for start in range(0, len(names), _IN):
        query = select(Record).where(
            col(Record.dataset_id) == dataset_id, col(Record.entity).in_(names[start : start + _IN])
        )
        found.update({row.entity: row for row in await session.scalars(query)})
    return found


async def save_records(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert or replace entities; the caller has checked that none is older than what is stored."""
    if not rows:
        return
    for start in range(0, len(rows), _IN):
        statement = upsert(session, Record).values(list(rows[start : start + _IN]))
        updated = {name: getattr(statement.excluded, name) for name in _SAVED}
        updated["recorded_at"] = statement.excluded.recorded_at
        await session.execute(statement.on_conflict_do_update(index_elements=["dataset_id", "entity"], set_=updated))


async def live_entities(session: AsyncSession, dataset_id: int) -> dict[str, str]:
    """The names of the entities that a dataset holds now, by id."""
    query = select(col(Record.entity), col(Record.name)).where(col(Record.dataset_id) == dataset_id, _is_live())
    return {row[0]: row[1] for row in await session.execute(query)}


async def names_of(session: AsyncSession, dataset_id: int, entities: Collection[str]) -> dict[str, str]:
    """What some entities are called, those that are known at all."""
    names, found = list(entities), dict[str, str]()
    for start in range(0, len(names), _IN):
        query = select(col(Record.entity), col(Record.name)).where(
            col(Record.dataset_id) == dataset_id, col(Record.entity).in_(names[start : start + _IN])
        )
        found.update({row[0]: row[1] for row in await session.execute(query)})
    return found


async def clear_misses(session: AsyncSession, dataset_id: int, missed: Collection[str]) -> None:
    """A complete sweep missed only these: the others are not missing."""
    query = select(col(Record.id), col(Record.entity)).where(
        col(Record.dataset_id) == dataset_id, col(Record.is_deleted).is_(False), col(Record.missed_sweeps) > 0
    )
    there = [row[0] for row in await session.execute(query) if row[1] not in missed]
    for start in range(0, len(there), _IN):
        await session.execute(
            update(Record).where(col(Record.id).in_(there[start : start + _IN])).values(missed_sweeps=0)
        )


async def count_miss(session: AsyncSession, dataset_id: int, missed: Collection[str]) -> dict[str, int]:
    """A complete sweep did not find these entities: how often in a row it is by now, of those that are held."""
    names, counts = list(missed), dict[str, int]()
    for start in range(0, len(names), _IN):
        counted = await session.execute(
            update(Record)
            .where(col(Record.dataset_id) == dataset_id, col(Record.entity).in_(names[start : start + _IN]), _is_live())
            .values(missed_sweeps=col(Record.missed_sweeps) + 1)
            .returning(col(Record.entity), col(Record.missed_sweeps))
        )
        counts.update({row[0]: row[1] for row in counted})
    return counts


async def bury(session: AsyncSession, dataset_id: int, entities: Collection[str]) -> set[str]:
    """The tool has these entities no more; returns those that were held until now."""
    return await _leave(session, dataset_id, entities, {"is_deleted": True})


async def put_out_of_scope(session: AsyncSession, dataset_id: int, entities: Collection[str]) -> set[str]:
    """The dataset's query takes these entities no more; returns those that were held until now."""
    return await _leave(session, dataset_id, entities, {"is_out_of_scope": True, "missed_sweeps": 0})


async def _leave(session: AsyncSession, dataset_id: int, entities: Collection[str], values: dict[str, Any]) -> set[str]:
    names, left = list(entities), set[str]()
    for start in range(0, len(names), _IN):
        found = await session.scalars(
            update(Record)
            .where(col(Record.dataset_id) == dataset_id, col(Record.entity).in_(names[start : start + _IN]), _is_live())
            .values(**values)
            .returning(col(Record.entity))
        )
        left.update(found)
    return left


def _is_live() -> ColumnElement[bool]:
    return and_(col(Record.is_deleted).is_(False), col(Record.is_out_of_scope).is_(False))


async def count_live(session: AsyncSession, dataset_id: int) -> int:
    """How many entities a dataset holds now."""
    query = select(func.count()).where(col(Record.dataset_id) == dataset_id, _is_live())
    return await session.scalar(query) or 0


async def has_been_read(session: AsyncSession, dataset_id: int) -> bool:
    """Whether a pulled dataset was ever read whole; one that is only pushed to has nothing to wait for."""
    query = select(col(Plan.last_success_at)).where(col(Plan.dataset_id) == dataset_id).limit(1)
    row = (await session.execute(query)).first()
    return row is None or row[0] is not None


async def count_content(session: AsyncSession, dataset_ids: Collection[int]) -> dict[int, int]:
    """By dataset: how many records (entities that are not deleted, or events) it holds."""
    counts: dict[int, int] = {}
    entities = (
        select(col(Record.dataset_id), func.count())
        .where(col(Record.dataset_id).in_(dataset_ids), _is_live())
        .group_by(col(Record.dataset_id))
    )
    events = (
        select(col(Event.dataset_id), func.count())
        .where(col(Event.dataset_id).in_(dataset_ids))
        .group_by(col(Event.dataset_id))
    )
    for query in (entities, events):
        counts.update({row[0]: row[1] for row in await session.execute(query)})
    return counts


async def count_entities(session: AsyncSession, dataset_ids: Collection[int]) -> dict[int, int]:
    """By dataset: how many entities there is something of, deleted ones too: what an extraction has to walk."""
    counts: dict[int, int] = {}
    for table in (Record, Event):
        query = (
            select(col(table.dataset_id), func.count(func.distinct(col(table.entity))))
            .where(col(table.dataset_id).in_(dataset_ids))
            .group_by(col(table.dataset_id))
        )
        counts.update({row[0]: row[1] for row in await session.execute(query)})
    return counts


async def list_content(
    session: AsyncSession, dataset: Dataset, *, after: int = 0, limit: int = 100
) -> list[Record] | list[Event]:
    """A page of what a dataset holds, oldest first."""
    if dataset.shape == "events":
        events = select(Event).where(col(Event.dataset_id) == dataset.id, col(Event.id) > after)
        return list(await session.scalars(events.order_by(col(Event.id)).limit(limit)))
    records = select(Record).where(col(Record.dataset_id) == dataset.id, col(Record.id) > after)
    return list(await session.scalars(records.order_by(col(Record.id)).limit(limit)))


async def insert_rows(session: AsyncSession, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    """A multi-row INSERT, in batches that every database takes."""
    for start in range(0, len(rows), _IN):
        await session.execute(insert(table), list(rows[start : start + _IN]))
