"""Closing a cycle: what is sealed stays as it was, with its evidence and grade; what came later is shown beside it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.errors import Conflict, InvalidInput, NotFound
from app.services import cycles
from app.services.assert_value import assert_value
from app.services.close import close_cycle, override_grade, reopen_cycle, seal_digest
from app.services.restate import RECHECK, restate_due
from app.services.views import TeamCycleView
from app.store import closes
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import TEAM, Story, gather, on_sqlite, ticket

FILE = """
version: 1
team: support
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  orders: {connection: erp, entity: body.id, at: body.at}
metrics:
  sold: {unit: orders, records: {dataset: orders, where: "record.body.total > 0"}, window: {to_date: quarter}}
  largest: {unit: EUR, records: {dataset: orders, value: record.body.total}, aggregate: max, window: {to_date: quarter}}
objectives:
  sell:
    title: Sell more
    cycle: 2026-Q4
    key_results:
      sales: {metric: sold, baseline: 0, target: 4, kind: committed}
      reach: {metric: sold, baseline: 0, target: 8, kind: aspirational, weight: 3}
      cheap: {metric: sold, baseline: 0, target: 2, guardrails: [{metric: largest, must: "<= 100"}]}
""".replace('"body_total"', '"record.body.total > 0"')
TICKETS = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://jira.example.com", email: bot@acme.example, token: {env: JIRA_TOKEN}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
metrics:
  closed: {unit: tickets, records: {dataset: tickets, where: "record.status == 'Done'", at: record.resolved}, window: {to_date: quarter}}
objectives:
  help:
    title: Help
    cycle: 2026-Q4
    key_results:
      done: {metric: closed, baseline: 0, target: 2}
"""  # noqa: E501
END = datetime(2027, 1, 1, tzinfo=UTC)
Q4 = "2026-Q4"


def order(identity: str, at: str, total: int = 50) -> dict[str, Any]:
    return {"id": identity, "at": at, "total": total}


async def tell(story: Story, *orders: dict[str, Any]) -> None:
    await story.send(orders)
    await story.work()


async def cycle(story: Story, name: str = Q4) -> TeamCycleView:
    async with story.services.database.reading() as session:
        found = await cycles.get_cycle(session, TEAM, name, now=story.clock())
    assert found is not None
    return found


async def a_quarter(story: Story) -> None:
    """Four orders in the quarter, one of them too large; and its end."""
    await story.apply(FILE)
    await tell(story, *(order(f"o{day}", f"2026-11-{day:02}T12:00:00Z") for day in (3, 5, 9)))
    await tell(story, order("big", "2026-11-20T12:00:00Z", 140))
    story.clock.set(END + timedelta(hours=9))
    await story.work()


async def close(story: Story, name: str = Q4, **options: Any) -> bool:
    """Close, and go on an hour later."""
    is_new = await close_cycle(story.services, TEAM, name, actor="dana", **options)
    story.clock.advance(timedelta(hours=1))
    return is_new


async def recheck(story: Story) -> None:
    story.clock.advance(RECHECK + timedelta(seconds=1))
    while await restate_due(story.services):
        pass


async def test_what_has_ended_and_is_not_closed_says_so(story: Story) -> None:
    await a_quarter(story)
    sales = await story.key_result("sales")
    assert (sales.value, sales.status, sales.cycle.state) == (Decimal(4), "met", "ended")
    assert (sales.grade, sales.sealed) == (None, None)
    reach = await story.key_result("reach")
    assert (reach.status, reach.progress) == ("missed", 0.5)
    assert (await story.key_result("cheap")).status == "void"
    assert (await cycle(story)).state == "ended"


async def test_a_close_seals_values_evidence_and_grades(story: Story) -> None:
    await a_quarter(story)
    before = await story.key_result("reach")
    assert await close(story, note="All is in")

    sales, reach, cheap = [await story.key_result(name) for name in ("sales", "reach", "cheap")]
    assert [view.cycle.state for view in (sales, reach, cheap)] == ["closed"] * 3
    assert sales.grade is not None
    assert reach.grade is not None
    assert cheap.grade is not None
    assert reach.sealed is not None
    assert (sales.grade.outcome, sales.grade.score) == ("passed", Decimal(1))
    assert (reach.grade.outcome, reach.grade.score) == ("scored", Decimal("0.50"))
    assert reach.grade.recommended.is_good is False
    assert (cheap.grade.outcome, cheap.grade.score) == ("void", Decimal(0))
    (breach,) = cheap.grade.recommended.breaches
    assert (breach.metric, breach.value, breach.until) == ("support/largest", Decimal(140), None)
    assert breach.since == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    (sealed,) = cheap.guardrails
    assert (sealed.holds, sealed.since, sealed.value_then) == (False, breach.since, Decimal(140))
    assert (reach.sealed.closed_by, reach.sealed.note, reach.sealed.included) == ("dana", "All is in", 4)
    assert {name for name, value in before if value != getattr(reach, name)} == {
        "cycle",
        "forecast_reason",
        "grade",
        "sealed",
    }

    closed = await cycle(story)
    assert (closed.state, closed.closed_by, closed.digest) == ("closed", "dana", reach.sealed.digest)
    (objective,) = closed.sealed_objectives or []
    assert (objective.id, objective.status, objective.score) == ("support/sell", "missed", Decimal("0.50"))
    assert [one.grade.outcome for one in closed.sealed_key_results or []] == ["passed", "scored", "void"]


