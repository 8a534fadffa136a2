"""Records become facts: what they add, where they lie in time, and why they are left out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest

from app.domain.expression import RuleError
from app.domain.extract import canonical_text, compile_part
from app.domain.language import Distinct, RecordsSource
from app.domain.records import EntityHistory, Event, EventHistory, Fact, Transition


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def stamp(number: int) -> str:
    return f"2026-01-{number:02}T00:00:00Z"


def issue(*, created: datetime | None = day(1), transitions: Sequence[Transition] = (), **fields: Any) -> EntityHistory:
    return EntityHistory("10001", "ERP-1", created, fields, transitions, "https://jira.example/browse/ERP-1")


def moved(number: int, before: str, after: str, order: int = 0) -> Transition:
    return Transition("status", day(number), order, before, after)


def event(number: int, name: str | None, **body: Any) -> Event:
    return Event(
        f"k{number}{name}", "PO-1", day(number), name, body, {"x-env": "live"}, link=f"https://erp.example/{number}"
    )


def orders(*events: Event) -> EventHistory:
    return EventHistory("PO-1", events)


def facts(history: EntityHistory | EventHistory, aggregate: Any = None, **source: Any) -> tuple[Fact, ...]:
    shape: Literal["events", "entities"] = "entities" if isinstance(history, EntityHistory) else "events"
    records = RecordsSource.model_validate({"dataset": "d", **source})
    return compile_part("value", records, aggregate, shape, None).facts(history)


def brief(found: Sequence[Fact]) -> list[tuple[Any, ...]]:
    """(valid from, at, value or reason) with days as numbers."""
    return [
        (f.valid_from and f.valid_from.day, f.at and f.at.day, f.reason if f.value is None else f.value) for f in found
    ]


class TestEntities:
    def test_a_counted_entity_is_one_fact_from_its_creation_on(self) -> None:
        assert facts(issue(status="Open")) == (
            Fact(
                part="value",
                subject="10001",
                entity="10001",
                at=day(1),
                value=Decimal(1),
                reason=None,
                valid_from=day(1),
                valid_to=None,
                label="ERP-1",
                link="https://jira.example/browse/ERP-1",
            ),
        )

    @pytest.mark.parametrize(
        ("points", "expected"),
        [
            (Decimal("3.10"), Decimal("3.10")),
            (0, Decimal(0)),
            (None, "no value"),
            ("5 pts", "value is not a number"),
            ("5", "value is not a number"),
            ("1,5", "value is not a number"),
            (True, "value is not a number"),
            ([1], "value is not a number"),
            (Decimal("1e28"), "value has too many digits"),
            (Decimal("1." + "1" * 28), "value has too many digits"),
        ],
    )
    def test_values_are_exact_numbers_or_a_reason(self, points: Any, expected: Any) -> None:
        found = facts(issue(**{"Story Points": points}), "sum", value='record["Story Points"]')
        assert brief(found) == [(1, 1, expected)]

    def test_a_field_that_is_not_there_is_no_value(self) -> None:
        assert brief(facts(issue(), "sum", value="record.Cost")) == [(1, 1, "no value")]

    def test_where_is_false_stays_one_fact_whatever_happened_to_the_entity(self) -> None:
        history = issue(status="C", kind="Bug", transitions=[moved(3, "A", "B"), moved(5, "B", "C")])
        assert brief(facts(history, where="record.kind == 'Task'")) == [(1, 1, "where is false")]

    def test_a_status_is_rolled_back(self) -> None:
        history = issue(status="Done", transitions=[moved(3, "Open", "Doing"), moved(5, "Doing", "Done")])
        assert brief(facts(history, where="record.status == 'Doing'")) == [
            (1, 1, "where is false"),
            (3, 1, Decimal(1)),
            (5, 1, "where is false"),
        ]
        assert [fact.valid_to for fact in facts(history, where="record.status == 'Doing'")] == [day(3), day(5), None]

    def test_moments_that_had_not_come_yet_are_absent(self) -> None:
        history = issue(resolved=stamp(9), updated=stamp(10))
        assert brief(facts(history, where="record.resolved == null")) == [(1, 1, Decimal(1)), (9, 1, "where is false")]

    def test_a_moment_beyond_the_last_update_is_a_plan_and_was_there_all_along(self) -> None:
        history = issue(planned=stamp(20), updated=stamp(10))
        assert brief(facts(history, where="record.planned != null")) == [(1, 1, Decimal(1))]

    def test_nothing_counts_before_its_moment(self) -> None:
        history = issue(resolved=stamp(9), updated=stamp(10), planned=stamp(20))
        assert brief(facts(history, at="record.resolved")) == [(1, None, "no moment"), (9, 9, Decimal(1))]
        assert brief(facts(history, at="record.planned")) == [
            (1, None, "its moment is still to come"),
            (20, 20, Decimal(1)),
        ]

    def test_a_plan_that_is_overtaken_at_its_moment_never_counts(self) -> None:
        history = issue(status="Done", updated=stamp(2), planned=stamp(5), transitions=[moved(5, "Open", "Done")])
        found = facts(history, at="record.planned", where="record.status == 'Open'")
        assert brief(found) == [(1, None, "its moment is still to come"), (5, 5, "where is false")]

    @pytest.mark.parametrize("resolved", [None, "soon", 0.5])
    def test_without_a_moment_it_is_left_out(self, resolved: Any) -> None:
        fields = {} if resolved == 0.5 else {"resolved": resolved}
        assert brief(facts(issue(**fields), at="record.resolved")) == [(1, None, "no moment")]

    def test_moments_compare_and_subtract(self) -> None:
        where = 'record.resolved - record.created < duration("48h")'
        assert brief(facts(issue(resolved=stamp(2), updated=stamp(2)), where=where))[-1] == (2, 1, Decimal(1))
        assert brief(facts(issue(resolved=stamp(4), updated=stamp(4)), where=where))[-1] == (1, 1, "where is false")

    def test_an_entity_that_nobody_knows_the_creation_of_has_no_beginning(self) -> None:
        history = issue(created=None, status="Done", transitions=[moved(3, "Open", "Done")])
        found = facts(history, where="record.status == 'Done'", at="record.updated")
        assert brief(found) == [(None, None, "where is false"), (3, None, "no moment")]

    def test_a_rule_that_fails_leaves_this_record_out_and_says_so(self) -> None:
        assert brief(facts(issue(points="x"), where="record.points > 3"))[0][2] == (
            "where failed: No matching overloads found : _>_(string, int64)"
        )
        assert brief(facts(issue(points=1), "sum", value="record.points / 0"))[0][2].startswith("value failed: ")
        assert brief(facts(issue(points=1), at="timestamp('x')"))[0][2].startswith("at failed: ")

    def test_a_deleted_entity_has_no_facts(self) -> None:
        gone = EntityHistory("1", "ERP-1", day(1), {}, is_deleted=True)
        assert facts(gone) == ()

    def test_what_ended_before_the_horizon_is_left_out(self) -> None:
        history = issue(status="Done", transitions=[moved(3, "Open", "Doing"), moved(5, "Doing", "Done")])
        part = compile_part(
            "value",
            RecordsSource.model_validate({"dataset": "d", "where": "record.status == 'Doing'"}),
            "count",
            "entities",
            None,
        )
        assert [fact.valid_from for fact in part.facts(history, horizon=day(3))] == [day(3), day(5)]
        assert [fact.valid_from for fact in part.facts(history, horizon=day(4))] == [day(3), day(5)]
        assert [fact.valid_from for fact in part.facts(history, horizon=day(9))] == [day(5)]


class TestEvents:
    def test_each_event_is_a_subject_from_its_moment_on(self) -> None:
        history = orders(event(2, "po.requested", total=5), event(4, "po.approved", total=Decimal("7.25")))
        found = facts(history, "sum", where="record.event == 'po.approved'", value="record.body.total")
        assert brief(found) == [(2, 2, "where is false"), (4, 4, Decimal("7.25"))]
        assert [(f.subject, f.entity, f.label, f.link, f.valid_to) for f in found] == [
            ("k2po.requested", "PO-1", "PO-1", "https://erp.example/2", None),
            ("k4po.approved", "PO-1", "PO-1", "https://erp.example/4", None),
        ]

    def test_a_record_of_an_event_has_its_delivery(self) -> None:
        where = (
            "record.headers['x-env'] == 'live' && record.entity == 'PO-1' && record.id == 'k2a' && record.link != null"
        )
        assert brief(facts(orders(event(2, "a")), where=where)) == [(2, 2, Decimal(1))]

    def test_a_moment_in_the_body_places_the_event(self) -> None:
        history = orders(event(2, "a", due=stamp(6)), event(3, "b", due=stamp(1)))
        assert brief(facts(history, at="record.body.due")) == [
            (2, None, "its moment is still to come"),
            (6, 6, Decimal(1)),
            (3, 1, Decimal(1)),
        ]


class TestPerEntity:
    WHERE = "'Resolve' in record.events && !('Wait' in record.events)"

    def test_the_events_so_far_are_one_record(self) -> None:
        history = orders(event(1, "Open"), event(3, "Resolve"), event(5, "Wait"), event(7, "Resolve"))
        assert brief(facts(history, per="entity", where=self.WHERE)) == [
            (1, 1, "where is false"),
            (3, 3, Decimal(1)),
            (5, 5, "where is false"),
            (7, 7, "where is false"),
        ]

    def test_first_last_and_count(self) -> None:
        history = orders(event(1, "Open"), event(3, None), event(3, "Resolve"))
        assert brief(facts(history, "sum", per="entity", value="record.count", at="record.first")) == [
            (1, 1, Decimal(1)),
            (3, 1, Decimal(3)),
        ]
        where = "record.last - record.first == duration('48h') && record.events == ['Open', 'Resolve']"
        assert brief(facts(history, per="entity", where=where))[-1] == (3, 3, Decimal(1))

    def test_no_events_no_subject(self) -> None:
        assert facts(orders(), per="entity") == ()

    def test_an_endless_entity_is_left_out_only_where_its_event_names_are_read(self) -> None:
        many = EventHistory(
            "E", [Event(f"k{i}", "E", day(1) + timedelta(seconds=i), "a", None, {}) for i in range(1_200)]
        )
        assert [f.reason for f in facts(many, per="entity", where="'a' in record.events")][-2:] == [
            None,
            "more than 1000 events",
        ]
        assert facts(many, "sum", per="entity", value="record.count")[-1].value == 1_200

    def test_it_is_for_events(self) -> None:
        with pytest.raises(RuleError, match="per: entity"):
            facts(issue(), per="entity")


class TestDistinct:
    def test_the_group_is_counted_the_value_is_one(self) -> None:
        history = orders(event(2, "a", n=Decimal("3.00")), event(3, "b", n=3), event(4, "c"))
        found = facts(history, Distinct(distinct="record.body.n"))
        assert [(f.group, f.value, f.reason) for f in found] == [
            ("3", Decimal(1), None),
            ("3", Decimal(1), None),
            (None, None, "no value"),
        ]

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("3", "3"),
            (3, "3"),
            (Decimal("3.0"), "3"),
            (Decimal("3.10"), "3.1"),
            (Decimal("-0.0"), "0"),
            (Decimal("1E+3"), "1000"),
            (True, "true"),
            (day(1), "2026-01-01T00:00:00Z"),
            ({"b": [Decimal("1.0")], "a": "ü"}, '{"a":"ü","b":["1"]}'),
        ],
    )
    def test_one_text_per_value(self, value: Any, text: str) -> None:
        assert canonical_text(value) == text


def test_rules_that_do_not_compile_are_refused() -> None:
    with pytest.raises(RuleError, match="Syntax error"):
        facts(issue(), where="record.status ==")
