"""Any history, in any order and number of arrivals, under any series of rules, gives what a slow evaluator gives.

The evaluator below is the obvious reading of the language: take what has happened by a moment, look at each event,
compute with fractions, round once. It shares no code with the product. Each form that reads records goes with every
aggregation and every window; records that are pulled, shares of time, unfinished durations, queries and people's words
are in `test_properties_pulled.py`, arrivals of what is measured with the clock in `test_intervals.py`.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.services.computed import Computed
from app.services.definitions import definition_of
from app.services.evaluate import compute
from app.services.explain_rows import State, rows_at, value_of
from app.store import organisation, samples
from app.store.facts import Window
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story

ZONE = ZoneInfo("America/New_York")  # the clocks go back on the 1st of November
FIRST, LAST = datetime(2026, 10, 12, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EXACT = Context(prec=28, rounding=ROUND_HALF_EVEN)
CYCLE = "2026-Q4"

WINDOWS = {
    "now": "now",
    "days": "{trailing: 7d}",
    "hours": "{trailing: 36h}",
    "month": "{to_date: month}",
    "quarter": "{to_date: quarter}",
    "year": "{to_date: year}",
    "to_cycle": "{to_date: cycle}",
    "cycle": "cycle",
    "all": "all",
}
OF_VALUES = ("sum", "avg", "median", "p10", "p90", "min", "max", "last")
OF_TIME = ("sum", "avg", "median", "p90", "min", "max", "last")


@dataclass(frozen=True)
class Happened:
    """An event as it is sent; no two are of one moment."""

    id: str
    entity: str
    event: str
    at: datetime
    number: Decimal | None


@dataclass(frozen=True)
class Counted:
    """What one record adds, by hand."""

    at: datetime
    amount: Fraction
    group: str


# --- the team's rules ------------------------------------------------------------------------------------------------

#: A rule as the file writes it, and as a person reads it.
RULES = {
    "record.event == 'a'": lambda event: event == "a",
    "record.event != 'b'": lambda event: event != "b",
    "record.event in ['b', 'c']": lambda event: event in ("b", "c"),
}


def metrics(rule: str) -> Iterator[tuple[str, str]]:
    """Every metric's name and definition."""
    numbers = f'{{dataset: happenings, where: "{rule}", value: record.body.n}}'
    plain = f'{{dataset: happenings, where: "{rule}"}}'
    entities = (
        "{dataset: happenings, per: entity, where: \"'a' in record.events && !('c' in record.events)\", "
        "at: record.last, value: record.count}"
    )
    spans = "{dataset: happenings, from: {event: a}, to: {event: b, pick: last}, within: 10d}"
    for name, window in WINDOWS.items():
        for how in OF_VALUES:
            yield f"number_{how}_{name}", f"{{unit: EUR, records: {numbers}, aggregate: {how}, window: {window}}}"
            yield f"entity_{how}_{name}", f"{{unit: events, records: {entities}, aggregate: {how}, window: {window}}}"
        yield f"plain_count_{name}", f"{{unit: events, records: {plain}, window: {window}}}"
        distinct = "aggregate: {distinct: record.entity}"
        yield f"plain_distinct_{name}", f"{{unit: things, records: {plain}, {distinct}, window: {window}}}"
        for how in OF_TIME:
            yield f"span_{how}_{name}", f"{{unit: hours, duration: {spans}, aggregate: {how}, window: {window}}}"
        all_of = "{dataset: happenings}"
        counts = f"good: {{records: {plain}}}, total: {{records: {all_of}}}"
        yield f"share_count_{name}", f"{{unit: percent, ratio: {{{counts}}}, window: {window}, min_samples: 3}}"
        whole = "{dataset: happenings, value: record.body.n}"
        sums = f"good: {{records: {numbers}, aggregate: sum}}, total: {{records: {whole}, aggregate: sum}}"
        yield f"share_sum_{name}", f"{{unit: ratio, ratio: {{{sums}}}, window: {window}}}"
        yield f"formula_{name}", f"{{unit: EUR/events, formula: 2 * number_sum_{name} / plain_count_{name}}}"


def team_file(rule: str) -> str:
    lines = ["version: 1", f"team: {TEAM}", "timezone: America/New_York", "connections:"]
    lines += ["  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}"]
    lines += ["datasets:", "  happenings: {connection: erp, entity: body.e, at: body.at, event: body.event}"]
    lines += ["metrics:", *(f"  {name}: {definition}" for name, definition in metrics(rule))]
    return "\n".join(lines)


# --- the slow way ----------------------------------------------------------------------------------------------------


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)


