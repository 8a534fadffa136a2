"""Values into one number, exactly.

Everything is computed as an exact rational and rounded once, to 28 significant digits, half-even. So an average of
durations in a unit is the correctly rounded quotient, not a rounded mean that is rounded again by its unit.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from functools import reduce

PRECISION = 28
_ROUNDING = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
# Wide enough for any sum of numbers in range, and an error instead of a rounding should one be wider.
_EXACT = Context(prec=10_000, traps=[InvalidOperation, Overflow, Inexact])
# A number beyond is a mistake of its sender, and would be expensive to write out as an integer.
_LARGEST_EXPONENT = 1000

_PERCENTILE = re.compile(r"p([1-9][0-9]?)")


def rounded(number: Fraction) -> Decimal:
    """The nearest decimal of 28 significant digits, half-even, without exponent or trailing zeros."""
    quotient = _ROUNDING.divide(Decimal(number.numerator), Decimal(number.denominator))
    return Decimal(format(quotient.normalize(_ROUNDING), "f"))


def exact(number: Decimal) -> Fraction:
    """The number as a rational; ValueError when it is not finite or absurdly large or small."""
    if not number.is_finite() or (number and abs(number.adjusted()) > _LARGEST_EXPONENT):
        raise ValueError("a finite number in range is expected")
    return Fraction(number)


def aggregate(how: str, values: Sequence[Decimal], *, divisor: int | Decimal = 1) -> Decimal | None:
    """`count sum avg median min max last pNN` of values in order of their moment, divided by a unit's size.

    A count or sum over nothing is 0, any other aggregate of nothing is None. A count is never divided. ValueError for
    an unknown aggregate, a divisor that is not positive or a value that is not a finite number in range.
    Percentiles are type 7 of Hyndman and Fan (1996), the default of R, NumPy and spreadsheets.
    """
    percentile = _percentile(how)
    if percentile is None and how not in ("count", "sum", "avg", "min", "max", "last"):
        raise ValueError(f"unknown aggregate {how!r}")
    size = exact(Decimal(divisor))
    if size <= 0:
        raise ValueError("a positive divisor is expected")
    if how == "count":
        return Decimal(len(values))
    if not values:
        return Decimal(0) if how == "sum" else None
    for value in values:
        if not value.is_finite() or (value and abs(value.adjusted()) > _LARGEST_EXPONENT):
            raise ValueError("a finite number in range is expected")
    if percentile is not None:
        return rounded(_interpolated(sorted(values), percentile) / size)
    if how == "sum":
        return rounded(_sum(values) / size)
    if how == "avg":
        return rounded(_sum(values) / (len(values) * size))
    chosen = values[-1] if how == "last" else min(values) if how == "min" else max(values)
    return rounded(Fraction(chosen) / size)


def aggregate_total(how: str, count: int, total: Decimal, *, divisor: int | Decimal = 1) -> Decimal | None:
    """`count sum avg` of values known by their number and exact sum, as `aggregate` gives it."""
    if how == "count":
        return Decimal(count)
    if not count:
        return Decimal(0) if how == "sum" else None
    return rounded(Fraction(total) / (Fraction(divisor) * (count if how == "avg" else 1)))


def rank_of(how: str, count: int) -> Fraction:
    """The place of `min max median pNN` among `count` sorted values (0 is the first): between two values where it is
    no whole number. ValueError for an aggregate that has no place."""
    percentile = {"min": Fraction(0), "max": Fraction(1)}.get(how, _percentile(how))
    if percentile is None:
        raise ValueError(f"{how!r} has no rank")
    return (count - 1) * percentile


def aggregate_ranked(rank: Fraction, low: Decimal, high: Decimal, *, divisor: int | Decimal = 1) -> Decimal:
    """An order statistic from the values right below and above its rank, as `aggregate` gives it."""
    part = rank - rank.numerator // rank.denominator
    return rounded((Fraction(low) + part * (Fraction(high) - Fraction(low))) / Fraction(divisor))


def ratio(good: Decimal, total: Decimal, *, percent: bool) -> Decimal | None:
    """`good / total`, times 100 for a percent; None when the total is zero."""
    if not total:
        return None
    return rounded(exact(good) / exact(total) * (100 if percent else 1))


def _percentile(how: str) -> Fraction | None:
    if how == "median":
        return Fraction(1, 2)
    match = _PERCENTILE.fullmatch(how)
    return Fraction(int(match[1]), 100) if match else None


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """The sum without a rounding; Inexact is raised where it would need more than 10,000 digits."""
    return reduce(_EXACT.add, values, Decimal(0))


def exact_product(number: Decimal, times: int) -> Decimal:
    """The number so many times over, without a rounding."""
    return _EXACT.multiply(number, Decimal(times))


def _sum(values: Sequence[Decimal]) -> Fraction:
    return Fraction(exact_sum(values))


def _interpolated(ordered: Sequence[Decimal], percentile: Fraction) -> Fraction:
    position = (len(ordered) - 1) * percentile
    below = position.numerator // position.denominator
    low = Fraction(ordered[below])
    part = position - below
    return low if not part else low + part * (Fraction(ordered[below + 1]) - low)
