"""Numbers as people are shown them: rounded, and never to the other side of what they are held to."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from app.domain.progress import Bound, parse_bound, reaching

_MOST_DIGITS = 28


def whole_percent(share: float | Fraction | Decimal) -> int:
    """A share in whole percent, half to even; what falls short of the whole is never 100."""
    shown = round(share * 100)
    return min(shown, 99) if share < 1 else shown


def goal_of(target: Decimal | None, baseline: Decimal | None, maintain: str | None) -> Bound | None:
    """What a shown value is held to: its bound, or the target that it is to reach; None where neither is known."""
    if maintain is not None:
        return parse_bound(maintain)
    return None if target is None or baseline is None else reaching(target, baseline)


def digits_beside(value: Decimal, must: Bound, baseline: Decimal | None, *, at_least: int) -> int:
    """To how many significant digits a value is rounded beside a bound: as few as there may be at which it still stands
    to the bound as it really does. 95.996 beside `>= 96` is not 96."""
    holds = must.holds(value, baseline)
    enough = (
        digits
        for digits in range(at_least, _MOST_DIGITS)
        if must.holds(Context(prec=digits, rounding=ROUND_HALF_EVEN).plus(value), baseline) == holds
    )
    return next(enough, _MOST_DIGITS)
