"""Keeping a part's roll-up in step with its facts, in the transaction that changes them.

The roll-up holds the tip: the facts known now that nothing is known to end. What a change adds or takes away is added
to three rows: that of the local day, of its span, and of everything. A change of a few facts only marks them
(`awaits_rollup`), which takes no statement more than writing them; whoever reads counts them in, and a later change
rolls up all that wait (`Rule.may_wait`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, literal, or_, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.aggregate import exact_sum
from app.store.rollup_buckets import Scale, changed, full, unpack
from app.store.rollup_build import build, note_ahead
from app.store.rollup_days import EVERYTHING, SPAN, days_in
from app.store.rollup_rules import Counted, Rule, places
from app.store.tables import Fact, FactAhead, RollUp, RollUpScale
from app.store.types import Bytes

_IN = 1000
_fact: Table = Fact.__table__  # type: ignore[attr-defined]
_rollup: Table = RollUp.__table__  # type: ignore[attr-defined]
_scale: Table = RollUpScale.__table__  # type: ignore[attr-defined]
_ahead: Table = FactAhead.__table__  # type: ignore[attr-defined]
_UPDATED = ("facts", "total", "buckets", "settled_from", "has_ahead")
_ZERO = Decimal(0)


@dataclass(slots=True)
class _Gain:
    """What a row is to gain; negative counts and values are taken away."""

    facts: int = 0
    values: list[Decimal] = field(default_factory=list)
    lanes: Counter[int] = field(default_factory=Counter)


class Upkeep:
    """One change of one part's facts: `begin` before they are written, `finish` after."""

    def __init__(self, session: AsyncSession, revision_id: int, part: str, rule: Rule, now: datetime) -> None:
        self._session = session
        self._revision_id = revision_id
        self._part = part
        self._rule = rule
        self._now = now
        self._days = days_in(rule.zone)
        self._gains: dict[tuple[int, int], _Gain] = {}
        self._scale = Scale()
        self._stored: dict[tuple[int, int], Any] = {}
        self._asked: set[tuple[int, int]] = set()
        self._whole: Any = None
        self._is_new = False
        self._groups: dict[bytes, datetime | None] = {}

    async def begin(self, removed: Sequence[Counted], added: Sequence[Counted]) -> None:
        """Note the facts that leave and those that come, those that waited too, and read what is stored."""
        signed = [*await self._awaiting(), *((-1, one) for one in removed), *((1, one) for one in added)]
        days = [self._days.of(one.at) for _, one in signed]
        await self._read({place for day in days for place in places(day)} | {(EVERYTHING, 0)})
        if self._whole is None:
            known = await self._session.execute(select(_fact.c.id).where(*self._of(_fact)).limit(1))
            self._is_new = known.first() is None
            if not self._is_new:
                return
        elif self._rule.kind == "ranked":
            self._scale = Scale.load(self._whole.bounds)
        if self._rule.kind == "distinct":
            self._groups = await self._last_of({one.key for _, one in signed if one.key is not None})
        for (sign, one), day in zip(signed, days, strict=True):
            self._add(one, sign, day)

    async def finish(self, closed: Collection[int], entities: Sequence[str], *, has_ahead: bool) -> None:
        """Write the roll-up, now that the facts are written. `has_ahead`: some that came begin or cease to hold at a
        moment that is still to come."""
        if self._whole is None and not self._is_new:
            # Its first facts have waited, or they are older than roll-ups.
            await build(self._session, self._revision_id, self._part, self._rule, now=self._now)
            return
        if self._groups:
            await self._move_groups()
        if self._rule.kind == "ranked":
            await self._split()
        await self._write(has_ahead=await self._note_ahead(closed, entities, has_ahead))

    def _of(self, table: Table) -> tuple[Any, Any]:
        return table.c.revision_id == self._revision_id, table.c.part == self._part

    async def _awaiting(self) -> list[tuple[int, Counted]]:
        """What earlier changes left to be rolled up, and is from now on."""
        of_part = {"revision": self._revision_id, "in_part": self._part}
        rows = (await self._session.execute(_AWAITING, of_part)).all()
        if rows:
            await self._session.execute(_NO_LONGER_AWAITING, of_part)
        return [
            (1 if row.recorded_to is None else -1, Counted(row.at, row.value, self._rule.sort_key(row.value, None)))
            for row in rows
        ]

    def _on(self, day: int) -> _Gain:
        return self._gains.setdefault((1, day), _Gain())

    def _add(self, one: Counted, sign: int, day: int) -> None:
        gain = self._on(day)
        gain.facts += sign
        if self._rule.kind != "distinct":
            gain.values.append(one.value if sign > 0 else one.value.copy_negate())
        if self._rule.kind == "ranked" and one.key is not None:
            gain.lanes[self._scale.lane_of(one.key)] += sign

    def _add_up(self) -> None:
        """From the days to their spans and everything."""
        whole = self._gains.setdefault((EVERYTHING, 0), _Gain())
        for (length, day), gain in list(self._gains.items()):
            if length == 1:
                span = self._gains.setdefault((SPAN, day - day % SPAN), _Gain())
                for wider in (whole, span):
                    wider.facts += gain.facts
                    wider.values.append(exact_sum(gain.values))
                    wider.lanes.update(gain.lanes)

    async def _last_of(self, keys: Iterable[bytes]) -> dict[bytes, datetime | None]:
        """When each group came last, None where it does not."""
        wanted = sorted(keys)
        found: dict[bytes, datetime | None] = dict.fromkeys(wanted)
        for start in range(0, len(wanted), _IN):
            query = (
                select(_fact.c.sort_key, func.max(_fact.c.at))
                .where(*self._of(_fact), _fact.c.sort_key.in_(wanted[start : start + _IN]))
                .group_by(_fact.c.sort_key)
            )
            found.update({row[0]: row[1] for row in await self._session.execute(query)})
        return found

    async def _move_groups(self) -> None:
        """A group counts where its last fact lies."""
        for sign, last in ((-1, self._groups), (1, await self._last_of(self._groups))):
            for at in last.values():
                if at is not None:
                    self._on(self._days.of(at)).values.append(Decimal(sign))

    async def _split(self) -> None:
        """Split the buckets that this change has filled, and move their facts in the rows of their days."""
        gained: Counter[int] = Counter()
        for gain in self._gains.values():
            gained.update(gain.lanes)
        stored = b"" if self._whole is None else self._whole.buckets
        counts = unpack(changed(stored, gained), 0)
        limit = full(sum(counts))
        for lane in [lane for lane, count in gained.items() if count > 0 and counts[lane] > limit]:
            bucket = self._scale.lanes.index(lane)
            if self._scale.has_one_value(bucket):
                continue
            start, end = self._scale.range(bucket)
            query = select(_fact.c.sort_key, _fact.c.at).where(*self._of(_fact), _fact.c.sort_key >= start)
            if end is not None:
                query = query.where(_fact.c.sort_key < end)
            rows = (await self._session.execute(query.order_by(_fact.c.sort_key))).all()
            counted = ((key, sum(1 for _ in same)) for key, same in groupby(row[0] for row in rows))
            self._scale.split(bucket, list(counted), limit)
            for key, at in rows:
                new = self._scale.lane_of(key)
                if new != lane:
                    lanes = self._on(self._days.of(at)).lanes
                    lanes[lane] -= 1
                    lanes[new] += 1

    async def _note_ahead(self, closed: Collection[int], entities: Sequence[str], has_ahead: bool) -> bool:
        had_ahead = self._whole is not None and self._whole.has_ahead
        if had_ahead:
            over = [_ahead.c.until <= self._now]
            ids = list(closed)
            over += [_ahead.c.fact_id.in_(ids[start : start + _IN]) for start in range(0, len(ids), _IN)]
            await self._session.execute(delete(_ahead).where(*self._of(_ahead), or_(*over)))
        if has_ahead:
            for start in range(0, len(entities), _IN):
                among = _fact.c.entity.in_(entities[start : start + _IN])
                await note_ahead(self._session, self._revision_id, self._part, among, now=self._now)
        if had_ahead:
            left = await self._session.execute(select(_ahead.c.fact_id).where(*self._of(_ahead)).limit(1))
            return left.first() is not None
        return has_ahead

    async def _write(self, *, has_ahead: bool) -> None:
        self._add_up()
        if not self._is_new:
            await self._read(self._gains.keys() - self._asked)  # days that a split or a group has brought
        rows = []
        for place, gain in self._gains.items():
            stored = self._stored.get(place)
            facts, total, buckets = (0, _ZERO, b"") if stored is None else (stored.facts, stored.total, stored.buckets)
            rows.append(
                {
                    "revision_id": self._revision_id,
                    "part": self._part,
                    "days": place[0],
                    "day": place[1],
                    "facts": facts + gain.facts,
                    "total": exact_sum((total, *gain.values)),
                    "buckets": changed(buckets, gain.lanes),
                    "settled_from": self._settled_from() if place[0] == EVERYTHING else None,
                    "has_ahead": has_ahead and place[0] == EVERYTHING,
                }
            )
        dialect = self._session.get_bind().dialect.name
        await self._session.execute(_upserts(dialect)[0], rows)
        if self._scale.has_changed:
            row = {"revision_id": self._revision_id, "part": self._part, "bounds": self._scale.dump()}
            await self._session.execute(_upserts(dialect)[1], [row])

    def _settled_from(self) -> datetime:
        return self._now if self._whole is None else max(self._now, self._whole.settled_from)

    async def _read(self, wanted: Collection[tuple[int, int]]) -> None:
        """Read some rows of the roll-up."""
        self._asked.update(wanted)
        spans, days = (sorted(day for length, day in wanted if length == one) for one in (SPAN, 1))
        for start in range(0, max(len(days), (EVERYTHING, 0) in wanted), _IN):
            chosen: dict[str, Any] = {"spans": spans[start : start + _IN], "days_in": days[start : start + _IN]}
            chosen |= {"revision": self._revision_id, "in_part": self._part}
            for row in await self._session.execute(_STORED, chosen):
                self._stored[row.days, row.day] = row
        self._whole = self._stored.get((EVERYTHING, 0))


