"""Which statuses and events the newest records of a dataset speak of."""

from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.views import CATEGORY_FIELD
from app.store.records import unpack_transition
from app.store.tables import Event, Record

#: So many of the newest records are looked at: a vocabulary is known long before that.
NEWEST = 5_000


async def events_seen(session: AsyncSession, dataset_id: int) -> Counter[str]:
    """How often each event's name is among a dataset's newest events."""
    newest = (
        select(col(Event.event).label("event"))
        .where(col(Event.dataset_id) == dataset_id)
        .order_by(col(Event.id).desc())
        .limit(NEWEST)
        .subquery()
    )
    query = select(newest.c.event, func.count()).where(newest.c.event.is_not(None)).group_by(newest.c.event)
    return Counter({row[0]: row[1] for row in await session.execute(query)})


async def statuses_seen(session: AsyncSession, dataset_id: int) -> tuple[int, dict[str, str | None]]:
    """How many of a dataset's newest entities were looked at, and the category of each status that they were ever in;
    None for one that has none."""
    query = (
        select(col(Record.fields), col(Record.transitions))
        .where(col(Record.dataset_id) == dataset_id, col(Record.is_deleted).is_(False))
        .order_by(col(Record.id).desc())
        .limit(NEWEST)
    )
    entities, found = 0, dict[str, str | None]()
    for fields, transitions in await session.execute(query):
        entities += 1
        named = {name.casefold(): value for name, value in fields.items()}
        if isinstance(status := named.get("status"), str):
            found.setdefault(status, named.get(CATEGORY_FIELD))
        for packed in transitions:
            moved = unpack_transition(packed)
            if moved.field.casefold() != "status":
                continue
            for name, category in ((moved.before, moved.before_category), (moved.after, moved.after_category)):
                if name is not None:
                    found[name] = found.get(name) or category
    return entities, found
