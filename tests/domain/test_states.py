"""The states of an entity in time: stretches without gap or overlap that say what a walk through the history says."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.expression import RuleError
from app.domain.extract import compile_part, fields_needed
from app.domain.language import MetricSpec, StateShareSource
from app.domain.records import EntityHistory, Event, EventHistory, Fact, Transition

START = datetime(2026, 1, 1, tzinfo=UTC)
LAST = 12


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def service(*path: tuple[float, str | None], entity: str = "erp") -> EventHistory:
    events = [Event(f"k{i}", entity, hour(at), name, None, {}, order=i) for i, (at, name) in enumerate(path)]
    return EventHistory(entity, events)


def issue(*path: tuple[float, str], created: datetime | None = START, first: str = "Open") -> EntityHistory:
    names = [first, *(name for _, name in path)]
    transitions = [
        Transition("status", hour(at), order, before, after)
        for order, ((at, after), before) in enumerate(zip(path, names, strict=False))
    ]
    return EntityHistory("1", "ERP-1", created, {"status": names[-1]}, transitions)


def facts(history: EntityHistory | EventHistory, good: Sequence[str] = ("up",), **more: Any) -> tuple[Fact, ...]:
    source = StateShareSource.model_validate({"dataset": "d", "good": list(good), **more})
    shape: Literal["events", "entities"] = "entities" if isinstance(history, EntityHistory) else "events"
    return compile_part("value", source, None, shape, None).facts(history)


def stretches(history: EntityHistory | EventHistory, good: Sequence[str] = ("up",), **more: Any) -> list[Any]:
    """(hour it begins, hour it ends, state, 1 or 0 or the reason) of each fact."""
    return [
        (hours(one.since), hours(one.at), one.group, one.reason if one.value is None else int(one.value))
        for one in facts(history, good, **more)
    ]


def hours(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - START) / timedelta(hours=1)


def test_every_event_leads_to_the_state_of_its_name() -> None:
    history = service((0, "up"), (3, "down"), (4, "maintenance"), (6, None), (7, "up"))
    assert stretches(history, exclude=["maintenance"]) == [
        (0, 3, "up", 1),
        (3, 4, "down", 0),
        (4, 6, "maintenance", "state maintenance is excluded"),
        (6, 7, None, "no state"),
        (7, None, "up", 1),
    ]
    assert stretches(service()) == []


def test_what_is_said_again_is_no_change_and_of_equal_moments_the_last_one_holds() -> None:
    history = service((0, "up"), (1, "up"), (2, "down"), (2, "up"), (3, "down"), (3, "Down"))
    assert stretches(history) == [(0, 3, "up", 1), (3, None, "Down", 0)]


def test_a_status_is_entered_at_the_creation_and_matches_whatever_its_case() -> None:
    assert stretches(issue((2, "Doing"), (5, "Done")), good=["doing"], exclude=["OPEN"]) == [
        (0, 2, "Open", "state Open is excluded"),
        (2, 5, "Doing", 1),
        (5, None, "Done", 0),
    ]
    assert stretches(issue(first="Done"), good=["done"]) == [(0, None, "Done", 1)]
    assert stretches(issue((2, "Done"), created=None), good=["Done"]) == [(2, None, "Done", 1)]
    assert stretches(issue(created=None)) == []


def test_one_entity_or_all() -> None:
    assert stretches(service((0, "up")), of="erp") == [(0, None, "up", 1)]
    assert stretches(service((0, "up")), of="mail") == []
    assert stretches(issue(), of="ERP-1") == stretches(issue(), of="1") == [(0, None, "Open", 0)]
    deleted = EntityHistory("1", "ERP-1", START, {"status": "Open"}, is_deleted=True)
    assert stretches(deleted) == []


def test_a_stretch_holds_from_its_beginning_on_and_is_its_own_subject() -> None:
    found = facts(service((0, "up"), (3, "down")))
    assert [(one.valid_from, one.valid_to) for one in found] == [(hour(0), None), (hour(3), None)]
    assert [one.subject for one in found] == ["erp 2026-01-01T00:00:00Z", "erp 2026-01-01T03:00:00Z"]
    assert {one.entity for one in found} == {"erp"}


def test_no_field_is_asked_for() -> None:
    assert fields_needed(StateShareSource(dataset="d", good=("up",)), None) == frozenset()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"state_share": {"dataset": "d", "good": []}}, "at least one good state"),
        ({"state_share": {"dataset": "d", "good": ["a"], "exclude": ["b", "a"]}}, "'a' is both good and excluded"),
        ({"state_share": {"dataset": "d", "good": "up"}}, "tuple"),
        ({"unit": "days"}, "in percent"),
        ({"window": "now"}, "needs a window"),
        ({"aggregate": "avg"}, "only records and duration"),
        ({"min_samples": 3}, "have samples"),
    ],
)
def test_a_share_is_a_percentage_of_a_window(more: dict[str, Any], message: str) -> None:
    sound = {"unit": "percent", "state_share": {"dataset": "d", "good": ["up"]}, "window": "all"}
    assert MetricSpec.model_validate(sound).form == "state_share"
    with pytest.raises(ValidationError, match=message):
        MetricSpec.model_validate(sound | more)


def test_statuses_that_differ_in_their_case_only_are_one() -> None:
    with pytest.raises(RuleError, match="'Up' is both good and excluded"):
        stretches(issue(), good=["Up"], exclude=["uP"])
    assert stretches(service((0, "up")), good=["Up"], exclude=["up"]) == [
        (0, None, "up", "state up is excluded"),
    ]


# --- any history -----------------------------------------------------------------------------------------------------

STATES = st.sampled_from(["up", "slow", "down", "off", None])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, LAST), STATES), max_size=10))
def test_the_stretches_of_events_say_what_a_walk_says(changes: list[tuple[int, str | None]]) -> None:
    path = sorted(changes, key=lambda change: change[0])
    found = facts(service(*path), good=["up", "slow"], exclude=["off"])
    assert_whole(found, [at for at, _ in path])
    for half in range(-1, 2 * LAST + 3):
        come = [state for at, state in path if at <= half / 2]
        expected: Any = None
        if come:
            state = come[-1]
            expected = (state, {"up": 1, "slow": 1, "down": 0}.get(state or ""))
        assert told(found, hour(half / 2)) == expected


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, LAST), st.sampled_from(["Open", "Doing", "Done"])), max_size=8))
def test_the_stretches_of_an_issue_say_what_a_walk_says(changes: list[tuple[int, str]]) -> None:
    path = sorted(changes, key=lambda change: change[0])
    found = facts(issue(*path), good=["doing"], exclude=["open"])
    assert_whole(found, [0])
    for half in range(2 * LAST + 3):
        state = ["Open", *(name for at, name in path if at <= half / 2)][-1]
        assert told(found, hour(half / 2)) == (state, {"Doing": 1, "Done": 0}.get(state))


def told(found: Sequence[Fact], at: datetime) -> tuple[str | None, Decimal | None] | None:
    """State and value at a moment."""
    there = [one for one in found if one.since is not None and one.since <= at and (one.at is None or at < one.at)]
    assert len(there) <= 1
    return (there[0].group, there[0].value) if there else None


def assert_whole(found: Sequence[Fact], moments: Sequence[float]) -> None:
    """From the first moment on without gap or overlap, the last one open, and no two neighbours in the same state."""
    assert [one.since for one in found[:1]] == [hour(at) for at in moments[:1]]
    assert [one.at for one in found[-1:]] == [None for _ in moments[:1]]
    for before, after in pairwise(found):
        assert before.at == after.since
        assert before.group != after.group
    assert all(one.valid_from == one.since and one.valid_to is None for one in found)
    assert all((one.value is None) != (one.reason is None) for one in found)
