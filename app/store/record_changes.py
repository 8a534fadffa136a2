"""Which records come into a number, and which go out of it, when its rule changes: two revisions' facts compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, FromClause, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.store.tables import Fact
from app.store.types import Moment

_table: FromClause = Fact.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Numbered:
    """The facts that are in a revision's number: of the half-open window `[start, end)`, true at `as_of`.

    `newest` is the last fact that counts: those that come later, and the closing of facts from `as_of` on, are not
    known yet. None: all that is known. `measures` tells facts that are a moment from stretches of time, and from
    durations of which the unfinished ones count: those that began in `open_since` … `open_until`, both included.
    """

    revision_id: int
    start: datetime | None
    end: datetime | None
    as_of: datetime
    measures: Literal["moments", "stretches", "open_durations"] = "moments"
    newest: int | None = None
    open_since: datetime | None = None
    open_until: datetime | None = None


class Moved(NamedTuple):
    """A record of one side; `reason` is why the other side leaves it out, `is_elsewhere` that it has it outside its
    window, neither: it does not know it."""

    part: str
    subject: str
    label: str
    at: datetime | None
    value: Any
    link: str | None
    reason: str | None = None
    is_elsewhere: bool = False


async def newest_fact(session: AsyncSession) -> int:
    """The id of the last fact that was written; 0 where there is none."""
    return await session.scalar(select(func.max(_table.c.id))) or 0


async def count_moved(session: AsyncSession, here: Numbered, there: Numbered | None) -> int:
    """How many records are in the number `here` and not `there`."""
    query = _moved(here, there).order_by(None).with_only_columns(func.count(), maintain_column_froms=True)
    return await session.scalar(query) or 0


async def count_changed(session: AsyncSession, before: Numbered, after: Numbered) -> int:
    """How many records are in both numbers with another value, moment or group."""
    old, new = _table.alias(), _table.alias()
    differs = or_(
        old.c.value.is_distinct_from(new.c.value),
        old.c.at.is_distinct_from(new.c.at),
        old.c.group_key.is_distinct_from(new.c.group_key),
    )
    same = select(1).where(_same(old, new), _counts(old, before, is_looked_up=True), differs).exists()
    query = select(func.count()).select_from(new).where(_counts(new, after), same)
    return await session.scalar(query) or 0


async def first_moved(session: AsyncSession, here: Numbered, there: Numbered | None, limit: int) -> list[Moved]:
    """The first of these records by label, with what the other side says of them."""
    rows = list(await session.execute(_moved(here, there).limit(limit)))
    if there is None or not rows:
        return [Moved(row.part, row.subject, row.label, row.at, row.value, row.link) for row in rows]
    known: dict[tuple[str, str], tuple[str | None, bool]] = {}
    query = select(_table.c.part, _table.c.subject, _table.c.reason, _table.c.value).where(
        _known(_table, there),
        _table.c.entity.in_({row.entity for row in rows}),
        _table.c.subject.in_({row.subject for row in rows}),
    )
    for part, subject, reason, value in await session.execute(query):
        known[(part, subject)] = (reason, value is not None)
    found = []
    for row in rows:
        reason, is_elsewhere = known.get((row.part, row.subject), (None, False))
        found.append(Moved(row.part, row.subject, row.label, row.at, row.value, row.link, reason, is_elsewhere))
    return found


def _moved(here: Numbered, there: Numbered | None) -> Any:
    one = _table.alias()
    query = select(one.c.part, one.c.subject, one.c.label, one.c.at, one.c.value, one.c.link, one.c.entity)
    query = query.where(_counts(one, here)).order_by(one.c.label, one.c.part, one.c.subject)
    if there is None:
        return query
    other = _table.alias()
    return query.where(~select(1).where(_same(other, one), _counts(other, there, is_looked_up=True)).exists())


def _same(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    # By entity as well: that is how facts are found.
    return and_(one.c.part == other.c.part, one.c.entity == other.c.entity, one.c.subject == other.c.subject)


def _known(fact: FromClause, side: Numbered) -> ColumnElement[bool]:
    clauses: Sequence[ColumnElement[bool]] = (
        fact.c.revision_id == side.revision_id,
        or_(fact.c.valid_from.is_(None), fact.c.valid_from <= side.as_of),
        or_(fact.c.valid_to.is_(None), fact.c.valid_to > side.as_of),
    )
    if side.newest is None:
        return and_(*clauses, fact.c.recorded_to.is_(None))
    still = or_(fact.c.recorded_to.is_(None), fact.c.recorded_to >= side.as_of)
    return and_(*clauses, fact.c.id <= side.newest, still)


def _counts(fact: FromClause, side: Numbered, *, is_looked_up: bool = False) -> ColumnElement[bool]:
    """Whether a fact is in the number. One that `is_looked_up` for another is found by its entity: its moment is
    wrapped, lest the window's index be chosen, which would read the whole window for each."""
    at: ColumnElement[Any] = fact.c.at
    if is_looked_up:
        at = func.coalesce(fact.c.at, fact.c.at, type_=Moment())
    if side.measures == "stretches":
        inside = [or_(at.is_(None), at > side.start)] if side.start is not None else []
        inside += [fact.c.since < side.end] if side.end is not None else []
        return and_(_known(fact, side), fact.c.since.is_not(None), fact.c.value.is_not(None), *inside)
    inside = [at >= side.start] if side.start is not None else []
    inside += [at < side.end] if side.end is not None else []
    counts = and_(fact.c.value.is_not(None), at.is_not(None), *inside)
    if side.measures == "open_durations":
        is_open = and_(fact.c.since.is_not(None), fact.c.value.is_(None), fact.c.reason.is_(None))
        if side.open_since is not None:
            is_open = and_(is_open, fact.c.since >= side.open_since)
        if side.open_until is not None:
            is_open = and_(is_open, fact.c.since <= side.open_until)
        counts = or_(counts, and_(is_open, or_(at.is_(None), and_(at.is_not(None), *inside))))
    return and_(_known(fact, side), counts)
