"""What stood behind a value: its facts at a point of both time axes, the samples around it, what came in since."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.backfills import RECONSTRUCTED
from app.store.facts import Window, _included, _known
from app.store.samples import RESTATED
from app.store.tables import Dataset, Delivery, Event, Fact, MetricPart, MetricRevision, Record, Run, Sample

_table: Table = Fact.__table__  # type: ignore[attr-defined]


class CountedFact(NamedTuple):
    """A fact that counts."""

    subject: str
    entity: str
    label: str
    link: str | None
    at: datetime
    value: Decimal
    group: str | None


_COUNTED = ("subject", "entity", "label", "link", "at", "value", "group_key")


async def counted_facts(session: AsyncSession, revision_id: int, part: str, window: Window) -> list[CountedFact]:
    """Every fact that counts, in no order; light rows, for there may be many."""
    query = select(*(_table.c[name] for name in _COUNTED)).where(
        _table.c.revision_id == revision_id, _table.c.part == part, *_included(window), *_known(window)
    )
    return [CountedFact(*row) for row in await session.execute(query)]


async def get_revision(session: AsyncSession, revision_id: int) -> MetricRevision | None:
    return await session.get(MetricRevision, revision_id)


async def get_dataset(session: AsyncSession, dataset_id: int) -> Dataset | None:
    return await session.get(Dataset, dataset_id)


async def sample_by_id(session: AsyncSession, metric_id: int, cycle: str, sample_id: int) -> Sample | None:
    """A sample of this metric and cycle."""
    query = select(Sample).where(
        col(Sample.id) == sample_id, col(Sample.metric_id) == metric_id, col(Sample.cycle) == cycle
    )
    return (await session.scalars(query)).first()


async def sample_shown_at(
    session: AsyncSession, metric_id: int, cycle: str, moment: datetime, *, first: bool = False
) -> Sample | None:
    """The sample that was current at a moment. With `first`, where there was none yet: what is known of that moment by
    now, reconstructed, or else the very first one."""
    query = select(Sample).where(col(Sample.metric_id) == metric_id, col(Sample.cycle) == cycle)
    told = query.where(col(Sample.quality).not_in((RECONSTRUCTED, RESTATED)))
    wanted = [told.where(col(Sample.recorded_at) <= moment).order_by(col(Sample.id).desc())]
    if first:
        rebuilt = query.where(col(Sample.quality) == RECONSTRUCTED, col(Sample.observed_at) <= moment)
        wanted += [
            rebuilt.order_by(col(Sample.observed_at).desc(), col(Sample.id).desc()),
            told.order_by(col(Sample.id)),
        ]
    for choice in wanted:
        found = (await session.scalars(choice.limit(1))).first()
        if found is not None:
            return found
    return None


async def replaced_at(session: AsyncSession, sample: Sample) -> datetime | None:
    """When the revision of a sample ceased to be the one that is served; None while it is."""
    query = (
        select(col(Sample.recorded_at))
        .where(
            col(Sample.metric_id) == sample.metric_id,
            col(Sample.id) > sample.id,
            col(Sample.revision_id) != sample.revision_id,
        )
        .order_by(col(Sample.id))
        .limit(1)
    )
    return await session.scalar(query)


async def entities_since(session: AsyncSession, dataset: Dataset, moment: datetime) -> Collection[str]:
    """The entities of which something was recorded at that moment or later, and those that are gone, for a sweep that
    misses an entity leaves its moment as it was."""
    if dataset.shape == "events":
        events = select(col(Event.entity)).where(col(Event.dataset_id) == dataset.id, col(Event.recorded_at) >= moment)
        return set(await session.scalars(events.distinct()))
    query = select(col(Record.entity)).where(
        col(Record.dataset_id) == dataset.id,
        (col(Record.recorded_at) >= moment) | col(Record.is_deleted) | col(Record.is_out_of_scope),
    )
    return set(await session.scalars(query))


async def runs_by(
    session: AsyncSession, plan_ids: Collection[int], moment: datetime
) -> dict[int, tuple[datetime | None, str | None]]:
    """By plan: when it last succeeded by that moment, and what was wrong with the last run that had ended by then."""
    if not plan_ids:
        return {}
    ended = (col(Run.plan_id).in_(plan_ids), col(Run.finished_at) <= moment)
    succeeded = select(col(Run.plan_id), func.max(col(Run.finished_at))).where(*ended, col(Run.outcome) == "succeeded")
    at: dict[int, datetime | None] = {
        row[0]: row[1] for row in await session.execute(succeeded.group_by(col(Run.plan_id)))
    }
    newest = select(func.max(col(Run.id))).where(*ended).group_by(col(Run.plan_id))
    last = select(col(Run.plan_id), col(Run.outcome), col(Run.error)).where(col(Run.id).in_(newest))
    wrong = {
        plan_id: error or "the last read failed"
        for plan_id, outcome, error in await session.execute(last)
        if outcome in ("failed", "crashed")
    }
    return {plan_id: (at.get(plan_id), wrong.get(plan_id)) for plan_id in plan_ids}


async def deliveries_by(
    session: AsyncSession, connection_ids: Collection[int], moment: datetime
) -> dict[int, datetime]:
    """By connection: the last delivery by that moment; of one that is kept no longer, the events that it made tell."""
    if not connection_ids:
        return {}
    received = select(col(Delivery.connection_id), func.max(col(Delivery.received_at))).where(
        col(Delivery.connection_id).in_(connection_ids), col(Delivery.received_at) <= moment
    )
    events = (
        select(col(Dataset.connection_id), func.max(col(Event.recorded_at)))
        .join(Dataset, col(Dataset.id) == col(Event.dataset_id))
        .where(col(Dataset.connection_id).in_(connection_ids), col(Event.recorded_at) <= moment)
    )
    found: dict[int, datetime] = {}
    for query in (received.group_by(col(Delivery.connection_id)), events.group_by(col(Dataset.connection_id))):
        for connection_id, at in await session.execute(query):
            found[connection_id] = max(at, found.get(connection_id, at))
    return found


async def events_then(
    session: AsyncSession,
    dataset: Dataset,
    *,
    as_of: datetime | None,
    known_at: datetime | None,
    after: int = 0,
    limit: int = 100,
) -> list[Event]:
    """A page of a dataset's events that had happened by `as_of` and were recorded by `known_at`, by id."""
    query = select(Event).where(col(Event.dataset_id) == dataset.id, col(Event.id) > after)
    if as_of is not None:
        query = query.where(col(Event.at) <= as_of)
    if known_at is not None:
        query = query.where(col(Event.recorded_at) <= known_at)
    return list(await session.scalars(query.order_by(col(Event.id)).limit(limit)))


async def is_told_of(session: AsyncSession, revision_id: int, moment: datetime) -> bool:
    """Whether any fact of a revision, counted or left out, lies before a moment: one look into the index of moments."""
    parts = select(col(MetricPart.part)).where(col(MetricPart.revision_id) == revision_id)
    for part in await session.scalars(parts):
        earlier = select(col(Fact.id)).where(
            col(Fact.revision_id) == revision_id,
            col(Fact.part) == part,
            col(Fact.at).is_not(None),
            col(Fact.at) < moment,
        )
        if (await session.scalars(earlier.limit(1))).first() is not None:
            return True
    return False
