"""Unfinished durations: with `open: include` they are told by their start, and nothing else changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.extract import compile_part
from app.domain.language import DurationSource
from app.domain.records import EntityHistory, Event, EventHistory, Fact, Transition

START = datetime(2026, 1, 1, tzinfo=UTC)
CATEGORIES = {"Open": "to_do", "Doing": "in_progress", "Done": "done"}
DOING, DONE = {"status": "Doing"}, {"category": "done", "pick": "last"}


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def issue(*path: tuple[float, str]) -> EntityHistory:
    names = ["Open", *(name for _, name in path)]
    transitions = [
        Transition("status", hour(at), order, before, after, CATEGORIES[before], CATEGORIES[after])
        for order, ((at, after), before) in enumerate(zip(path, names, strict=False))
    ]
    fields: dict[str, Any] = {"status": names[-1], "status_category": CATEGORIES[names[-1]]}
    return EntityHistory("1", "ERP-1", START, fields, transitions)


def facts(history: EntityHistory | EventHistory, **source: Any) -> tuple[Fact, ...]:
    shape: Literal["events", "entities"] = "entities" if isinstance(history, EntityHistory) else "events"
    spec = DurationSource.model_validate({"dataset": "d", **source})
    return compile_part("value", spec, "avg", shape, None).facts(history)


def brief(found: tuple[Fact, ...]) -> list[tuple[Any, ...]]:
    """(valid from, at, since, hours or reason), moments in hours."""

    def hours(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - START) / timedelta(hours=1)

    return [
        (hours(f.valid_from), hours(f.at), hours(f.since), f.reason if f.value is None else f.value / 3600)
        for f in found
    ]


def test_unfinished_work_counts_from_its_start() -> None:
    history = issue((2, "Doing"), (5, "Done"), (7, "Doing"))
    assert brief(facts(history, **{"from": DOING, "to": DONE, "open": "include"})) == [
        (0, None, None, "not started"),
        (2, None, 2, None),
        (5, 5, None, 3),
        (7, None, 2, None),
    ]
    again = {"from": {**DOING, "pick": "last"}, "to": DONE, "open": "include", "attribute": "from"}
    assert brief(facts(history, **again))[-1] == (7, 7, 7, None)


def test_a_condition_leaves_unfinished_work_out_too() -> None:
    found = facts(issue((2, "Doing")), **{"from": DOING, "to": DONE, "open": "include", "where": "false"})
    assert brief(found) == [(0, None, None, "where is false")]


def test_an_end_before_the_start_is_no_unfinished_work() -> None:
    found = facts(issue((2, "Done"), (5, "Doing")), **{"from": DOING, "to": {"status": "Done"}, "open": "include"})
    assert brief(found)[-1] == (5, 2, None, "end before start")


names = st.sampled_from(["Open", "Doing", "Done"])
edges = st.builds(lambda name, pick: {"status": name, "pick": pick}, names, st.sampled_from(["first", "last"]))
event_edges = st.builds(lambda name, pick: {"event": name, "pick": pick}, names, st.sampled_from(["first", "last"]))
paths = st.lists(st.tuples(st.integers(0, 12), names), max_size=7).map(
    lambda path: sorted(path, key=lambda one: one[0])
)
attributes = st.sampled_from(["to", "from"])


def starts(history: EntityHistory | EventHistory, edge: dict[str, Any]) -> list[datetime]:
    if isinstance(history, EventHistory):
        return [event.at for event in history.events if event.event == edge["event"]]
    entered = [(START, None, "Open"), *((t.at, t.before, t.after) for t in history.transitions)]
    return [at for at, before, after in entered if after == edge["status"] and before != after]


def assert_only_the_unfinished_differ(
    history: EntityHistory | EventHistory, from_: dict[str, Any], to: dict[str, Any], attribute: str
) -> None:
    source = {"from": from_, "to": to, "attribute": attribute, "within": "9h"}
    without, with_open = facts(history, **source), facts(history, **source, open="include")
    moments = starts(history, from_)
    for half in range(-1, 28):
        as_of = hour(half / 2)
        (plain, counted) = (
            [f for f in found if f.valid_from is not None and f.valid_from <= as_of < (f.valid_to or hour(99))]
            for found in (without, with_open)
        )
        told = [replace(one, valid_from=None, valid_to=None) for one in plain]
        if told and told[0].reason == "not finished":
            come = [at for at in moments if at <= as_of]
            since = come[0] if from_["pick"] == "first" else come[-1]
            told = [replace(told[0], reason=None, since=since, at=since if attribute == "from" else None)]
        assert [replace(one, valid_from=None, valid_to=None) for one in counted] == told


@settings(max_examples=300)
@given(paths, edges, edges, attributes)
def test_of_issues_only_the_unfinished_differ(path: Any, from_: Any, to: Any, attribute: str) -> None:
    assert_only_the_unfinished_differ(issue(*path), from_, to, attribute)


@settings(max_examples=200)
@given(paths, event_edges, event_edges, attributes)
def test_of_events_only_the_unfinished_differ(path: Any, from_: Any, to: Any, attribute: str) -> None:
    events = [Event(f"k{i}", "T-1", hour(at), name, None, {}, order=i) for i, (at, name) in enumerate(path)]
    assert_only_the_unfinished_differ(EventHistory("T-1", events), from_, to, attribute)