async def test_the_digest_covers_all_that_was_sealed(story: Story) -> None:
    await a_quarter(story)
    await close(story)
    digest = (await cycle(story)).digest
    async with story.services.database.reading() as session:
        ((identity,),) = await story.rows("SELECT id FROM cycle_close")
        found = [sealed for sealed, _ in await closes.sealed_of(session, identity)]
        rows, objectives = [sealed.row for sealed in found], found[0].close.objectives
        assert seal_digest(rows, objectives) == digest
        rows[0].view = rows[0].view | {"value": "5"}
        assert seal_digest(rows, objectives) != digest


async def test_a_close_is_done_once(story: Story) -> None:
    await a_quarter(story)
    assert await close(story)
    before = await story.dump()
    story.clock.advance(timedelta(hours=1))
    assert not await close(story)
    assert await story.dump() == before


async def test_a_cycle_is_not_closed_before_its_end_without_a_reason(story: Story) -> None:
    await story.apply(FILE)
    await tell(story, order("o1", "2026-11-03T12:00:00Z"))
    with pytest.raises(Conflict) as refused:
        await close(story)
    assert refused.value.code == "cycle_not_ended"
    with pytest.raises(InvalidInput):
        await close(story, early=True)
    assert await close(story, early=True, note="The shop is sold")
    sales = await story.key_result("sales")
    assert sales.grade is not None
    assert (sales.value, sales.status, sales.grade.outcome) == (Decimal(1), "missed", "failed")
    # Moments before the close are computed as before.
    then = await story.key_result("sales", as_of=datetime(2026, 11, 4, tzinfo=UTC))
    assert (then.value, then.status, then.grade) == (Decimal(1), "at_risk", None)


@on_sqlite
async def test_a_cycle_that_nobody_has_is_not_there(story: Story) -> None:
    with pytest.raises(NotFound):
        await close(story)
    await story.apply(FILE)
    with pytest.raises(NotFound):
        await close(story, "2026-Q3")


async def test_late_data_restates_and_leaves_the_sealed_value(story: Story) -> None:
    await a_quarter(story)
    await close(story)
    await tell(story, order("late", "2026-12-30T12:00:00Z"), order("next", "2027-01-01T08:00:00Z"))
    await recheck(story)
    sales = await story.key_result("sales")
    assert (sales.value, sales.status) == (Decimal(4), "met")
    (restated,) = sales.restatements
    assert (restated.value_before, restated.value_now) == (Decimal(4), Decimal(5))
    assert restated.reason == "late data: 1 record entered"
    explained = await story.explain("sales")
    assert explained.restatements == sales.restatements
    assert explained.value == Decimal(4)

    await recheck(story)
    await recheck(story)
    assert (await story.key_result("sales")).restatements == [restated]  # once a change
    await tell(story, order("later", "2026-12-31T12:00:00Z"))
    await recheck(story)
    second = (await story.key_result("sales")).restatements[-1]
    assert (second.value_before, second.value_now) == (Decimal(5), Decimal(6))


async def test_a_rule_change_restates_with_its_revisions(story: Story) -> None:
    await a_quarter(story)
    await close(story)
    await story.apply(FILE.replace("record.body.total > 0", "record.body.total > 100").replace(Q4, "2027-Q1"))
    await story.work()
    await recheck(story)
    sales = await story.key_result("sales", cycle=Q4)
    (restated,) = sales.restatements
    assert (sales.value, restated.value_now, restated.reason) == (Decimal(4), Decimal(1), "rule change r1 → r2")


async def test_what_is_closed_is_not_changed_through_the_file(story: Story) -> None:
    await a_quarter(story)
    await close(story)
    before = await story.key_result("sales")
    with pytest.raises(Conflict) as refused:
        await story.apply(FILE.replace("target: 4", "target: 3"))
    assert refused.value.code == "cycle_closed"
    with pytest.raises(Conflict):
        await story.apply(FILE + "      more: {metric: sold, baseline: 0, target: 9}\n")
    await story.apply(FILE)  # as it is, it may be applied
    head = FILE.split("objectives:")[0]
    outcome = await story.apply(head, prune=True)
    assert {change.reason for change in outcome.changes if change.kind == "key_result"} == {
        "its cycle 2026-Q4 is closed"
    }
    assert await story.key_result("sales") == before

    await story.apply(FILE.replace(Q4, "2027-Q1").replace("target: 4", "target: 9"))
    assert (await story.key_result("sales")).target == 9
    assert (await story.key_result("sales", cycle=Q4)).target == 4


