"""Facts on both time axes: appended, closed when superseded, never changed."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Table,
    and_,
    bindparam,
    delete,
    extract,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain import records as domain
from app.store.rollup_build import delete_rollups
from app.store.rollup_rules import Counted, Rule
from app.store.rollup_upkeep import Upkeep
from app.store.tables import Fact
from app.store.types import Moment

_IN = 500
_table: Table = Fact.__table__  # type: ignore[attr-defined]
_CONTENT = ("at", "value", "reason", "valid_from", "valid_to", "label", "link", "group", "since")
_columns = [_table.c.subject, *(_table.c["group_key" if name == "group" else name] for name in _CONTENT)]
_names = [column.key for column in _columns]


@dataclass(frozen=True, slots=True)
class Window:
    """What to read facts for: half-open `[start, end)`, true at `as_of`, as known at `known_at` (None: now)."""

    start: datetime | None
    end: datetime | None
    as_of: datetime
    known_at: datetime | None = None


# Made once: making a statement costs more than running it.
_KEPT = select(_table.c.id, _table.c.sort_key, *_columns).where(
    _table.c.revision_id == bindparam("revision"),
    _table.c.part == bindparam("in_part"),
    _table.c.entity.in_(bindparam("entities", expanding=True)),
    _table.c.recorded_to.is_(None),
)
_CLOSE = (
    update(_table)
    .where(_table.c.id.in_(bindparam("ids", expanding=True)))
    .values(recorded_to=bindparam("now"), sort_key=None, awaits_rollup=False)
)
_is_tip = and_(_table.c.at.is_not(None), _table.c.value.is_not(None), _table.c.valid_to.is_(None))
#: What the roll-up holds is to be taken away; what it does not hold yet, it need not hold any more.
_CLOSE_FOR_LATER = _CLOSE.values(awaits_rollup=and_(_is_tip, not_(_table.c.awaits_rollup)))
_INSERT = insert(_table)


def _content(fact: domain.Fact) -> tuple[Any, ...]:
    return (fact.subject, *(getattr(fact, name) for name in _CONTENT))


async def replace_facts(
    session: AsyncSession,
    revision_id: int,
    part: str,
    entities: Collection[str],
    facts: Iterable[domain.Fact],
    *,
    now: datetime,
    rule: Rule | None = None,
) -> bool:
    """Make `facts` what is known from `now` on of these entities; what did not change is left as it is. `rule` says
    how the part is rolled up, None: not at all. Returns whether anything changed."""
    names = list(entities)
    kept: dict[tuple[Any, ...], tuple[int, bytes | None]] = {}
    for start in range(0, len(names), _IN):
        chosen = {"revision": revision_id, "in_part": part, "entities": names[start : start + _IN]}
        for row in await session.execute(_KEPT, chosen):
            kept[tuple(row[2:])] = (row[0], row[1])
    added: list[dict[str, Any]] = []
    for fact in facts:
        content = _content(fact)
        if kept.pop(content, None) is not None:
            continue
        added.append(
            dict(zip(_names, content, strict=True))
            | {"revision_id": revision_id, "part": part, "entity": fact.entity}
            | {"recorded_from": now, "recorded_to": None, "sort_key": None, "awaits_rollup": False}
        )
    closed = [fact_id for fact_id, _ in kept.values()]
    if not closed and not added:
        return False
    former = (dict(zip(_names, content, strict=True)) | {"sort_key": kept[content][1]} for content in kept)
    gone = [found for found in former if _counts(found)]
    coming = [new for new in added if _counts(new)]
    has_ahead = any(_is_ahead(new, now) for new in coming)
    upkeep, may_wait = None, False
    if rule is not None and (gone or coming):
        may_wait = not has_ahead and rule.may_wait(len(gone) + len(coming), names[0], now)
        for new in coming:
            if new["valid_to"] is None:
                new["sort_key"], new["awaits_rollup"] = rule.sort_key(new["value"], new["group_key"]), may_wait
        if not may_wait:
            upkeep = Upkeep(session, revision_id, part, rule, now)
            await upkeep.begin(_tip(gone), _tip(coming))
    for start in range(0, len(closed), _IN):
        ended = {"ids": closed[start : start + _IN], "now": now}
        await session.execute(_CLOSE_FOR_LATER if may_wait else _CLOSE, ended)
    for start in range(0, len(added), _IN):
        await session.execute(_INSERT, added[start : start + _IN])
    if upkeep is not None:
        await upkeep.finish(closed, names, has_ahead=has_ahead)
    return True


def _counts(row: dict[str, Any]) -> bool:
    return row["at"] is not None and row["value"] is not None


def _is_ahead(row: dict[str, Any], now: datetime) -> bool:
    return any(moment is not None and moment > now for moment in (row["valid_from"], row["valid_to"]))


def _tip(rows: Iterable[dict[str, Any]]) -> list[Counted]:
    """What the roll-up holds of facts that count: those that nothing is known to end."""
    return [Counted(row["at"], row["value"], row["sort_key"]) for row in rows if row["valid_to"] is None]


async def delete_facts(session: AsyncSession, revision_id: int) -> None:
    """Drop the facts of a revision whose building is started over."""
    await delete_rollups(session, revision_id)
    await session.execute(delete(Fact).where(col(Fact.revision_id) == revision_id))


def _known(window: Window) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = [
        or_(col(Fact.valid_from).is_(None), col(Fact.valid_from) <= window.as_of),
        or_(col(Fact.valid_to).is_(None), col(Fact.valid_to) > window.as_of),
    ]
    if window.known_at is None:
        clauses.append(col(Fact.recorded_to).is_(None))
    else:
        clauses.append(col(Fact.recorded_from) <= window.known_at)
        clauses.append(or_(col(Fact.recorded_to).is_(None), col(Fact.recorded_to) > window.known_at))
    return clauses


def _inside(window: Window) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = [col(Fact.at).is_not(None)]
    if window.start is not None:
        clauses.append(col(Fact.at) >= window.start)
    if window.end is not None:
        clauses.append(col(Fact.at) < window.end)
    return clauses


_MOMENTS = ("start", "end", "as_of", "known_at")


def _moments(window: Window) -> dict[str, datetime]:
    found = {name: getattr(window, name) for name in _MOMENTS}
    return {name: moment for name, moment in found.items() if moment is not None}


@lru_cache(maxsize=16)
def _counted(*given: str, last: bool) -> Any:
    """The facts that count in a window that has these moments, by moment and subject, or only the `last` of them."""
    window: Any = Window(*(bindparam(name) if name in given else None for name in _MOMENTS))  # type: ignore[arg-type]
    query = select(_table.c.value, _table.c.group_key).where(
        _table.c.revision_id == bindparam("revision"),
        _table.c.part == bindparam("in_part"),
        _table.c.value.is_not(None),
        *_inside(window),
        *_known(window),
    )
    if last:
        return query.order_by(_table.c.at.desc(), _table.c.subject.desc()).limit(1)
    return query.order_by(_table.c.at, _table.c.subject)


async def values_in(
    session: AsyncSession, revision_id: int, part: str, window: Window
) -> list[tuple[Decimal, str | None]]:
    """The (value, group) of every fact that counts, in order of moment."""
    moments = _moments(window)
    query = _counted(*moments, last=False)
    rows = await session.execute(query, {"revision": revision_id, "in_part": part} | moments)
    return [(row[0], row[1]) for row in rows]


async def last_value(session: AsyncSession, revision_id: int, part: str, window: Window) -> Decimal | None:
    """The value of the last fact that counts, by moment and subject."""
    moments = _moments(window)
    query = _counted(*moments, last=True)
    value: Decimal | None = await session.scalar(query, {"revision": revision_id, "in_part": part} | moments)
    return value


async def facts_in(
    session: AsyncSession, revision_id: int, part: str, window: Window, *, included: bool, limit: int
) -> Sequence[Fact]:
    """Facts in the number, or (with `included=False`) those left out of it: the ones with a reason whose moment lies
    in the window or that have none."""
    query = select(Fact).where(col(Fact.revision_id) == revision_id, col(Fact.part) == part, *_known(window))
    query = query.where(*_included(window)) if included else query.where(_excluded(window))
    return list(await session.scalars(query.order_by(col(Fact.at), col(Fact.subject), col(Fact.id)).limit(limit)))


async def count_facts(session: AsyncSession, revision_id: int, part: str, window: Window) -> tuple[int, dict[str, int]]:
    """How many facts count, and how many are left out for each reason."""
    base = select(func.count()).where(col(Fact.revision_id) == revision_id, col(Fact.part) == part, *_known(window))
    included = await session.scalar(base.where(*_included(window))) or 0
    reasons = await session.execute(
        select(col(Fact.reason), func.count())
        .where(col(Fact.revision_id) == revision_id, col(Fact.part) == part, *_known(window), _excluded(window))
        .group_by(col(Fact.reason))
        .order_by(func.count().desc(), col(Fact.reason))
    )
    return included, {row[0]: row[1] for row in reasons if row[0] is not None}


def _included(window: Window) -> list[ColumnElement[bool]]:
    return [col(Fact.value).is_not(None), *_inside(window)]


def _excluded(window: Window) -> ColumnElement[bool]:
    inside = _inside(window)[1:]
    clause: ColumnElement[bool] = col(Fact.reason).is_not(None)
    for bound in inside:
        clause = clause & or_(col(Fact.at).is_(None), bound)
    return clause


# --- what is measured with the clock ---------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """An entity's time in one state, `until` None while nothing has ended it; `value` 1 is good, None not measured."""

    since: datetime
    subject: str
    entity: str
    label: str
    state: str | None
    until: datetime | None
    value: Decimal | None
    reason: str | None
    link: str | None


