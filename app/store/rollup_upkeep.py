"""Keeping a part's roll-up in step with its facts, in the transaction that changes them.

The roll-up holds the tip: the facts known now that nothing is known to end. What a change adds or takes away is added
to three rows: that of the local day, of its span, and of everything.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from sqlalchemy import Table, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.aggregate import exact_sum
from app.store import rollup_buckets
from app.store.deliveries import upsert
from app.store.rollup_buckets import Scale, changed, unpack
from app.store.rollup_build import build, note_ahead
from app.store.rollup_days import EVERYTHING, SPAN, days_in
from app.store.rollup_keys import group_key, number_key
from app.store.rollup_rules import Counted, Rule, places
from app.store.tables import Fact, FactAhead, RollUp, RollUpScale

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
        self._whole: Any = None
        self._is_new = False
        self._groups: dict[bytes, datetime | None] = {}

    async def begin(self, removed: Sequence[Counted], added: Sequence[Counted]) -> None:
        """Note the facts that leave and those that come, and read what is stored."""
        query = (
            select(_rollup.c.buckets, _rollup.c.settled_from, _rollup.c.has_ahead, _scale.c.bounds)
            .outerjoin(_scale, and_(_scale.c.revision_id == _rollup.c.revision_id, _scale.c.part == _rollup.c.part))
            .where(*self._of(_rollup), _rollup.c.days == EVERYTHING, _rollup.c.day == 0)
        )
        self._whole = (await self._session.execute(query)).one_or_none()
        if self._whole is None:
            known = await self._session.execute(select(_fact.c.id).where(*self._of(_fact)).limit(1))
            self._is_new = known.first() is None
            if not self._is_new:
                return
        elif self._rule.kind == "ranked":
            self._scale = Scale.load(self._whole.bounds)
        if self._rule.kind == "distinct":
            self._groups = await self._last_of({group_key(one.group) for one in (*removed, *added)})
        for sign, facts in ((-1, removed), (1, added)):
            for one in facts:
                self._add(one, sign)

    async def finish(self, closed: Collection[int], entities: Sequence[str], *, has_ahead: bool) -> None:
        """Write the roll-up, now that the facts are written. `has_ahead`: some that came begin or cease to hold at a
        moment that is still to come."""
        if self._whole is None and not self._is_new:
            # Facts from before there were roll-ups.
            await build(self._session, self._revision_id, self._part, self._rule, now=self._now)
            return
        if self._groups:
            await self._move_groups()
        if self._rule.kind == "ranked":
            await self._split()
        await self._write(has_ahead=await self._note_ahead(closed, entities, has_ahead))

    def _of(self, table: Table) -> tuple[Any, Any]:
        return table.c.revision_id == self._revision_id, table.c.part == self._part

    def _at(self, at: datetime) -> list[_Gain]:
        return [self._gains.setdefault(place, _Gain()) for place in places(self._days.of(at))]

    def _add(self, one: Counted, sign: int) -> None:
        lane = self._scale.lane_of(number_key(one.value)) if self._rule.kind == "ranked" else None
        for gain in self._at(one.at):
            gain.facts += sign
            if self._rule.kind != "distinct":
                gain.values.append(one.value if sign > 0 else one.value.copy_negate())
            if lane is not None:
                gain.lanes[lane] += sign

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
                    for gain in self._at(at):
                        gain.values.append(Decimal(sign))

    async def _split(self) -> None:
        """Split the buckets that this change has filled, and move their facts in the rows of their days."""
        gained = self._gains.get((EVERYTHING, 0), _Gain()).lanes
        stored = b"" if self._whole is None else self._whole.buckets
        counts = unpack(changed(stored, gained), 0)
        for lane in [lane for lane, count in gained.items() if count > 0 and counts[lane] > rollup_buckets.FULL]:
            bucket = self._scale.lanes.index(lane)
            if self._scale.has_one_value(bucket):
                continue
            start, end = self._scale.range(bucket)
            query = select(_fact.c.sort_key, _fact.c.at).where(*self._of(_fact), _fact.c.sort_key >= start)
            if end is not None:
                query = query.where(_fact.c.sort_key < end)
            rows = (await self._session.execute(query.order_by(_fact.c.sort_key))).all()
            counted = ((key, sum(1 for _ in same)) for key, same in groupby(row[0] for row in rows))
            self._scale.split(bucket, list(counted))
            for key, at in rows:
                new = self._scale.lane_of(key)
                if new != lane:
                    for gain in self._at(at):
                        gain.lanes[lane] -= 1
                        gain.lanes[new] += 1

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
        self._gains.setdefault((EVERYTHING, 0), _Gain())
        stored = await self._stored()
        rows = []
        for place, gain in self._gains.items():
            facts, total, buckets = stored.get(place, (0, _ZERO, b""))
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
        statement = upsert(self._session, _rollup)
        updated = {name: statement.excluded[name] for name in _UPDATED}
        keys = ["revision_id", "part", "days", "day"]
        await self._session.execute(statement.on_conflict_do_update(index_elements=keys, set_=updated), rows)
        if self._scale.has_changed:
            scale = upsert(self._session, _scale)
            scale = scale.on_conflict_do_update(
                index_elements=["revision_id", "part"], set_={"bounds": scale.excluded.bounds}
            )
            row = {"revision_id": self._revision_id, "part": self._part, "bounds": self._scale.dump()}
            await self._session.execute(scale, [row])

    def _settled_from(self) -> datetime:
        return self._now if self._whole is None else max(self._now, self._whole.settled_from)

    async def _stored(self) -> dict[tuple[int, int], tuple[int, Decimal, bytes]]:
        if self._is_new:
            return {}
        wanted: dict[int, list[int]] = {EVERYTHING: [0], SPAN: [], 1: []}
        for days, day in self._gains:
            if days != EVERYTHING:
                wanted[days].append(day)
        found = {}
        for start in range(0, len(wanted[1]) or 1, _IN):
            among = [
                and_(_rollup.c.days == days, _rollup.c.day.in_(some[start : start + _IN]))
                for days, some in wanted.items()
                if some[start : start + _IN]
            ]
            query = select(_rollup.c.days, _rollup.c.day, _rollup.c.facts, _rollup.c.total, _rollup.c.buckets)
            for row in await self._session.execute(query.where(*self._of(_rollup), or_(*among))):
                found[row.days, row.day] = (row.facts, row.total, row.buckets)
        return found
