"""For any edit of any file, a plan foretells what the apply then does: values, progress and status of every key result,
and the records that enter, leave and change. An export says the same as the file that was applied, to the byte, and the
causes of every change add up.
"""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.errors import InvalidInput
from app.services.definitions import definition_of
from app.services.evaluate import compute
from app.services.explain_rows import Rows, rows_at
from app.services.export import export_team
from app.services.planning import shown
from app.services.views import KeyResultView
from app.services.views.plans import PlanView
from app.store import organisation
from app.store.facts import Window
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NAMES = [f"m{number}" for number in range(9)]
WINDOWS = [
    "now",
    "{trailing: 7d}",
    "{trailing: 36h}",
    "{to_date: month}",
    "{to_date: quarter}",
    "{to_date: year}",
    "{to_date: cycle}",
    "cycle",
    "all",
]
RULES = ["record.event == 'a'", "record.event != 'b'", "record.body.n != null && record.body.n > 1"]
OF_VALUES = ["sum", "avg", "median", "p1", "p37", "p99", "min", "max", "last"]
OF_TIME = ["sum", "avg", "median", "p90", "min", "max", "last"]


@dataclass(frozen=True)
class File:
    """What a file says."""

    metrics: dict[str, str]
    goals: dict[str, tuple[int, int]]
    narrowed: str = ""
    zone: str = "Europe/Berlin"
    hours: str = "09:00-17:00"

    def text(self) -> str:
        rule = "connection: erp, entity: body.e, at: body.at, event: body.event"
        lines = ["version: 1", f"team: {TEAM}", f"timezone: {self.zone}", f'calendar: {{hours: "{self.hours}"}}']
        lines += [
            "connections:",
            "  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}",
        ]
        lines += ["datasets:", f"  all: {{{rule}}}", f"  some: {{{rule}{self.narrowed}}}", "metrics:"]
        lines += [f"  {name}: {definition}" for name, definition in self.metrics.items()]
        lines += ["objectives:", "  goal:", "    title: Goal", "    cycle: 2026-Q4", "    key_results:"]
        for name, (baseline, target) in self.goals.items():
            lines.append(f"      {name}: {{metric: {name}, baseline: {baseline}, target: {target}}}")
        return "\n".join(lines)


def any_metric(choose: random.Random) -> str:
    dataset, rule = choose.choice(["all", "some"]), choose.choice(RULES)
    plain = f'{{dataset: {dataset}, where: "{rule}"}}'
    numbers = f'{{dataset: {dataset}, where: "{rule}", value: record.body.n}}'
    window = f"window: {choose.choice(WINDOWS)}" + choose.choice(["", ", min_samples: 3"])
    form = choose.choice(["count", "value", "distinct", "entity", "duration", "open", "share", "ratio", "sums"])
    if form == "count":
        return f"{{unit: things, records: {plain}, {window}}}"
    if form == "value":
        return f"{{unit: EUR, records: {numbers}, aggregate: {choose.choice(OF_VALUES)}, {window}}}"
    if form == "distinct":
        return f"{{unit: things, records: {plain}, aggregate: {{distinct: record.entity}}, {window}}}"
    if form == "entity":
        where = "'a' in record.events && !('c' in record.events)"
        at = choose.choice(["first", "last"])
        source = f'{{dataset: {dataset}, per: entity, where: "{where}", at: record.{at}, value: record.count}}'
        return f"{{unit: events, records: {source}, aggregate: {choose.choice(OF_VALUES)}, {window}}}"
    if form in ("duration", "open"):
        edges = [f"{{event: {choose.choice('abc')}, pick: {choose.choice(['first', 'last'])}}}" for _ in range(2)]
        more = choose.choice(["", ", within: 5d", ", within: 20d"]) + choose.choice(["", ", attribute: from"])
        more += ", open: include" if form == "open" else ""
        source = f"{{dataset: {dataset}, from: {edges[0]}, to: {edges[1]}{more}}}"
        unit = choose.choice(["hours", "days", "business_days"])
        return f"{{unit: {unit}, duration: {source}, aggregate: {choose.choice(OF_TIME)}, {window}}}"
    if form == "share":
        of = choose.choice(["", ", of: thing 1"])
        source = f"{{dataset: {dataset}{of}, good: [{choose.choice('ab')}], exclude: [c]}}"
        return f"{{unit: percent, state_share: {source}, window: {choose.choice(WINDOWS[1:])}}}"
    if form == "ratio":
        return (
            f"{{unit: percent, ratio: {{good: {{records: {plain}}}, total: {{records: {{dataset: all}}}}}}, {window}}}"
        )
    sides = f"good: {{records: {numbers}, aggregate: sum}}"
    sides += ", total: {records: {dataset: all, value: record.body.n}, aggregate: sum}"
    return f"{{unit: ratio, ratio: {{{sides}}}, {window}}}"


def any_goal(choose: random.Random) -> tuple[int, int]:
    return choose.randrange(5), choose.randrange(10, 20)


def edited(file: File, choose: random.Random) -> File:
    metrics = file.metrics | {name: any_metric(choose) for name in choose.sample(NAMES, 4)}
    goals = {name: any_goal(choose) if choose.random() < 0.2 else goal for name, goal in file.goals.items()}
    narrowed = choose.choice([file.narrowed, "", ', where: "body.n != null"', ", where: \"body.event != 'c'\""])
    zone, hours = choose.choice([file.zone, "America/New_York"]), choose.choice([file.hours, "08:00-12:00"])
    return replace(file, metrics=metrics, goals=goals, narrowed=narrowed, zone=zone, hours=hours)