def _stored_rows() -> Any:
    """The row over everything with the scale, and those of some spans and days."""
    columns = [_rollup.c[name] for name in ("days", "day", "facts", "total", "buckets", "settled_from", "has_ahead")]
    of_part = (_rollup.c.revision_id == bindparam("revision"), _rollup.c.part == bindparam("in_part"))
    of_rollup = (_scale.c.revision_id == _rollup.c.revision_id, _scale.c.part == _rollup.c.part)
    bounds = select(_scale.c.bounds).where(*of_rollup).scalar_subquery()
    no_bounds = literal(None, Bytes())
    return union_all(
        select(*columns, bounds.label("bounds")).where(*of_part, _rollup.c.days == EVERYTHING, _rollup.c.day == 0),
        *(
            select(*columns, no_bounds.label("bounds")).where(
                *of_part, _rollup.c.days == length, _rollup.c.day.in_(bindparam(name, expanding=True))
            )
            for length, name in ((SPAN, "spans"), (1, "days_in"))
        ),
    )


_STORED = _stored_rows()
_awaits = (_fact.c.revision_id == bindparam("revision"), _fact.c.part == bindparam("in_part"), _fact.c.awaits_rollup)
_AWAITING = select(_fact.c.recorded_to, _fact.c.at, _fact.c.value).where(*_awaits)
_NO_LONGER_AWAITING = update(_fact).where(*_awaits).values(awaits_rollup=False)


@lru_cache
def _upserts(dialect: str) -> tuple[Any, Any]:
    """Statements that write rows of the roll-up, and a scale."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    rows, scale = insert(_rollup), insert(_scale)
    updated = {name: rows.excluded[name] for name in _UPDATED}
    return (
        rows.on_conflict_do_update(index_elements=["revision_id", "part", "days", "day"], set_=updated),
        scale.on_conflict_do_update(index_elements=["revision_id", "part"], set_={"bounds": scale.excluded.bounds}),
    )
