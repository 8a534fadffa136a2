"""Webhooks in any order, number and batch: one effect each, visible and replayable, whatever one of them holds."""

import json
import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.services import deliveries
from app.services.build import build_revisions
from app.services.deliveries import apply_pending, delivery_views, replay
from app.services.views import DeliveryView
from app.store import records
from tests.fakes.hostile import HOSTILE_PARSES
from tests.services.story import Story, gather

FILE = """
version: 1
team: support
timezone: Europe/Rome
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  orders: {connection: erp, entity: body.po, at: body.at, event: body.event}
metrics:
  approved: {unit: orders, records: {dataset: orders, where: "record.event == 'approved'"}, aggregate: {distinct: record.entity}, window: all}
  spent: {unit: EUR, records: {dataset: orders, where: "record.event == 'approved'", value: record.body.total}, aggregate: sum, window: {to_date: quarter}}
  days: {unit: days, duration: {dataset: orders, from: {event: requested}, to: {event: approved, pick: last}}, aggregate: avg, window: {trailing: 90d}}
  direct:
    unit: percent
    ratio:
      good: {records: {dataset: orders, per: entity, where: "'approved' in record.events && !('returned' in record.events)", at: record.last}}
      total: {records: {dataset: orders, per: entity, where: "'approved' in record.events", at: record.last}}
    window: {trailing: 90d}
objectives:
  o:
    title: O
    cycle: 2026-Q4
    key_results:
      approvals: {metric: approved, baseline: 0, target: 10}
      spending: {metric: spent, baseline: 1000, target: 100}
      speed: {metric: days, baseline: 10, target: 1}
      straight: {metric: direct, baseline: 0, target: 100}
"""  # noqa: E501

NAMES = ("approvals", "spending", "speed", "straight")


def order(po: str, event: str, day: int, total: Any = None) -> dict[str, Any]:
    return {"po": po, "event": event, "at": f"2026-11-{day:02d}T08:00:00Z", "total": total}


ORDERS = [
    order("A", "requested", 1),
    order("A", "approved", 3, 100.5),
    order("B", "requested", 2),
    order("B", "returned", 4),
    order("B", "approved", 6, 20),
    order("C", "requested", 5),
    order("C", "approved", 5, 3.25),
    order("C", "approved", 7, 3.25),
    order("D", "requested", 8),
]


async def views(story: Story, **options: Any) -> list[DeliveryView]:
    """Every delivery, oldest first."""
    async with story.services.database.reading() as session:
        return (await delivery_views(session, limit=1000, **options))[::-1]


async def state(story: Story) -> dict[str, Any]:
    """All that deliveries end in, but what tells when and in which order they came."""
    return {
        "events": sorted(await story.rows("SELECT entity, key, at, event, body FROM event")),
        "facts": sorted(
            await story.rows(
                "SELECT m.name, f.part, f.entity, f.subject, coalesce(CAST(f.value AS text), ''), "
                "coalesce(f.reason, '') FROM fact f "
                "JOIN metric m ON m.revision_id = f.revision_id WHERE f.recorded_to IS NULL"
            )
        ),
        "values": {name: await story.value(name) for name in NAMES},
        "outcomes": sorted((view.dedupe_key, view.outcome) for view in await views(story)),
    }


async def test_deliveries_become_events_facts_and_values(story: Story) -> None:
    await story.apply(FILE)
    stored = await story.send(ORDERS)
    assert all(one.is_new for one in stored)
    assert [view.outcome for view in await views(story)] == ["pending"] * len(ORDERS)
    await story.work()
    assert await story.count("event") == len(ORDERS)
    assert {view.outcome for view in await views(story)} == {"applied"}
    assert await story.value("approvals") == 3
    assert await story.value("spending") == Decimal("127")
    assert await story.value("speed") == Decimal("2.666666666666666666666666667")
    assert await story.value("straight") == Decimal("66.66666666666666666666666667")
    speed = await story.key_result("speed")
    assert (speed.freshness.level, speed.freshness.age_seconds, speed.source.health) == ("fresh", 0, "ok")


