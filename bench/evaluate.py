"""One changed fact in a metric with very many: what its value then costs, from the roll-up and from the facts.

The facts of one metric lie in 90 local days, with values as durations have them. Every round changes one fact and
computes each aggregate over the 90 days, in the transaction of the change, as the service does.
"""

import argparse
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
PART = "value"
HOW = ("count", "sum", "avg", "last", "min", "max", "median", "p90")
#: More than this are not read one by one, for the memory they take: then a window of a week is compared.
SCANNED = 2_000_000
#: So many facts are made, the others are copies of them for other entities.
MADE = 200_000
_BATCH = 5000
_fact: Table = tables.Fact.__table__  # type: ignore[attr-defined]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--facts", type=int, default=1_000_000, metavar="N", help="facts in the metric (1000000)")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="changes that are measured (15)")


async def run(arguments: argparse.Namespace) -> None:
    print(f"{arguments.facts:,} facts, {arguments.rounds} rounds; {machine()}\n")
    async for name, database in databases(arguments.database):
        await _measure(name, database, arguments.facts, arguments.rounds)


def rule_of(how: str) -> Rule:
    """The rule to read by: rows of ranked facts hold their sums too."""
    return Rule.of(how, ZONE)


def trailing(days: int) -> Window:
    span = resolve(Trailing(trailing=f"{days}d"), at=NOW, zone=ZONE)
    return Window(span.start, span.end, NOW + timedelta(days=1))


async def _measure(name: str, database: Database, facts: int, rounds: int) -> None:
    chance = random.Random(1)
    began = time.perf_counter()
    revision = await _load(database, facts, chance)
    loaded = time.perf_counter()
    async with database.writing() as session:
        await build(session, revision, PART, Rule("ranked", ZONE), now=NOW)
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
    timings = {how: Timings() for how in HOW}
    change, plain, scan = Timings(), Timings(), Timings()
    for number in range(rounds + 1):
        if number == 1:  # the first round warms up
            timings = {how: Timings() for how in HOW}
            change, plain, scan = Timings(), Timings(), Timings()
        await _round(database, revision, facts, chance, number, (change, plain), timings)
    if facts <= SCANNED:
        for _ in range(3):
            async with database.reading() as session:
                await scan.measure(lambda s=session: _scanned(s, revision, window))  # type: ignore[misc]
    rows = [[how, *timings[how].row()] for how in HOW]
    if scan.wall:
        rows.append(["median from all facts", *scan.row()])
    rows.append(["the change, rolled up", *change.row()])
    rows.append(["the change, not rolled up", *plain.row()])
    print("\n" + table([f"{name}, {facts:,} facts", "median ms", "spread ms", "CPU ms"], rows) + "\n")


async def _scanned(session: Session, revision: int, window: Window) -> Decimal | None:
    return aggregate("median", [value for value, _ in await values_in(session, revision, PART, window)])


async def _round(
    database: Database,
    revision: int,
    facts: int,
    chance: random.Random,
    number: int,
    changes: tuple[Timings, Timings],
    timings: dict[str, Timings],
) -> None:
    now = NOW + timedelta(seconds=number)
    window = trailing(90)
    fact = _a_fact(chance.randrange(facts), chance)
    async with database.writing() as session:
        await changes[0].measure(
            lambda: replace_facts(session, revision, PART, [fact.entity], [fact], now=now, rule=Rule("ranked", ZONE))
        )
        for how in HOW:
            await timings[how].measure(
                lambda how=how: rolled_up(session, revision, PART, window, how, rule_of(how))  # type: ignore[misc]
            )
    async with database.writing() as session:
        other = _a_fact(facts + 1, chance)
        await changes[1].measure(lambda: replace_facts(session, revision, "plain", [other.entity], [other], now=now))


def _a_fact(number: int, chance: random.Random) -> Fact:
    at = NOW - timedelta(seconds=chance.randrange(89 * 86400))
    value = Decimal(int(chance.lognormvariate(11, 1.5)))
    entity = f"e{number}"
    return Fact(PART, entity, entity, at, value, None, at, None, entity)


async def _load(database: Database, facts: int, chance: random.Random) -> int:
    async with database.writing() as session:
        revision = await a_revision(session)
    rule = Rule("ranked", ZONE)
    made = min(facts, MADE)
    for start in range(0, made, 50 * _BATCH):
        async with database.writing() as session:
            for batch in _batches(start, min(start + 50 * _BATCH, made)):
                rows = [_row(_a_fact(number, chance), revision, rule) for number in batch]
                await session.execute(insert(_fact), rows)
    names = [column.key for column in _fact.c if column.key != "id"]
    last = await _last_id(database)
    for copy in range(1, facts // made):
        tail = literal(f"-{copy}")
        copied = [_fact.c[name].concat(tail) if name in ("entity", "subject") else _fact.c[name] for name in names]
        async with database.writing() as session:
            await session.execute(insert(_fact).from_select(names, select(*copied).where(_fact.c.id <= last)))
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
