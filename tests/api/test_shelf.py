"""Kept judgements: equal to fresh ones after every kind of change, and only what changed is judged again."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from app.services.read import KeyResultQuery, Shelf, list_key_results, shelf
from app.store.data_version import PostgresVersion
from app.store.touch_triggers import watched_tables
from tests.api.conftest import World, on_sqlite
from tests.api.judged_case import NOBODY, key_result, objective
from tests.conftest import FakeClock

EVERYTHING = KeyResultQuery(limit=1_000)

FINANCE: dict[str, Any] = {
    **NOBODY,
    "team": "finance",
    "metrics": {"headcount": {"unit": "people", "manual": {}}},
    "objectives": {"lean": objective(key_results={"fewer": key_result("headcount")})},
}
OPERATIONS: dict[str, Any] = {
    "metrics": {
        "satisfaction": {"unit": "score", "manual": {"every": "14d"}},
        "orders_placed": {"unit": "orders", "records": {"dataset": "orders"}, "window": "all"},
        "open_p1": {"unit": "issues", "query": {"connection": "jira", "jql": "priority = P1"}},
        "twice": {"unit": "issues", "formula": "open_p1 * 2"},
        "each": {"unit": "score", "formula": "satisfaction * 2"},
        "cutover": {"unit": "percent", "milestones": [{"name": "live", "weight": 1, "done": "manual"}]},
    },
    "objectives": {
        "happy_desk": objective(
            key_results={
                "happy": {
                    "metric": "satisfaction",
                    "baseline": 6,
                    "target": 8,
                    "guardrails": [{"metric": "finance.headcount", "must": ">= 10"}],
                },
                "orders": key_result("orders_placed"),
                "few": key_result("open_p1"),
                "fewer": key_result("twice"),
                "each": key_result("each", target=20),
                "live": {"metric": "cutover", "baseline": 0, "target": 100},
                "kept": {"metric": "satisfaction", "target": {"maintain": ">= 7"}},
            }
        ),
        "past": objective(cycle="2026-Q3", key_results={"ended": key_result("satisfaction")}),
    },
}

PUT = "/v1/metrics/{}/values/2026-11-{}"
#: What people and scripts do: (method, path, body).
DEEDS: dict[str, tuple[str, str, Any]] = {
    "a value": ("PUT", PUT.format("operations/satisfaction", 20), {"value": 7}),
    "a value about an ended cycle": ("PUT", "/v1/metrics/operations/satisfaction/values/2026-08-20", {"value": 3}),
    "another team's guardrail": ("PUT", PUT.format("finance/headcount", 21), {"value": 9}),
    "the guardrail again": ("PUT", PUT.format("finance/headcount", 22), {"value": 12}),
    "a check-in": ("POST", "/v1/key-results/operations/happy/check-ins", {"note": "On it", "confidence": 0.5}),
    "a milestone": ("POST", "/v1/metrics/operations/cutover/milestones/live", {"done": True}),
    "an override": (
        "PUT",
        PUT.format("operations/orders_placed", 22),
        {"value": 4, "override": True, "note": "By phone"},
    ),
    "another objective": (
        "PUT",
        "/v1/objectives/operations/happy_desk",
        {"title": "Other", "cycle": "2026-Q4", "preset": {"on_track": "0.5", "behind": "0.4"}},
    ),
    "another target": (
        "PUT",
        "/v1/key-results/operations/happy",
        {"objective": "happy_desk", "metric": "satisfaction", "baseline": 6, "target": 9},
    ),
    "another rule": (
        "PUT",
        "/v1/metrics/operations/open_p1",
        {"unit": "issues", "query": {"connection": "jira", "jql": "priority = P2"}},
    ),
    "a pause": (
        "PUT",
        "/v1/key-results/operations/kept",
        {
            "objective": "happy_desk",
            "metric": "satisfaction",
            "target": {"maintain": ">= 7"},
            "paused": "Not this month",
        },
    ),
    "a key result more": (
        "PUT",
        "/v1/key-results/finance/more",
        {"objective": "lean", "metric": "headcount", "baseline": 1, "target": 2},
    ),
    "a key result less": ("DELETE", "/v1/key-results/operations/live", None),
    "a close": ("POST", "/v1/cycles/operations/2026-Q3/close", {}),
}

_NOW = {"sqlite": "1795339800000000", "postgresql": "TIMESTAMPTZ '2026-11-22 09:30:00Z'"}
#: What workers write, as SQL; {now} is a moment.
WRITES: dict[str, str] = {
    "a connection fails": "UPDATE connection SET failing_code = 'auth', failing_reason = 'No.' WHERE name = 'jira'",
    "a connection is paused": "UPDATE connection SET paused_code = 'x', paused_reason = 'Later.' WHERE name = 'erp'",
    "a delivery came": "UPDATE connection SET last_delivery_at = {now}, paused_code = NULL WHERE name = 'erp'",
    "a pull went well": "UPDATE plan SET last_success_at = {now}, failing_reason = NULL",
    "a pull failed": "UPDATE plan SET failing_reason = 'Wrong JQL.', link = 'https://jira.test/'",
    "a connection has another name": "UPDATE connection SET name = 'tracker' WHERE name = 'jira'",
    "a plan goes": "DELETE FROM plan",
    "a metric is being built": "UPDATE metric SET building_revision_id = revision_id, revision_id = NULL"
    " WHERE name = 'open_p1'",
    "a metric has another unit": "UPDATE metric SET unit = 'bugs' WHERE name = 'twice'",
    "a value is no more": "DELETE FROM current_sample WHERE metric_id IN"
    " (SELECT id FROM metric WHERE name = 'satisfaction')",
    "a dataset is fed by another": "UPDATE dataset SET connection_id = (SELECT id FROM connection WHERE name = 'desk')",
    "an override is another one": "UPDATE asserted_value SET note = 'By post' WHERE is_override",
    "a restatement": "INSERT INTO restatement (sealed_id, at, value_before, value_now, reason)"
    " SELECT id, {now}, NULL, NULL, 'Late.' FROM sealed_key_result",
    "a grade": "UPDATE sealed_key_result SET graded_by = 'a', value = NULL",
    "a close is undone": "UPDATE cycle_close SET reopened_at = {now}",
    "an input goes": "UPDATE metric_input SET metric_id = NULL",
    "a guardrail goes": "DELETE FROM guardrail_metric",
    "a check-in goes": "DELETE FROM check_in",
    "a team has another zone": "UPDATE team SET version = version + 1",
}


async def settled(world: World) -> None:
    if isinstance(world.api.reads.version, PostgresVersion):
        world.api.reads.version.relied_on = 0.0  # some of it is written as by another process
    assert (await world.http.get("/v1/key-results", headers=await world.as_("read"))).status_code == 200


async def started(world: World) -> None:
    await world.apply(**FINANCE)
    await world.apply(**OPERATIONS)
    for number, value in ((1, 6), (2, 7)):
        path = PUT.format("operations/satisfaction", f"0{number}")
        await world.http.put(path, json={"value": value}, headers=await world.as_("write"))
    await settled(world)


async def assert_fresh(world: World, what: str) -> None:
    """What is on the shelf is what a fresh judgement of everything at the start of the minute says."""
    kept: Shelf = world.api.routes.state.shelf
    await kept.refresh()
    now = world.services.clock()
    async with world.services.database.reading() as session:
        views, _ = await list_key_results(session, EVERYTHING, now=now)
    fresh = [view.model_dump_json() for view in views]
    assert [one.body.decode() for one in kept.page(EVERYTHING).fragments] == fresh, what


def next_minute(clock: FakeClock) -> datetime:
    return clock().replace(second=0, microsecond=0) + timedelta(minutes=1)


@contextmanager
def judged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The key results that the shelf judges."""
    found: list[str] = []
    inner = shelf.judge_rows

    async def judge(session: Any, rows: Any, **more: Any) -> Any:
        found.extend(f"{row.team.name}/{row.key_result.name}" for row in rows)
        return await inner(session, rows, **more)

    with monkeypatch.context() as patched:
        patched.setattr(shelf, "judge_rows", judge)
        yield found


