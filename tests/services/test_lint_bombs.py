"""Rules and formulas that would run away stop after a bounded number of steps, and are reported against themselves.

Steps are counted (calls of Python and C functions), not timed: a busy machine makes no difference.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest

from app.domain.extract import compile_part
from app.domain.language import RecordsSource
from app.domain.records import Event, EventHistory
from tests.services.team_file_case import TEAM, check, edited

#: What a check of the sound file takes is about a tenth of it.
MOST_STEPS = 60_000


def steps(run: Callable[[], object]) -> int:
    """How many functions are called in a run."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


BOMBS = [
    "['a'].join(",
    "record.body.text.matches('(x?){1000}y')",
    "record.body.text.matches('((x{1,30}){1,30}){1,1000}y')",
    "['aaaa']" + ".map(a, a + a)" * 24 + "[0].size() > 0",
    "[1]" + ".map(a, [a, a])" * 30 + ".size() > 0",
    "record.body.l.all(a, " * 5 + "true" + ")" * 5,
    "(" * 1_500 + "1" + ")" * 1_500,
    "[" * 300 + "1" + "]" * 300,
    "1" + " + 1" * 900,
    "record" + ".a" * 1_500 + " == null",
    "true" + " " * 5_000,
]


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda text: text[:40])
def test_a_rule_that_would_run_away_is_refused_at_its_place(bomb: str) -> None:
    check(TEAM)  # what is read once in a process, such as the names of timezones
    value = edited(("metrics.spend.records.where", bomb))
    assert steps(lambda: check(value)) < MOST_STEPS
    problems = check(value).problems
    assert [problem.path for problem in problems] == [("metrics", "spend", "records", "where")]
    assert len(problems[0].message) < 450


@pytest.mark.parametrize(
    "bomb",
    [
        "9**9**9",
        "spend" + " * spend" * 200,
        "(" * 400 + "spend" + ")" * 400,
        "spend * " + "9" * 900,
        "-" * 900 + "spend",
        "spend / (" * 90 + "spend" + ")" * 90,
    ],
    ids=lambda text: text[:20],
)
def test_a_formula_that_would_run_away_is_refused_at_its_place(bomb: str) -> None:
    value = edited(("metrics.new", {"unit": "EUR", "formula": bomb}))
    assert steps(lambda: check(value)) < MOST_STEPS
    assert [problem.path for problem in check(value).problems] == [("metrics", "new", "formula")]


def test_many_rules_together_are_bounded_too() -> None:
    rule = "record.body.a == '" + "x" * 3_900 + "'"
    metrics = {
        f"m{number}": {"unit": "x", "records": {"dataset": "orders", "where": f"{rule} && {number} > 0"}}
        for number in range(400)
    }
    problems = check(edited(("metrics", metrics), ("objectives", {}))).problems
    assert {problem.code for problem in problems} == {"too_many"}


def history(body: Any) -> EventHistory:
    event = Event(
        key="k",
        entity="e",
        at=datetime(2026, 11, 2, tzinfo=UTC),
        event="paid",
        body=body,
        headers={},
        link=None,
        at_is_receipt=False,
    )
    return EventHistory("e", (event,))


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("record.body.l.exists(a, record.body.l.exists(b, a + b == -1))", {"l": list(range(99_000))}),
        ("record.body.l.map(x, record.body.l).size() > 0", {"l": list(range(50_000))}),
        ("record.body.text.matches('(x?){20}y')", {"text": "x" * 60_000}),
        ("record.body.text.contains('y')", {"text": "x" * 1_000_000}),
        # The library would take seconds for these, and the text of the rule shows nothing of it.
        ("record.body.text.split('').map(x, x).size() > 0", {"text": "x" * 60_000}),
        ("record.body.text.split(',').filter(x, x == '').size() > 0", {"text": "," * 60_000}),
        (
            "record.body.text.lowerAscii().split('x').map(x, x).size() > 0",
            {"text": "X" * 60_000},
        ),
        (
            "record.body.text.split('').all(a, record.body.text.split('').exists(b, true))",
            {"text": "x" * 4_000},
        ),
        (
            "record.body.l.all(x, !record.body.a.contains(record.body.b))",
            {"l": list(range(9_000)), "a": "a" * 2_000, "b": "a" * 1_000 + "b"},
        ),
        (
            "record.body.l.all(x, record.body.m.all(y, !x.contains(y)))",
            {"l": ["a" * 30_000], "m": ["a" * 30 + "b"] * 900},
        ),
        (
            "record.body.text.replace('x', 'yyyyyyyyyyyyyyyy')" + ".replace('y', 'y')" * 20 + " == ''",
            {"text": "x" * 60_000},
        ),
    ],
)
def test_data_that_is_too_much_for_a_rule_leaves_the_record_out_and_says_why(rule: str, body: Any) -> None:
    source = RecordsSource(dataset="orders", where=rule)
    part = compile_part("value", source, "count", "events", None)
    # Reading the data once is a few steps a value; the loops over it would be its square.
    assert steps(lambda: list(part.facts(history(body)))) < 500_000
    (fact,) = list(part.facts(history(body)))
    assert fact.value is None
    assert fact.reason is not None
    assert fact.reason.startswith("where failed: ")


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("record.body.tags.split(',').exists(tag, tag == 'urgent')", {"tags": ", ".join(["x"] * 200) + ",urgent"}),
        ("record.body.text.contains('urgent')", {"text": "x" * 60_000 + "urgent"}),
        ("record.body.tags.split(';').map(tag, tag.trim())[1] == 'b'", {"tags": "a; b; c"}),
        ("record.body.l.exists(i, i.tags.exists(t, t.contains('b')))", {"l": [{"tags": ["a", "ab"]}] * 100}),
        ("record.body.text.replace('-', '').contains('ab')", {"text": "-" * 30_000 + "a-b"}),
    ],
)
def test_what_people_write_is_not_too_much(rule: str, body: Any) -> None:
    (fact,) = compile_part("value", RecordsSource(dataset="orders", where=rule), "count", "events", None).facts(
        history(body)
    )
    assert (fact.value, fact.reason) == (1, None)


def test_the_count_would_notice_a_loop() -> None:
    assert steps(lambda: [len(str(number)) for number in range(MOST_STEPS)]) > MOST_STEPS
