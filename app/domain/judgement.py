"""The judgement of a key result at a moment: pure, computed on read, never stored."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from app.domain.freshness import Freshness, freshness
from app.domain.guardrail import Guardrail, GuardrailStanding, breached, guardrail_standing
from app.domain.language import Change, Maintain
from app.domain.pace import LINEAR, Pace, expected_progress
from app.domain.progress import Compliance, compliance, is_budget, progress, projected_value, resolve_target
from app.domain.status import DEFAULT_PRESET, Headline, KeyResultStatus, Lifecycle, StatusPreset
from app.domain.status import headline as headline_of
from app.domain.window import TimeSpan

__all__ = ["Judgement", "KeyResultStatus", "Standing", "StatusPreset", "headline", "judge"]

_UNPROJECTED = "less than a tenth of the window has passed: too early to project its end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that a judgement needs to know of a key result.

    `window` is the resolved span of its metric and `is_cumulative` says that the value is a count or sum that grows
    over it. `last_success_at` and `failing_reason` are those of the source. A closed key result is judged as at the
    cycle's end, whatever the moment. `pace` None says that what is expected can not be told yet. `paused` and `dropped`
    are the reasons why it is. Without `has_data` nothing has ever come from the source: what it counts is 0, and says
    nothing.
    """

    target_rule: Decimal | Change | Maintain
    cycle: TimeSpan
    fresh_within: timedelta
    value: Decimal | None
    unknown_reason: str | None = None
    baseline: Decimal | None = None
    kind: Literal["committed", "aspirational"] = "committed"
    unit: str = ""
    window: TimeSpan | None = None
    is_cumulative: bool = False
    last_success_at: datetime | None = None
    failing_reason: str | None = None
    guardrails: tuple[Guardrail, ...] = ()
    has_data: bool = True
    is_closed: bool = False
    preset: StatusPreset = DEFAULT_PRESET
    pace: Pace | None = LINEAR
    paused: str | None = None
    dropped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How a key result stands.

    Progress is a fraction, unclamped, 1 at the target; it and the expected progress are None for a bound to hold,
    which has `compliance` instead. `projected_value` is given where the projection is what is judged. `reason` explains
    an unknown or void status, or names the guardrails that do not hold.

    What is paused or dropped keeps its numbers, but no status: `unknown`, with the lifecycle and its reason. It does
    not weigh in the objective.
    """

    target: Decimal | None
    progress: Fraction | None
    expected_progress: Fraction | None
    status: KeyResultStatus
    freshness: Freshness
    projected_value: Decimal | None
    compliance: Compliance | None
    guardrails: tuple[GuardrailStanding, ...]
    reason: str | None
    lifecycle: Lifecycle = "active"


def judge(standing: Standing, now: datetime) -> Judgement:
    """The judgement at a moment; ValueError for a cycle without bounds."""
    linear = expected_progress(standing.cycle, now)
    has_ended = standing.is_closed or linear == 1
    expected = _expected(standing, now, linear, has_ended=has_ended)
    target = resolve_target(standing.target_rule, standing.baseline)
    guardrails = tuple(guardrail_standing(guardrail) for guardrail in standing.guardrails)

    projected: Decimal | None = None
    reached: Fraction | None = None
    kept: Compliance | None = None
    reason: str | None = None
    status: KeyResultStatus = "unknown"
    if standing.value is None:
        reason = standing.unknown_reason or "there is no value yet"
    elif not standing.has_data:
        # A count over nothing is 0, but silence is never green.
        reason = "nothing has come from the source yet"
    elif isinstance(standing.target_rule, Maintain):
        kept = compliance(standing.target_rule.maintain, standing.value, is_percent=standing.unit == "percent")
        status = _kept_status(kept.holds, has_ended)
    elif standing.baseline is None or target is None:
        reason = "the baseline is not measured yet"
    elif target == standing.baseline:
        reason = "baseline and target are equal: there is nothing to reach"
    else:
        is_projected = not has_ended and is_budget(standing.baseline, target, is_total=standing.is_cumulative)
        judged: Decimal | None = standing.value
        if is_projected:
            projected = None if standing.window is None else projected_value(standing.value, standing.window, now)
            judged = projected
        if judged is None:
            reason = _UNPROJECTED if standing.window is not None else "there is no window to project to the end of"
        else:
            reached = progress(judged, standing.baseline, target)
        if reached is not None and expected is None and reached < 1:
            reason = "what is expected by now is not known"
        elif reached is not None:
            status = _reached_status(
                reached, expected or Fraction(0), standing.preset, has_ended=has_ended, is_projected=is_projected
            )

    if not has_ended and standing.cycle.start is not None and now < standing.cycle.start:
        status, reason = "not_started", None
    broken = breached(guardrails)
    if broken and status != "unknown":
        reason = "; ".join(f"guardrail {item.metric}: {item.reason}" for item in broken)
        if status == "met":
            status = "void"
    judgement = Judgement(
        target=target,
        progress=reached,
        expected_progress=expected,
        status=status,
        freshness=_freshness(standing, now),
        projected_value=projected,
        compliance=kept,
        guardrails=guardrails,
        reason=reason,
    )
    if standing.dropped is not None:
        return replace(judgement, status="unknown", lifecycle="dropped", reason=f"dropped: {standing.dropped}")
    if standing.paused is not None:
        return replace(judgement, status="unknown", lifecycle="paused", reason=f"paused: {standing.paused}")
    return judgement


def headline(judgement: Judgement) -> Headline:
    """The one word where only one is shown: silence outranks status, and is never green."""
    return headline_of(judgement.status, judgement.freshness.level, judgement.lifecycle)


def _expected(standing: Standing, now: datetime, linear: Fraction, *, has_ended: bool) -> Fraction | None:
    if isinstance(standing.target_rule, Maintain):
        return None
    if has_ended:
        return Fraction(1)
    if standing.pace is None:
        return None
    return linear if standing.pace == LINEAR else expected_progress(standing.cycle, now, standing.pace)


def _kept_status(holds: bool, has_ended: bool) -> KeyResultStatus:
    if has_ended:
        return "met" if holds else "missed"
    return "on_track" if holds else "at_risk"


def _reached_status(
    reached: Fraction, expected: Fraction, preset: StatusPreset, *, has_ended: bool, is_projected: bool
) -> KeyResultStatus:
    # A projection that reaches the target is a promise, not yet a fact.
    if reached >= 1 and not is_projected:
        return "met"
    if has_ended:
        return "missed"
    return preset.band(reached, expected)


def _freshness(standing: Standing, now: datetime) -> Freshness:
    # A sealed value does not age after its cycle.
    end = standing.cycle.end
    return freshness(
        last_success_at=standing.last_success_at,
        failing_reason=standing.failing_reason,
        fresh_within=standing.fresh_within,
        now=min(now, end) if standing.is_closed and end is not None else now,
    )