def any_event(choose: random.Random) -> dict[str, Any]:
    at = NOW - timedelta(minutes=10 * choose.randrange(6 * 24 * 50))
    number = choose.choice([None, 0.1, 0.2, -2.5, 3, 99.99, 0])
    return {"e": f"thing {choose.randrange(9)}", "event": choose.choice("abc"), "at": at.isoformat(), "n": number}


# --- what is so ------------------------------------------------------------------------------------------------------


async def records(story: Story) -> dict[str, tuple[int, Rows]]:
    """By metric: its revision and the records in its number."""
    found = {}
    async with story.services.database.reading() as session:
        rows = await organisation.metrics_named(session, {(TEAM, name) for name in NAMES})
        items = await organisation.revised_metrics(session, [row.id for row in rows.values()])
        for (_, name), row in rows.items():
            item = items[row.id]
            definition = definition_of(item.revision)
            cycle = "2026-Q4" if definition.spec.needs_cycle else ""
            window = (await compute(session, item, cycle=cycle, as_of=story.clock())).window
            point = Window(window.start, window.end, story.clock())
            found[name] = item.revision.number, await rows_at(session, item.revision.id, definition, point)
    return found


async def key_results(story: Story) -> dict[str, KeyResultView]:
    async with story.services.database.reading() as session:
        return await shown(session, TEAM, now=story.clock())


def numbers(view: KeyResultView) -> tuple[Any, ...]:
    return view.value, view.progress, view.status


def assert_foretold(plan: PlanView, before: dict[str, KeyResultView], after: dict[str, KeyResultView]) -> None:
    effects = {effect.id: effect for effect in plan.effects}
    for name, view in after.items():
        effect = effects.get(name)
        if effect is None:
            assert numbers(view) == numbers(before[name]), name
            continue
        assert (effect.value_before, effect.progress_before, effect.status_before) == numbers(before[name]), name
        assert (effect.value_after, effect.progress_after, effect.status_after) == numbers(view), name


def assert_moved(
    plan: PlanView, before: dict[str, tuple[int, Rows]], after: dict[str, tuple[int, Rows]], files: tuple[File, File]
) -> None:
    effects = {effect.metric.removeprefix(f"{TEAM}/"): effect for effect in plan.records}
    for name in NAMES:
        (old, was), (new, now) = before[name], after[name]
        effect = effects.get(name)
        if old == new:
            assert effect is None, name
            continue
        said = (0, 0, 0) if effect is None else (effect.entering, effect.leaving, effect.changing)
        both = was.keys() & now.keys()
        done = (
            len(now.keys() - was.keys()),
            len(was.keys() - now.keys()),
            sum(now[key].differs(was[key]) for key in both),
        )
        rules = tuple(file.metrics[name] for file in files)
        # A stretch or an age that is cut elsewhere is measured otherwise, and no other record.
        is_timed = any("state_share" in rule or "open: include" in rule for rule in rules)
        assert said[:2] == done[:2], (name, rules)
        assert is_timed or said == done, (name, rules)


async def assert_adds_up(story: Story, name: str) -> None:
    """From any of the last samples, one cause after the other leads to today's value."""
    query = (
        "SELECT s.id FROM sample s JOIN metric m ON m.id = s.metric_id WHERE m.name = :name ORDER BY s.id DESC LIMIT 3"
    )
    for sample in (None, *[row[0] for row in await story.rows(query, name=name)]):
        try:
            explained = await story.explain(name, since=sample)
        except InvalidInput:
            continue  # a sample of no cycle, where one is asked for by now
        assert explained.value == (await story.key_result(name)).value
        delta = explained.delta
        if delta is None:
            continue
        at, added = delta.value_before, Decimal(0)
        for cause in delta.causes:
            assert cause.value_before == at, (name, delta.causes)
            at, added = cause.value_after, added + (cause.contribution or 0)
        assert at == delta.value_now, (name, delta.causes)
        if None not in (delta.value_before, at, *[cause.contribution for cause in delta.causes]):
            assert delta.value_before is not None
            assert at is not None
            assert abs(delta.value_before + added - at) < Decimal("1e-20")


SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed else []) for seed in range(12)]


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_a_plan_says_is_what_an_apply_does(story: Story, clock: FakeClock, seed: int) -> None:
    choose = random.Random(seed)
    clock.set(NOW)
    file = File({name: any_metric(choose) for name in NAMES}, {name: any_goal(choose) for name in NAMES})
    await story.apply(file.text())
    await story.send([any_event(choose) for _ in range(40)])
    await story.work()
    for hours in (1, 30):
        clock.advance(timedelta(hours=hours))
        await story.send([any_event(choose) for _ in range(10)])
        await story.work()
        clock.advance(timedelta(seconds=1))
        wanted = edited(file, choose)
        before, views = await records(story), await key_results(story)
        plan = await story.plan(wanted.text())
        assert await key_results(story) == views  # nothing is kept of it
        await story.apply(wanted.text())
        await story.work()
        assert_foretold(plan, views, await key_results(story))
        assert_moved(plan, before, await records(story), (file, wanted))
        file = wanted

        again = await story.plan(file.text())
        assert {change.action for change in again.changes} == {"unchanged"}
        assert (again.effects, again.records, again.asks, again.requests, again.drift) == ([], [], [], [], [])
        async with story.services.database.reading() as session:
            exported = await export_team(session, TEAM)
        assert exported is not None
        same = await story.apply(exported.decode())
        assert {change.action for change in same.changes} == {"unchanged"}
        async with story.services.database.reading() as session:
            assert await export_team(session, TEAM) == exported
    for name in NAMES:
        await assert_adds_up(story, name)
