"""Measured time equals what a slow walk through the events gives: any history, window and moment, in any arrival."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.extract import compile_part
from app.domain.language import StateShareSource
from app.domain.records import Event, EventHistory
from app.services.computed import Computed
from app.services.evaluate import compute
from app.services.intervals import cut, share
from app.store import organisation
from app.store.facts import Stretch, Window
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story

STEP = timedelta(minutes=10)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = datetime(2026, 11, 10, tzinfo=UTC)
GOOD, EXCLUDED = ("up", "slow"), ("off",)
STATES = (*GOOD, *EXCLUDED, "down", None)


@dataclass(frozen=True)
class Said:
    """An event as it was sent: on the grid of ten minutes."""

    id: str
    entity: str
    at: datetime
    event: str | None


# --- the slow way ----------------------------------------------------------------------------------------------------


@dataclass
class Walk:
    """Steps counted one by one."""

    good: int = 0
    measured: int = 0
    passed: int = 0
    entities: set[str] = field(default_factory=set)


def walk(events: Iterable[Said], start: datetime | None, end: datetime | None, as_of: datetime) -> Walk:
    """Look at every entity's state at every step of the window that has passed."""
    counted = Walk()
    limit = as_of if end is None else min(as_of, end)
    by_entity: dict[str, list[Said]] = {}
    for said in sorted(events, key=lambda said: (said.at, said.id)):
        if said.at <= as_of and (end is None or said.at < end):
            by_entity.setdefault(said.entity, []).append(said)
    for entity, known in by_entity.items():
        moments = [said.at for said in known]
        at = start or moments[0]
        while at < limit:
            counted.passed += 1
            come = bisect_right(moments, at)
            state = known[come - 1].event if come else None
            if state is not None and state not in EXCLUDED:
                counted.measured += 1
                counted.good += state in GOOD
                counted.entities.add(entity)
            at += STEP
    if not by_entity and start is not None:
        counted.passed = max((limit - start) // STEP, 0)
    return counted


def quotient(above: int, below: int) -> Decimal | None:
    """To 28 digits, as numbers are shown."""
    return Decimal(above) / Decimal(below) if below else None


# --- any stretches, window and moment --------------------------------------------------------------------------------

GRID = st.integers(0, 30)


@settings(max_examples=500)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), GRID, st.sampled_from(STATES)), max_size=12),
    st.none() | GRID,
    st.none() | st.integers(1, 30),
    st.integers(-1, 40),
    st.booleans(),
)
def test_a_share_is_what_a_walk_counts(
    events: list[tuple[str, int, str | None]], start: int | None, length: int | None, now: int, is_last_moment: bool
) -> None:
    said = [Said(f"{number:02}", *one[:1], START + one[1] * STEP, one[2]) for number, one in enumerate(events)]
    first = None if start is None else START + start * STEP
    end = None if length is None else (first or START) + length * STEP
    as_of = START + now * STEP
    window = Window(first, end, as_of)
    if is_last_moment and end is not None:
        # The last moment of a window stands for its end, where nothing has happened yet.
        as_of, window = end, Window(first, end, end - timedelta(microseconds=1))
    found = share(cut(stretches(said, window.as_of), window), window)
    counted = walk(said, first, end, as_of)
    assert found.value == quotient(counted.good * 100, counted.measured)
    assert (found.value is None) == (found.reason is not None)
    assert found.good == counted.good * 600
    assert found.measured == counted.measured * 600
    assert found.coverage == quotient(counted.measured, counted.passed)
    assert found.entities == len(counted.entities)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), GRID, st.sampled_from(STATES)), max_size=8),
    st.none() | GRID,
    st.none() | st.integers(1, 30),
    st.integers(0, 40),
    st.integers(1, 20),
)
def test_nothing_moves_before_it_is_said_to(
    events: list[tuple[str, int, str | None]], start: int | None, length: int | None, now: int, later: int
) -> None:
    said = [Said(f"{number:02}", *one[:1], START + one[1] * STEP, one[2]) for number, one in enumerate(events)]
    first = None if start is None else START + start * STEP
    end = None if length is None else (first or START) + length * STEP
    as_of = START + now * STEP
    until = as_of + later * STEP
    if any(as_of < one.at <= until for one in said) or (first is not None and as_of < first < until):
        return  # something new begins: that is an evaluation of its own
    before, after = (
        share(cut(stretches(said, moment), window), window)
        for moment, window in ((at, Window(first, end, at)) for at in (as_of, until))
    )
    if before.value != after.value:
        assert before.changes_at is not None
        assert as_of < before.changes_at <= until


