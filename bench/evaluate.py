"""One changed fact in a metric with very many: what its value then costs, from the roll-up and from the facts.

The facts of one metric lie in 90 local days, with values as durations have them. Every round changes one fact and
computes each aggregate over the 90 days, in the transaction of the change, as the service does; a bare `SELECT 1` in
the same transaction says what a question costs at that moment. Then facts of two parts are changed in turn, of which
one is rolled up.
"""

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table, func, insert, literal, select

from app.domain.aggregate import aggregate
from app.domain.language import Trailing
from app.domain.records import Fact
from app.domain.window import resolve
from app.store import tables
from app.store.database import Database, Session
from app.store.facts import Window, replace_facts, values_in
from app.store.rollup import RolledUp, rolled_up
from app.store.rollup_build import build
from app.store.rollup_rules import Rule
from bench.databases import databases, settle
from bench.report import Timings, machine, table

NAME = "evaluate"
HELP = "the value of a metric of a million facts after one change"

ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PART, PLAIN = "value", "plain"
RANKED = Rule("ranked", ZONE)
HEADER = ("median ms", "spread ms", "CPU ms")
HOW = ("count", "sum", "avg", "last", "min", "max", "median", "p90")
#: More than this are not read one by one, for the memory they take: then a window of a week is compared.
SCANNED = 2_000_000
#: So many facts are made, the others are copies of them for other entities.
MADE = 200_000
_BATCH = 5000
_ONE = select(literal(1))
_fact: Table = tables.Fact.__table__  # type: ignore[attr-defined]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--facts", type=int, default=1_000_000, metavar="N", help="facts in the metric (1000000)")
    parser.add_argument("--rounds", type=int, default=31, metavar="N", help="values after a change (31)")
    parser.add_argument("--changes", type=int, default=96, metavar="N", help="changes with and without roll-up (96)")


async def run(arguments: argparse.Namespace) -> None:
    print(f"{arguments.facts:,} facts, {arguments.rounds} rounds; {machine()}\n")
    async for name, database in databases(arguments.database):
        await _measure(name, database, arguments.facts, arguments.rounds, arguments.changes)


def rule_of(how: str) -> Rule:
    """The rule to read by: rows of ranked facts hold their sums too."""
    return Rule.of(how, ZONE)


def trailing(days: int) -> Window:
    span = resolve(Trailing(trailing=f"{days}d"), at=NOW, zone=ZONE)
    return Window(span.start, span.end, NOW + timedelta(days=1))


async def _measure(name: str, database: Database, facts: int, rounds: int, changes: int) -> None:
    chance = random.Random(1)
    began = time.perf_counter()
    revision = await _load(database, facts, chance)
    loaded = time.perf_counter()
    async with database.writing() as session:
        await build(session, revision, PART, RANKED, now=NOW)
    built = time.perf_counter()
    await settle(database)
    print(f"{name}: loaded in {loaded - began:.0f} s, rolled up in {built - loaded:.0f} s")
    window = trailing(90)
    async with database.reading() as session:
        compared = window if facts <= SCANNED else trailing(7)
        found = await values_in(session, revision, PART, compared)
        values = [value for value, _ in found]
        for how in HOW:
            rolled = await rolled_up(session, revision, PART, compared, how, rule_of(how))
            assert rolled == RolledUp(aggregate(how, values), len(values)), how
        print(f"{name}: equal to what {len(values):,} facts say")
    del found, values
    timings: dict[str, Timings] = defaultdict(Timings)
    for number in range(rounds + 1):
        await _round(database, revision, min(facts, MADE), chance, number, timings)
        if number == 0:  # the first round warms up
            timings.clear()
    if facts <= SCANNED:
        for _ in range(3):
            async with database.reading() as session:
                await timings["median from all facts"].measure(partial(_scanned, session, revision, window))
    rows = [[what, *timing.row()] for what, timing in timings.items()]
    print("\n" + table([f"{name}, {facts:,} facts", *HEADER], rows) + "\n")
    if facts <= SCANNED:
        await _compare_changes(name, database, revision, facts, changes, chance)


async def _scanned(session: Session, revision: int, window: Window) -> Decimal | None:
    return aggregate("median", [value for value, _ in await values_in(session, revision, PART, window)])


async def _round(
    database: Database, revision: int, facts: int, chance: random.Random, number: int, timings: dict[str, Timings]
) -> None:
    now = NOW + timedelta(seconds=number)
    fact = _a_fact(chance.randrange(facts), chance)
    async with database.writing() as session:
        await session.execute(_ONE)
        await timings["SELECT 1"].measure(lambda: session.execute(_ONE))
        await replace_facts(session, revision, PART, [fact.entity], [fact], now=now, rule=RANKED)
        for how in HOW:
            await timings[how].measure(partial(rolled_up, session, revision, PART, trailing(90), how, rule_of(how)))