async def test_reopening_lets_values_move_and_closing_seals_anew(story: Story) -> None:
    await a_quarter(story)
    await close(story)
    first = (await cycle(story)).digest
    await tell(story, order("late", "2026-12-30T12:00:00Z"))
    await reopen_cycle(story.services, TEAM, Q4, actor="ada", reason="An order was missing")
    view = await cycle(story)
    assert (view.state, view.reopened_by, view.reopened_because) == ("reopened", "ada", "An order was missing")
    sales = await story.key_result("sales")
    assert (sales.value, sales.sealed, sales.cycle.state) == (Decimal(5), None, "ended")
    with pytest.raises(Conflict):
        await reopen_cycle(story.services, TEAM, Q4, actor="ada", reason="Again")

    assert await close(story)
    again = await story.key_result("sales")
    assert (again.value, again.restatements) == (Decimal(5), [])
    assert (await cycle(story)).digest != first
    assert await story.count("cycle_close") == 2
    assert await story.rows("SELECT action, reason FROM audit WHERE object_kind = 'cycle' ORDER BY id") == [
        ("close", None),
        ("reopen", "An order was missing"),
        ("close", None),
    ]


async def test_a_grade_is_overridden_with_a_note_and_both_are_kept(story: Story) -> None:
    await a_quarter(story)
    options: Any = {"outcome": "scored", "note": "Half of it was out of our hands", "actor": "ada"}
    with pytest.raises(Conflict):
        await override_grade(story.services, TEAM, Q4, "reach", score=Decimal("0.7"), **options)
    await close(story)
    digest = (await cycle(story)).digest
    await override_grade(story.services, TEAM, Q4, "reach", score=Decimal("0.7"), **options)
    grade = (await story.key_result("reach")).grade
    assert grade is not None
    assert grade.override is not None
    assert (grade.score, grade.recommended.score, grade.override.by) == (Decimal("0.7"), Decimal("0.50"), "ada")
    assert (await cycle(story)).digest == digest  # what was sealed is what it was
    with pytest.raises(NotFound):
        await override_grade(story.services, TEAM, Q4, "nothing", score=Decimal(1), **options)
    with pytest.raises(InvalidInput):
        await override_grade(story.services, TEAM, Q4, "reach", score=Decimal(2), **options)


async def test_a_cycle_can_be_read_as_it_was_within(story: Story) -> None:
    await a_quarter(story)
    await close(story)
    then = await story.key_result("sales", as_of=datetime(2026, 11, 6, tzinfo=UTC))
    assert (then.value, then.grade, then.status) == (Decimal(2), None, "on_track")
    known = await story.key_result("sales", known_at=datetime(2026, 11, 21, tzinfo=UTC))
    assert known.sealed is None


async def test_a_deletion_restates_as_one(jira_story: Story, site: JiraCloudFake) -> None:
    story = jira_story
    for number in (1, 2):
        made = ticket(number, datetime(2026, 11, number, 8, tzinfo=UTC), ("Done", datetime(2026, 11, 5, tzinfo=UTC)))
        site.issues[made["id"]] = made
    await story.apply(TICKETS)
    await story.later(minutes=1)
    story.clock.set(END + timedelta(hours=9))
    await story.later(minutes=1)
    await close(story)
    assert await story.value("done") == 2
    site.delete("HELP-1", story.clock())
    for _ in range(3):
        await story.later(hours=25)  # two whole reads have to miss it
    await recheck(story)
    done = await story.key_result("done")
    (restated,) = done.restatements
    assert (done.value, restated.value_now, restated.reason) == (Decimal(2), Decimal(1), "deletion: 1 record left")


async def test_an_override_that_was_sealed_is_no_restatement(story: Story) -> None:
    await story.apply(FILE)
    await tell(story, order("o1", "2026-11-03T12:00:00Z"))
    said: Any = {"note": "By phone", "override": True, "actor": "dana"}
    await assert_value(story.services, TEAM, "sold", date(2026, 11, 22), Decimal(4), **said)
    story.clock.set(END + timedelta(hours=9))
    await close(story)
    await recheck(story)
    sales = await story.key_result("sales")
    assert (sales.value, sales.restatements) == (Decimal(4), [])


async def test_two_workers_tell_of_a_change_once(story: Story) -> None:
    await a_quarter(story)
    await close(story)
    await tell(story, order("late", "2026-12-30T12:00:00Z"))
    story.clock.advance(RECHECK + timedelta(seconds=1))
    await gather(*(restate_due(story.services) for _ in range(4)))
    assert len((await story.key_result("sales")).restatements) == 1
