"""The team file's models: what they accept, how they write it back, and where they object."""

import warnings
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.domain.language import (
    DatasetSpec,
    Edge,
    KeyResultSpec,
    MetricSpec,
    ObjectiveSpec,
    format_timedelta,
    parse_timedelta,
)
from app.domain.scalars import CycleName, Number, Span

RECORDS = {"dataset": "orders"}
DURATION = {"dataset": "orders", "from": {"status": "Open"}, "to": {"category": "done"}}
QUERY = {"connection": "jira", "jql": "x"}


def errors(model: type[BaseModel], value: Any) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return [(error["loc"], error["type"]) for error in caught.value.errors()]


def objections(model: type[BaseModel], value: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return [(o.code, o.key) for error in caught.value.errors() for o in error["ctx"]["objections"]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [("12", "12"), (12, "12"), (Decimal("99.90"), "99.90"), ("-0.5", "-0.5"), (10**27, str(10**27))],
)
def test_numbers_are_exact(given: Any, expected: str) -> None:
    number = TypeAdapter[Decimal](Number)
    assert str(number.validate_python(given)) == expected
    assert number.dump_python(number.validate_python(given), mode="json") == expected


@pytest.mark.parametrize(
    "given",
    [
        True,
        1.5,
        "1e5",
        "1,5",
        "",
        " 1_0 ",
        "NaN",
        Decimal("NaN"),
        Decimal("Infinity"),
        10**28,
        10**4000,
        Decimal("1e28"),
        Decimal("1e-29"),
        "1" * 20 + "." + "1" * 20,
        None,
        [],
    ],
)
def test_other_numbers_are_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Number).validate_python(given)


@settings(deadline=None)
@given(st.integers(1, 36_500 * 86_400).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_span_is_read_back_from_what_is_written(span: timedelta) -> None:
    assert parse_timedelta(format_timedelta(span)) == span


@pytest.mark.parametrize(
    "text", ["30", "d", "0d", "-1d", "1.5h", "30d\n", "1y", "36501d", "999999w", "9999999999d", 30, None]
)
def test_other_spans_are_refused(text: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Span).validate_python(text)


def test_yaml_numbers_are_understood_where_a_word_is_meant() -> None:
    assert TypeAdapter(CycleName).validate_python(2026) == "2026"
    result = KeyResultSpec.model_validate({"metric": "a", "baseline": {"measure": 2025}, "target": {"change": 3}})
    assert result.model_dump(mode="json", exclude_unset=True) == {
        "metric": "a",
        "baseline": {"measure": "2025"},
        "target": {"change": "+3"},
    }


@pytest.mark.parametrize(
    "metric",
    [
        {"unit": "issues", "query": QUERY},
        {"unit": "issues", "records": RECORDS},
        {"unit": "issues", "records": RECORDS, "aggregate": {"distinct": "record.entity"}, "window": "cycle"},
        {"unit": "EUR", "records": {**RECORDS, "value": "record.x"}, "aggregate": "p90", "window": {"trailing": "30d"}},
        {"unit": "days", "duration": DURATION, "aggregate": "avg", "window": {"to_date": "quarter"}, "min_samples": 5},
        {"unit": "percent", "ratio": {"good": {"records": RECORDS}, "total": {"query": QUERY}}},
        {"unit": "score", "manual": {"every": "14d"}},
    ],
)
def test_a_metric_is_written_back_as_it_came(metric: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = MetricSpec.model_validate(metric).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written == metric


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [("source_form", None)]),
        ({"query": QUERY, "records": RECORDS}, [("source_form", "records")]),
        ({"query": QUERY, "aggregate": "sum"}, [("aggregate", "aggregate")]),
        ({"query": QUERY, "min_samples": 3}, [("min_samples", "min_samples")]),
        ({"manual": {}, "window": "all", "min_samples": 3}, [("window", "window"), ("min_samples", "min_samples")]),
        ({"records": RECORDS, "aggregate": "sum"}, [("aggregate", "aggregate")]),
        ({"records": {**RECORDS, "value": "record.x"}}, [("aggregate", "aggregate")]),
        ({"duration": DURATION}, [("aggregate", "aggregate"), ("unit", "unit")]),
        ({"duration": DURATION, "aggregate": "count"}, [("aggregate", "aggregate"), ("unit", "unit")]),
    ],
)
def test_a_metric_that_does_not_fit_together_says_all_that_is_wrong(
    change: dict[str, Any], expected: list[tuple[str, str | None]]
) -> None:
    assert objections(MetricSpec, {"unit": "issues", **change}) == expected