async def _compare_changes(
    name: str, database: Database, revision: int, facts: int, changes: int, chance: random.Random
) -> None:
    """Change facts of two parts with the same facts, of which one is rolled up: whole transactions, in turn."""
    rows = []
    for size, times in ((1, changes), (200, max(changes // 8, 3))):
        timings = {PART: Timings(), PLAIN: Timings()}
        for number in range(times + 2):
            now = NOW + timedelta(hours=size, seconds=number)
            changed = [_a_fact(entity, chance) for entity in chance.sample(range(min(facts, MADE)), size)]
            if number == 2:
                timings = {PART: Timings(), PLAIN: Timings()}
            for part, timing in timings.items() if number % 2 else reversed(timings.items()):
                await timing.measure(partial(_change, database, revision, part, changed, now))
        plain, rolled = timings[PLAIN].means(), timings[PART].means()
        for part, what in ((PLAIN, "not rolled up"), (PART, "rolled up")):
            rows.append(
                [f"{size} changed, {what}", *timings[part].row(), *(f"{mean:.2f}" for mean in timings[part].means())]
            )
        ratios = [f"{one / other:.2f}" for one, other in zip(rolled, plain, strict=True)]
        rows.append([f"{size} changed, ratio", timings[PART].ratio(timings[PLAIN]), "", "", *ratios])
    print(table([f"{name}, {facts:,} facts", *HEADER, "mean ms", "mean CPU"], rows) + "\n")


async def _change(database: Database, revision: int, part: str, facts: list[Fact], now: datetime) -> None:
    async with database.writing() as session:
        rule = RANKED if part == PART else None
        changed = [replace(fact, part=part) for fact in facts]
        await replace_facts(session, revision, part, [fact.entity for fact in facts], changed, now=now, rule=rule)


def _a_fact(number: int, chance: random.Random) -> Fact:
    at = NOW - timedelta(seconds=chance.randrange(89 * 86400))
    value = Decimal(int(chance.lognormvariate(11, 1.5)))
    entity = f"e{number}"
    return Fact(PART, entity, entity, at, value, None, at, None, entity)


async def _load(database: Database, facts: int, chance: random.Random) -> int:
    """Fill an empty database; the indexes are made afterwards."""
    async with database.writing() as session:
        revision = await a_revision(session)
        for index in _fact.indexes:
            await session.run_sync(lambda sync, index=index: index.drop(sync.connection()))  # type: ignore[misc]
    made = min(facts, MADE)
    for start in range(0, made, 50 * _BATCH):
        async with database.writing() as session:
            for batch in _batches(start, min(start + 50 * _BATCH, made)):
                rows = [_row(_a_fact(number, chance), revision, RANKED) for number in batch]
                await session.execute(insert(_fact), rows)
    names = [column.key for column in _fact.c if column.key != "id"]
    last = await _last_id(database)
    for copy in range(1, facts // made):
        tail = literal(f"-{copy}")
        copied = [_fact.c[name].concat(tail) if name in ("entity", "subject") else _fact.c[name] for name in names]
        async with database.writing() as session:
            await session.execute(insert(_fact).from_select(names, select(*copied).where(_fact.c.id <= last)))
    if facts <= SCANNED:
        async with database.writing() as session:
            copied = [literal(PLAIN) if name == "part" else _fact.c[name] for name in names]
            await session.execute(insert(_fact).from_select(names, select(*copied)))
    async with database.writing() as session:
        for index in _fact.indexes:
            await session.run_sync(lambda sync, index=index: index.create(sync.connection()))  # type: ignore[misc]
    return revision


async def _last_id(database: Database) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.max(_fact.c.id))) or 0


def _batches(start: int, end: int) -> Iterator[range]:
    for first in range(start, end, _BATCH):
        yield range(first, min(first + _BATCH, end))


def _row(fact: Fact, revision: int, rule: Rule) -> dict[str, Any]:
    assert fact.value is not None
    return {
        "revision_id": revision,
        "part": PART,
        "entity": fact.entity,
        "subject": fact.subject,
        "at": fact.at,
        "value": fact.value,
        "reason": None,
        "valid_from": fact.valid_from,
        "valid_to": None,
        "label": fact.label,
        "link": None,
        "group_key": None,
        "since": None,
        "recorded_from": NOW - timedelta(days=1),
        "recorded_to": None,
        "sort_key": rule.sort_key(fact.value, None),
        "awaits_rollup": False,
    }


async def a_revision(session: Session) -> int:
    """A team with a metric and its first revision."""
    team = tables.Team(name="bench", spec={}, managed_by="file", created_at=NOW, updated_at=NOW)
    session.add(team)
    await session.flush()
    metric = tables.Metric(
        team_id=team.id, name="metric", unit="seconds", spec={}, managed_by="file", created_at=NOW, updated_at=NOW
    )
    session.add(metric)
    await session.flush()
    revision = tables.MetricRevision(
        metric_id=metric.id, number=1, digest="", definition={}, author="bench", created_at=NOW
    )
    session.add(revision)
    await session.flush()
    return revision.id
