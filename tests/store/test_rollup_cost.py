"""What a change and a value ask of the database, whatever the number of facts; and the cases that are easily missed."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import event, func, select, text

from app.domain.aggregate import aggregate
from app.domain.records import Fact
from app.store import rollup_buckets, rollup_rules
from app.store.database import Database, Session
from app.store.facts import Window, replace_facts
from app.store.rollup import RolledUp, rolled_up
from app.store.rollup_buckets import Scale
from app.store.rollup_rules import Rule
from app.store.tables import Fact as StoredFact
from app.store.tables import RollUp, RollUpScale
from tests.store.test_rollup import a_revision, fact

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
TODAY = datetime(2026, 11, 21, 23, tzinfo=UTC)  # midnight in Berlin
WEEK = Window(TODAY - 6 * DAY, TODAY + DAY, NOW + DAY)
RANKED, TOTAL = Rule("ranked", BERLIN), Rule("total", BERLIN)


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the database meanwhile, by its first word."""
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement.split()[0])

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


def some(count: int, *, start: int = 0, seed: int = 1) -> list[Fact]:
    chance = random.Random(seed)
    return [
        fact(f"e{number}", TODAY - timedelta(minutes=chance.randrange(6 * 1440)), Decimal(chance.randrange(-999, 9999)))
        for number in range(start, start + count)
    ]


async def put(
    session: Session, revision: int, facts: list[Fact], *, rule: Rule | None = RANKED, later: int = 0
) -> None:
    now = NOW + timedelta(seconds=later)
    await replace_facts(session, revision, "value", [one.entity for one in facts], facts, now=now, rule=rule)


async def waiting(session: Session) -> int:
    query = select(func.count()).select_from(StoredFact).where(StoredFact.__table__.c.awaits_rollup)  # type: ignore[attr-defined]
    return await session.scalar(query) or 0


async def test_a_change_that_is_rolled_up_asks_no_more_than_one_that_is_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup_rules.Rule, "may_wait", lambda *_: True)
    async with database.writing() as session:
        revision = await a_revision(session)
        await put(session, revision, some(5))
        for rule in (None, TOTAL, RANKED):
            with statements(database) as asked:
                await put(session, revision, [fact("e1", TODAY, Decimal(len(asked) + 3))], rule=rule, later=1)
                await put(session, revision, [fact("e1", TODAY, Decimal(7))], rule=rule, later=2)
            assert asked == ["SELECT", "UPDATE", "INSERT"] * 2, rule


async def test_a_value_is_one_question_and_a_percentile_two(database: Database) -> None:
    async with database.writing() as session:
        revision = await a_revision(session)
        await put(session, revision, some(40))
        await put(session, revision, [fact("e7", TODAY, Decimal(5))], later=1)
        asked_for = {}
        for how in ("count", "sum", "avg", "min", "max", "median", "p90"):
            with statements(database) as asked:
                found = await rolled_up(session, revision, "value", WEEK, how, Rule.of(how, BERLIN))
            assert found is not None
            asked_for[how] = len(asked)
    assert asked_for == dict.fromkeys(("count", "sum", "avg", "min", "max"), 1) | {"median": 2, "p90": 2}


async def test_waiting_facts_are_found_by_their_index(database: Database) -> None:
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    table = StoredFact.__table__  # type: ignore[attr-defined]
    query = select(table.c.at).where(table.c.revision_id == 1, table.c.part == "value", table.c.awaits_rollup)
    async with database.writing() as session:
        revision = await a_revision(session)
        await put(session, revision, some(300))
        dialect = database.engine.dialect
        asked = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).replace("::", r"\:\:")
        if database.dialect == "postgresql":
            await session.execute(text("SET LOCAL enable_seqscan = off"))  # so few rows may be read at once as well
        plan = " ".join(str(row) for row in await session.execute(text(explain + asked)))
    assert "ix_fact_awaiting" in plan