@pytest.mark.parametrize("examples", [3, pytest.param(20, marks=pytest.mark.slow)])
async def test_orders_of_arrival_number_of_copies_and_batches_make_no_difference(story: Story, examples: int) -> None:
    await story.apply(FILE)
    ids = [f"id-{number}" for number in range(len(ORDERS))]
    await story.send(ORDERS, ids=ids)
    await story.work()
    expected = await state(story)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**32), copies=st.integers(1, 3), size=st.integers(1, 5))
    def shuffled(seed: int, copies: int, size: int) -> None:
        cases.append((seed, copies, size))

    cases: list[tuple[int, int, int]] = []
    shuffled()
    for seed, copies, size in cases:
        async with story.services.database.engine.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM team")
        await story.apply(FILE)
        arrivals = [(key, body) for key, body in zip(ids, ORDERS, strict=True) for _ in range(copies)]
        random.Random(seed).shuffle(arrivals)
        for start in range(0, len(arrivals), size):
            batch = arrivals[start : start + size]
            await story.send([body for _, body in batch], ids=[key for key, _ in batch])
            story.clock.advance(timedelta(seconds=1))
            if seed % 2 or start % 3 == 0:
                await apply_pending(story.services, limit=size)
        await story.work()
        assert await state(story) == expected, (seed, copies, size)