@pytest.mark.parametrize(
    "side",
    [
        {},
        {"query": QUERY, "records": RECORDS},
        {"query": QUERY, "aggregate": "count"},
        {"records": RECORDS, "aggregate": "sum"},
        {"records": {**RECORDS, "value": "record.x"}},
    ],
)
def test_a_side_of_a_ratio_is_one_countable_thing(side: dict[str, Any]) -> None:
    value = {"unit": "percent", "ratio": {"good": side, "total": {"records": RECORDS}}}
    (error,) = errors(MetricSpec, value)
    assert error[0] == ("ratio", "good")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"baseline": 5}, [("baseline_is_target", "target")]),
        ({"baseline": "5.0"}, [("baseline_is_target", "target")]),
        ({}, [("missing", "baseline")]),
        ({"baseline": 5, "target": {"change": "+0.0%"}}, [("baseline_is_target", "target")]),
        ({"baseline": 0, "target": {"change": "-25%"}}, [("baseline_is_target", "target")]),
        ({"baseline": 1, "weight": "-0.5"}, [("weight", "weight")]),
        ({"baseline": 1, "metric": {"unit": "x", "manual": {}}}, [("inline_metric", "metric")]),
    ],
)
def test_a_key_result_goes_from_a_baseline_to_another_target(
    change: dict[str, Any], expected: list[tuple[str, str | None]]
) -> None:
    assert objections(KeyResultSpec, {"metric": "a", "target": 5, **change}) == expected


def test_a_change_from_zero_by_an_amount_and_a_bound_without_baseline_are_fine() -> None:
    for target in ({"change": "+3"}, {"maintain": ">= 99.9"}):
        KeyResultSpec.model_validate({"metric": "a", "baseline": 0, "target": target})
    KeyResultSpec.model_validate({"metric": "a", "target": {"maintain": "<= 0"}})


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("target", {"chnge": 3}, ("target",)),
        ("target", [], ("target",)),
        ("target", {"maintain": "about 5"}, ("target", "<maintain>", "maintain")),
        ("baseline", True, ("baseline", "<number>")),
        ("metric", 5, ("metric",)),
        ("metric", {"unit": 5, "manual": {}}, ("metric", "<mapping>", "unit")),
    ],
)
def test_a_union_complains_once_and_about_the_form_that_is_meant(key: str, value: Any, place: tuple[str, ...]) -> None:
    assert [loc for loc, _ in errors(KeyResultSpec, {"metric": "a", "baseline": 1, "target": 5, key: value})] == [place]


@pytest.mark.parametrize(
    "edge", [{}, {"status": "A", "event": "B"}, {"status": []}, {"status": [1]}, {"status": "A", "pick": "any"}]
)
def test_an_edge_is_one_moment(edge: dict[str, Any]) -> None:
    assert len(errors(Edge, edge)) == 1


def test_a_dataset_with_an_entity_rule_keeps_events() -> None:
    assert DatasetSpec.model_validate({"connection": "a", "entity": "body.id"}).shape == "events"
    entities = DatasetSpec.model_validate({"connection": "a", "jql": "x"})
    assert (entities.shape, entities.options) == ("entities", {"jql": "x"})


@pytest.mark.parametrize("cycle", ["2026", "2026-H2", "2026-Q4", "2026-11"])
def test_cycles_have_names(cycle: str) -> None:
    assert ObjectiveSpec.model_validate({"title": "T", "cycle": cycle}).cycle == cycle


@pytest.mark.parametrize("cycle", ["26-Q4", "2026-Q5", "2026-13", "2026-Q4\n", 0, 20261, True, None])
def test_other_cycles_are_refused(cycle: Any) -> None:
    assert [loc for loc, _ in errors(ObjectiveSpec, {"title": "T", "cycle": cycle})] == [("cycle",)]
