"""Making a part's roll-up anew from its facts: where facts are older than roll-ups, or were loaded past them."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.aggregate import exact_product, exact_sum
from app.store.deliveries import upsert
from app.store.rollup_buckets import Cutter, Scale, full, pack, unpack
from app.store.rollup_days import EVERYTHING, days_in
from app.store.rollup_keys import number_of
from app.store.rollup_rules import Rule, places
from app.store.tables import Fact, FactAhead, RollUp, RollUpScale

_STREAMED = 5000
_fact: Table = Fact.__table__  # type: ignore[attr-defined]
_rollup: Table = RollUp.__table__  # type: ignore[attr-defined]
_scale: Table = RollUpScale.__table__  # type: ignore[attr-defined]
_ahead: Table = FactAhead.__table__  # type: ignore[attr-defined]


def tip(revision_id: int, part: str) -> list[ColumnElement[bool]]:
    """The facts that count, are known now and that nothing is known to end."""
    return [
        _fact.c.revision_id == revision_id,
        _fact.c.part == part,
        _fact.c.at.is_not(None),
        _fact.c.value.is_not(None),
        _fact.c.valid_to.is_(None),
        _fact.c.recorded_to.is_(None),
    ]


async def note_ahead(
    session: AsyncSession, revision_id: int, part: str, among: ColumnElement[bool], *, now: datetime
) -> None:
    """List the facts that begin or cease to hold after `now`."""
    chosen = select(
        _fact.c.id, _fact.c.revision_id, _fact.c.part, func.coalesce(_fact.c.valid_to, _fact.c.valid_from)
    ).where(
        _fact.c.revision_id == revision_id,
        _fact.c.part == part,
        _fact.c.at.is_not(None),
        _fact.c.value.is_not(None),
        _fact.c.recorded_to.is_(None),
        or_(_fact.c.valid_from > now, _fact.c.valid_to > now),
        among,
    )
    listed = upsert(session, _ahead).from_select(["fact_id", "revision_id", "part", "until"], chosen)
    await session.execute(listed.on_conflict_do_nothing())


async def delete_rollups(session: AsyncSession, revision_id: int, part: str | None = None) -> None:
    """Drop the roll-ups of a revision, or of one of its parts; its values are computed from facts until the next
    change."""
    for table in (_rollup, _scale, _ahead):
        dropped = delete(table).where(table.c.revision_id == revision_id)
        await session.execute(dropped if part is None else dropped.where(table.c.part == part))


@dataclass(slots=True)
class _Row:
    facts: int = 0
    total: Decimal = Decimal(0)
    lanes: dict[int, int] = field(default_factory=dict)


async def build(session: AsyncSession, revision_id: int, part: str, rule: Rule, *, now: datetime) -> None:
    """Sum up all facts of a part, whatever was summed up before. Reads each fact once or twice, in one transaction."""
    await delete_rollups(session, revision_id, part)
    awaiting = (_fact.c.revision_id == revision_id, _fact.c.part == part, _fact.c.awaits_rollup)
    await session.execute(update(_fact).where(*awaiting).values(awaits_rollup=False))
    await _give_keys(session, revision_id, part, rule)
    rows: dict[int, _Row] = defaultdict(_Row)
    bounds = [b""]
    if rule.kind == "ranked":
        bounds = await _add_ranked(session, revision_id, part, rule, rows)
    else:
        await _add_values(session, revision_id, part, rule, rows)
    if rule.kind == "distinct":
        await _add_groups(session, revision_id, part, rule, rows)
    await note_ahead(session, revision_id, part, _fact.c.id.is_not(None), now=now)
    ahead = await session.execute(
        select(_ahead.c.fact_id).where(_ahead.c.revision_id == revision_id, _ahead.c.part == part).limit(1)
    )
    has_ahead = ahead.first() is not None
    recorded = await session.execute(
        select(func.max(_fact.c.recorded_from), func.max(_fact.c.recorded_to)).where(
            _fact.c.revision_id == revision_id, _fact.c.part == part
        )
    )
    settled_from = max([now, *(moment for moment in recorded.one() if moment is not None)])
    of_part = {"revision_id": revision_id, "part": part}
    whole = {"settled_from": settled_from, "has_ahead": has_ahead}
    other: dict[str, Any] = {"settled_from": None, "has_ahead": False}
    stored = [
        of_part
        | {"days": days, "day": day, "facts": row.facts, "total": row.total, "buckets": _packed(row.lanes)}
        | (whole if days == EVERYTHING else other)
        for (days, day), row in _added_up(rows).items()
    ]
    for start in range(0, len(stored), _STREAMED):
        await session.execute(insert(_rollup), stored[start : start + _STREAMED])
    if len(bounds) > 1:
        await session.execute(insert(_scale), [of_part | {"bounds": Scale(bounds, range(len(bounds))).dump()}])


def _packed(lanes: dict[int, int]) -> bytes:
    counts = unpack(b"", max(lanes, default=-1) + 1)
    for lane, count in lanes.items():
        counts[lane] = count
    return pack(counts)


async def _give_keys(session: AsyncSession, revision_id: int, part: str, rule: Rule) -> None:
    if rule.kind == "total":
        return
    after = 0
    statement = update(_fact).where(_fact.c.id == bindparam("fact")).values(sort_key=bindparam("key"))
    while True:
        query = (
            select(_fact.c.id, _fact.c.value, _fact.c.group_key)
            .where(*tip(revision_id, part), _fact.c.sort_key.is_(None), _fact.c.id > after)
            .order_by(_fact.c.id)
            .limit(_STREAMED)
        )
        found = (await session.execute(query)).all()
        if not found:
            return
        await session.execute(statement, [{"fact": row[0], "key": rule.sort_key(row[1], row[2])} for row in found])
        after = found[-1][0]


async def _add_groups(session: AsyncSession, revision_id: int, part: str, rule: Rule, rows: dict[int, _Row]) -> None:
    days = days_in(rule.zone)
    query = (
        select(func.max(_fact.c.at))
        .where(_fact.c.revision_id == revision_id, _fact.c.part == part, _fact.c.sort_key.is_not(None))
        .group_by(_fact.c.sort_key)
    )
    async for (at,) in _streamed(session, query):
        rows[days.of(at)].total += 1


async def _add_values(session: AsyncSession, revision_id: int, part: str, rule: Rule, rows: dict[int, _Row]) -> None:
    days = days_in(rule.zone)
    async for at, value in _streamed(session, select(_fact.c.at, _fact.c.value).where(*tip(revision_id, part))):
        row = rows[days.of(at)]
        row.facts += 1
        if rule.kind == "total":
            row.total = exact_sum((row.total, value))


async def _add_ranked(
    session: AsyncSession, revision_id: int, part: str, rule: Rule, rows: dict[int, _Row]
) -> list[bytes]:
    """Count the facts in order of their values, so that the buckets come of it; returns where those begin."""
    sorted_facts = (_fact.c.revision_id == revision_id, _fact.c.part == part, _fact.c.sort_key.is_not(None))
    facts = await session.scalar(select(func.count()).select_from(_fact).where(*sorted_facts)) or 0
    days, cutter, bounds = days_in(rule.zone), Cutter(full(facts)), [b""]

    def add(key: bytes, by_day: Counter[int]) -> None:
        bounds.extend(cutter.cuts(key, by_day.total()))
        lane = bisect_right(bounds, key) - 1
        value = number_of(key)
        for day, count in by_day.items():
            row = rows[day]
            row.facts += count
            row.total = exact_sum((row.total, exact_product(value, count)))
            row.lanes[lane] = row.lanes.get(lane, 0) + count

    last: bytes | None = None
    by_day: Counter[int] = Counter()
    query = (
        select(_fact.c.sort_key, _fact.c.at, func.count())
        .where(*sorted_facts)
        .group_by(_fact.c.sort_key, _fact.c.at)
        .order_by(_fact.c.sort_key)
    )
    async for key, at, count in _streamed(session, query):
        if key != last:
            if last is not None:
                add(last, by_day)
            last, by_day = key, Counter()
        by_day[days.of(at)] += count
    if last is not None:
        add(last, by_day)
    return bounds


def _added_up(by_day: dict[int, _Row]) -> dict[tuple[int, int], _Row]:
    """The rows of days, of spans and of everything."""
    rows: dict[tuple[int, int], _Row] = {(EVERYTHING, 0): _Row()}
    for day, one in by_day.items():
        for place in places(day):
            row = rows.setdefault(place, _Row())
            row.facts += one.facts
            row.total = exact_sum((row.total, one.total))
            for lane, count in one.lanes.items():
                row.lanes[lane] = row.lanes.get(lane, 0) + count
    return rows


async def _streamed(session: AsyncSession, query: Any) -> AsyncIterator[Any]:
    result = await session.stream(query.execution_options(yield_per=_STREAMED))
    async for rows in result.partitions():
        for row in rows:
            yield row
