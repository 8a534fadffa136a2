"""A rule edited: a new revision is built from what is stored, while the old one is served."""

import asyncio
import sys
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from app.services import build
from app.services.build import build_revisions
from app.services.deliveries import apply_pending
from app.services.evaluate import extract_part
from app.services.read import get_metric
from app.services.views import MetricView
from app.services.views.metrics import BuildingView
from app.store import records
from tests.conftest import ROOT
from tests.services.story import TEAM, Story, gather, on_sqlite
from tests.services.test_deliveries import FILE, ORDERS, order

EDITED = FILE.replace("record.event == 'approved'\", value", "record.event != 'requested'\", value")


async def revisions(story: Story, metric: str = "spent") -> list[int]:
    rows = await story.rows(
        "SELECT r.number FROM metric_revision r JOIN metric m ON m.id = r.metric_id WHERE m.name = :name "
        "ORDER BY r.number",
        name=metric,
    )
    return [row[0] for row in rows]


async def step(story: Story) -> str:
    """One batch of the build of the only metric that waits for one."""
    ((metric_id,),) = await story.rows("SELECT id FROM metric WHERE building_revision_id IS NOT NULL")
    async with story.services.database.writing() as session:
        return await build._step(session, metric_id, story.clock())


async def shown(story: Story) -> MetricView:
    async with story.services.database.reading() as session:
        found = await get_metric(session, TEAM, "spent", now=story.clock())
    assert found is not None
    return found


async def ready(story: Story) -> None:
    await story.apply(FILE)
    await story.send([body | {"total": body["total"] or 7} for body in ORDERS])
    await story.work()
    assert await story.value("spending") == Decimal("127")