def stretches(said: Sequence[Said], as_of: datetime) -> list[Stretch]:
    """What extraction and the store make of the events at a moment."""
    source = StateShareSource(dataset="d", good=GOOD, exclude=EXCLUDED)
    found = []
    for entity in sorted({one.entity for one in said}):
        own = sorted((one for one in said if one.entity == entity), key=lambda one: (one.at, one.id))
        history = EventHistory(entity, [Event(one.id, entity, one.at, one.event, None, {}) for one in own])
        for fact in compile_part("value", source, None, "events", None).facts(history):
            if fact.since is not None and fact.since <= as_of:
                content = (fact.label, fact.group, fact.at, fact.value, fact.reason, fact.link)
                found.append(Stretch(fact.since, fact.subject, fact.entity, *content))
    return found


# --- the whole way, through a database -------------------------------------------------------------------------------

WINDOWS = {"days": "{trailing: 3d}", "hours": "{trailing: 30h}", "month": "{to_date: month}", "whole": "all"}
WINDOWS |= {"cycle": "cycle"}
AGES = {
    "longest": "unit: hours, aggregate: max, window: {trailing: 3d}",
    "middle": "unit: hours, aggregate: median, window: {to_date: month}",
    "mean": "unit: days, aggregate: avg, window: {trailing: 30h}",
    "newest": "unit: hours, aggregate: last, window: all",
    "office": "unit: business_hours, aggregate: sum, window: cycle",
    "cohort": "unit: hours, aggregate: p90, window: {trailing: 5d}",
}
UNITS = {"mean": 86_400}


def team_file() -> str:
    rule = "connection: erp, entity: body.entity, at: body.at, event: body.event"
    lines = ["version: 1", f"team: {TEAM}", "connections:"]
    lines += ["  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}"]
    lines += ["datasets:", f"  states: {{{rule}, where: \"body.kind == 'state'\"}}"]
    lines += [f"  orders: {{{rule}, where: \"body.kind == 'order'\"}}", "metrics:"]
    for name, window in WINDOWS.items():
        source = "{dataset: states, good: [up, slow], exclude: ['off']}"
        lines.append(f"  {name}: {{unit: percent, state_share: {source}, window: {window}}}")
    for name, rest in AGES.items():
        source = "dataset: orders, from: {event: asked}, to: {event: given, pick: last}, open: include"
        source += ", attribute: from" if name == "cohort" else ""
        source += ", within: 6d" if name != "office" else ""
        lines.append(f"  {name}: {{{rest}, duration: {{{source}}}}}")
    return "\n".join(lines)


def ages(name: str, events: Iterable[Said], found: Computed, as_of: datetime) -> list[Decimal]:
    """The durations in a metric's window one by one, in order of their moment."""
    start, end = found.window.start, found.window.end
    placed = []
    for entity in sorted({said.entity for said in events}):
        own = [said for said in events if said.entity == entity and said.at <= as_of]
        asked = min((said.at for said in own if said.event == "asked"), default=None)
        given = max((said.at for said in own if said.event == "given"), default=None)
        if asked is None or (given is not None and given < asked):
            continue
        is_open = given is None
        now = as_of if end is None or name == "cohort" else min(as_of, end)
        until = given or now
        at = asked if name == "cohort" else until
        is_inside = (start is None or start <= at) and (end is None or at < end or (is_open and at == end))
        if is_inside and asked <= until and (name == "office" or until - asked <= 6 * DAY):
            seconds = office_seconds(asked, until) if name == "office" else int((until - asked).total_seconds())
            placed.append((at, is_open, entity, Decimal(seconds)))
    return [seconds for *_, seconds in sorted(placed)]


