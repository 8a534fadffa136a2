"""The roll-up says exactly what the facts say, whatever becomes of them, on both databases."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from app.domain.aggregate import aggregate
from app.domain.records import Fact
from app.domain.window import local_day, start_of_day
from app.store import rollup_buckets, rollup_rules, rollup_statements
from app.store.database import Database, Session
from app.store.facts import Window, replace_facts, values_in
from app.store.rollup import RolledUp, rolled_up
from app.store.rollup_build import delete_rollups
from app.store.rollup_days import cover, days_in
from app.store.rollup_rules import Rule
from app.store.tables import Metric, MetricRevision, Team

START = datetime(2026, 3, 25, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ZONES = ["Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"]
HOW = {
    "total": ["count", "sum", "avg", "last"],
    "ranked": ["min", "max", "median", "p1", "p25", "p90", "p99"],
    "distinct": ["distinct"],
}
VALUES = [Decimal(text) for text in ("0", "-1", "3", "3.00", "0.1", "0.2", "-2.5", "1e20", "86400", "7", "0.0000001")]
VALUES += [Decimal("1234567890123456789012345678"), Decimal("-0.1234567890123456789012345678")]


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def a_revision(session: Session) -> int:
    spec: dict[str, Any] = {"spec": {}, "managed_by": "file", "created_at": START, "updated_at": START}
    team = Team(name="team", **spec)
    session.add(team)
    await session.flush()
    metric = Metric(team_id=team.id, name="metric", unit="things", **spec)
    session.add(metric)
    await session.flush()
    revision = MetricRevision(
        metric_id=metric.id, number=1, digest="d", definition={}, author="somebody", created_at=START
    )
    session.add(revision)
    await session.flush()
    return revision.id


def fact(entity: str, at: datetime | None, value: Decimal | None, **other: Any) -> Fact:
    given: dict[str, Any] = {"valid_from": at, "valid_to": None, "label": entity, "group": None} | other
    reason = "left out" if value is None else None
    return Fact(part="value", subject=entity, entity=entity, at=at, value=value, reason=reason, **given)


class World:
    """Entities with facts that keep changing, and an evaluator that looks at all of them every time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.zone = ZoneInfo(self.random.choice(ZONES))
        self.now = START
        self.facts: dict[str, list[Fact]] = {}
        # Few different values make heavy buckets, many make splits.
        self.is_dense = self.random.random() < 0.5
        # In a calm world nothing is dated ahead.
        self.is_calm = seed % 2 == 1

    def _moment(self) -> datetime:
        at = START + timedelta(seconds=self.random.randrange(-70 * 86400, -2 * 86400 if self.is_calm else 20 * 86400))
        kind = self.random.random()
        if kind < 0.2:
            return start_of_day(local_day(at, self.zone), self.zone)
        if kind < 0.3:
            return start_of_day(local_day(at, self.zone), self.zone) - timedelta(microseconds=1)
        return at

    def _value(self) -> Decimal | None:
        kind = self.random.random()
        if kind < 0.1:
            return None
        if self.is_dense or kind < 0.3:
            return self.random.choice(VALUES)
        return Decimal(self.random.randrange(-5000, 100_000)).scaleb(-self.random.randrange(4))

    def _chain(self, entity: str) -> list[Fact]:
        """Facts of one subject that follow each other in time, the last one open."""
        bounds: list[datetime | None] = [self._moment() if self.random.random() < 0.8 else None]
        while not self.is_calm and self.random.random() < 0.4:
            after = (bounds[-1] or START - 80 * DAY) + timedelta(hours=self.random.randrange(1, 30 * 24))
            bounds.append(after)
        chain = []
        for start, end in zip(bounds, [*bounds[1:], None], strict=True):
            value, group = self._value(), self.random.choice(["a", "b", "c", "d", f"g{self.random.randrange(40)}"])
            at = self._moment() if value is not None or self.random.random() < 0.5 else None
            chain.append(
                fact(entity, at, value, valid_from=start, valid_to=end, group=None if value is None else group)
            )
        return chain

    def change(self, of: int | None = None) -> list[str]:
        """Let time pass, and some entities change, come or go."""
        self.now += timedelta(seconds=self.random.choice([0, 1, 3600, 86400, 200_000]))
        entities = [f"e{number}" for number in self.random.sample(range(120), of or self.random.choice([1, 5, 80]))]
        for entity in entities:
            self.facts[entity] = [] if self.random.random() < 0.15 else self._chain(entity)
        return entities

    def windows(self) -> list[tuple[datetime | None, datetime | None]]:
        today = local_day(self.now, self.zone)
        tomorrow = start_of_day(today + DAY, self.zone)
        chosen = self._moment(), self._moment()
        return [
            (None, None),
            (start_of_day(today - 29 * DAY, self.zone), tomorrow),
            (start_of_day(today - 89 * DAY, self.zone), start_of_day(today + 30 * DAY, self.zone)),
            (start_of_day(today - 2 * DAY, self.zone), None),
            (None, start_of_day(today - 20 * DAY, self.zone)),
            (self.now - timedelta(hours=60), self.now),
            (min(chosen), max(chosen)),
        ]

    def reaches_beyond(self, window: Window) -> bool:
        """Whether a fact lies after the window, or the window begins or ends in the middle of a day."""
        moments = [moment for moment in (window.start, window.end) if moment is not None]
        if any(start_of_day(local_day(moment, self.zone), self.zone) != moment for moment in moments):
            return True
        found = [one for chain in self.facts.values() for one in chain if one.at is not None and one.value is not None]
        return window.end is not None and any(one.at is not None and one.at >= window.end for one in found)

    def naive(self, how: str, window: Window) -> RolledUp:
        """The obvious evaluator: each fact is asked whether it counts."""
        found = [
            one
            for chain in self.facts.values()
            for one in chain
            if one.at is not None
            and one.value is not None
            and (window.start is None or one.at >= window.start)
            and (window.end is None or one.at < window.end)
            and (one.valid_from is None or one.valid_from <= window.as_of)
            and (one.valid_to is None or one.valid_to > window.as_of)
        ]
        if how == "distinct":
            return RolledUp(Decimal(len({one.group for one in found})), len(found))
        found.sort(key=lambda one: (one.at, one.subject))
        return RolledUp(aggregate(how, [one.value for one in found if one.value is not None]), len(found))


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed in (0, 3) else [pytest.mark.slow]) for seed in range(6)]
)
async def test_any_history_in_any_window_is_what_the_facts_and_a_naive_evaluator_say(
    database: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup_buckets, "FULL", 16)
    monkeypatch.setattr(rollup_rules, "TURN", 3)
    monkeypatch.setattr(rollup_statements, "LOOKED_AT", 3 if seed < 3 else 256)
    world = World(seed)
    async with database.writing() as session:
        revision = await a_revision(session)
        for step in range(14):
            entities = world.change(of=80 if step in (0, 6) else None)
            found = [one for entity in entities for one in world.facts[entity]]
            for kind in HOW:
                rule = Rule.of(HOW[kind][0], world.zone)
                if step == 6:
                    # As if the facts were older than roll-ups: the next change builds them.
                    await delete_rollups(session, revision, kind)
                await replace_facts(session, revision, kind, entities, found, now=world.now, rule=rule)
                await compare(session, revision, kind, world)


async def compare(session: Session, revision: int, kind: str, world: World) -> None:
    """Compare every aggregate in some windows at some moments."""
    later = [world.now + timedelta(hours=5), world.now + 15 * DAY]
    for start, end in world.random.sample(world.windows(), 3):
        for as_of in (world.now, world.random.choice(later), world.now - timedelta(hours=30)):
            window = Window(start, end, as_of, world.random.choice([None, world.now]))
            assert len(await values_in(session, revision, kind, window)) == world.naive("count", window).facts
            has_whole_day = cover(start, end, days_in(world.zone)) is not None
            for how in HOW[kind]:
                rolled = await rolled_up(session, revision, kind, window, how, Rule.of(how, world.zone))
                if rolled is not None:
                    assert rolled == world.naive(how, window), (how, window)
                # The present is always told by the roll-up, a distinct count where nothing is to come.
                elif as_of >= world.now and has_whole_day:
                    assert how == "distinct"
                    assert not world.is_calm or world.reaches_beyond(window)