def window_of(name: str, as_of: datetime) -> tuple[datetime | None, datetime | None]:
    today = as_of.astimezone(ZONE).date()
    if name == "days":
        return midnight(today - 6 * DAY), midnight(today + DAY)
    if name == "hours":
        return as_of - timedelta(hours=36), as_of
    if name in ("now", "all"):
        return None, None
    if name == "month":
        first = today.replace(day=1)
        return midnight(first), midnight((first + 31 * DAY).replace(day=1))
    if name == "year":
        return midnight(date(today.year, 1, 1)), midnight(date(today.year + 1, 1, 1))
    return midnight(date(2026, 10, 1)), midnight(date(2027, 1, 1))  # the quarter, which is the cycle


def inside(counted: Iterable[Counted], name: str, as_of: datetime) -> list[Counted]:
    start, end = window_of(name, as_of)
    return sorted(
        (one for one in counted if (start is None or one.at >= start) and (end is None or one.at < end)),
        key=lambda one: one.at,
    )


def reduced(how: str, found: Sequence[Counted]) -> Fraction | None:
    amounts = [one.amount for one in found]
    if how in ("count", "distinct"):
        return Fraction(len(found) if how == "count" else len({one.group for one in found}))
    if how == "sum":
        return sum(amounts, Fraction(0))
    if not amounts:
        return None
    ordered = sorted(amounts)
    if how in ("min", "max", "last", "avg"):
        whole = sum(amounts, Fraction(0)) / len(amounts)
        return {"min": ordered[0], "max": ordered[-1], "last": amounts[-1], "avg": whole}[how]
    share = Fraction(1, 2) if how == "median" else Fraction(int(how[1:]), 100)
    place, part = divmod((len(ordered) - 1) * share, 1)
    low, high = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
    return low + part * (high - low)


class ByHand:
    """Every metric's value at a moment, from what had happened by then."""

    def __init__(self, events: Iterable[Happened], rule: str, as_of: datetime) -> None:
        self.as_of = as_of
        past = sorted((one for one in events if one.at <= as_of), key=lambda one: one.at)
        chosen = [one for one in past if RULES[rule](one.event)]
        self.all = [Counted(one.at, Fraction(1), one.entity) for one in past]
        self.plain = [Counted(one.at, Fraction(1), one.entity) for one in chosen]
        self.numbers = [Counted(one.at, Fraction(one.number), "") for one in chosen if one.number is not None]
        self.all_numbers = [Counted(one.at, Fraction(one.number), "") for one in past if one.number is not None]
        self.entities, self.spans = [], []
        for entity in {one.entity for one in past}:
            own = [one for one in past if one.entity == entity]
            names = [one.event for one in own]
            if "a" in names and "c" not in names:
                self.entities.append(Counted(own[-1].at, Fraction(len(own)), entity))
            starts = [one.at for one in own if one.event == "a"]
            ends = [one.at for one in own if one.event == "b"]
            if starts and ends and timedelta(0) <= ends[-1] - starts[0] <= 10 * DAY:
                hours = Fraction((ends[-1] - starts[0]) // MINUTE, 60)
                self.spans.append(Counted(ends[-1], hours, entity))

    def value(self, metric: str) -> Decimal | None:
        exact = self._exact(metric)
        return None if exact is None else EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))

    def _exact(self, metric: str) -> Fraction | None:
        form, _, rest = metric.partition("_")
        if form == "formula":
            count = self._exact(f"plain_count_{rest}")
            total = self._exact(f"number_sum_{rest}")
            return None if not count or total is None else 2 * total / count
        how, _, window = rest.partition("_")
        if form == "share":
            good, total = (self.plain, self.all) if how == "count" else (self.numbers, self.all_numbers)
            above = reduced(how, inside(good, window, self.as_of)) or Fraction(0)
            below = reduced(how, inside(total, window, self.as_of))
            if not below or (how == "count" and below < 3):
                return None
            return above / below * (100 if how == "count" else 1)
        records = {"number": self.numbers, "plain": self.plain, "entity": self.entities, "span": self.spans}[form]
        return reduced(how, inside(records, window, self.as_of))


