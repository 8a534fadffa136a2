"""From an outlook to an answer: the interval, the chance of a goal, and the bounds that no value leaves."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from math import floor, log10

from app.domain.progress import Bound
from app.domain.series import History, Series, Shape

COVERAGE = 0.8
"""How often the interval should hold the value."""
# Wide enough for any number of the language, and for one that is heading beyond.
_WIDE = Context(prec=100)
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The value at the end, the interval that holds it four times out of five, and the chance (0.00 to 1.00) that the
    goal holds then; None without a goal. `days` of history went into it, `method` says in a few words how."""

    value_at_end: Decimal
    low: Decimal
    high: Decimal
    chance_of_target: Decimal | None
    days: int
    method: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """The middle, the sorted distances by which the method missed (scaled to the horizon), and how many of them are
    independent of each other."""

    middle: float
    misses: list[float]
    stretches: float
    method: str


def answer(outlook: Outlook, series: Series, known: History, shape: Shape, must: Bound | None) -> Forecast:
    """An outlook within what the metric can be, as exactly as it is worth."""
    lowest, highest = _bounds(series, known, shape)
    reach = _quantile(outlook.misses, COVERAGE) if series.ahead else 0.0
    low, high = outlook.middle - reach, outlook.middle + reach
    places, most = _places(known, high - low)
    # On the values' own grid an interval holds what lies between its ends; what is coarser is rounded fairly.
    inward = (ROUND_CEILING, ROUND_FLOOR) if places == most else (ROUND_HALF_EVEN, ROUND_HALF_EVEN)

    def bounded(number: float, rounding: str) -> Decimal:
        value = Decimal(number).quantize(Decimal(1).scaleb(-places), rounding, _WIDE)
        value = _WIDE.add(value, 0)  # zero has no sign
        value = value if lowest is None else max(value, lowest)
        return value if highest is None else min(value, highest)

    middle = bounded(outlook.middle, ROUND_HALF_EVEN)
    return Forecast(
        value_at_end=middle,
        low=min(bounded(low, inward[0]), middle),
        high=max(bounded(high, inward[1]), middle),
        chance_of_target=None if must is None else _chance(outlook, series, must, *_certain(series, known, shape)),
        days=series.days,
        method=outlook.method if series.ahead else "its last value: no step is left",
    )


def _certain(series: Series, known: History, shape: Shape) -> tuple[Decimal | None, Decimal | None]:
    """What the value can not leave. A count that is still open never falls below what it has."""
    is_open = shape.is_cumulative and shape.never_falls and series.base > 0
    floors = [bound for bound in (shape.lowest, known[-1][1] if is_open else None) if bound is not None]
    return max(floors, default=None), shape.highest


def _bounds(series: Series, known: History, shape: Shape) -> tuple[Decimal | None, Decimal | None]:
    """What the value can not leave, or never has: it only ever grew or shrank, was never negative, or is a percent that
    was never above 100. No forecast is shown beyond, and yet nothing there is called impossible."""
    lowest, highest = _certain(series, known, shape)
    last, values = known[-1][1], [value for _, value in known]
    goes_on = series.window is None and (not shape.is_cumulative or series.base > 0)
    if goes_on and series.way > 0:
        lowest = last
    if goes_on and series.way < 0:
        highest = last
    if lowest is None and min(values) >= 0:
        lowest = Decimal(0)
    if highest is None and shape.is_percent and max(values) <= _HUNDRED:
        highest = _HUNDRED
    return lowest, highest


def _chance(outlook: Outlook, series: Series, must: Bound, lowest: Decimal | None, highest: Decimal | None) -> Decimal:
    """The part of the outcomes that keep a bound, by the same misses as the interval."""
    if must.upper is not None:
        inside = _above(outlook, series, must.limit, lowest, highest) - _above(
            outlook, series, must.upper, lowest, highest, is_strict=True
        )
        part = max(inside, 0.0)
    elif must.is_floor:
        part = _above(outlook, series, must.limit, lowest, highest, is_strict=must.comparison == ">")
    else:
        part = 1 - _above(outlook, series, must.limit, lowest, highest, is_strict=must.comparison == "<=")
    return Decimal(part).quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def _above(
    outlook: Outlook,
    series: Series,
    limit: Decimal,
    lowest: Decimal | None,
    highest: Decimal | None,
    *,
    is_strict: bool = False,
) -> float:
    """The part of the outcomes at a limit or above it, or strictly above it."""
    if lowest is not None and (limit < lowest or (limit == lowest and not is_strict)):
        return 1.0
    if highest is not None and (limit > highest or (limit == highest and is_strict)):
        return 0.0
    distance = float(limit) - outlook.middle
    if not series.ahead:
        return float(distance < 0 or (distance == 0 and not is_strict))
    farther = len(outlook.misses) - bisect_left(outlook.misses, abs(distance))
    tail = (farther + 0.5) / (len(outlook.misses) + 1) / 2
    # What was never seen in so few stretches is not impossible.
    tail = min(max(tail, 0.25 / (outlook.stretches + 2)), 0.5)
    return tail if distance > 0 else 1 - tail


def _quantile(ordered: Sequence[float], part: float) -> float:
    # One more than was seen is to come (split conformal prediction).
    position = min((len(ordered) + 1) * part - 1, len(ordered) - 1)
    below = floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _places(known: History, width: float) -> tuple[int, int]:
    """The decimals worth showing: two digits of the interval's width, and never more than the values have."""
    exponents = [value.as_tuple().exponent for _, value in known[-30:]]
    most = max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0)
    worth = 1 - floor(log10(width)) if width > 0 else most
    return max(min(most, worth), 0), most
