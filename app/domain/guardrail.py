"""What must hold beside a key result, so that its target is not reached at the cost of something else."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
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
        baseline = guardrail.baseline if parse_bound(guardrail.must).is_relative else None
        suffix = "" if baseline is None else f" ({_said(baseline)})"
        value = _said(guardrail.value)
        if holds(guardrail.must, Decimal(value), guardrail.baseline):
            value = f"{guardrail.value:f}"  # rounded, it would seem to hold
        reason = f"{value} is not {guardrail.must}{suffix}"
    return GuardrailStanding(
        metric=guardrail.metric, must=guardrail.must, value=guardrail.value, holds=verdict, reason=reason
    )


def _said(value: Decimal) -> str:
    """A value for a sentence, at four decimals at most; every digit is beside it."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -4:
        return f"{value:f}"
    return f"{round(value, 4):f}".rstrip("0").rstrip(".")


def breached(standings: Iterable[GuardrailStanding]) -> tuple[GuardrailStanding, ...]:
    """Those that are known not to hold."""
    return tuple(standing for standing in standings if standing.holds is False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A stretch in which a guardrail did not hold: from the first value that broke it (`value`, the evidence) until the
    first one that kept it again; `until` None: it is still broken. `worst` is the value farthest out."""

    metric: str
    must: str
    since: datetime
    until: datetime | None
    value: Decimal
    worst: Decimal


def breaches(
    metric: str, must: str, history: Iterable[tuple[datetime, Decimal | None]], baseline: Decimal | None = None
) -> tuple[Breach, ...]:
    """When a guardrail was broken, from its metric's values in order of their moments.

    An unknown value neither breaks nor mends. ValueError for a bound that is none.
    """
    bound = parse_bound(must)
    found: list[Breach] = []
    for at, value in history:
        margin = None if value is None else bound.margin(value, baseline)
        if value is None or margin is None:
            continue
        last = found[-1] if found and found[-1].until is None else None
        if bound.holds(value, baseline):
            if last is not None:
                found[-1] = replace(last, until=at)
        elif last is None:
            found.append(Breach(metric=metric, must=must, since=at, until=None, value=value, worst=value))
        elif margin < (bound.margin(last.worst, baseline) or 0):
            found[-1] = replace(last, worst=value)
    return tuple(found)