async def test_the_old_rule_is_served_until_the_new_one_is_built(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await ready(story)
    monkeypatch.setattr(build, "ENTITY_BATCH", 1)
    await story.apply(EDITED)
    metric = await shown(story)
    assert (metric.is_building, metric.building) == (True, BuildingView(revision=2, done=0, total=None))
    served, built = [], []
    for _ in range(4):  # four orders, one a batch
        assert await step(story) == "more"
        view, metric = await story.key_result("spending"), await shown(story)
        served.append((view.value, view.metric.revision, metric.revision))
        assert metric.building is not None
        built.append((metric.building.done, metric.building.total))
    assert served == [(Decimal("127"), 1, 1)] * 4
    assert built == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert await step(story) == "whole"
    view, metric = await story.key_result("spending"), await shown(story)
    assert (view.value, view.metric.revision) == (Decimal("134"), 2)
    assert (metric.revision, metric.is_building, metric.building) == (2, False, None)
    assert await build_revisions(story.services) == 0


async def test_deliveries_that_come_while_it_is_built_reach_both_revisions(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(story)
    monkeypatch.setattr(build, "ENTITY_BATCH", 1)
    await story.apply(EDITED)
    assert await step(story) == "more"  # A is built
    await story.send([order("A", "approved", 9, 1000), order("C", "returned", 9, 500), order("E", "approved", 9, 1)])
    assert await step(story) == "waits"  # not before they are applied
    assert await apply_pending(story.services) == 3
    assert await story.value("spending") == Decimal("1128")  # the old rule: without what was returned
    assert await build_revisions(story.services) == 1
    assert await story.value("spending") == Decimal("1635")


def watched(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The batches that are extracted from now on."""
    extracted: list[list[str]] = []

    async def counted(session, dataset, entities, *rest):  # type: ignore[no-untyped-def]
        extracted.append(list(entities))
        return await extract_part(session, dataset, entities, *rest)

    monkeypatch.setattr(build, "extract_part", counted)
    return extracted


async def test_a_build_goes_on_where_a_killed_worker_left_it(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await ready(story)
    monkeypatch.setattr(build, "ENTITY_BATCH", 1)
    await story.apply(EDITED)
    await step(story)
    await step(story)
    extracted = watched(monkeypatch)
    assert await build_revisions(story.services) == 1
    assert extracted == [["C"], ["D"]]
    assert await story.value("spending") == Decimal("134")


async def test_a_build_whose_worker_is_killed_is_finished_by_the_next(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(story)
    await story.apply(EDITED)
    command = [sys.executable, "-m", "tests.fakes.builder", story.services.database.url, story.clock().isoformat()]
    worker = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert worker.stdout is not None
    try:
        # A and B are committed; the third is extracted, in a transaction that is still open.
        assert await asyncio.wait_for(worker.stdout.readline(), 240) == b"held\n"
    finally:
        worker.kill()
        await worker.wait()
    metric = await shown(story)
    assert (metric.revision, metric.building) == (1, BuildingView(revision=2, done=2, total=4))
    assert await story.value("spending") == Decimal("127")

    extracted = watched(monkeypatch)
    assert await build_revisions(story.services) == 1
    assert extracted == [["C", "D"]]
    metric = await shown(story)
    assert (metric.revision, metric.building, metric.value) == (2, None, Decimal("134"))
    facts = await story.rows(
        "SELECT subject, valid_from, entity FROM fact WHERE revision_id = (SELECT max(id) FROM metric_revision)"
    )
    assert {row[-1] for row in facts} == {"A", "B", "C", "D"}
    assert len(facts) == len(set(facts))


async def test_a_rule_edited_again_before_the_first_was_built_ends_at_the_last(story: Story) -> None:
    await ready(story)
    await story.apply(EDITED)
    await story.apply(FILE.replace("record.event == 'approved'\", value", "record.entity == 'C'\", value"))
    await story.work()
    assert await revisions(story) == [1, 2, 3]
    assert await story.value("spending") == Decimal("13.5")
    await story.apply(FILE)
    await story.work()
    view = await story.key_result("spending")
    assert (view.value, view.metric.revision) == (Decimal("127"), 4)


async def test_an_edit_that_is_taken_back_before_it_was_built_is_no_longer_built(story: Story) -> None:
    await ready(story)
    await story.apply(EDITED)
    await story.apply(FILE)
    assert await story.value("spending") == Decimal("127")
    await story.work()
    assert await story.value("spending") == Decimal("127")


@on_sqlite
@pytest.mark.parametrize(
    "edit",
    [
        ("spent: {unit: EUR,", 'spent: {title: Spent, description: "On orders", unit: EUR,'),
        ("team: support", "team: support\ntitle: Support"),
        ("title: O", "title: Better"),
        ("baseline: 1000, target: 100", "baseline: 900, target: 50"),
    ],
    ids=["metric", "team", "objective", "key result"],
)
async def test_words_make_no_revision(story: Story, edit: tuple[str, str]) -> None:
    await ready(story)
    facts = await story.rows("SELECT * FROM fact ORDER BY id")
    assert edit[0] in FILE
    plan = await story.apply(FILE.replace(*edit))
    assert [change.action for change in plan.changes].count("update") == 1
    assert await revisions(story) == [1]
    assert await story.rows("SELECT * FROM fact ORDER BY id") == facts
    assert await story.value("spending") == Decimal("127")


@pytest.mark.parametrize(
    "edit",
    [
        ("timezone: Europe/Rome", "timezone: Asia/Tokyo"),
        ("timezone: Europe/Rome", "timezone: Europe/Rome\ncalendar: {holidays: IT}"),
        ("event: body.event}", "event: body.event, where: \"body.po != 'Z'\"}"),
    ],
    ids=["timezone", "calendar", "dataset"],
)
async def test_whatever_changes_the_facts_makes_a_revision_of_every_metric_that_reads_them(
    story: Story, edit: tuple[str, str]
) -> None:
    await ready(story)
    await story.apply(FILE.replace(*edit))
    await story.work()
    for metric in ("approved", "spent", "days", "direct"):
        assert await revisions(story, metric) == [1, 2], metric
    view = await story.key_result("spending")
    assert (view.value, view.metric.revision) == (Decimal("127"), 2)


@pytest.mark.parametrize("window", ["cycle", "{to_date: cycle}"])
async def test_a_window_that_comes_to_need_a_cycle_and_back_shows_the_newest_value(story: Story, window: str) -> None:
    await ready(story)
    cyclic = EDITED.replace("window: {to_date: quarter}", f"window: {window}")
    await story.apply(cyclic)
    await story.work()
    assert await story.value("spending") == Decimal("134")
    await story.apply(FILE)
    await story.work()
    assert await story.value("spending") == Decimal("127")


async def test_a_metric_that_is_new_over_much_that_is_stored_says_that_it_is_being_built(story: Story) -> None:
    await ready(story)
    new = "  returned: {unit: orders, records: {dataset: orders, where: \"record.event == 'returned'\"}, window: all}\n"
    await story.apply(
        FILE.replace("objectives:", f"{new}objectives:").replace(
            "key_results:", "key_results:\n      back: {metric: returned, baseline: 10, target: 0}"
        )
    )
    back = await story.key_result("back")
    assert (back.value, back.reason) == (None, "it is being built")
    await story.work()
    assert await story.value("back") == 1


async def test_a_rule_edited_while_the_last_step_is_on_its_way_is_built_after_it(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(story)
    await story.apply(EDITED)
    edits: list[asyncio.Task[Any]] = []
    original = records.entities_after

    async def edited_meanwhile(*arguments: Any) -> list[str]:
        if not edits:
            edits.append(asyncio.create_task(story.apply(FILE.replace("record.event == 'approved'\", v", 'true", v'))))
            await asyncio.wait(edits, timeout=0.3)  # it comes through in the middle, if nothing holds it up
        return await original(*arguments)

    monkeypatch.setattr(records, "entities_after", edited_meanwhile)
    await gather(build_revisions(story.services))
    (outcome,) = await gather(*edits)
    if isinstance(outcome, DBAPIError):  # of two that wait for each other the database lets one try again
        await story.apply(FILE.replace("record.event == 'approved'\", v", 'true", v'))
    await story.work()
    assert await revisions(story) == [1, 2, 3]
    assert (await story.key_result("spending")).metric.revision == 3


async def test_a_metric_that_can_not_be_built_holds_up_no_other(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await ready(story)
    await story.apply(EDITED.replace("event: approved, pick: last", "event: approved, pick: first"))
    ((first,),) = await story.rows("SELECT min(id) FROM metric WHERE building_revision_id IS NOT NULL")

    async def broken(session, dataset, entities, definition, revision_id, *rest):  # type: ignore[no-untyped-def]
        ((metric_id,),) = await story.rows("SELECT metric_id FROM metric_revision WHERE id = :id", id=revision_id)
        if metric_id == first:
            raise ZeroDivisionError
        return await extract_part(session, dataset, entities, definition, revision_id, *rest)

    monkeypatch.setattr(build, "extract_part", broken)
    with capture_logs() as logs:
        assert await build_revisions(story.services) == 1
    assert [(log["event"], log["metric"]) for log in logs if log["log_level"] == "error"] == [("build.failed", first)]
    monkeypatch.undo()
    assert await build_revisions(story.services) == 1