async def test_after_every_kind_of_change_the_shelf_says_what_a_fresh_judgement_says(
    world: World, clock: FakeClock
) -> None:
    await started(world)
    await assert_fresh(world, "the start")
    changed = []
    before = [one.body for one in world.api.routes.state.shelf.all()]

    async def look(what: str) -> None:
        nonlocal before
        await assert_fresh(world, what)
        after = [one.body for one in world.api.routes.state.shelf.all()]
        changed.extend([what] if after != before else [])
        before = after

    for what, (method, path, body) in DEEDS.items():
        clock.advance(timedelta(seconds=1))
        done = await world.http.request(method, path, json=body, headers=await world.as_("admin"))
        assert done.status_code < 300, (what, done.text)
        await look(what)
    for what, statement in WRITES.items():
        async with world.services.database.writing() as session:
            dialect = world.services.database.dialect
            await session.execute(text(statement.format(now=_NOW[dialect])))
        await look(what)
    for span in (timedelta(minutes=1), timedelta(days=3), timedelta(days=60)):
        clock.advance(span)
        await look(f"{span}")
    # A change that no reader sees would show nothing.
    unseen = {"a close is undone", "an input goes", "a guardrail goes", "a team has another zone", "a grade"}
    assert {*DEEDS, *WRITES} - {*changed} <= unseen | {"a value about an ended cycle", "a plan goes"}


