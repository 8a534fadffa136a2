"""The roll-up of key results into their objective, and of objectives into what they contribute to."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.domain.judgement import KeyResultStatus

BEST_TO_WORST: tuple[KeyResultStatus, ...] = (
    "met",
    "not_started",
    "on_track",
    "behind",
    "at_risk",
    "void",
    "missed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one key result, or one contributing objective, brings.

    `is_maintain_met` is set for a bound to hold, which counts 1 or 0 and has no progress. A part with neither is
    unknown.
    """

    progress: Fraction | None
    weight: Decimal
    status: KeyResultStatus
    is_maintain_met: bool | None = None

    @property
    def contribution(self) -> Fraction | None:
        """Its progress clamped to 0…1; None when unknown."""
        if self.is_maintain_met is not None:
            return Fraction(self.is_maintain_met)
        return None if self.progress is None else min(max(self.progress, Fraction(0)), Fraction(1))


@dataclass(frozen=True, slots=True)
class RollUp:
    """Progress 0…1 (None: unknown), the worst known status, and the part of the weight that is known."""

    progress: Fraction | None
    status: KeyResultStatus
    coverage: Fraction


def rollup(parts: Sequence[Part]) -> RollUp:
    """The weighted mean of what is known, exact; ValueError for a negative weight.

    Unknown parts are left out and lower the coverage. Where no weight is known there is no progress.
    """
    if any(part.weight < 0 for part in parts):
        raise ValueError("a weight is not negative")
    known = [(contribution, Fraction(part.weight)) for part in parts if (contribution := part.contribution) is not None]
    weight = sum((weight for _, weight in known), Fraction(0))
    total = sum((Fraction(part.weight) for part in parts), Fraction(0))
    return RollUp(
        progress=sum((value * weight for value, weight in known), Fraction(0)) / weight if weight else None,
        status=_worst([part.status for part in parts]),
        coverage=weight / total if total else Fraction(0),
    )


def _worst(statuses: Sequence[KeyResultStatus]) -> KeyResultStatus:
    known = [status for status in statuses if status != "unknown"]
    return max(known, key=BEST_TO_WORST.index) if known else "unknown"
