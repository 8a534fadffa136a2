"""How far a value has come: from its baseline to its target, or within the bound it must hold."""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from app.domain.aggregate import exact, rounded
from app.domain.language import Change, Maintain
from app.domain.window import TimeSpan

EARLIEST_PROJECTION = Fraction(1, 10)
"""The part of a window that must have passed before its end can be projected."""

_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?)"
_BOUND = re.compile(rf"(>=|<=|>|<)\s*{_NUMBER}(% of baseline)?")
_BETWEEN = re.compile(rf"between\s+{_NUMBER}(?:%(?=.*% of baseline))?\s+and\s+{_NUMBER}(% of baseline)?")
_CHANGE = re.compile(r"([+-][0-9]+(?:\.[0-9]+)?)(%)?")


@dataclass(frozen=True, slots=True)
class Bound:
    """`comparison limit`, or `between limit and upper` with both ends included; relative limits are percent of the
    baseline."""

    comparison: str
    limit: Decimal
    is_relative: bool
    upper: Decimal | None = None

    @property
    def is_floor(self) -> bool:
        """Whether it bounds from below only."""
        return self.comparison.startswith(">")

    def margin(self, value: Decimal, baseline: Decimal | None = None) -> Fraction | None:
        """The distance to the nearest bound in the metric's unit, negative when broken; None without the baseline that
        it needs."""
        if self.is_relative and baseline is None:
            return None
        scale = exact(baseline) / 100 if self.is_relative and baseline is not None else Fraction(1)
        above = exact(value) - exact(self.limit) * scale
        if self.upper is not None:
            # Percentages of a negative baseline turn the two ends around.
            other = exact(value) - exact(self.upper) * scale
            return min(max(above, other), -min(above, other))
        return above if self.is_floor else -above

    def holds(self, value: Decimal, baseline: Decimal | None = None) -> bool | None:
        """Whether a value is within, exactly; None without the baseline that it needs."""
        margin = self.margin(value, baseline)
        if margin is None:
            return None
        return margin > 0 if self.comparison in ("<", ">") else margin >= 0


@dataclass(frozen=True, slots=True)
class Compliance:
    """How a value stands to the bound it must hold.

    `margin` is the distance to the bound in the metric's unit, negative when broken. `remaining_budget` is the part of
    the allowance that is left (1 untouched, 0 at the bound, negative when overspent); None where the metric has no
    natural allowance.
    """

    bound: str
    holds: bool
    margin: Decimal
    remaining_budget: Fraction | None


def progress(value: Decimal, baseline: Decimal, target: Decimal) -> Fraction | None:
    """`(value − baseline) / (target − baseline)`, exact and unclamped; None when baseline and target are equal."""
    start = exact(baseline)
    distance = exact(target) - start
    return (exact(value) - start) / distance if distance else None


def resolve_target(rule: Decimal | Change | Maintain, baseline: Decimal | None) -> Decimal | None:
    """The number to reach; None for a bound to hold, and for a change while its baseline is unknown.

    `+3` adds to the baseline; `-25%` takes off a quarter of its magnitude, so a minus always means lower.
    """
    if isinstance(rule, Maintain):
        return None
    if isinstance(rule, Decimal):
        return rule
    if baseline is None:
        return None
    match = _CHANGE.fullmatch(rule.change)
    if match is None:
        raise ValueError(f"{rule.change!r} is not a change")
    start, amount = exact(baseline), Fraction(match[1])
    return rounded(start + (amount / 100 * abs(start) if match[2] else amount))


def reaching(target: Decimal, baseline: Decimal) -> Bound:
    """What holds once a target is reached from a baseline."""
    return Bound(">=" if target > baseline else "<=", target, is_relative=False)


@lru_cache(maxsize=1024)
def parse_bound(bound: str) -> Bound:
    """`>= 99.9`, `>= 97% of baseline`, `between 5 and 10`, `between 90% and 110% of baseline`; ValueError for anything
    else."""
    if match := _BOUND.fullmatch(bound):
        return Bound(match[1], Decimal(match[2]), match[3] is not None)
    match = _BETWEEN.fullmatch(bound)
    if match is None:
        raise ValueError(f"{bound!r} is not a bound")
    low, high = Decimal(match[1]), Decimal(match[2])
    if low > high:
        raise ValueError(f"{bound!r} holds for nothing: {low} is more than {high}")
    return Bound("between", low, match[3] is not None, high)


def holds(bound: str, value: Decimal | None, baseline: Decimal | None = None) -> bool | None:
    """Whether a value is within its bound, exactly; None when the value, or a baseline it needs, is unknown."""
    return None if value is None else parse_bound(bound).holds(value, baseline)


def compliance(bound: str, value: Decimal, *, is_percent: bool) -> Compliance:
    """The standing of a value to an absolute bound; ValueError for a relative one.

    The allowance of a floor on a percent is what lies between it and 100 (an error budget: at `>= 99.9`, 0.1); that of
    a positive ceiling is what lies between 0 and it. Between two bounds there is none.
    """
    parsed = parse_bound(bound)
    margin = None if parsed.is_relative else parsed.margin(value)
    if margin is None:
        raise ValueError("an absolute bound is expected")
    allowance = Fraction(0)
    if parsed.upper is None:
        limit = exact(parsed.limit)
        allowance = (100 - limit if is_percent else allowance) if parsed.is_floor else limit
    return Compliance(
        bound=bound,
        holds=bool(parsed.holds(value)),
        margin=rounded(margin),
        remaining_budget=margin / allowance if allowance > 0 else None,
    )


def is_budget(baseline: Decimal, target: Decimal, *, is_total: bool) -> bool:
    """Whether a key result is a total that should stay low: it starts at nothing, so only where it is heading can be
    judged before the end."""
    return is_total and target < baseline


def projected_value(value: Decimal, window: TimeSpan, at: datetime) -> Decimal | None:
    """Where a cumulative value arrives at the window's end if it goes on at its pace so far.

    None in the window's first tenth, and for a window without bounds.
    """
    elapsed = window.elapsed(at)
    if elapsed is None or elapsed < EARLIEST_PROJECTION:
        return None
    return rounded(exact(value) / elapsed)
