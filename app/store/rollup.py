"""Aggregates over a window at a cost that does not grow with the facts in it, exactly what the facts give.

The present view only: as of a moment, and as known at one, from which the roll-up is right on. Else the answer is
None, and the facts are to be read. Count, sum and average are sums of rows. An order statistic is found by the counts
of the buckets, then read from the index of one bucket. Facts of part-days at the window's edges, and those that begin
or cease to hold at a moment still to come, are added and taken away one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.aggregate import aggregate_ranked, aggregate_total, exact_product, exact_sum, rank_of
from app.store import facts as fact_store
from app.store import rollup_statements
from app.store.facts import Window
from app.store.rollup_buckets import Scale, added_up, find
from app.store.rollup_days import EVERYTHING, Cover, Days, cover, days_in
from app.store.rollup_keys import number_key, number_of
from app.store.rollup_rules import Rule
from app.store.rollup_statements import AWAITING, KEY_BOUNDS, Wanted, keys_between, window_rows
from app.store.tables import Fact, FactAhead

_fact: Table = Fact.__table__  # type: ignore[attr-defined]
_ahead: Table = FactAhead.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class RolledUp:
    """An aggregate's value, None where it has none, and the number of facts in it."""

    value: Decimal | None
    facts: int


async def rolled_up(
    session: AsyncSession, revision_id: int, part: str, window: Window, how: str, rule: Rule, *, divisor: int = 1
) -> RolledUp | None:
    """What `aggregate` makes of the facts in the window, and how many there are; None where only they can tell."""
    days = days_in(rule.zone)
    covered = cover(window.start, window.end, days)
    if covered is None:
        return None
    reading = _Reading(session, revision_id, part, window, days, covered)
    if how in ("min", "max"):
        if not await reading.load("min" if how == "min" else "max"):
            return None
        extreme = reading.extreme(how)
        if extreme is not None:
            return RolledUp(aggregate_total("sum", 1, extreme, divisor=divisor), reading.count)
        reading = _Reading(session, revision_id, part, window, days, covered)
    if not await reading.load("buckets" if rule.kind == "ranked" else "totals"):
        return None
    if rule.kind == "distinct":
        return await reading.distinct()
    if how == "last":
        return RolledUp(await reading.last(divisor), reading.count)
    if rule.kind == "total" or not reading.count:
        total = exact_sum((reading.total, *reading.added, *(value.copy_negate() for value in reading.removed)))
        value = aggregate_total(how, reading.count, total, divisor=divisor) if rule.kind == "total" else None
        return RolledUp(value, reading.count)
    rank = rank_of(how, reading.count)
    low, high = await reading.values_at(rank.numerator // rank.denominator, both=rank.denominator > 1)
    return RolledUp(aggregate_ranked(rank, low, high, divisor=divisor), reading.count)


class _Reading:
    """The roll-up of a window, read: `count`, `total` and `lanes` of its whole days, the first two with what is still
    `awaiting` its place in the rows; `key` is the scale of the lanes, or the least or greatest fact's.

    They are corrected by the values `added` from part-days and both `added` and `removed` for what is ahead; `count`
    is corrected already."""

    def __init__(
        self, session: AsyncSession, revision_id: int, part: str, window: Window, days: Days, covered: Cover
    ) -> None:
        self._session = session
        self._days = days
        self._revision_id = revision_id
        self._part = part
        self._window = window
        self._covered = covered
        self.count = 0
        self.total = Decimal(0)
        self.lanes = b""
        self.key: bytes | None = None
        self.awaiting: list[Any] = []
        self.added: list[Decimal] = []
        self.removed: list[Decimal] = []

    def _of(self, table: Table) -> tuple[Any, Any]:
        return table.c.revision_id == self._revision_id, table.c.part == self._part

    async def load(self, wanted: Wanted) -> bool:
        """Read the rows; False where they do not hold for the window's moments."""
        rows = await self._rows(self._covered, wanted)
        whole = next((row for row in rows if row.days == EVERYTHING), None)
        if whole is None:
            return False
        settled_from = max(row.settled_from for row in rows if row.settled_from is not None)
        if min(self._window.as_of, self._window.known_at or self._window.as_of) < settled_from:
            return False
        chosen = _chosen(rows, self._covered)
        self.awaiting = [row for row in rows if row.days == AWAITING and self._is_in_whole_days(row.at)]
        self.count = sum(row.facts for row in (*chosen, *self.awaiting))
        self.total = exact_sum(
            (*(row.total for row in chosen), *(exact_product(row.total, row.facts) for row in self.awaiting))
        )
        self.key = whole.key
        if wanted == "buckets":
            self.lanes = added_up(row.buckets for row in chosen)
        for start, end in self._covered.edges:
            edge = Window(start, end, self._window.as_of)
            found = await fact_store.values_in(self._session, self._revision_id, self._part, edge)
            self.added += [value for value, _ in found]
        if whole.has_ahead:
            await self._correct()
        self.count += len(self.added) - len(self.removed)
        return True

    async def _rows(self, covered: Cover, wanted: Wanted) -> Sequence[Any]:
        parameters: dict[str, Any] = {"revision": self._revision_id, "in_part": self._part}
        named = {"spans": covered.spans, "days": covered.days[0], "more_days": covered.days[1]}
        for name, (first, last) in named.items():
            parameters |= {f"{name}_from": first, f"{name}_to": last}
        statement = window_rows(wanted)
        if wanted in ("min", "max"):
            parameters |= {"looked_at": rollup_statements.LOOKED_AT, "at_from": covered.start, "at_to": covered.end}
            statement = window_rows(wanted, starts=covered.start is not None, ends=covered.end is not None)
        return (await self._session.execute(statement, parameters)).all()

    async def _correct(self) -> None:
        """The rows hold what holds in the end: take away what does not hold yet, add what still does."""
        query = (
            select(_fact.c.value, _fact.c.valid_from, _fact.c.valid_to)
            .join(_ahead, _ahead.c.fact_id == _fact.c.id)
            .where(*self._of(_ahead), _ahead.c.until > self._window.as_of, _fact.c.recorded_to.is_(None))
            .where(*self._in_whole_days())
        )
        for value, valid_from, valid_to in await self._session.execute(query):
            has_begun = valid_from is None or valid_from <= self._window.as_of
            if valid_to is None and not has_begun:
                self.removed.append(value)
            elif valid_to is not None and has_begun:
                self.added.append(value)

    def _is_in_whole_days(self, at: datetime) -> bool:
        start, end = self._covered.start, self._covered.end
        return (start is None or at >= start) and (end is None or at < end)

    def _in_whole_days(self) -> list[Any]:
        clauses = []
        if self._covered.start is not None:
            clauses.append(_fact.c.at >= self._covered.start)
        if self._covered.end is not None:
            clauses.append(_fact.c.at < self._covered.end)
        return clauses

    async def last(self, divisor: int) -> Decimal | None:
        """The value of the last fact."""
        value = await fact_store.last_value(self._session, self._revision_id, self._part, self._window)
        return None if value is None else aggregate_total("sum", 1, value, divisor=divisor)

    async def distinct(self) -> RolledUp | None:
        """Groups count where they came last, so those of a window are known where nothing came after it."""
        if self.added or self.removed or self._covered.edges:
            return None
        since = cover(self._window.start, None, self._days)
        if since is None:
            return None
        rows = await self._rows(since, "totals")
        chosen = _chosen(rows, since)
        if sum(row.facts for row in chosen) != self.count:
            return None
        return RolledUp(exact_sum(row.total for row in chosen), self.count)

    def extreme(self, how: str) -> Decimal | None:
        """The least or greatest value where the key read with the rows tells it, else None."""
        if self.key is None or self.removed:
            return None
        values = (number_of(self.key), *self.added)
        return min(values) if how == "min" else max(values)

    # --- order statistics ------------------------------------------------------------------------------------------

    async def values_at(self, rank: int, *, both: bool) -> tuple[Decimal, Decimal]:
        """The value of a rank, and that of the next one (or the same again)."""
        scale = Scale.load(self.key)
        counts = scale.by_value(self.lanes)
        for row in self.awaiting:
            counts[scale.bucket_of(number_key(row.total))] += row.facts
        added, removed = ([number_key(value) for value in values] for values in (self.added, self.removed))
        for keys, sign in ((added, 1), (removed, -1)):
            for key in keys:
                counts[scale.bucket_of(key)] += sign
        bucket, place = find(counts, rank)
        wanted = 2 if both and place + 1 < counts[bucket] else 1
        keys = await self._keys(scale, bucket, place, wanted, counts[bucket], added, removed)
        if both and wanted == 1:
            following, first = find(counts, rank + 1)
            keys += await self._keys(scale, following, first, 1, counts[following], added, removed)
        return number_of(keys[0]), number_of(keys[-1])

    async def _keys(
        self,
        scale: Scale,
        bucket: int,
        place: int,
        wanted: int,
        count: int,
        added: Sequence[bytes],
        removed: Sequence[bytes],
    ) -> list[bytes]:
        """The keys of some neighbouring places of a bucket that has `count` facts."""
        start, end = scale.range(bucket)
        if scale.has_one_value(bucket):
            return [start] * wanted
        coming, going = ([key for key in keys if scale.bucket_of(key) == bucket] for keys in (added, removed))
        parameters = {"revision": self._revision_id, "in_part": self._part, "key_from": start, "key_to": end}
        parameters |= {"at_from": self._covered.start, "at_to": self._covered.end}
        bounds = tuple(sorted(name for name in KEY_BOUNDS if parameters[name] is not None))
        if coming or going:
            parameters |= {"skipped": 0, "wanted": count + len(going)}
            keys = list(await self._session.scalars(keys_between(bounds, from_end=False), parameters))
            for key in going:
                keys.remove(key)
            return sorted([*keys, *coming])[place : place + wanted]
        # From the nearer end.
        behind = count - place - wanted
        parameters |= {"skipped": min(place, behind), "wanted": wanted}
        query = keys_between(bounds, from_end=behind < place)
        return sorted(await self._session.scalars(query, parameters))


def _chosen(rows: Sequence[Any], covered: Cover) -> list[Any]:
    if covered.is_everything:
        return [row for row in rows if row.days == EVERYTHING]
    return [row for row in rows if row.days > EVERYTHING]
