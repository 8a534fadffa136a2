"""The grade of a key result at the close of its cycle: recommended from the data, and what a person made of it.

A committed key result passes only at its target. An aspirational one scores 0.0 to 1.0, and 0.7 is good: the scale and
the sweet spot are those of Google (https://rework.withgoogle.com/guides/set-goals-with-okrs/steps/grade-OKRs/). A bound
to hold passes where it holds. A key result that was met over a broken guardrail is void.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

from app.domain.guardrail import Breach
from app.domain.judgement import Judgement

Outcome: TypeAlias = Literal["passed", "failed", "scored", "void", "ungraded"]
GOOD_SCORE = Decimal("0.7")
_PLACES = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What the data recommends.

    `score` is 0.00 to 1.00, rounded down so that nothing looks reached that is not; None where there is nothing to
    grade, `reason` says why. `is_good`: passed, or scored 0.7 or more with every guardrail kept; None for `ungraded`.
    `breaches` are the stretches in which guardrails did not hold, with their evidence.
    """

    outcome: Outcome
    score: Decimal | None
    is_good: bool | None
    reason: str | None = None
    breaches: tuple[Breach, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeOverride:
    """A person's word on a grade, with the note that explains it; ValueError for a score outside 0…1 or no note."""

    score: Decimal
    note: str
    by: str
    at: datetime
    outcome: Outcome = "scored"

    def __post_init__(self) -> None:
        if not self.score.is_finite() or not 0 <= self.score <= 1:
            raise ValueError("a score is 0.0 to 1.0")
        if not self.note.strip():
            raise ValueError("an override needs a note")


@dataclass(frozen=True, slots=True)
class GradeRecord:
    """The recommended grade, and the override beside it where there is one: both are kept."""

    recommended: Grade
    override: GradeOverride | None = None

    @property
    def score(self) -> Decimal | None:
        """What counts: the override's score where there is one."""
        return self.recommended.score if self.override is None else self.override.score

    @property
    def outcome(self) -> Outcome:
        """What counts: the override's outcome where there is one."""
        return self.recommended.outcome if self.override is None else self.override.outcome


def recommended_grade(
    judgement: Judgement, kind: Literal["committed", "aspirational"], breaches: Sequence[Breach] = ()
) -> Grade:
    """The grade of a key result judged at its cycle's end; before that, the grade that it would get now."""
    evidence = tuple(breaches)
    if judgement.lifecycle != "active" or (judgement.progress is None and judgement.compliance is None):
        reason = judgement.reason or "there is nothing to grade"
        return Grade(outcome="ungraded", score=None, is_good=None, reason=reason, breaches=evidence)
    is_met = _is_met(judgement)
    is_broken = any(guardrail.holds is False for guardrail in judgement.guardrails)
    if is_met and is_broken:
        return Grade(
            outcome="void", score=Decimal(0), is_good=False, reason=_void_reason(judgement, evidence), breaches=evidence
        )
    if kind == "committed" or judgement.compliance is not None:
        return Grade(
            outcome="passed" if is_met else "failed",
            score=Decimal(int(is_met)),
            is_good=is_met,
            reason=judgement.reason,
            breaches=evidence,
        )
    reached = clamped(judgement.progress or Fraction(0))
    return Grade(
        outcome="scored",
        score=_rounded_down(reached),
        is_good=reached >= Fraction(GOOD_SCORE) and not is_broken,
        reason=judgement.reason,
        breaches=evidence,
    )


def objective_score(scores: Sequence[tuple[Decimal | None, Decimal]]) -> Decimal | None:
    """The weighted mean of (score, weight), rounded down to 0.01; None where nothing with a weight is graded."""
    graded = [(Fraction(score), Fraction(weight)) for score, weight in scores if score is not None and weight > 0]
    total = sum((weight for _, weight in graded), Fraction(0))
    return _rounded_down(sum((score * weight for score, weight in graded), Fraction(0)) / total) if total else None


def clamped(progress: Fraction) -> Fraction:
    """A progress as a score: 0 to 1."""
    return min(max(progress, Fraction(0)), Fraction(1))


def _is_met(judgement: Judgement) -> bool:
    if judgement.compliance is not None:
        return judgement.compliance.holds
    # A projection that reaches the target is not the target reached.
    return judgement.projected_value is None and judgement.progress is not None and judgement.progress >= 1


def _rounded_down(score: Fraction) -> Decimal:
    return Decimal(score.numerator * 100 // score.denominator) * _PLACES


def _void_reason(judgement: Judgement, breaches: Sequence[Breach]) -> str:
    broken = [item for item in judgement.guardrails if item.holds is False]
    words = []
    for item in broken:
        since = next((found.since for found in breaches if found.metric == item.metric and found.until is None), None)
        moment = "" if since is None else f", since {since:%Y-%m-%d %H:%M} UTC"
        words.append(f"guardrail {item.metric}: {item.reason}{moment}")
    return "; ".join(words)