async def test_ten_workers_at_once_apply_each_delivery_once(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    with capture_logs() as logs:
        looked_at = await gather(*(apply_pending(story.services, limit=3) for _ in range(10)))
        await story.work()
    assert {type(outcome) for outcome in looked_at} == {int}
    assert logs == []
    assert await story.count("event") == await story.count("intake") == len(ORDERS)
    assert await story.value("spending") == Decimal("127")
    doubled = (
        "SELECT subject FROM fact WHERE recorded_to IS NULL "
        "GROUP BY revision_id, part, subject, valid_from HAVING count(*) > 1"
    )
    assert await story.rows(doubled) == []


async def test_the_same_id_with_another_body_keeps_the_first_and_is_counted(story: Story) -> None:
    await story.apply(FILE)
    first = order("A", "approved", 3, 100)
    await story.send([first], ids=["same"])
    again = await story.send([first, order("A", "approved", 3, 999), order("A", "approved", 3, 5)], ids=["same"] * 3)
    assert [(one.is_new, one.is_conflict) for one in again] == [(False, False), (False, True), (False, True)]
    await story.work()
    (view,) = await views(story)
    assert (view.outcome, view.conflicts) == ("applied", 2)
    assert await story.value("spending") == 100


async def test_a_moment_that_can_not_be_read_is_told_where_the_time_of_receipt_takes_its_place(story: Story) -> None:
    more = "  loose: {connection: erp, entity: body.po}\nmetrics:"  # asks for no moment: nothing took its place
    await story.apply(FILE.replace("metrics:", more, 1))
    await story.send([order("A", "approved", 3), order("B", "approved", 3) | {"at": "2026-02-30T08:00:00Z"}])
    await story.work()
    told = [{intake.dataset: intake.reason for intake in view.intakes} for view in await views(story)]
    assert told[0] == {"orders": None, "loose": None}
    assert told[1]["loose"] is None
    assert "the moment it was received" in (told[1]["orders"] or "")


async def test_an_explanation_says_that_a_budget_is_judged_on_its_projection(story: Story) -> None:
    await story.apply(FILE)
    await story.send([order("A", "approved", 3, 100)])
    await story.work()
    assert "sum of 1 = 100 EUR; projected to the window's end = 1" in (await story.explain("spending")).formula


async def test_a_rule_that_fails_buries_a_delivery_for_its_dataset_only(story: Story) -> None:
    more = '  sized: {connection: erp, entity: body.po, at: body.at, where: "double(body.total) > 10.0"}\nmetrics:'
    await story.apply(FILE.replace("metrics:", more))
    await story.send([order("A", "approved", 3, 100), order("B", "approved", 3, "many"), order("C", "approved", 3, 1)])
    await story.work()
    outcomes = [
        {intake.dataset: (intake.outcome, intake.reason) for intake in view.intakes} for view in await views(story)
    ]
    assert [one["orders"][0] for one in outcomes] == ["applied", "applied", "applied"]
    assert [one["sized"][0] for one in outcomes] == ["applied", "dead", "ignored"]
    assert outcomes[1]["sized"][1]
    assert outcomes[2]["sized"][1] == "where is false"
    assert [view.outcome for view in await views(story)] == ["applied", "dead", "applied"]
    assert await story.value("approvals") == 3
    assert len(await views(story, outcome="dead")) == 1


@pytest.mark.parametrize("change", ["added later", "rules mended"])
async def test_a_dataset_that_is_new_or_changed_ends_as_if_it_had_always_been_so(story: Story, change: str) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    expected = await state(story)
    async with story.services.database.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM team")

    head, tail = FILE.split("datasets:")[0], FILE
    early = head if change == "added later" else FILE.replace("entity: body.po", "entity: body.event")
    story.sent = 0
    await story.apply(early)
    await story.send(ORDERS[:5])
    await story.work()
    story.clock.advance(timedelta(minutes=1))
    await story.apply(tail)
    story.clock.advance(timedelta(minutes=1))
    await story.send(ORDERS[5:])
    await story.work()
    assert await state(story) == expected


async def test_rules_that_change_between_a_judgement_and_its_writing_are_asked_again(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    async with story.services.database.reading() as session:
        batch = await deliveries._load(session, 100)
    assert batch is not None
    outcomes, hints = deliveries._judge_all(story.services, batch)
    await story.apply(FILE.replace("event: body.event}", "event: \"'po.' + body.event\"}"))
    async with story.services.database.writing() as session:
        await deliveries._write(session, batch.waiting, outcomes, hints, story.clock())
    assert {view.outcome for view in await views(story)} == {"pending"}
    await story.work()
    assert {row[0] for row in await story.rows("SELECT event FROM event")} == {
        "po.requested",
        "po.approved",
        "po.returned",
    }


async def test_a_baseline_over_pushed_data_waits_for_all_that_is_in_line(story: Story) -> None:
    await story.apply(FILE.replace("baseline: 1000, target: 100", "baseline: {measure: 2026-Q3}, target: 100"))
    past = [order(f"P{number}", "approved", 1, 10) | {"at": "2026-08-01T08:00:00Z"} for number in range(5)]
    await story.send(past)
    for _ in range(4):
        assert await apply_pending(story.services, limit=1) == 1
        assert (await story.key_result("spending")).baseline is None
    await story.work()
    assert (await story.key_result("spending")).baseline == 50


async def test_a_baseline_over_pushed_data_waits_for_those_who_send_their_past_last(story: Story) -> None:
    await story.apply(FILE.replace("baseline: 1000, target: 100", "baseline: {measure: 2026-Q3}, target: 100"))
    await story.send(ORDERS)
    await story.work()
    # Nobody has said what happened in the third quarter: that is not nothing.
    assert (await story.key_result("spending")).baseline is None
    await story.send([order("P", "approved", 1, 10) | {"at": "2026-08-01T08:00:00Z"}])
    await story.work()
    assert (await story.key_result("spending")).baseline == 10


async def test_a_baseline_waits_for_the_rule_that_it_was_written_with(story: Story) -> None:
    await story.apply(FILE)
    await story.send([order("P", "approved", 1, 10) | {"at": "2026-08-01T08:00:00Z"}, order("Q", "returned", 1, 5)])
    await story.work()
    edited = FILE.replace("record.event == 'approved'\", value", "record.event == 'nothing'\", value")
    await story.apply(edited.replace("baseline: 1000, target: 100", "baseline: {measure: 2026-Q3}, target: 100"))
    assert (await story.key_result("spending")).baseline is None
    await story.work()
    assert (await story.key_result("spending")).baseline == 0


async def test_a_replay_changes_nothing_that_was_right(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    before, counts = await state(story), [await story.count(table) for table in ("event", "fact", "sample", "intake")]
    for view in (await views(story))[:3]:
        replayed = await replay(story.services, view.id, actor="dana")
        assert replayed is not None
        assert replayed.outcome == "pending"
    story.clock.advance(timedelta(minutes=1))
    await story.work()
    assert await state(story) == before
    assert [await story.count(table) for table in ("event", "fact", "sample", "intake")] == counts
    assert await replay(story.services, 987_654, actor="dana") is None
    assert await story.rows("SELECT count(*) FROM audit WHERE action = 'replay'") == [(3,)]


BAD_BODIES: dict[str, bytes] = {
    "NUL": b'{"po": "A", "event": "approved", "at": "2026-11-03", "note": "a\\u0000b"}',
    "half a surrogate pair": b'{"po": "A", "event": "approved", "note": "\\ud800"}',
    "not JSON": b"po=A&event=approved",
    "a list": b'[{"po": "A"}]',
    "nothing": b"",
    "invalid UTF-8": b'{"po": "\xff"}',
    "two of a key": b'{"po": "A", "po": "B", "event": "approved", "at": "2026-11-03T08:00:00Z"}',
    "a number without end": b'{"po": "A", "total": ' + b"9" * 5_000 + b"}",
    "too deep": b'{"po": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not a number": b'{"po": "A", "total": NaN}',
    "a huge exponent": b'{"po": "A", "event": "approved", "at": "2026-11-03T08:00:00Z", "total": 1e300000}',
    "a long name": json.dumps({"po": "x" * 10_000, "event": "approved"}).encode(),
}


async def test_a_body_that_can_not_be_kept_holds_up_nobody(story: Story) -> None:
    await story.apply(FILE)
    bodies: list[Any] = [*BAD_BODIES.values()]
    random.Random(7).shuffle(bodies)
    await story.send([*ORDERS[:4], *bodies, *ORDERS[4:]])
    await story.work()
    found = await views(story)
    assert [view.outcome for view in found if view.outcome == "pending"] == []
    good = [*found[:4], *found[-5:]]
    assert {view.outcome for view in good} == {"applied"}
    for view in found[4:-5]:
        assert view.outcome in ("dead", "ignored"), view
        assert view.intakes[0].reason, view
    assert await story.value("spending") == Decimal("127")
    assert await story.value("approvals") == 3


NUL_ENTITY = FILE.replace("entity: body.po", "entity: \"body.po == 'N' ? 'a\\\\u0000b' : body.po\"")


async def test_a_name_that_no_database_keeps_is_dead_on_both(story: Story) -> None:
    await story.apply(NUL_ENTITY)
    await story.send([order("A", "approved", 3, 1), order("N", "approved", 3, 2), order("B", "approved", 3, 4)])
    await story.work()
    found = await views(story)
    assert [view.outcome for view in found] == ["applied", "dead", "applied"]
    assert "NUL" in (found[1].intakes[0].reason or "")
    assert await story.value("spending") == 5


async def test_a_delivery_that_the_store_refuses_is_buried_and_the_others_are_applied(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = records.append_events

    async def refuses_one(session: Any, rows: Any) -> set[tuple[int, str]]:
        if any(row["entity"] == "N" for row in rows):
            raise ValueError("a value that the store does not take")
        return await append(session, rows)

    monkeypatch.setattr(records, "append_events", refuses_one)
    await story.apply(FILE)
    await story.send([order("A", "approved", 3, 1), order("N", "approved", 3, 2), order("B", "approved", 3, 4)])
    with capture_logs() as logs:
        await story.work()
    found = await views(story)
    assert [view.outcome for view in found] == ["applied", "dead", "applied"]
    assert found[1].intakes[0].reason == "It could not be applied (ValueError)."
    assert [log["event"] for log in logs] == ["deliveries.batch_failed", "delivery.buried"]
    assert await story.value("spending") == 5


async def test_connectors_that_parse_badly_bury_their_deliveries_and_nothing_else(story: Story) -> None:
    await story.apply(FILE)
    await story.send([order("A", "approved", 3, 1)])
    await story.work()
    for name, connector in HOSTILE_PARSES.items():
        tool = replace(story.services.connectors["webhook"], parse=connector.parse)
        hostile = story.with_connectors(tool)
        await hostile.send([order("B", "approved", 3, 2)], ids=[name])
        await hostile.work()
        assert (await views(story))[-1].outcome == "dead", name
    assert await story.count("record") == 0
    await story.send([order("C", "approved", 3, 4)])
    await story.work()
    assert await story.value("spending") == 5


async def test_without_a_dataset_a_delivery_is_kept_for_the_one_to_come(story: Story) -> None:
    await story.apply(FILE.split("datasets:")[0])
    await story.send(ORDERS)
    await story.work()
    assert {view.outcome for view in await views(story)} == {"ignored"}
    await story.apply(FILE)
    await story.work()
    assert {view.outcome for view in await views(story)} == {"applied"}
    assert await story.value("spending") == Decimal("127")


async def test_a_moment_that_can_not_be_read_falls_back_to_the_receipt_and_says_so(story: Story) -> None:
    await story.apply(FILE)
    await story.send([order("A", "approved", 3, 1) | {"at": "yesterday"}])
    await story.work()
    ((flagged, event),) = await story.rows("SELECT at_is_receipt, event FROM event")
    assert (bool(flagged), event) == (True, "approved")
    assert (await story.explain("spending")).included[0].at == story.clock()


async def test_a_build_waits_for_deliveries_that_are_put_back_in_line(story: Story) -> None:
    await story.apply(FILE)
    await story.send(ORDERS)
    await story.work()
    await story.apply(FILE.replace("event: body.event}", "event: \"'po.' + body.event\"}"))
    assert await build_revisions(story.services) == 0
    assert await story.value("approvals") == 3  # the old rule is served
    await story.work()
    assert await story.value("approvals") == 0
