"""Durations: which two moments, who is left out and why, and from when on it was so."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from app.domain.calendar import BusinessCalendar
from app.domain.durations import wall_seconds
from app.domain.expression import RuleError
from app.domain.extract import compile_part
from app.domain.language import CalendarSpec, DurationSource
from app.domain.records import EntityHistory, Event, EventHistory, Transition

START = datetime(2026, 1, 1, tzinfo=UTC)
CATEGORIES = {"Open": "to_do", "Doing": "in_progress", "Review": "in_progress", "Done": "done", "Closed": "done"}


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def issue(
    *path: tuple[float, str], created: datetime | None = START, first: str = "Open", **fields: Any
) -> EntityHistory:
    """An issue that goes through these statuses at these hours."""
    names = [first, *(name for _, name in path)]
    transitions = [
        Transition("status", hour(at), order, before, after, CATEGORIES.get(before), CATEGORIES.get(after))
        for order, ((at, after), before) in enumerate(zip(path, names, strict=False))
    ]
    fields = {"status": names[-1], "status_category": CATEGORIES.get(names[-1]), **fields}
    return EntityHistory("1", "ERP-1", created, fields, transitions)


def ticket(*path: tuple[float, str]) -> EventHistory:
    events = [Event(f"k{i}", "T-1", hour(at), name, None, {}, order=i) for i, (at, name) in enumerate(path)]
    return EventHistory("T-1", events)


def timeline(
    history: EntityHistory | EventHistory, from_: Any, to: Any, calendar: BusinessCalendar | None = None, **more: Any
) -> list[tuple[Any, ...]]:
    """(valid from, at, hours or reason) in hours after the start, for each fact."""
    source = DurationSource.model_validate({"dataset": "d", "from": from_, "to": to, **more})
    shape: Literal["events", "entities"] = "entities" if isinstance(history, EntityHistory) else "events"
    found = compile_part("value", source, "avg", shape, calendar).facts(history)
    return [(hours(f.valid_from), hours(f.at), f.reason if f.value is None else f.value / 3600) for f in found]


def hours(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - START) / timedelta(hours=1)


DOING, DONE = {"status": "Doing"}, {"category": "done", "pick": "last"}
DONE_FIRST = {"category": "done"}


def test_from_a_status_to_a_category() -> None:
    assert timeline(issue((2, "Doing"), (5, "Done")), DOING, DONE) == [
        (0, None, "not started"),
        (2, None, "not finished"),
        (5, 5, Decimal(3)),
    ]


def test_reopened_work_is_unfinished_until_it_is_done_again() -> None:
    history = issue((2, "Doing"), (5, "Done"), (7, "Doing"), (9, "Done"))
    assert timeline(history, DOING, DONE) == [
        (0, None, "not started"),
        (2, None, "not finished"),
        (5, 5, Decimal(3)),
        (7, None, "not finished"),
        (9, 9, Decimal(7)),
    ]
    assert timeline(history, DOING, DONE_FIRST)[-1] == (5, 5, Decimal(3))
    assert timeline(history, DOING, {"status": "Done", "pick": "last"})[-2:] == [
        (7, None, "not finished"),
        (9, 9, Decimal(7)),
    ]
    assert timeline(history, {"status": "Doing", "pick": "last"}, DONE)[-1] == (9, 9, Decimal(2))


def test_going_on_from_a_status_is_no_reopening() -> None:
    history = issue((2, "Doing"), (4, "Review"), (5, "Done"))
    assert timeline(history, DOING, {"status": "Review", "pick": "last"})[-1] == (4, 4, Decimal(2))
    assert timeline(history, {"category": "to_do"}, {"category": "in_progress", "pick": "last"})[-1] == (
        2,
        2,
        Decimal(2),
    )


def test_moving_within_a_category_is_not_entering_it() -> None:
    history = issue((2, "Doing"), (5, "Done"), (8, "Closed"))
    assert timeline(history, DOING, DONE)[-1] == (5, 5, Decimal(3))
    assert timeline(history, DOING, {"status": ["Done", "closed"], "pick": "last"})[-1] == (8, 8, Decimal(6))


def test_an_entity_created_in_a_status_entered_it_when_it_was_created() -> None:
    assert timeline(issue((4, "Done"), first="Doing"), DOING, DONE) == [(0, None, "not finished"), (4, 4, Decimal(4))]
    assert timeline(issue(first="Done"), {"status": "Done"}, DONE) == [(0, 0, Decimal(0))]
    assert timeline(issue((4, "Done"), first="Doing", created=None), DOING, DONE) == [(None, None, "not started")]


def test_a_history_from_before_the_creation_counts_from_the_creation_on() -> None:
    history = issue((-3, "Doing"), (-1, "Done"), (4, "Closed"))
    assert timeline(history, DOING, DONE) == [(0, -1, Decimal(2))]


def test_end_before_start() -> None:
    history = issue((2, "Done"), (5, "Doing"))
    assert timeline(history, DOING, {"status": "Review"})[-1] == (5, None, "not finished")
    assert timeline(history, DOING, DONE_FIRST)[-1] == (5, 2, "end before start")
    assert timeline(history, DOING, DONE)[-1] == (5, None, "not finished")  # it was done, and is no more


def test_events() -> None:
    history = ticket((0, "Take"), (3, "Resolve"), (5, "Take"), (9, "Resolve"))
    take, resolve = {"event": "Take"}, {"event": "Resolve"}
    last = {"event": "Resolve", "pick": "last"}
    assert timeline(history, take, resolve) == [(0, None, "not finished"), (3, 3, Decimal(3))]
    assert timeline(history, take, last) == [(0, None, "not finished"), (3, 3, Decimal(3)), (9, 9, Decimal(9))]
    assert timeline(history, {"event": "Take", "pick": "last"}, last) == [
        (0, None, "not finished"),
        (3, 3, Decimal(3)),
        (5, 3, "end before start"),
        (9, 9, Decimal(4)),
    ]
    assert timeline(history, take, {"event": ["Resolve", "Close"]})[-1] == (3, 3, Decimal(3))
    assert timeline(history, {"event": "Wait"}, last) == [(0, None, "not started")]


def test_the_first_end_is_the_first_one_after_the_start() -> None:
    history = ticket((0, "Resolve"), (2, "Take"), (3, "Resolve"), (4, "Resolve"))
    assert timeline(history, {"event": "Take"}, {"event": "Resolve"}) == [
        (0, None, "not started"),
        (2, 0, "end before start"),
        (3, 3, Decimal(1)),
    ]


@pytest.mark.parametrize("names", [("Take", "Resolve"), ("Resolve", "Take")])
def test_equal_moments_give_zero_in_whatever_order_they_arrived(names: Sequence[str]) -> None:
    history = ticket(*((1, name) for name in names))
    assert timeline(history, {"event": "Take"}, {"event": "Resolve"}) == [(1, 1, Decimal(0))]
    assert timeline(history, {"event": "Take"}, {"event": "Resolve", "pick": "last"}) == [(1, 1, Decimal(0))]


def test_fields_are_moments() -> None:
    history = issue(resolved="2026-01-01T06:30:00Z", planned="not yet")
    assert timeline(history, {"field": "created"}, {"field": "resolved"}) == [
        (0, None, "not finished"),
        (6.5, 6.5, Decimal("6.5")),
    ]
    assert timeline(history, {"field": "created"}, {"field": "planned"}) == [(0, None, "not finished")]


def test_longer_pairs_are_left_out_by_the_wall_clock() -> None:
    history = issue((2, "Doing"), (27, "Done"))
    assert timeline(history, DOING, DONE, within="1d")[-1] == (27, 27, "longer than 1d")
    assert timeline(history, DOING, DONE, within="25h")[-1] == (27, 27, Decimal(25))
    assert timeline(history, DOING, DONE, within="24h")[-1] == (27, 27, "longer than 1d")


def test_a_duration_can_lie_where_it_started() -> None:
    assert timeline(issue((2, "Doing"), (5, "Done")), DOING, DONE, attribute="from") == [
        (0, None, "not started"),
        (2, 2, "not finished"),
        (5, 2, Decimal(3)),
    ]


def test_where_is_asked_of_the_record_as_it_was() -> None:
    history = issue(
        (2, "Doing"), (5, "Done"), priority="P1", resolved="2026-01-01T05:00:00Z", updated="2026-01-01T05:00:00Z"
    )
    assert timeline(history, DOING, DONE, where="record.priority == 'P2'")[-1] == (5, 5, "where is false")
    assert timeline(history, DOING, DONE, where="record.priority == 'P1'")[-1] == (5, 5, Decimal(3))
    assert timeline(history, DOING, DONE, where="record.status == 'Done'") == [
        (0, None, "where is false"),
        (5, 5, Decimal(3)),
    ]
    events = ticket((0, "Take"), (3, "Resolve"), (4, "Wait"))
    unwaited = timeline(events, {"event": "Take"}, {"event": "Resolve"}, where="!('Wait' in record.events)")
    assert unwaited == [(0, None, "not finished"), (3, 3, Decimal(3)), (4, 3, "where is false")]


def test_business_seconds() -> None:
    calendar = BusinessCalendar(CalendarSpec(), ZoneInfo("UTC"))
    # 2026-01-02 is a Friday: from 16:00 to Monday 10:00 are two business hours.
    history = ticket((24 + 16, "Take"), (4 * 24 + 10, "Resolve"))
    assert timeline(history, {"event": "Take"}, {"event": "Resolve"}, calendar)[-1][2] == Decimal(2)
    assert timeline(history, {"event": "Take"}, {"event": "Resolve"})[-1][2] == Decimal(66)


def test_seconds_are_exact_to_the_microsecond() -> None:
    assert wall_seconds(START, START + timedelta(days=40_000, microseconds=1)) == Decimal("3456000000.000001")


@pytest.mark.parametrize(
    ("history", "edge"),
    [(ticket(), {"status": "Done"}), (ticket(), {"field": "first"}), (issue(), {"event": "Take"})],
)
def test_edges_fit_their_dataset(history: Any, edge: Any) -> None:
    with pytest.raises(RuleError, match="measured from and to"):
        timeline(history, edge, edge)


def test_a_long_history_stays_linear_in_facts() -> None:
    history = ticket((0, "Take"), *((float(i), "Resolve") for i in range(1, 2_000)))
    assert len(timeline(history, {"event": "Take"}, {"event": "Resolve"})) == 2
    assert len(timeline(history, {"event": "Take"}, {"event": "Resolve", "pick": "last"})) == 2_000
