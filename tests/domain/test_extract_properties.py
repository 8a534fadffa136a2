"""The facts that are valid at a moment are what the rules give for the history cut to that moment.

The yardstick below is the slow and obvious reading of the rules: cut the history, look, answer. It shares nothing with
the extraction but the records.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.extract import compile_part
from app.domain.language import Distinct, DurationSource, RecordsSource
from app.domain.records import EntityHistory, Event, EventHistory, Fact, Transition

START = datetime(2026, 1, 1, tzinfo=UTC)
LAST = 12
CATEGORIES = {
    "Open": "to_do",
    "Doing": "in_progress",
    "Review": "in_progress",
    "Done": "done",
    "Closed": "done",
    "Odd": None,
}
Answer: TypeAlias = tuple[datetime | None, Decimal | str, str | None]
Answers: TypeAlias = dict[str, Answer]


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def text(moment: datetime) -> str:
    return moment.isoformat()


statuses = st.sampled_from(list(CATEGORIES))
minutes = st.integers(0, LAST).map(minute)


@st.composite
def issues(draw: st.DrawFn) -> EntityHistory:
    moments = sorted(draw(st.lists(minutes, max_size=6)))
    names = [draw(statuses) for _ in range(len(moments) + 1)]
    transitions = [
        Transition("status", at, order, before, after, CATEGORIES[before], CATEGORIES[after])
        for order, (at, (before, after)) in enumerate(zip(moments, pairwise(names), strict=True))
    ]
    fields: dict[str, Any] = {"status": names[-1], "status_category": CATEGORIES[names[-1]]}
    fields["points"] = draw(st.sampled_from([None, 3, Decimal("0.5"), "5 pts"]))
    for name in ("resolved", "updated"):
        moment = draw(st.none() | minutes)
        fields[name] = None if moment is None else text(moment)
    return EntityHistory("1", "ERP-1", draw(minutes), fields, transitions)


@st.composite
def event_histories(draw: st.DrawFn) -> EventHistory:
    moments = sorted(draw(st.lists(minutes, max_size=7)))
    events = [
        Event(
            f"k{i}",
            "E",
            at,
            draw(st.sampled_from([None, "a", "b", "c"])),
            {"n": draw(st.none() | st.integers(0, 2))},
            {},
            i,
        )
        for i, at in enumerate(moments)
    ]
    return EventHistory("E", events)


def assert_told_right(
    source: RecordsSource | DurationSource,
    aggregate: Any,
    history: EntityHistory | EventHistory,
    yardstick: Callable[[Any, datetime], Answers],
) -> None:
    shape: Literal["events", "entities"] = "entities" if isinstance(history, EntityHistory) else "events"
    found = compile_part("value", source, aggregate, shape, None).facts(history)
    assert_whole(found)
    for number in range(-1, 2 * LAST + 3):
        as_of = START + timedelta(seconds=30 * number)
        valid = [f for f in found if f.valid_from is not None and f.valid_from <= as_of]
        valid = [f for f in valid if f.valid_to is None or as_of < f.valid_to]
        told = {f.subject: (f.at, f.reason if f.value is None else f.value, f.group) for f in valid}
        assert len(told) == len(valid)
        assert told == yardstick(history, as_of)


def assert_whole(found: tuple[Fact, ...]) -> None:
    """Per subject without gap or overlap, the last one open, and no two neighbours that say the same."""
    for subject in {fact.subject for fact in found}:
        own = [fact for fact in found if fact.subject == subject]
        assert own[-1].valid_to is None
        for before, after in pairwise(own):
            assert before.valid_to == after.valid_from
            assert before.valid_from is not None
            assert after.valid_from is not None
            assert before.valid_from < after.valid_from
            assert (before.at, before.value, before.reason, before.group) != (
                after.at,
                after.value,
                after.reason,
                after.group,
            )
    assert all((fact.value is None) != (fact.reason is None) for fact in found)


# --- records ---------------------------------------------------------------------------------------------------------


def status_then(history: EntityHistory, as_of: datetime) -> Any:
    status = history.transitions[0].before if history.transitions else history.fields["status"]
    for change in history.transitions:
        if change.at <= as_of:
            status = change.after
    return status


def moment_then(history: EntityHistory, name: str, as_of: datetime) -> datetime | None:
    value, updated = history.fields[name], history.fields["updated"]
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value)
    has_come_since = moment > as_of and (not isinstance(updated, str) or moment <= datetime.fromisoformat(updated))
    return None if has_come_since else moment


@settings(max_examples=150)
@given(issues())
def test_entities_by_their_status(history: EntityHistory) -> None:
    def yardstick(history: EntityHistory, as_of: datetime) -> Answers:
        if history.created is None or as_of < history.created:
            return {}
        points = history.fields["points"]
        answer: Decimal | str = Decimal(points) if isinstance(points, int | Decimal) else "value is not a number"
        if points is None:
            answer = "no value"
        if status_then(history, as_of) not in ("Doing", "Done"):
            answer = "where is false"
        return {"1": (history.created, answer, None)}

    source = RecordsSource(dataset="d", where="record.status in ['Doing', 'Done']", value="record.points")
    assert_told_right(source, "sum", history, yardstick)


@settings(max_examples=100)
@given(issues())
def test_entities_by_their_category(history: EntityHistory) -> None:
    def yardstick(history: EntityHistory, as_of: datetime) -> Answers:
        if history.created is None or as_of < history.created:
            return {}
        is_done = CATEGORIES[status_then(history, as_of)] == "done"
        return {"1": (history.created, Decimal(1) if is_done else "where is false", None)}

    source = RecordsSource(dataset="d", where="record.status_category == 'done'")
    assert_told_right(source, None, history, yardstick)


@settings(max_examples=150)
@given(issues())
def test_entities_placed_where_they_were_resolved(history: EntityHistory) -> None:
    def yardstick(history: EntityHistory, as_of: datetime) -> Answers:
        if history.created is None or as_of < history.created:
            return {}
        at = moment_then(history, "resolved", as_of)
        if status_then(history, as_of) == "Open":
            return {"1": (at, "where is false", None)}
        if at is None:
            return {"1": (None, "no moment", None)}
        if at > as_of:
            return {"1": (None, "its moment is still to come", None)}
        return {"1": (at, Decimal(1), None)}

    source = RecordsSource(dataset="d", where="record.status != 'Open'", at="record.resolved")
    assert_told_right(source, "count", history, yardstick)


@settings(max_examples=100)
@given(event_histories())
def test_events(history: EventHistory) -> None:
    def yardstick(history: EventHistory, as_of: datetime) -> Answers:
        answers: Answers = {}
        for event in history.events:
            if event.at <= as_of:
                number = event.body["n"] if isinstance(event.body, dict) else None
                answer: Answer = (
                    (event.at, Decimal(1), str(number)) if number is not None else (event.at, "no value", None)
                )
                answers[event.key] = answer if event.event == "a" else (event.at, "where is false", None)
        return answers

    source = RecordsSource(dataset="d", where="record.event == 'a'")
    assert_told_right(source, Distinct(distinct="record.body.n"), history, yardstick)


@settings(max_examples=150)
@given(event_histories())
def test_events_per_entity(history: EventHistory) -> None:
    def yardstick(history: EventHistory, as_of: datetime) -> Answers:
        come = [event for event in history.events if event.at <= as_of]
        if not come:
            return {}
        names = [event.event for event in come]
        counts = "a" in names and "b" not in names
        return {"E": (come[-1].at, Decimal(len(come)) if counts else "where is false", None)}

    source = RecordsSource(
        dataset="d", per="entity", where="'a' in record.events && !('b' in record.events)", value="record.count"
    )
    assert_told_right(source, "sum", history, yardstick)


# --- durations -------------------------------------------------------------------------------------------------------


def entered(history: Any, edge: dict[str, Any], as_of: datetime) -> list[datetime]:
    """The moments of an edge up to `as_of`."""
    if isinstance(history, EventHistory):
        moments = [event.at for event in history.events if event.event == edge["event"]]
    elif "field" in edge:
        value = history.fields[edge["field"]]
        moments = [] if value is None else [datetime.fromisoformat(value)]
    else:
        moments = [at for at, before, after in walk(history) if is_entry(edge, before, after)]
    return sorted(moment for moment in moments if moment <= as_of)


def walk(history: EntityHistory) -> list[tuple[datetime, str | None, str]]:
    """Every (moment, status before, status after), the first status at the creation included."""
    changes = [(change.at, change.before, str(change.after)) for change in history.transitions]
    assert history.created is not None
    first = str(changes[0][1] if changes else history.fields["status"])
    return [(min([history.created, *(at for at, _, _ in changes)]), None, first), *changes]


def is_entry(edge: dict[str, Any], before: str | None, after: str) -> bool:
    if "category" in edge:
        return CATEGORIES[after] == edge["category"] and (before is None or CATEGORIES[before] != edge["category"])
    return after == edge["status"] and before != after


def duration(source: dict[str, Any]) -> Callable[[Any, datetime], Answers]:
    def yardstick(history: Any, as_of: datetime) -> Answers:
        if isinstance(history, EventHistory):
            if not history.events or as_of < history.events[0].at:
                return {}
            subject, now = "E", None
        else:
            if as_of < history.created:
                return {}
            subject, now = "1", CATEGORIES[[after for at, _, after in walk(history) if at <= as_of][-1]]
        starts, ends = entered(history, source["from"], as_of), entered(history, source["to"], as_of)
        if not starts:
            return {subject: (None, "not started", None)}
        start = starts[0] if source["from"].get("pick") != "last" else starts[-1]
        at_start = start if source["attribute"] == "from" else None
        picks_last = source["to"].get("pick") == "last"
        was_done = source["to"].get("category") == "done" or source["to"].get("status") in ("Done", "Closed")
        if not ends or (picks_last and was_done and now != "done"):
            return {subject: (at_start, "not finished", None)}
        end = ends[-1] if picks_last else next((end for end in ends if end >= start), ends[-1])
        at = at_start or end
        if end < start:
            return {subject: (at, "end before start", None)}
        if end - start > timedelta(minutes=8):
            return {subject: (at, "longer than 8m", None)}
        return {subject: (at, Decimal(int((end - start).total_seconds())), None)}

    return yardstick


picks = st.sampled_from(["first", "last"])
entity_edges = st.one_of(
    st.builds(lambda name, pick: {"status": name, "pick": pick}, statuses, picks),
    st.builds(
        lambda name, pick: {"category": name, "pick": pick}, st.sampled_from(["to_do", "in_progress", "done"]), picks
    ),
    st.just({"field": "resolved"}),
)
event_edges = st.builds(lambda name, pick: {"event": name, "pick": pick}, st.sampled_from("abc"), picks)
attributes = st.sampled_from(["to", "from"])


@settings(max_examples=400)
@given(issues(), entity_edges, entity_edges, attributes)
def test_durations_of_entities(history: EntityHistory, from_: Any, to: Any, attribute: str) -> None:
    plain = {"from": from_, "to": to, "attribute": attribute}
    source = DurationSource.model_validate({"dataset": "d", "within": "8m", **plain})
    assert_told_right(source, "avg", history, duration(plain))


@settings(max_examples=200)
@given(event_histories(), event_edges, event_edges, attributes)
def test_durations_of_events(history: EventHistory, from_: Any, to: Any, attribute: str) -> None:
    plain = {"from": from_, "to": to, "attribute": attribute}
    source = DurationSource.model_validate({"dataset": "d", "within": "8m", **plain})
    assert_told_right(source, "avg", history, duration(plain))
