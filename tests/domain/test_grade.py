"""Grades at the close of a cycle: recommended from the data, overridden by a person, both kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.grade import Grade, GradeOverride, GradeRecord, Outcome, objective_score, recommended_grade
from app.domain.guardrail import Breach, Guardrail
from app.domain.judgement import Standing, judge
from app.domain.language import Maintain
from app.domain.window import TimeSpan

D = Decimal
START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
HEADCOUNT = Guardrail(metric="operations/headcount", must=">= 97% of baseline", value=D(212), baseline=D(215))
BROKEN = replace(HEADCOUNT, value=D(200))
SINCE = Breach(
    metric="operations/headcount",
    must=">= 97% of baseline",
    since=datetime(2026, 11, 3, 9, tzinfo=UTC),
    until=None,
    value=D(205),
    worst=D(200),
)
Kind = Literal["committed", "aspirational"]


def grade(value: str | None, kind: Kind, *breaches: Breach, **changes: object) -> Grade:
    """Onboarding from 15 days to 5, graded at the cycle's end."""
    known = Standing(
        target_rule=D(5),
        baseline=D(15),
        value=None if value is None else D(value),
        cycle=TimeSpan(START, END),
        fresh_within=timedelta(days=1),
        last_success_at=END,
        kind=kind,
        is_closed=True,
    )
    return recommended_grade(judge(replace(known, **changes), END), kind, breaches)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "kind", "outcome", "score", "is_good"),
    [
        ("5", "committed", "passed", "1", True),
        ("4", "committed", "passed", "1", True),
        ("5.0000000001", "committed", "failed", "0", False),
        ("15", "committed", "failed", "0", False),
        ("8", "aspirational", "scored", "0.70", True),
        ("8.0000000001", "aspirational", "scored", "0.69", False),
        ("5.0000000001", "aspirational", "scored", "0.99", True),
        ("5", "aspirational", "scored", "1.00", True),
        ("3", "aspirational", "scored", "1.00", True),
        ("17", "aspirational", "scored", "0.00", False),
    ],
)
def test_committed_passes_only_at_target_and_aspirational_is_scored(
    value: str, kind: Kind, outcome: Outcome, score: str, is_good: bool
) -> None:
    found = grade(value, kind)
    assert (found.outcome, found.score, found.is_good) == (outcome, D(score), is_good)


@pytest.mark.parametrize("kind", ["committed", "aspirational"])
@pytest.mark.parametrize(("value", "outcome", "score"), [("99.9", "passed", "1"), ("99.89", "failed", "0")])
def test_a_bound_to_hold_passes_where_it_holds(kind: Kind, value: str, outcome: Outcome, score: str) -> None:
    found = grade(value, kind, target_rule=Maintain(maintain=">= 99.9"), baseline=None, unit="percent")
    assert (found.outcome, found.score, found.is_good) == (outcome, D(score), outcome == "passed")


@pytest.mark.parametrize("kind", ["committed", "aspirational"])
def test_met_over_a_broken_guardrail_is_void_with_the_moment_and_the_evidence(kind: Kind) -> None:
    found = grade("5", kind, SINCE, guardrails=(BROKEN,))
    assert (found.outcome, found.score, found.is_good) == ("void", D(0), False)
    assert found.reason == (
        "guardrail operations/headcount: 200 is not >= 97% of baseline (215), since 2026-11-03 09:00 UTC"
    )
    assert found.breaches == (SINCE,)
    assert grade("5", kind, guardrails=(BROKEN,)).outcome == "void"


def test_a_breach_that_was_mended_is_evidence_and_no_verdict() -> None:
    mended = replace(SINCE, until=datetime(2026, 12, 1, tzinfo=UTC))
    found = grade("5", "committed", mended, guardrails=(HEADCOUNT,))
    assert (found.outcome, found.breaches) == ("passed", (mended,))


def test_a_good_score_over_a_broken_guardrail_is_not_good() -> None:
    found = grade("7", "aspirational", guardrails=(BROKEN,))
    assert (found.outcome, found.score, found.is_good) == ("scored", D("0.80"), False)
    assert "headcount" in (found.reason or "")


@pytest.mark.parametrize(
    ("value", "changes", "reason"),
    [
        (None, {"unknown_reason": "the credential is refused"}, "the credential is refused"),
        ("8", {"baseline": None}, "the baseline is not measured yet"),
        ("8", {"baseline": D(5)}, "baseline and target are equal: there is nothing to reach"),
        ("8", {"dropped": "merged"}, "dropped: merged"),
        ("5", {"paused": "later"}, "paused: later"),
    ],
)
def test_what_is_not_known_is_not_graded(value: str | None, changes: dict[str, object], reason: str) -> None:
    found = grade(value, "committed", **changes)
    assert (found.outcome, found.score, found.is_good, found.reason) == ("ungraded", None, None, reason)


@given(st.decimals(-100, 100, places=5))
def test_a_score_never_looks_reached_before_it_is(value: Decimal) -> None:
    found = grade(str(value), "aspirational")
    assert found.score is not None
    assert 0 <= found.score <= 1
    assert (found.score == 1) == (value <= 5)
    assert found.is_good == (found.score >= D("0.7")) == (value <= 8)


def test_an_override_stands_beside_the_recommendation() -> None:
    recommended = grade("6", "committed")
    override = GradeOverride(score=D("0.9"), note="two days lost to the outage", by="dana@acme.example", at=END)
    assert GradeRecord(recommended).score == 0
    record = GradeRecord(recommended, override)
    assert (record.score, record.outcome, record.recommended.outcome) == (D("0.9"), "scored", "failed")


@pytest.mark.parametrize(("score", "note"), [("1.01", "why"), ("-0.1", "why"), ("NaN", "why"), ("0.5", "  ")])
def test_an_override_needs_a_score_and_a_note(score: str, note: str) -> None:
    with pytest.raises(ValueError, match=r"score|note"):
        GradeOverride(score=D(score), note=note, by="dana@acme.example", at=END)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], None),
        ([(None, "1")], None),
        ([("0.7", "0")], None),
        ([("1", "1"), ("0.5", "3")], "0.62"),
        ([("1", "1"), (None, "3")], "1"),
        ([("0.33", "1"), ("0.33", "1"), ("0.34", "1")], "0.33"),
    ],
)
def test_an_objectives_score_is_the_weighted_mean_of_what_is_graded(
    scores: list[tuple[str | None, str]], expected: str | None
) -> None:
    known = [(None if score is None else D(score), D(weight)) for score, weight in scores]
    assert objective_score(known) == (None if expected is None else D(expected))
