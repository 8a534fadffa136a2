"""How far a value has come: from its baseline to its target, or within the bound it must hold."""

import operator
import re
from collections.abc import Callable
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

_BOUND = re.compile(r"(>=|<=|>|<)\s*(-?[0-9]+(?:\.[0-9]+)?)(% of baseline)?")
_CHANGE = re.compile(r"([+-][0-9]+(?:\.[0-9]+)?)(%)?")
_COMPARISONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Bound:
    """`comparison limit`; a relative limit is a fraction of the baseline."""

    comparison: str
    limit: Decimal
    is_relative: bool

    @property
    def is_floor(self) -> bool:
        """Whether it bounds from below."""
        return self.comparison.startswith(">")


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


@lru_cache(maxsize=1024)
def parse_bound(bound: str) -> Bound:
    """`>= 99.9` or `>= 97% of baseline`; ValueError for anything else."""
    match = _BOUND.fullmatch(bound)
    if match is None:
        raise ValueError(f"{bound!r} is not a bound")
    return Bound(match[1], Decimal(match[2]), match[3] is not None)


def holds(bound: str, value: Decimal | None, baseline: Decimal | None = None) -> bool | None:
    """Whether a value is within its bound, exactly; None when the value, or a baseline it needs, is unknown."""
    parsed = parse_bound(bound)
    if value is None or (parsed.is_relative and baseline is None):
        return None
    limit = exact(parsed.limit)
    if parsed.is_relative and baseline is not None:
        limit *= exact(baseline) / 100
    return _COMPARISONS[parsed.comparison](exact(value), limit)


def compliance(bound: str, value: Decimal, *, is_percent: bool) -> Compliance:
    """The standing of a value to an absolute bound; ValueError for a relative one.

    The allowance of a floor on a percent is what lies between it and 100 (an error budget: at `>= 99.9`, 0.1); that of
    a positive ceiling is what lies between 0 and it.
    """
    parsed = parse_bound(bound)
    if parsed.is_relative:
        raise ValueError("an absolute bound is expected")
    limit = exact(parsed.limit)
    margin = exact(value) - limit if parsed.is_floor else limit - exact(value)
    allowance = (100 - limit if is_percent else Fraction(0)) if parsed.is_floor else limit
    return Compliance(
        bound=bound,
        holds=_COMPARISONS[parsed.comparison](exact(value), limit),
        margin=rounded(margin),
        remaining_budget=margin / allowance if allowance > 0 else None,
    )


def projected_value(value: Decimal, window: TimeSpan, at: datetime) -> Decimal | None:
    """Where a cumulative value arrives at the window's end if it goes on at its pace so far.

    None in the window's first tenth, and for a window without bounds.
    """
    elapsed = window.elapsed(at)
    if elapsed is None or elapsed < EARLIEST_PROJECTION:
        return None
    return rounded(exact(value) / elapsed)
