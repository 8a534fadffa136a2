"""The roll-up of key results into their objective, and of objectives into what they contribute to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from app.domain.judgement import Judgement, KeyResultStatus

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
    unknown. `coverage` is the part of a contributing objective that is known itself. `left_out` says why it is shown
    and does not count: paused, dropped, or beside an objective that stands alone.
    """

    progress: Fraction | None
    weight: Decimal
    status: KeyResultStatus
    is_maintain_met: bool | None = None
    name: str = ""
    kind: Literal["key_result", "objective"] = "key_result"
    coverage: Fraction = Fraction(1)
    left_out: str | None = None

    @property
    def contribution(self) -> Fraction | None:
        """Its progress clamped to 0…1; None when unknown."""
        if self.is_maintain_met is not None:
            return Fraction(self.is_maintain_met)
        return None if self.progress is None else min(max(self.progress, Fraction(0)), Fraction(1))


@dataclass(frozen=True, slots=True)
class Share:
    """A part as it went into a roll-up: `share` is its part of the weight that counts (0…1, of what is known)."""

    part: Part
    contribution: Fraction | None
    share: Fraction


@dataclass(frozen=True, slots=True)
class RollUp:
    """Progress 0…1 (None: unknown), the worst known status, the part of the weight that is known, and its parts."""

    progress: Fraction | None
    status: KeyResultStatus
    coverage: Fraction
    parts: tuple[Share, ...] = field(default=(), compare=False)


def rollup(parts: Sequence[Part]) -> RollUp:
    """The weighted mean of what is known, exact; ValueError for a negative weight.

    Unknown parts are left out and lower the coverage; those that are left out on purpose do not. Where no weight is
    known there is no progress.
    """
    if any(part.weight < 0 for part in parts):
        raise ValueError("a weight is not negative")
    counted = [part for part in parts if part.left_out is None]
    known = sum((Fraction(part.weight) for part in counted if part.contribution is not None), Fraction(0))
    covered = sum((Fraction(p.weight) * p.coverage for p in counted if p.contribution is not None), Fraction(0))
    total = sum((Fraction(part.weight) for part in counted), Fraction(0))
    shares = []
    for part in parts:
        counts = known and part.left_out is None and part.contribution is not None
        share = Fraction(part.weight) / known if counts else Fraction(0)
        shares.append(Share(part, part.contribution, share))
    brought = sum((item.share * item.contribution for item in shares if item.contribution is not None), Fraction(0))
    return RollUp(
        progress=brought if known else None,
        status=_worst([part.status for part in counted]),
        coverage=covered / total if total else Fraction(0),
        parts=tuple(shares),
    )


def key_result_part(name: str, weight: Decimal, judgement: Judgement) -> Part:
    """What a judged key result brings; paused and dropped ones are left out, with the reason."""
    return Part(
        progress=judgement.progress,
        weight=weight,
        status=judgement.status,
        is_maintain_met=None if judgement.compliance is None else judgement.compliance.holds,
        name=name,
        left_out=judgement.reason if judgement.lifecycle != "active" else None,
    )


def objective_part(name: str, weight: Decimal, rolled: RollUp, left_out: str | None = None) -> Part:
    """What an objective brings to the one that it contributes to: its progress, with the weight of the edge."""
    return Part(
        progress=rolled.progress,
        weight=weight,
        status=rolled.status,
        name=name,
        kind="objective",
        coverage=rolled.coverage,
        left_out=left_out,
    )


def _worst(statuses: Sequence[KeyResultStatus]) -> KeyResultStatus:
    known = [status for status in statuses if status != "unknown"]
    return max(known, key=BEST_TO_WORST.index) if known else "unknown"
