"""Two axes of time: what was true at a moment, and what was known at one; and a number taken apart at any of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from app.services import read
from app.services.build import build_revisions
from app.services.deliveries import apply_pending
from app.services.views import SampleView
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story
from tests.services.test_deliveries import FILE, NAMES, order

DAY = timedelta(days=1)

#: What comes on which day, in the order in which it comes: late, corrected, out of order.
ARRIVALS: list[tuple[int, list[dict[str, Any]]]] = [
    (10, [order("A", "requested", 1), order("B", "requested", 2)]),
    (11, [order("A", "approved", 3, 100)]),
    (12, [order("C", "approved", 9, 7)]),
    (14, [order("B", "approved", 5, 30), order("B", "returned", 4)]),
    (16, [order("D", "requested", 15), order("D", "approved", 16, "2.50")]),
    (17, [order("A", "approved", 6, 1)]),
    (19, [order("C", "requested", 1), order("E", "approved", 2, 5)]),
]


def day(number: int, hour: int = 12) -> datetime:
    return datetime(2026, 11, number, hour, tzinfo=UTC)


async def shown(story: Story, **options: Any) -> dict[str, tuple[Any, ...]]:
    found = {}
    for name in NAMES:
        view = await story.key_result(name, **options)
        found[name] = (view.value, view.sample_size, view.progress, view.metric.revision)
    return found


async def history(story: Story, name: str, **options: Any) -> list[SampleView]:
    async with story.services.database.reading() as session:
        found = await read.key_result_history(session, TEAM, name, now=story.clock(), **options)
    assert found is not None
    return found


async def live_through_november(story: Story, clock: FakeClock) -> dict[datetime, dict[str, tuple[Any, ...]]]:
    """Let everything come on its day; what was shown after each, by moment."""
    clock.set(day(9))
    await story.apply(FILE)
    seen = {}
    for number, bodies in ARRIVALS:
        clock.set(day(number))
        await story.work()
        await story.send(bodies)
        clock.advance(timedelta(seconds=1))
        await story.work()
        clock.advance(timedelta(seconds=59))  # what is shown now is judged at the start of its minute
        seen[clock()] = await shown(story)
    return seen


async def test_what_was_known_at_a_moment_is_what_was_shown_then(story: Story, clock: FakeClock) -> None:
    seen = await live_through_november(story, clock)
    clock.set(day(20))
    await story.work()
    assert len({str(values) for values in seen.values()}) == len(seen)
    for moment, values in seen.items():
        known = await shown(story, as_of=moment, known_at=moment)
        for name in NAMES:
            assert known[name][:3] == values[name][:3], (moment, name)


async def test_a_rule_edited_is_known_from_when_it_was_built_not_from_when_it_was_written(
    story: Story, clock: FakeClock
) -> None:
    await live_through_november(story, clock)
    seen = {}
    edited = FILE.replace(
        "record.event == 'approved'\", value", "record.event == 'approved' && record.entity != 'A'\", value"
    )
    for hour, action in enumerate(("wait", "edit", "wait", "build", "wait", "back", "wait", "build", "wait")):
        clock.set(day(20, hour))
        if action == "edit":
            await story.apply(edited)
        elif action == "back":
            await story.apply(FILE)
        elif action == "build":
            assert await build_revisions(story.services) == 1
        seen[clock()] = await story.value("spending")
    assert list(seen.values()) == [Decimal(143)] * 3 + [Decimal(42)] * 4 + [Decimal(143)] * 2
    for moment, value in seen.items():
        assert await story.value("spending", as_of=moment, known_at=moment) == value, moment


def computed(events: list[dict[str, Any]], as_of: datetime) -> dict[str, Decimal | None]:
    """The same numbers in a few lines of their own, over what had happened by a moment."""
    past = sorted(
        (event for event in events if datetime.fromisoformat(event["at"]) <= as_of), key=lambda event: event["at"]
    )
    entities: dict[str, list[dict[str, Any]]] = {}
    for event in past:
        entities.setdefault(event["po"], []).append(event)
    approved = [event for event in past if event["event"] == "approved"]
    spans = []
    for mine in entities.values():
        starts = [datetime.fromisoformat(event["at"]) for event in mine if event["event"] == "requested"]
        ends = [datetime.fromisoformat(event["at"]) for event in mine if event["event"] == "approved"]
        if starts and ends and ends[-1] >= starts[0]:
            spans.append((ends[-1] - starts[0]) / DAY)
    done = [mine for mine in entities.values() if any(event["event"] == "approved" for event in mine)]
    straight = [mine for mine in done if not any(event["event"] == "returned" for event in mine)]
    return {
        "approvals": Decimal(len({event["po"] for event in approved})),
        "spending": sum((Decimal(str(event["total"])) for event in approved), Decimal(0)),
        "speed": Decimal(sum(spans)) / len(spans) if spans else None,
        "straight": Decimal(100 * len(straight)) / len(done) if done else None,
    }


async def test_what_was_true_at_a_moment_is_what_the_rules_give_for_what_had_happened(
    story: Story, clock: FakeClock
) -> None:
    numeric = [
        (when, [body | {"total": float(body["total"])} if body["total"] else body for body in bodies])
        for when, bodies in ARRIVALS
    ]
    clock.set(day(9))
    await story.apply(FILE)
    for when, bodies in numeric:
        clock.set(day(when))
        await story.send(bodies)
        await story.work()
    clock.set(day(20))
    for number in (1, 2, 4, 7, 10, 15, 18):
        expected = computed([body for _, bodies in numeric for body in bodies], day(number))
        for name in NAMES:
            found, wanted = await story.value(name, as_of=day(number)), expected[name]
            assert (found is None) == (wanted is None), (name, number)
            if found is not None and wanted is not None:
                assert abs(found - wanted) < Decimal("1e-20"), (name, number)
        assert (await story.explain("spending", as_of=day(number))).value == expected["spending"]


async def test_a_history_lists_every_value_and_what_it_restates(story: Story, clock: FakeClock) -> None:
    await live_through_november(story, clock)
    samples = await history(story, "spending")
    assert [sample.value for sample in samples] == [0, 100, 107, 137, 138, 143]
    for before, after in pairwise(samples):
        assert after.recorded_at >= before.recorded_at
        same_window = (before.window.start, before.window.end) == (after.window.start, after.window.end)
        assert after.supersedes == (before.id if same_window else None)
    shown = await story.key_result("spending", as_of=samples[-1].observed_at)
    assert samples[-1].progress == pytest.approx(shown.progress)
    page = await history(story, "spending", after=samples[1].id, limit=2)
    assert [sample.id for sample in page] == [sample.id for sample in samples[2:4]]
    assert await history(story, "spending", since=day(14), until=day(16)) == [
        sample for sample in samples if day(14) <= sample.observed_at < day(16)
    ]


async def test_a_number_is_taken_apart_into_what_is_in_it_and_why_the_rest_is_not(
    story: Story, clock: FakeClock
) -> None:
    await live_through_november(story, clock)
    found = await story.explain("spending")
    (part,) = found.parts
    assert found.value == part.value
    assert sum(record.value or 0 for record in found.included) == found.value
    assert found.counts == {"included": len(found.included), "excluded": len(found.excluded)}
    assert part.excluded_reasons["where is false"] == 5
    assert part.excluded_reasons["value is not a number"] == 1
    assert {record.entity for record in found.included} == {"A", "B", "C", "E"}
    # A spend that should stay low is judged on where it is heading.
    assert found.formula.startswith(f"sum of {part.included} = {found.value} EUR; projected to the window's end = ")
    assert (found.revision.number, found.revision.author) == (1, "dana")

    ratio = await story.explain("straight")
    good, total = ratio.parts
    assert (good.part, total.part) == ("good", "total")
    assert good.value is not None
    assert total.value is not None
    assert ratio.value == pytest.approx(100 * good.value / total.value)
    assert "/" in ratio.formula

    short = await story.explain("spending", limit=1)
    assert (len(short.included), short.counts) == (1, found.counts)


async def test_the_delta_names_the_records_that_entered_left_or_changed(story: Story, clock: FakeClock) -> None:
    clock.set(day(20))
    await story.apply(FILE)
    await story.send([order("A", "requested", 1), order("A", "approved", 3, 100), order("B", "requested", 1)])
    await story.work()
    clock.advance(DAY)
    await story.send([order("B", "approved", 4, 10), order("A", "approved", 5, 1)])
    await story.work()
    speed = (await story.explain("speed")).delta
    assert speed is not None
    assert ([record.entity for record in speed.entered], speed.left) == (["B"], [])
    assert [(record.entity, record.value) for record in speed.changed] == [("A", Decimal(4))]
    assert (speed.value_before, speed.value_now) == (Decimal(2), Decimal("3.5"))
    assert speed.counts == {"entered": 1, "left": 0, "changed": 1}
    assert not speed.rule_changed

    clock.advance(DAY)
    await story.send([order("B", "returned", 6)])
    await story.work()
    straight = (await story.explain("straight")).delta
    assert straight is not None
    assert [(record.part, record.entity) for record in straight.left] == [("good", "B")]

    clock.advance(DAY)
    await story.apply(FILE.replace("event: approved, pick: last", "event: approved, pick: first"))
    await story.work()
    speed = (await story.explain("speed")).delta
    assert speed is not None
    assert speed.rule_changed
    assert [(record.entity, record.value) for record in speed.changed] == [("A", Decimal(2))]


async def test_a_closed_cycle_is_explained_as_it_ended(story: Story, clock: FakeClock) -> None:
    await live_through_november(story, clock)
    last = await story.value("spending")
    clock.set(datetime(2027, 1, 5, 9, tzinfo=UTC))
    await story.send([{"po": "Z", "event": "approved", "at": "2027-01-02T08:00:00Z", "total": 1_000}])
    await story.work()
    view = await story.key_result("spending")
    assert (view.value, view.status) == (last, "missed")
    explained = await story.explain("spending")
    assert explained.value == last
    assert sum(record.value or 0 for record in explained.included) == last
    assert explained.window.end == datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert "Z" not in {record.entity for record in explained.included}

    # A late word about the closed cycle is a visible restatement.
    await story.send([order("Y", "approved", 30, 9)])
    await story.work()
    assert await story.value("spending") == (last or 0) + 9


async def test_between_two_batches_a_list_shows_whole_transactions_only(story: Story, clock: FakeClock) -> None:
    await story.apply(FILE)
    await story.send([order("A", "requested", 1), order("A", "approved", 3, 100)])
    async with story.services.database.reading() as session:
        before, _ = await read.list_key_results(session, read.KeyResultQuery(), now=clock())
        while await apply_pending(story.services):
            pass
        after, _ = await read.list_key_results(session, read.KeyResultQuery(), now=clock())
    assert after == before
    assert await story.value("spending") == 100