async def test_facts_wait_until_it_is_somebodys_turn(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with database.writing() as session:
        revision = await a_revision(session)
        facts = {one.entity: one for one in some(40)}
        await put(session, revision, list(facts.values()))
        assert await waiting(session) == 0
        monkeypatch.setattr(rollup_rules.Rule, "may_wait", lambda *_: True)
        for number, later in enumerate((1, 1, 2, 3, 3), 100):  # two facts come, one changes twice, an old one goes
            one = fact(f"e{min(number, 102)}", TODAY - DAY, Decimal(number))
            await put(session, revision, [one], later=later)
            facts[one.entity] = one
        await replace_facts(session, revision, "value", ["e3"], [], now=NOW + timedelta(seconds=4), rule=RANKED)
        del facts["e3"]
        assert await waiting(session) == 4  # what came and went in the meantime waits no more
        await same(session, revision, facts)
        monkeypatch.undo()
        monkeypatch.setattr(rollup_rules, "TURN", 1)
        await put(session, revision, [facts.setdefault("last", fact("last", TODAY, Decimal("0.5")))], later=5)
        assert await waiting(session) == 0
        await same(session, revision, facts)


async def same(session: Session, revision: int, facts: dict[str, Fact], window: Window = WEEK) -> None:
    """The roll-up tells what these facts do."""
    start, end = window.start, window.end
    assert start is not None
    assert end is not None
    inside = [
        one.value for one in facts.values() if one.at is not None and start <= one.at < end and one.value is not None
    ]
    for how in ("count", "sum", "avg", "min", "max", "p1", "median", "p90"):
        found = await rolled_up(session, revision, "value", window, how, Rule.of(how, BERLIN))
        assert found == RolledUp(aggregate(how, inside), len(inside)), how


@pytest.mark.parametrize("turn", [1, 10**9], ids=["at once", "later"])
async def test_the_least_and_the_greatest_of_a_day_go_again_and_again(
    database: Database, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup_rules, "TURN", turn)
    values = ["-2.50", "-2.5", "-2.49", "0", "-0", "0.1", "0.3", "1e3", "1000.000", "999.9999999999999999999"]
    async with database.writing() as session:
        revision = await a_revision(session)
        facts = {f"d{n}": fact(f"d{n}", TODAY + timedelta(hours=n), Decimal(value)) for n, value in enumerate(values)}
        facts |= {f"o{n}": fact(f"o{n}", TODAY - DAY, Decimal(n)) for n in range(20)}
        await put(session, revision, list(facts.values()))
        later = 0
        today = Window(TODAY, TODAY + DAY, WEEK.as_of)
        while left := sorted((one.value or 0, name) for name, one in facts.items() if name.startswith("d")):
            await same(session, revision, facts, today)
            await same(session, revision, facts)
            gone = left[0 if later % 2 else -1][1]
            later += 1
            del facts[gone]
            await replace_facts(session, revision, "value", [gone], [], now=NOW + timedelta(seconds=later), rule=RANKED)
        assert await rolled_up(session, revision, "value", today, "min", RANKED) == RolledUp(None, 0)
        await same(session, revision, facts)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(datetime(2026, 3, 28, 23, tzinfo=UTC), 23), (datetime(2026, 10, 24, 22, tzinfo=UTC), 25)],
    ids=["23 hours", "25 hours"],
)
async def test_a_day_whose_clock_is_changed_holds_its_own_hours(database: Database, day: datetime, hours: int) -> None:
    async with database.writing() as session:
        revision = await a_revision(session)
        facts = {f"e{n}": fact(f"e{n}", day + timedelta(hours=n, microseconds=-1), Decimal(n)) for n in range(30)}
        await put(session, revision, list(facts.values()))
        of_day = Window(day, day + timedelta(hours=hours), NOW)
        found = await rolled_up(session, revision, "value", of_day, "count", TOTAL)
        assert found == RolledUp(Decimal(hours), hours)
        await same(session, revision, facts, of_day)
        # From the middle of the day before to the middle of the day after: both are read fact by fact.
        await same(session, revision, facts, Window(day - DAY / 2, day + timedelta(hours=hours) + DAY / 2, NOW))


async def test_a_moment_before_the_last_change_is_told_by_the_facts(database: Database) -> None:
    async with database.writing() as session:
        revision = await a_revision(session)
        await put(session, revision, some(40))
        await put(session, revision, [fact("e1", TODAY, Decimal(1))], later=10)
        for as_of, known_at, is_told in (
            (NOW + timedelta(seconds=10), None, True),
            (NOW + timedelta(seconds=9), None, False),
            (NOW + DAY, NOW + timedelta(seconds=9), False),
            (NOW + DAY, NOW + timedelta(seconds=10), True),
        ):
            window = Window(WEEK.start, WEEK.end, as_of, known_at)
            for how in ("sum", "min", "median"):
                found = await rolled_up(session, revision, "value", window, how, Rule.of(how, BERLIN))
                assert (found is not None) == is_told, (as_of, known_at, how)


async def test_rows_do_not_grow_with_the_facts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup_buckets, "FULL", 4)
    monkeypatch.setattr(rollup_buckets, "SHARES", 8)
    async with database.writing() as session:
        revision = await a_revision(session)
        facts: dict[str, Fact] = {}
        widths = []
        for batch in range(8):
            came = some(150, start=150 * batch, seed=batch)
            facts |= {one.entity: one for one in came}
            await put(session, revision, came, later=batch)
            stored = await session.scalar(select(RollUpScale.__table__.c.bounds))  # type: ignore[attr-defined]
            widths.append(len(Scale.load(stored).lanes))
            longest = await session.scalar(select(func.max(func.length(RollUp.__table__.c.buckets))))  # type: ignore[attr-defined]
            assert longest is not None
            assert longest <= 4 * widths[-1]
        assert widths[-1] <= 3 * 8 + widths[0]
        await same(session, revision, facts)
