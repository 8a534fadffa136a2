"""Numbers as people read them, rounded and never to the other side of what they are held to, and as they type them."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from app.domain.progress import Bound, parse_bound, reaching
from app.domain.strict_json import exact_decimal

_MOST_DIGITS = 28
_TYPED = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_BETWEEN_THOUSANDS = re.compile(r"(?<=[0-9])[ \u00a0\u2009\u202f'’](?=[0-9]{3}(?![0-9]))")
_IN_TWO_WAYS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


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


def typed_decimal(text: str) -> Decimal | None:
    """The number that a person typed, with a point or a comma before its decimals: `8.7`, `8,7`, `38 547`. None for
    what is none, and for what is one of two: `1,240`."""
    digits = _BETWEEN_THOUSANDS.sub("", text.strip())
    if not _TYPED.fullmatch(digits) or _IN_TWO_WAYS.fullmatch(digits):
        return None
    return exact_decimal(digits.replace(",", "."), _MOST_DIGITS)