def office_seconds(start: datetime, end: datetime) -> int:
    """From nine to five, Monday to Friday, step by step."""
    steps = 0
    while start < end:
        steps += start.weekday() < 5 and 9 <= start.hour < 17
        start += STEP
    return steps * 600


def aggregated(name: str, values: list[Decimal]) -> Decimal | None:
    if not values:
        return Decimal(0) if name == "office" else None
    ordered = sorted(values)
    place, left = divmod((len(values) - 1) * {"middle": 50, "cohort": 90}.get(name, 0), 100)
    seconds = {
        "longest": ordered[-1] * 100,
        "newest": values[-1] * 100,
        "office": sum(values, Decimal(0)) * 100,
        "mean": sum(values, Decimal(0)) * 100,
    }.get(name, ordered[place] * (100 - left) + ordered[min(place + 1, len(values) - 1)] * left)
    return seconds / (UNITS.get(name, 3600) * 100 * (len(values) if name == "mean" else 1))


async def computed(story: Story, name: str, as_of: datetime, known_at: datetime) -> Computed:
    async with story.services.database.reading() as session:
        metric = await organisation.get_metric(session, TEAM, name)
        assert metric is not None
        item = (await organisation.revised_metrics(session, [metric.id]))[metric.id]
        cycle = "2026-Q4" if item.revision.definition["metric"]["window"] == "cycle" else ""
        return await compute(session, item, cycle=cycle, as_of=as_of, known_at=known_at)


@pytest.mark.parametrize("seed", range(2))
async def test_any_arrival_of_any_history_gives_what_a_walk_gives(story: Story, clock: FakeClock, seed: int) -> None:
    choose = random.Random(seed)
    clock.set(START + 9 * DAY)
    await story.apply(team_file())
    states = [
        Said(
            f"s{n:02}", choose.choice(["a", "b", "c"]), START + choose.randrange(12 * 144) * STEP, choose.choice(STATES)
        )
        for n in range(45)
    ]
    orders = [
        Said(f"o{n:02}", f"order {n % 9}", START + choose.randrange(12 * 144) * STEP, choose.choice(["asked", "given"]))
        for n in range(25)
    ]
    waiting = [*states, *orders, *choose.sample([*states, *orders], 15)]
    choose.shuffle(waiting)
    batches = [waiting[number::4] for number in range(4)]
    known: dict[datetime, list[Said]] = {clock(): []}
    so_far: list[Said] = []
    for batch in batches:
        clock.advance(20 * HOUR)
        bodies = [
            {"kind": "state" if one.id[0] == "s" else "order", "entity": one.entity, "event": one.event}
            | {"at": one.at.isoformat()}
            for one in batch
        ]
        await story.send(bodies, ids=[one.id for one in batch])
        await story.work()
        so_far = [*so_far, *(one for one in batch if one not in so_far)]
        known[clock()] = so_far
    moments = [(at, clock()) for at in (clock(), START + 4 * DAY + 5 * HOUR, START + choose.randrange(1700) * STEP)]
    moments += [(choose.choice(list(known)), at) for at in known]
    moments.append((datetime(2027, 1, 5, tzinfo=UTC), clock()))  # when the cycle is over
    for as_of, known_at in moments:
        events = known[known_at]
        for name in WINDOWS:
            found = await computed(story, name, as_of, known_at)
            own = [said for said in events if said.id[0] == "s"]
            counted = walk(own, found.window.start, found.window.end, as_of)
            expected: Any = (quotient(counted.good * 100, counted.measured), counted.good * 600)
            assert (found.value, found.numerator) == expected, (name, as_of, known_at)
            assert found.coverage == quotient(counted.measured, counted.passed), (name, as_of, known_at)
        for name in AGES:
            found = await computed(story, name, as_of, known_at)
            values = ages(name, [said for said in events if said.id[0] == "o"], found, as_of)
            assert found.sample_size == len(values), (name, as_of, known_at)
            assert found.value == aggregated(name, values), (name, as_of, known_at)
