"""What must hold beside a key result, so that its target is not reached at the cost of something else."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from app.domain.progress import holds, parse_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A guardrail with what is known of its metric. `unknown_reason` says why there is no value."""

    metric: str
    must: str
    value: Decimal | None
    baseline: Decimal | None = None
    unknown_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailStanding:
    """Whether a guardrail holds; None with the reason when that cannot be said."""

    metric: str
    must: str
    value: Decimal | None
    holds: bool | None
    reason: str | None = None


def guardrail_standing(guardrail: Guardrail) -> GuardrailStanding:
    """How one guardrail stands, compared exactly; ValueError for a bound that is none."""
    verdict = holds(guardrail.must, guardrail.value, guardrail.baseline)
    reason = None
    if guardrail.value is None:
        reason = guardrail.unknown_reason or "there is no value yet"
    elif verdict is None:
        reason = "the baseline is not known yet"
    elif not verdict:
        suffix = f" ({guardrail.baseline:f})" if parse_bound(guardrail.must).is_relative else ""
        reason = f"{guardrail.value:f} is not {guardrail.must}{suffix}"
    return GuardrailStanding(
        metric=guardrail.metric, must=guardrail.must, value=guardrail.value, holds=verdict, reason=reason
    )


def breached(standings: Iterable[GuardrailStanding]) -> tuple[GuardrailStanding, ...]:
    """Those that are known not to hold."""
    return tuple(standing for standing in standings if standing.holds is False)
