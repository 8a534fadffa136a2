"""Any history of issues, found out in any pulls and webhooks, under any series of rules, gives what a slow evaluator
gives: the forms and windows of `test_properties.py` on records with transitions, and what the clock or a person moves.

Each form goes with every window; which aggregate a form has in which window turns with `turn`, so that the long run has
all of them in all.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from app.services.assert_value import assert_value
from app.services.computed import Computed
from app.services.definitions import definition_of
from app.services.evaluate import compute
from app.services.explain_rows import State, rows_at, value_of
from app.services.tick_milestone import tick_milestone
from app.store import organisation
from app.store.facts import Window
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import TEAM, Story, jira_moment, ticket
from tests.services.test_properties import (
    CYCLE,
    DAY,
    EXACT,
    MINUTE,
    WINDOWS,
    ZONE,
    Counted,
    inside,
    midnight,
    number_of,
    reduced,
    window_of,
)

FIRST, LAST = datetime(2026, 10, 12, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
CATEGORIES = {"Open": "to_do", "In Progress": "in_progress", "Done": "done"}
OF_VALUES = ("sum", "avg", "median", "p10", "min", "last", "p99", "max", "p37")
OF_TIME = ("sum", "avg", "median", "p90", "min", "max", "last")
WEIGHTS = {"one": Decimal("0.1"), "two": Decimal("0.2"), "three": Decimal("1.25")}


@dataclass(frozen=True)
class Issue:
    """An issue, open since its creation and then moved; its cost was there from the start."""

    number: int
    created: datetime
    cost: Decimal | None
    moves: tuple[tuple[str, datetime], ...] = ()

    def status(self, at: datetime) -> str:
        return next((name for name, moved in reversed(self.moves) if moved <= at), "Open")

    def entered(self, as_of: datetime) -> Iterator[tuple[str, str | None, datetime]]:
        """(status, status before, moment) of each entry by then."""
        before: str | None = None
        for name, at in (("Open", self.created), *self.moves):
            if at <= as_of:
                yield name, before, at
            before = name

    @property
    def resolved(self) -> datetime | None:
        """When it was done, None where it is not (any more)."""
        return self.moves[-1][1] if self.moves and self.moves[-1][0] == "Done" else None


# --- the team's rules ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """What the file says, edition by edition."""

    statuses: tuple[str, ...]
    pick: str
    within: int
    good: tuple[str, ...]
    exclude: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"record.status in [{', '.join(repr(name) for name in self.statuses)}]"


RULES = (
    Rules(("Open", "Done"), "first", 10, ("In Progress",), ("Done",)),
    Rules(("In Progress", "Done"), "last", 30, ("In Progress", "Done"), ()),
    Rules(("Done",), "first", 5, ("Done",), ("Open",)),
)


def turned(of: Sequence[str], turn: int) -> Iterator[tuple[str, str]]:
    """Every window with an aggregate."""
    for place, window in enumerate(WINDOWS):
        yield window, of[(place + turn) % len(of)]


def metrics(rules: Rules, turn: int) -> Iterator[tuple[str, str]]:
    """Every metric's name (form, aggregate and window) and definition."""
    number = f'{{dataset: issues, where: "{rules.where}", value: record.Cost}}'
    done = '{dataset: issues, where: "record.resolved != null", at: record.resolved, value: record.Cost}'
    plain = f'{{dataset: issues, where: "{rules.where}"}}'
    edges = f"from: {{status: In Progress, pick: {rules.pick}}}, to: {{category: done, pick: last}}"
    for form, source in (("number", number), ("done", done)):
        for window, how in turned(OF_VALUES, turn):
            yield (
                f"{form}_{how}_{window}",
                f"{{unit: EUR, records: {source}, aggregate: {how}, window: {WINDOWS[window]}}}",
            )
    for window, how in turned(("count", "distinct"), turn):
        aggregate = "" if how == "count" else "aggregate: {distinct: record.status}, "
        yield f"plain_{how}_{window}", f"{{unit: issues, records: {plain}, {aggregate}window: {WINDOWS[window]}}}"
    for window, how in turned(OF_TIME, turn):
        rest = f"aggregate: {how}, window: {WINDOWS[window]}"
        limited = f"{edges}, within: {rules.within}d"
        yield f"span_{how}_{window}", f"{{unit: hours, duration: {{dataset: issues, {limited}}}, {rest}}}"
        yield f"age_{how}_{window}", f"{{unit: hours, duration: {{dataset: issues, {limited}, open: include}}, {rest}}}"
    for window, how in turned(("count", "sum"), turn):
        sides = (plain, "{dataset: issues}") if how == "count" else (number, "{dataset: issues, value: record.Cost}")
        good, total = (f"{{records: {side}{', aggregate: sum' if how == 'sum' else ''}}}" for side in sides)
        least = ", min_samples: 3" if how == "count" else ""
        yield (
            f"ratio_{how}_{window}",
            f"{{unit: percent, ratio: {{good: {good}, total: {total}}}, window: {WINDOWS[window]}{least}}}",
        )
    for window, rule in WINDOWS.items():
        if window != "now":
            states = f"good: [{', '.join(rules.good)}], exclude: [{', '.join(rules.exclude)}]"
            yield (
                f"share_time_{window}",
                f"{{unit: percent, state_share: {{dataset: issues, {states}}}, window: {rule}}}",
            )
        edge = "" if window in ("now", "all") else " AND created >= {from} AND created < {to}"
        yield (
            f"query_count_{window}",
            f'{{unit: issues, query: {{connection: jira, jql: "project = HELP{edge}"}}, window: {rule}}}',
        )
    for window, how in turned(OF_VALUES, turn):
        yield f"formula_{how}_{window}", f"{{unit: EUR, formula: -2 * number_{how}_{window} / 3}}"
    steps = ", ".join(f"{{name: {name}, weight: {weight}, done: manual}}" for name, weight in WEIGHTS.items())
    yield "steps_of_now", f"{{unit: percent, milestones: [{steps}]}}"
    yield "said_of_now", "{unit: score, manual: {}}"