async def test_a_minute_that_was_prepared_says_what_a_fresh_judgement_says(
    world: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(world)
    await assert_fresh(world, "the start")
    kept: Shelf = world.api.routes.state.shelf
    deeds = list(DEEDS.items())
    for turn in range(0, len(deeds), 4):
        before, after, *later = deeds[turn : turn + 4]
        # One thing happens before it is prepared, one while the shelf still tells of the last minute, one that is read
        # only in the new minute.
        for number, (what, (method, path, body)) in enumerate((before, after, *later)):
            if number == 1:
                await kept.prepare(next_minute(clock))
            clock.advance(timedelta(seconds=1))
            done = await world.http.request(method, path, json=body, headers=await world.as_("admin"))
            assert done.status_code < 300, (what, done.text)
            if number == 1:
                await kept.refresh()
        clock.advance(timedelta(minutes=1))
        await assert_fresh(world, before[0])
    await kept.prepare(next_minute(clock))
    clock.advance(timedelta(minutes=1))
    with judged(monkeypatch) as found:
        await kept.refresh()
    assert found == []
    # Somebody may have been away for longer.
    await kept.prepare(next_minute(clock))
    clock.advance(timedelta(days=3))
    await assert_fresh(world, "three days")


@on_sqlite
async def test_the_next_minute_is_prepared_while_somebody_reads(
    world: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(world)
    kept: Shelf = world.api.routes.state.shelf
    clock.set(clock().replace(second=59, microsecond=500_000))
    await kept.refresh()
    with judged(monkeypatch) as found:
        keeping = asyncio.create_task(kept.keep_ahead())
        async with asyncio.timeout(300):
            while len(found) < len(kept.all()):
                await asyncio.sleep(0.01)
        clock.advance(timedelta(seconds=1))
        found.clear()
        await kept.refresh()
        assert found == ["operations/ended"]
        keeping.cancel()


@on_sqlite
async def test_only_what_changed_is_judged_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await started(world)
    headers, script = await world.as_("read"), await world.as_("write")
    reopened = ["operations/ended"]  # its cycle has ended, so it is computed from facts
    wanted = {
        PUT.format("finance/headcount", 21): ["finance/fewer", "operations/happy"],
        PUT.format("operations/satisfaction", 21): ["operations/each", "operations/happy", "operations/kept"],
    }
    for path, expected in wanted.items():
        await world.http.get("/v1/key-results", headers=headers)
        with judged(monkeypatch) as found:
            assert (await world.http.put(path, json={"value": 11}, headers=script)).status_code == 200
            found.clear()
            await world.http.get("/v1/key-results", headers=headers)
            assert sorted(found) == sorted({*expected, *reopened})
            found.clear()
            await world.http.get("/v1/key-results?status=behind", headers=headers)
            assert found == []


@on_sqlite
async def test_everything_that_is_read_for_a_judgement_is_watched(world: World) -> None:
    await started(world)
    asked: list[str] = []

    def note(*arguments: Any) -> None:
        asked.append(arguments[2])

    engine = world.services.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    async with world.services.database.reading() as session:
        await list_key_results(session, EVERYTHING, now=world.services.clock())
    event.remove(engine, "before_cursor_execute", note)
    read = {name for statement in asked for name in re.findall(r'(?:FROM|JOIN) "?(\w+)"?', statement)}
    # A revision is never another one. Facts and what else computes a value are read for ended cycles, always anew.
    computed = {"fact", "rollup", "fact_ahead", "rollup_scale", "measurement", "milestone_tick", "anon_1", "record"}
    assert {"key_result", "plan", "connection", "current_sample", "frozen_baseline", "check_in"} <= read
    assert read - {*watched_tables()} - {"metric_revision"} - computed == set()


async def test_a_list_asks_twice_after_a_change_whatever_its_length(world: World) -> None:
    """What was touched, and that."""
    for many in (3, 60):
        results = {f"k{number}": key_result("mood", target=number + 1) for number in range(many)}
        await world.apply(
            **NOBODY,
            metrics={"mood": {"unit": "score", "manual": {}}},
            objectives={"all": objective(key_results=results)},
        )
        headers, script = await world.as_("read"), await world.as_("write")
        for _ in range(2):  # the first one also finds what the reader may see, which has changed
            await world.http.get("/v1/key-results?limit=1000", headers=headers)
        path = "/v1/key-results/operations/k1/check-ins"
        await world.http.post(path, json={"note": "x"}, headers=script)
        with asked_here(world) as asked:
            found = await world.http.get("/v1/key-results?limit=1000", headers=headers)
        assert len(found.json()["items"]) == many
        tables = [re.findall(r"FROM (touch|key_result)\b", statement) for statement in asked]
        assert tables == [["touch"], ["key_result"]]


@contextmanager
def asked_here(world: World) -> Iterator[list[str]]:
    """The statements that this task has the database answer, whatever goes on beside it."""
    engine = world.services.database.engine.sync_engine
    asked: list[str] = []
    is_here = ContextVar("is_here", default=False)

    def note(*arguments: Any) -> None:
        statement = " ".join(arguments[2].split())
        if is_here.get() and statement != "BEGIN":
            asked.append(statement)

    token = is_here.set(True)
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)
        is_here.reset(token)


async def test_pages_and_filters_are_those_of_the_database(world: World) -> None:
    await started(world)
    kept: Shelf = world.api.routes.state.shelf
    await kept.refresh()
    start = world.services.clock().replace(second=0, microsecond=0)
    queries = [
        {"team": "finance"},
        {"hidden": frozenset({"operations"})},
        {"objective": "lean"},
        {"objective": "operations/happy_desk"},
        {"objective": "operations/lean"},
        {"team": "finance", "objective": "operations/happy_desk"},
        {"metric": "satisfaction"},
        {"metric": "finance/headcount"},
        {"status": "unknown"},
        {"freshness": "no_data"},
        {"kind": "committed"},
        {"owner": "nobody"},
        {"q": "HAPPY"},
        {"q": "operations/"},
        {"limit": 2},
        {"limit": 3, "after": ("operations", "each", "2026-Q4")},
        {"limit": 1, "team": "operations", "after": ("finance", "zzz", "")},
    ]
    found = 0
    async with world.services.database.reading() as session:
        for given in queries:
            query = KeyResultQuery(**given)  # type: ignore[arg-type]
            views, following = await list_key_results(session, query, now=start)
            page = kept.page(query)
            assert [one.body.decode() for one in page.fragments] == [view.model_dump_json() for view in views], given
            assert page.following == following, given
            found += len(views)
    assert found > 20
