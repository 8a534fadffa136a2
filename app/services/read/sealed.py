"""Key results of closed cycles: the view that was sealed, with its grade and what became of the value since."""

from datetime import datetime
from fractions import Fraction
from typing import Any

from app.domain.freshness import Freshness
from app.domain.guardrail import GuardrailStanding
from app.domain.judgement import Judgement
from app.domain.language import KeyResultSpec
from app.domain.progress import Compliance
from app.services.read.judged import Judged
from app.services.views import (
    GradeOverrideView,
    GradeView,
    KeyResultView,
    RecommendedGradeView,
    RestatementView,
    SealView,
)
from app.store.closes import Sealed
from app.store.organisation import KeyResultRow


def is_sealed_at(sealed: Sealed, as_of: datetime | None, known_at: datetime | None, end: datetime) -> bool:
    """Whether a reader of that point of both time axes gets what was sealed: moments within the cycle are computed."""
    closed_at = sealed.close.closed_at
    return (as_of is None or as_of >= min(end, closed_at)) and (known_at is None or known_at >= closed_at)


def sealed_judged(row: KeyResultRow, sealed: Sealed) -> Judged:
    """A sealed key result as it was judged when its cycle was closed."""
    view = KeyResultView.model_validate(sealed.row.view)
    cycle = view.cycle.model_copy(update={"state": "closed"})
    changes = {
        "cycle": cycle,
        "grade": grade_view(sealed),
        "restatements": restatement_views(sealed),
        "sealed": seal_view(sealed),
    }
    spec = KeyResultSpec.model_validate(row.key_result.spec)
    return Judged(row, spec, _judgement(view, sealed.row.evidence), view.model_copy(update=changes))


def seal_view(sealed: Sealed) -> SealView:
    close, evidence = sealed.close, sealed.row.evidence
    return SealView(
        closed_at=close.closed_at,
        closed_by=close.closed_by,
        note=close.note,
        digest=close.digest,
        included=evidence.get("included"),
        excluded=evidence.get("excluded"),
        included_digest=evidence.get("included_digest"),
    )


def grade_view(sealed: Sealed) -> GradeView:
    """The recommended grade and the override beside it."""
    recommended = RecommendedGradeView.model_validate(sealed.row.recommended)
    override = None if sealed.row.grade is None else GradeOverrideView.model_validate(sealed.row.grade)
    counts = override or recommended
    return GradeView(outcome=counts.outcome, score=counts.score, recommended=recommended, override=override)


def restatement_views(sealed: Sealed) -> list[RestatementView]:
    return [
        RestatementView(
            cycle=sealed.close.cycle,
            at=row.at,
            value_before=row.value_before,
            value_now=row.value_now,
            reason=row.reason,
        )
        for row in sealed.restatements
    ]


def judgement_evidence(judgement: Judgement) -> dict[str, Any]:
    """What a view rounds, exactly: for `sealed_judged` to read back."""
    kept = judgement.compliance
    budget = None if kept is None else kept.remaining_budget
    return {
        "progress": None if judgement.progress is None else str(judgement.progress),
        "expected_progress": None if judgement.expected_progress is None else str(judgement.expected_progress),
        "remaining_budget": None if budget is None else str(budget),
        "guardrail_reasons": [item.reason for item in judgement.guardrails],
    }


def _judgement(view: KeyResultView, evidence: dict[str, Any]) -> Judgement:
    exact = evidence["judgement"]

    def share(name: str) -> Fraction | None:
        return None if exact[name] is None else Fraction(exact[name])

    kept = None
    if view.compliance is not None and view.compliance.holds is not None and view.compliance.remaining is not None:
        kept = Compliance(
            view.compliance.bound, view.compliance.holds, view.compliance.remaining, share("remaining_budget")
        )
    return Judgement(
        target=view.target,
        progress=share("progress"),
        expected_progress=share("expected_progress"),
        status=view.status,
        freshness=Freshness(
            view.freshness.level,
            view.freshness.age_seconds,
            view.freshness.fresh_within_seconds,
            view.freshness.reason,
        ),
        projected_value=view.projected_value,
        compliance=kept,
        guardrails=tuple(
            GuardrailStanding(metric=item.metric, must=item.must, value=item.value, holds=item.holds, reason=reason)
            for item, reason in zip(view.guardrails, exact["guardrail_reasons"], strict=True)
        ),
        reason=view.reason,
        lifecycle=view.lifecycle,
    )