def number_of(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.normalize(EXACT)


# --- any history -----------------------------------------------------------------------------------------------------


def any_history(choose: random.Random) -> list[Happened]:
    minutes = choose.sample(range((LAST - FIRST) // MINUTE), 60)
    numbers = [None, Decimal("0.1"), Decimal("0.2"), Decimal("-2.5"), Decimal(3), Decimal("99.99"), Decimal(0)]
    return [
        Happened(
            f"m{number:02}",
            f"thing {choose.randrange(9)}",
            choose.choice("abc"),
            FIRST + minute * MINUTE,
            choose.choice(numbers),
        )
        for number, minute in enumerate(minutes)
    ]


def body(one: Happened) -> bytes:
    number = "null" if one.number is None else str(one.number)
    return f'{{"e": "{one.entity}", "event": "{one.event}", "at": "{one.at.isoformat()}", "n": {number}}}'.encode()


def seeds(most: int) -> list[int]:
    """Seeds that a search chooses, the same in every run."""
    found: list[int] = []

    @settings(max_examples=most, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck])
    @given(st.integers(0, 2**32))
    def collect(seed: int) -> None:
        found.append(seed)

    collect()
    return found


async def assert_right(
    story: Story,
    events: Sequence[Happened],
    rule: str,
    moments: Sequence[tuple[datetime, datetime | None]],
    one_in: int = 1,
) -> None:
    """Every metric (or every so many of them, others at each moment), true at each moment and known at each, is what is
    worked out by hand."""
    every = [name for name, _ in metrics(rule)]
    async with story.services.database.reading() as session:
        rows = await organisation.metrics_named(session, {(TEAM, name) for name in every})
        items = await organisation.revised_metrics(session, [row.id for row in rows.values()])
        for number, (as_of, known_at) in enumerate(moments):
            hand = ByHand(events, rule, as_of)
            known: dict[tuple[int, str], Computed] = {}
            for name in every[number % one_in :: one_in]:
                item = items[rows[(TEAM, name)].id]
                needs_cycle = name.endswith("cycle")
                cycle = CYCLE if needs_cycle else ""
                found = await compute(session, item, cycle=cycle, as_of=as_of, known_at=known_at, known=known)
                assert number_of(found.value) == number_of(hand.value(name)), (name, as_of, known_at, found.reason)
                definition = definition_of(item.revision)
                if definition.extractions and known_at is not None:
                    # What explain takes apart gives the number when it is put together again.
                    point = Window(found.window.start, found.window.end, as_of, known_at)
                    state = State(await rows_at(session, item.revision.id, definition, point))
                    assert number_of(value_of(definition, state)) == number_of(found.value), (name, as_of)


async def assert_samples(story: Story, events: Sequence[Happened], rule: str) -> None:
    """What was stored as current is right at the moment that it was measured at."""
    hand = ByHand(events, rule, story.clock())
    async with story.services.database.reading() as session:
        for name, _ in metrics(rule):
            if name.endswith(("cycle", "_hours")):
                continue  # without a key result nobody asks for a cycle; what moves by the minute was measured before
            metric = await organisation.get_metric(session, TEAM, name)
            assert metric is not None
            sample = (await samples.current_samples(session, [metric.id]))[(metric.id, "")]
            assert number_of(sample.value) == number_of(hand.value(name)), name


SEEDS = seeds(6)


@pytest.mark.parametrize(
    ("seed", "one_in"),
    [(SEEDS[0], 5), *(pytest.param(seed, 1, marks=pytest.mark.slow) for seed in SEEDS)],
)
async def test_any_history_in_any_arrival_under_any_rules(
    story: Story, clock: FakeClock, seed: int, one_in: int
) -> None:
    """Now, every metric is asked for; at the other moments, in the short run, one in so many."""
    choose = random.Random(seed)
    events = any_history(choose)
    clock.set(LAST + timedelta(seconds=30))
    rules = list(RULES)
    choose.shuffle(rules)
    await story.apply(team_file(rules[0]))
    # Late, doubled and out of order, and the rule edited in between.
    arrivals = [*events, *choose.sample(events, 20)]
    choose.shuffle(arrivals)
    come: list[Happened] = []
    moments: list[tuple[datetime, datetime | None]] = []
    for number in range(4):
        batch = arrivals[number::4]
        clock.advance(timedelta(hours=5))
        await story.send([body(one) for one in batch], ids=[one.id for one in batch])
        await story.work()
        come = list(dict.fromkeys([*come, *batch]))
        if number in (0, 1):
            clock.advance(MINUTE)
            await story.apply(team_file(rules[number + 1]))
            await story.work()
            await assert_right(story, come, rules[number + 1], [(clock(), None)], one_in)
    assert {one.id for one in come} == {one.id for one in events}
    rule = rules[2]
    await assert_samples(story, events, rule)
    for _ in range(3):
        at = FIRST + choose.randrange((LAST - FIRST) // MINUTE) * MINUTE + timedelta(seconds=30)
        moments.append((at, choose.choice([None, clock()])))
    await assert_right(story, events, rule, moments, one_in)
    present = [(clock(), clock())] if one_in > 1 else [(clock(), None), (clock(), clock())]
    await assert_right(story, events, rule, present)