def team_file(rules: Rules, turn: int) -> str:
    lines = ["version: 1", f"team: {TEAM}", f"timezone: {ZONE.key}", "connections:", "  jira:"]
    lines += ["    connector: jira", '    url: "https://acme.atlassian.net"', "    email: bot@acme.example"]
    lines += ["    token: {env: JIRA_TOKEN}", "datasets:", '  issues: {connection: jira, jql: "project = HELP"}']
    lines += ["metrics:", *(f"  {name}: {definition}" for name, definition in metrics(rules, turn))]
    lines += ["objectives:", "  all:", "    title: All", f"    cycle: {CYCLE}", "    key_results:"]
    # A query over the cycle is asked where a key result wants it.
    wanted = [name for name, _ in metrics(rules, turn) if name.startswith("query") and "cycle" in name]
    lines += [f"      of_{name}: {{metric: {name}, baseline: 0, target: 9}}" for name in wanted]
    return "\n".join(lines)


# --- the slow way ----------------------------------------------------------------------------------------------------


def hours(start: datetime, end: datetime) -> Fraction:
    return Fraction((end - start) // timedelta(microseconds=1), 3_600_000_000)


class ByHand:
    """Every metric's value at a moment, from the issues that are known."""

    def __init__(self, issues: Sequence[Issue], rules: Rules, as_of: datetime) -> None:
        self.rules, self.as_of = rules, as_of
        self.issues = sorted((one for one in issues if one.created <= as_of), key=lambda one: one.created)

    def counted(self, form: str, window: str) -> list[Counted]:
        """What is in the number, in order of moment."""
        if form in ("span", "age"):
            return self._timed(form, window)
        found = []
        for one in self.issues:
            status = one.status(self.as_of)
            at = one.resolved if form == "done" else one.created
            is_in = at is not None and at <= self.as_of if form == "done" else status in self.rules.statuses
            if form in ("all", "costs"):
                is_in = True
            amount = Fraction(1) if form in ("plain", "all") else None if one.cost is None else Fraction(one.cost)
            if is_in and at is not None and amount is not None:
                found.append(Counted(at, amount, status))
        return inside(found, window, self.as_of)

    def _timed(self, form: str, window: str) -> list[Counted]:
        start, end = window_of(window, self.as_of)
        limit = self.as_of if end is None else min(self.as_of, end)
        found = []
        for one in self.issues:
            begun = [at for name, _, at in one.entered(self.as_of) if name == "In Progress"]
            over = [at for name, before, at in one.entered(self.as_of) if name == "Done" != before]
            if not begun:
                continue
            begin = begun[0] if self.rules.pick == "first" else begun[-1]
            is_open = not over or one.status(self.as_of) != "Done"
            at = limit if is_open else over[-1]
            if (is_open and form == "span") or at < begin or at - begin > self.rules.within * DAY:
                continue
            before_the_end = end is None or at < end or (is_open and at == end)
            if (start is None or start <= at) and before_the_end:
                found.append((at, is_open, str(one.number), hours(begin, at)))
        return [Counted(at, amount, "") for at, _, _, amount in sorted(found)]

    def share(self, window: str) -> Fraction | None:
        start, end = window_of(window, self.as_of)
        limit = self.as_of if end is None else min(self.as_of, end)
        good = measured = Fraction(0)
        for one in self.issues:
            edges = [at for _, _, at in one.entered(self.as_of)]
            for since, until in zip(edges, [*edges[1:], limit], strict=True):
                since, until = max(since, start or since), min(until, limit)
                name = one.status(since)
                if since < until and name not in self.rules.exclude:
                    measured += hours(since, until)
                    good += hours(since, until) * (name in self.rules.good)
        return 100 * good / measured if measured else None

    def value(self, metric: str) -> Decimal | None:
        exact = self._exact(*metric.split("_", 2))
        return None if exact is None else EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))

    def _exact(self, form: str, how: str, window: str) -> Fraction | None:
        if form == "share":
            return self.share(window)
        if form == "query":
            return Fraction(len(self.counted("all", window)))
        if form == "formula":
            value = self.value(f"number_{how}_{window}")  # a formula reads a metric's value as it is shown
            read = None if value is None else Fraction(value)
            return None if read is None else -2 * read / 3
        if form == "ratio":
            sides = ("plain", "all") if how == "count" else ("number", "costs")
            good, total = (sum((one.amount for one in self.counted(side, window)), Fraction(0)) for side in sides)
            return None if not total or (how == "count" and total < 3) else 100 * good / total
        return reduced(how, self.counted(form, window))


