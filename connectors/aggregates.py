"""Several numbers of one answer as one, exactly. Pure.

As the metrics of a dataset have it: rationals, rounded once to 28 digits; a count or sum over nothing is 0, any other
aggregate of nothing is unknown.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from statistics import median
from typing import Literal

Aggregate = Literal["count", "sum", "avg", "median", "min", "max"]

_ROUNDING = Context(prec=28, rounding=ROUND_HALF_EVEN)


def aggregate(how: Aggregate, numbers: Sequence[Decimal]) -> Decimal | None:
    """The numbers, all finite, as one; None where that is unknown."""
    if how == "count":
        return Decimal(len(numbers))
    if not numbers:
        return Decimal(0) if how == "sum" else None
    exact = [Fraction(number) for number in numbers]
    if how == "sum":
        return _rounded(sum(exact, Fraction(0)))
    if how == "avg":
        return _rounded(sum(exact, Fraction(0)) / len(exact))
    return _rounded(median(exact) if how == "median" else min(exact) if how == "min" else max(exact))


def _rounded(number: Fraction) -> Decimal:
    quotient = _ROUNDING.divide(Decimal(number.numerator), Decimal(number.denominator))
    return Decimal(format(quotient.normalize(_ROUNDING), "f"))