_stretch = ("since", "subject", "entity", "label", "group_key", "at", "value", "reason", "link")


async def stretches_in(session: AsyncSession, revision_id: int, part: str, window: Window) -> list[Stretch]:
    """The stretches in one state that overlap the window and began by `as_of`, in order of their beginning; whole, not
    cut at the window's edges."""
    of_part = (col(Fact.revision_id) == revision_id, col(Fact.part) == part, *_known(window))
    of_part += (col(Fact.since).is_not(None),)
    if window.end is not None:
        of_part += (col(Fact.since) < window.end,)
    ended = col(Fact.at).is_not(None) if window.start is None else col(Fact.at) > window.start
    found: list[Stretch] = []
    # Two questions, as each has an index of its own: what ended in the window or later, and what has not ended.
    for reaches_in in (ended, col(Fact.at).is_(None)):
        rows = await session.execute(select(*(_table.c[name] for name in _stretch)).where(*of_part, reaches_in))
        found += [Stretch(*row) for row in rows]
    return sorted(found, key=lambda stretch: (stretch.since, stretch.subject))


async def ended_stretches(
    session: AsyncSession, revision_id: int, part: str, window: Window, limit: datetime
) -> list[tuple[str, Decimal | None, int]]:
    """(entity, value, microseconds in the window) of the stretches that ended in the window by `limit`, added up by
    entity and value."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    since: ColumnElement[Any] = _table.c.since
    if window.start is not None:
        start = literal(window.start, Moment())
        since = func.max(since, start) if is_sqlite else func.greatest(since, start)
    lasted: ColumnElement[Any]
    if is_sqlite:
        lasted = type_coerce(_table.c.at, BigInteger) - type_coerce(since, BigInteger)
    else:
        span = type_coerce(_table.c.at, DateTime(timezone=True)) - type_coerce(since, DateTime(timezone=True))
        lasted = extract("epoch", span) * 1_000_000  # an exact numeric
    query = (
        select(_table.c.entity, _table.c.value, func.sum(lasted))
        .where(
            col(Fact.revision_id) == revision_id,
            col(Fact.part) == part,
            col(Fact.since).is_not(None),
            col(Fact.at) <= limit,
            *_known(window),
        )
        .group_by(_table.c.entity, _table.c.value)
    )
    if window.start is not None:
        query = query.where(col(Fact.at) > window.start)
    return [(row[0], row[1], int(row[2])) for row in await session.execute(query)]


async def open_durations(
    session: AsyncSession, revision_id: int, part: str, window: Window, *, by_start: bool
) -> list[Fact]:
    """The unfinished durations at `as_of`: those placed in the window `by_start`, or those placed nowhere yet."""
    open_ones = select(Fact).where(
        col(Fact.revision_id) == revision_id,
        col(Fact.part) == part,
        col(Fact.since).is_not(None),
        col(Fact.value).is_(None),
        col(Fact.reason).is_(None),
        *_known(window),
    )
    found: list[Fact] = []
    # Two questions again, so that what has been finished since is passed over in the index.
    for still_open in (col(Fact.valid_to).is_(None), col(Fact.valid_to) > window.as_of):
        place = _inside(window) if by_start else [col(Fact.at).is_(None)]
        found += await session.scalars(open_ones.where(*place, still_open))
    return sorted(found, key=lambda fact: fact.subject)


async def finished_durations(
    session: AsyncSession, revision_id: int, part: str, window: Window
) -> list[tuple[datetime, str, Decimal]]:
    """(moment, subject, seconds) of every finished duration in the window."""
    query = select(col(Fact.at), col(Fact.subject), col(Fact.value)).where(
        col(Fact.revision_id) == revision_id, col(Fact.part) == part, *_included(window), *_known(window)
    )
    return [cast("tuple[datetime, str, Decimal]", tuple(row)) for row in await session.execute(query)]
