"""Formulas, milestones and other teams' metrics in the team file: each mistake once, in its place."""

from typing import Any

import pytest

from app.services.team_file import KnownNames
from tests.services.team_file_case import DELETE, Found, check, edited, found

KNOWN = KnownNames(
    teams=frozenset({"hr", "company"}),
    objectives=frozenset({"company/win"}),
    metrics={"hr/headcount": "people", "hr/turnover": "percent"},
    formulas={"hr/turnover": {"ops/rate", "hr/headcount"}},
)
STEPS: list[dict[str, Any]] = [
    {"name": "a", "done": "manual"},
    {"name": "b", "weight": 2, "done": {"connection": "jira", "jql": "x"}},
]


def put(name: str, unit: str, formula: str) -> tuple[str, Any]:
    return f"metrics.{name}", {"unit": unit, "formula": formula}


@pytest.mark.parametrize(
    "changes",
    [
        [put("new", "EUR/people", "spend / hr.headcount")],
        [put("rate", "issues/EUR", "open / spend"), put("twice", "issues/EUR", "rate + rate")],
        [put("b", "EUR", "a"), put("a", "EUR", "spend")],
        [("metrics.new", {"unit": "percent", "milestones": STEPS})],
        [("objectives.grow.key_results.faster.metric", "hr.headcount")],
        [("objectives.grow.key_results.faster.metric", "hr/turnover")],
        [("objectives.grow.key_results.faster.guardrails.0.metric", "hr.headcount")],
        [put(f"f{index}", "EUR", f"f{index + 1}" if index < 9 else "spend") for index in range(10)],
    ],
)
def test_sound_formulas_milestones_and_references(changes: list[tuple[str, Any]]) -> None:
    assert check(edited(*changes), KNOWN).problems == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([put("new", "EUR", "spend *")], [("metrics.new.formula", "formula", None)]),
        ([put("new", "EUR", "9**9**9")], [("metrics.new.formula", "formula", None)]),
        ([put("new", "EUR", "spnd")], [("metrics.new.formula", "unknown_name", "spend")]),
        ([put("new", "EUR", "ops.spend")], [("metrics.new.formula", "unknown_name", "spend")]),
        ([put("new", "people", "hr.headcont")], [("metrics.new.formula", "unknown_name", "hr.headcount")]),
        ([put("new", "people", "hrr.headcount")], [("metrics.new.formula", "unknown_name", "hr.headcount")]),
        ([put("new", "USD", "spend")], [("metrics.new.formula", "units", None)]),
        ([put("new", "people", "hr.turnover")], [("metrics.new.formula", "units", None)]),
        ([put("new", "EUR", "new")], [("metrics.new.formula", "circle", None)]),
        (
            [put("a", "EUR", "b + spend"), put("b", "EUR", "c"), put("c", "EUR", "a")],
            [("metrics.a.formula", "circle", None)],
        ),
        ([put("rate", "percent", "hr.turnover")], [("metrics.rate.formula", "circle", None)]),
        (
            [put(f"f{index}", "EUR", f"f{index + 1}" if index < 10 else "spend") for index in range(11)],
            [("metrics.f0.formula", "too_deep", None)],
        ),
        (
            [("metrics.new", {"unit": "EUR", "formula": "spend", "window": "cycle"})],
            [("metrics.new.window", "window", None)],
        ),
        (
            [("metrics.new", {"unit": "EUR", "formula": "spend", "aggregate": "sum"})],
            [("metrics.new.aggregate", "aggregate", None)],
        ),
        ([("metrics.new", {"unit": "percent", "milestones": []})], [("metrics.new.milestones", "milestones", None)]),
        ([("metrics.new", {"unit": "steps", "milestones": STEPS})], [("metrics.new.unit", "unit", None)]),
        (
            [("metrics.new", {"unit": "percent", "milestones": [STEPS[0], STEPS[0]]})],
            [("metrics.new.milestones", "duplicate_name", None)],
        ),
        (
            [("metrics.new", {"unit": "percent", "milestones": [{**STEPS[0], "weight": 0}]})],
            [("metrics.new.milestones.0.weight", "weight", None)],
        ),
        (
            [("metrics.new", {"unit": "percent", "milestones": [{**STEPS[0], "name": "a/b"}]})],
            [("metrics.new.milestones.0.name", "string_pattern_mismatch", None)],
        ),
        (
            [
                (
                    "metrics.new",
                    {"unit": "percent", "milestones": [STEPS[0], {**STEPS[1], "done": {"connection": "jra"}}]},
                )
            ],
            [("metrics.new.milestones.1.done.connection", "unknown_name", "jira")],
        ),
        (
            [("objectives.grow.key_results.faster.metric", "hr.headcont")],
            [("objectives.grow.key_results.faster.metric", "unknown_name", "hr.headcount")],
        ),
        (
            [("objectives.grow.key_results.faster.guardrails.0.metric", "company.x")],
            [("objectives.grow.key_results.faster.guardrails.0.metric", "unknown_name", None)],
        ),
    ],
)
def test_a_mistake_is_one_problem_in_its_place(changes: list[tuple[str, Any]], expected: Found) -> None:
    problems = check(edited(*changes), KNOWN).problems
    assert [(".".join(map(str, one.path)), one.code, one.suggestion) for one in problems] == expected


def test_a_circle_is_told_with_the_way_round() -> None:
    (problem,) = check(edited(put("rate", "percent", "hr.turnover")), KNOWN).problems
    assert problem.message == "formulas read each other in a circle: rate → hr.turnover → rate"


def test_without_the_other_teams_their_metrics_are_taken_on_trust() -> None:
    assert found(edited(put("new", "EUR/people", "spend / hr.headcount"))) == []


def test_a_formula_over_what_is_not_supported_is_not_either() -> None:
    changes = [
        ("connections.jira", {"connector": "slack", "document": "X"}),
        ("datasets.issues", DELETE),
        ("metrics.lead", DELETE),
        ("metrics.created", DELETE),
        ("objectives.grow", DELETE),
        put("new", "issues", "open"),
        put("more", "issues", "new"),
        ("objectives.save.key_results.spending.metric", "more"),
    ]
    assert {(path, code) for path, code, _ in found(edited(*changes))} == {
        ("connections.jira.connector", "not_supported_yet"),
        ("metrics.open.query.connection", "not_supported_yet"),
        ("metrics.new.formula", "not_supported_yet"),
        ("objectives.save.key_results.spending.metric", "not_supported_yet"),
    }