# --- any history -----------------------------------------------------------------------------------------------------


def any_issue(choose: random.Random, number: int) -> Issue:
    """An issue with up to five moves to another status each, all at moments of their own."""
    moments = [FIRST + minute * MINUTE for minute in sorted(choose.sample(range((LAST - FIRST) // MINUTE), 6))]
    moves: list[tuple[str, datetime]] = []
    for at in moments[1 : 1 + choose.randrange(6)]:
        now = moves[-1][0] if moves else "Open"
        moves.append((choose.choice([name for name in CATEGORIES if name != now]), at))
    cost = choose.choice([None, Decimal("0.1"), Decimal("0.2"), Decimal("-2.5"), Decimal(3), Decimal("99.99")])
    return Issue(number, moments[0], cost, tuple(moves))


def put(site: JiraCloudFake, issue: Issue, now: datetime) -> None:
    """The issue as it is from now on; its history may say that it was so long before."""
    made = ticket(issue.number, issue.created, *issue.moves, cost=None if issue.cost is None else float(issue.cost))
    resolved = None if issue.resolved is None else jira_moment(issue.resolved)
    made["fields"] |= {"updated": jira_moment(now), "resolutiondate": resolved}
    site.issues[made["id"]] = made


async def assert_right(
    story: Story, rules: Rules, turn: int, moments: Sequence[tuple[datetime, datetime | None, Sequence[Issue]]]
) -> None:
    """Every metric, true at each moment and known at each, is what is worked out by hand from what was known."""
    names = [name for name, _ in metrics(rules, turn) if not name.endswith("_of_now")]
    async with story.services.database.reading() as session:
        rows = await organisation.metrics_named(session, {(TEAM, name) for name in names})
        items = await organisation.revised_metrics(session, [row.id for row in rows.values()])
        for as_of, known_at, issues in moments:
            hand = ByHand(issues, rules, as_of)
            known: dict[tuple[int, str], Computed] = {}
            for name in names:
                if name.startswith("query") and as_of != story.clock():
                    continue  # a tool tells of now
                item = items[rows[(TEAM, name)].id]
                cycle = CYCLE if name.endswith("cycle") else ""
                found = await compute(session, item, cycle=cycle, as_of=as_of, known_at=known_at, known=known)
                assert number_of(found.value) == number_of(hand.value(name)), (name, as_of, known_at, found.reason)
                definition = definition_of(item.revision)
                if definition.extractions and known_at is not None:
                    point = Window(found.window.start, found.window.end, as_of, known_at)
                    state = State(await rows_at(session, item.revision.id, definition, point))
                    assert number_of(value_of(definition, state)) == number_of(found.value), (name, as_of)


async def now_of(story: Story, name: str, as_of: datetime, known_at: datetime | None = None) -> Decimal | None:
    async with story.services.database.reading() as session:
        metric = await organisation.get_metric(session, TEAM, name)
        assert metric is not None
        item = (await organisation.revised_metrics(session, [metric.id]))[metric.id]
        return number_of((await compute(session, item, cycle="", as_of=as_of, known_at=known_at)).value)


@dataclass
class People:
    """What people say, and what it comes to."""

    ticks: dict[str, list[tuple[datetime, bool]]]
    words: list[tuple[date, datetime, Decimal]]

    async def say(self, story: Story, choose: random.Random) -> None:
        now = story.clock()
        step = choose.choice(list(WEIGHTS))
        self.ticks[step].append((now, choose.random() < 0.7))
        await tick_milestone(story.services, TEAM, "steps_of_now", step, is_done=self.ticks[step][-1][1], actor="dana")
        today = now.astimezone(ZONE).date()
        for _ in range(2):
            day, value = today - choose.randrange(1, 9) * DAY, Decimal(choose.randrange(-50, 50)) / 10
            self.words.append((day, now, value))
            await assert_value(story.services, TEAM, "said_of_now", day, value, actor="dana")

    def done(self, as_of: datetime) -> Decimal:
        held = {step: [is_done for at, is_done in said if at <= as_of][-1:] for step, said in self.ticks.items()}
        done = sum((WEIGHTS[step] for step, said in held.items() if said == [True]), Decimal(0))
        return EXACT.divide(100 * done, sum(WEIGHTS.values()))

    def said(self, as_of: datetime, known_at: datetime) -> Decimal | None:
        heard = [(day, number) for number, (day, at, _) in enumerate(self.words) if at <= known_at]
        over = [one for one in heard if midnight(one[0] + DAY) <= as_of]
        return self.words[max(over)[1]][2] if over else None


SEEDS = [pytest.param(turn, marks=[pytest.mark.slow] if turn else []) for turn in range(len(OF_VALUES))]


@pytest.mark.parametrize("turn", SEEDS)
async def test_any_history_of_issues_under_any_rules(
    jira_story: Story, site: JiraCloudFake, clock: FakeClock, turn: int
) -> None:
    story, choose = jira_story, random.Random(turn)
    clock.set(LAST + timedelta(seconds=30))
    rules = list(RULES)
    choose.shuffle(rules)
    issues = {number: any_issue(choose, number) for number in range(1, 31)}
    # Some are heard of late, some go on after they were read; what was heard may be told again, and out of order.
    late = choose.sample(sorted(issues), 8)
    shorter = {number: replace(one, moves=one.moves[: choose.randrange(6)]) for number, one in issues.items()}
    heard = {number: one for number, one in shorter.items() if number not in late}
    for one in heard.values():
        put(site, one, clock())
    await story.apply(team_file(rules[0], turn))
    people = People({step: [] for step in WEIGHTS}, [])
    known: dict[datetime, list[Issue]] = {}
    for number in range(4):
        assert set(await story.later(hours=5)) <= {"succeeded"}
        await story.work()
        await people.say(story, choose)
        known[clock()] = list(heard.values())
        if number < 2:
            clock.advance(MINUTE)
            asked = len(site.requests)
            await story.apply(team_file(rules[number + 1], turn))
            await story.work()
            assert len(site.requests) == asked  # a rule edit asks no tool
            known = {clock(): list(heard.values())}
        await assert_right(
            story, rules[min(number + 1, 2)], turn, [(clock(), None, list(heard.values()))][: number < 3]
        )
        for changed in choose.sample(sorted(issues), 10):
            # A history only grows.
            heard[changed] = issues[changed] if choose.random() < 0.6 else heard.get(changed, shorter[changed])
            put(site, heard[changed], clock())
            if choose.random() < 0.4:
                body = {"webhookEvent": "jira:issue_updated", "issue": {"id": str(changed), "key": f"HELP-{changed}"}}
                await story.send([body] * 2, connection="jira")
    heard = dict(issues)
    for one in heard.values():
        put(site, one, clock())
    await story.later(hours=5)
    now = clock()
    moments: list[tuple[datetime, datetime | None, Sequence[Issue]]] = [(now, now, list(heard.values()))]
    for _ in range(2):
        past = FIRST + choose.randrange((LAST - FIRST) // MINUTE) * MINUTE + timedelta(seconds=30)
        moments.append((past, choose.choice([None, now]), list(heard.values())))
        at = choose.choice(list(known))
        moments.append((choose.choice([past, at]), at, known[at]))
    await assert_right(story, rules[2], turn, moments)
    for as_of in (now, FIRST + choose.randrange(200) * DAY / 4):
        assert await now_of(story, "steps_of_now", as_of) == people.done(as_of).normalize(EXACT)
    for at in known:
        for as_of in (at, at - 5 * DAY):
            assert await now_of(story, "said_of_now", as_of, at) == number_of(people.said(as_of, at)), (as_of, at)
