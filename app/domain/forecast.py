"""Where a metric will stand at the end of a cycle, with an interval and the chance that a goal holds then.

The value is carried on from today with two gentle pulls: towards its long-run mean and along its recent trend. How
strong they are is chosen on the metric's own history: the method is run from many past days over the same horizon, and
what errs least there is used, with a penalty on bold choices. What accumulates goes on at the mean of its recent and
its long-run rate. Weekdays count where that errs less. The interval is what those past runs erred by, as in split
conformal prediction (Lei et al. 2018, https://doi.org/10.1080/01621459.2017.1307116), widened where few stretches were
seen that do not overlap. No distribution is assumed, and nothing is fitted to other metrics.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from math import ceil, sqrt
from statistics import median

from app.domain.language import Change, Maintain
from app.domain.outcome import Forecast, Outlook, answer
from app.domain.progress import Bound, parse_bound, resolve_target
from app.domain.series import History, NotEnough, Series, Shape, evenly_spaced, shape_of

__all__ = ["Forecast", "History", "NotEnough", "Shape", "forecast", "goal", "shape_of"]

_ORIGINS = 60
_FEWEST_ORIGINS = 5
# Pulls towards the mean and along the trend, each with how bold it is against the usual one.
_PULLS = [
    ((mean, trend), abs(mean - 0.4) + (2 if trend == 1 else trend))
    for mean in (0.5, 0.25, 0.0, 0.75, 1.0)
    for trend in (0.0, 0.25, 0.5, 1.0)
]
_BOLDNESS = 1.0
_WIDENING = 0.5
_GROWTH = 0.75
"""The power with which errors grow beyond the longest horizon that history allows to try."""
_WEEKS_FOR_WEEKDAYS = 6


def goal(rule: Decimal | Change | Maintain, baseline: Decimal | None) -> Bound | None:
    """What must hold at the end for a key result to be met; None while its baseline is unknown, or is the target."""
    if isinstance(rule, Maintain):
        return parse_bound(rule.maintain)
    target = resolve_target(rule, baseline)
    if target is None or baseline is None or target == baseline:
        return None
    return Bound(">=" if target > baseline else "<=", target, is_relative=False)


def forecast(
    history: History, *, now: datetime, end: datetime, shape: Shape, must: Bound | None = None
) -> Forecast | NotEnough:
    """The forecast of a metric's value just before `end` from what was known at `now`.

    A pure function that moves slowly with the clock, so its result may be kept until a value comes or the hour ends.
    ValueError for a naive moment or a bound relative to a baseline.
    """
    if now.tzinfo is None or end.tzinfo is None:
        raise ValueError("aware moments are expected")
    if must is not None and must.is_relative:
        raise ValueError("an absolute bound is expected")
    if now >= end:
        return NotEnough("the end has passed: the value is known", "ended")
    known = history[: bisect_right(history, now, key=lambda item: item[0])]
    if not known:
        return NotEnough("there is no value yet", "no_history")
    series = evenly_spaced(known, now=now, end=end, shape=shape)
    if isinstance(series, NotEnough):
        return series
    outlook = _cumulative(series) if shape.is_cumulative else _level(series)
    return answer(outlook, series, known, shape, must)


def _level(series: Series) -> Outlook:
    plain, error = _pulled(series.numbers, series.base, series)
    weeks = len(series.weekdays) // 7
    if weeks < _WEEKS_FOR_WEEKDAYS or not series.weekdays_ahead:
        return plain
    offsets = _weekday_offsets(series.numbers, series.weekdays)
    if max(map(abs, offsets)) * 4 < error:
        return plain
    adjusted = [number - offsets[day] for number, day in zip(series.numbers, series.weekdays, strict=True)]
    base = series.base - offsets[series.weekdays_ahead[0]]
    seasonal, seasonal_error = _pulled(adjusted, base, series)
    if seasonal_error >= error * 0.95:
        return plain
    middle = seasonal.middle + offsets[series.weekdays_ahead[-1]]
    return Outlook(middle, seasonal.misses, seasonal.stretches, f"{seasonal.method}, by weekday")


def _pulled(numbers: Sequence[float], base: float, series: Series) -> tuple[Outlook, float]:
    """The outlook of what has a level, and the mean miss of the pulls that were chosen."""
    count = len(numbers)
    ahead = sum(series.ahead)
    sums = list(accumulate(numbers, initial=0.0))
    reach, lately = (28, 60) if series.weekdays else (4, 8)
    warm, horizon, origins, stretches = _trials(series, ahead)
    trend = min(reach, warm)
    gaps = [
        (
            numbers[t + horizon] - numbers[t],
            _mean(sums, t + 1, lately) - numbers[t],
            horizon * _slope(numbers, t, trend),
        )
        for t in origins
    ]
    caution = _BOLDNESS / sqrt(stretches)
    best, pulls = None, (0.0, 0.0)
    for (a, b), boldness in _PULLS:
        error = sum(abs(gap - a * mean - b * slope) for gap, mean, slope in gaps) / len(gaps)
        if best is None or error * (1 + boldness * caution) < best:
            best, pulls = error * (1 + boldness * caution), (a, b)
    a, b = pulls
    slope = (base - numbers[count - 1 - trend]) / trend * ahead
    misses = [abs(gap - a * mean - b * slope) for gap, mean, slope in gaps]
    middle = base + a * (_mean(sums, count, lately) - base) + b * slope
    names = [name for name, pull in (("its mean", a), ("its trend", b)) if pull]
    method = f"pulled to {' and '.join(names)}" if names else "its last value"
    return Outlook(middle, _scaled(misses, ahead, horizon, stretches), stretches, method), sum(misses) / len(misses)


def _cumulative(series: Series) -> Outlook:
    count = len(series.numbers)
    ahead = sum(series.ahead)
    _, horizon, origins, stretches = _trials(series, ahead)
    reaches = (28, 90) if series.weekdays else (4, 13)

    def expected(t: int, weights: Sequence[float], coming: float) -> float:
        rates = []
        for reach in reaches:
            back = max(t - reach, 0)
            passed = weights[t] - weights[back]
            rates.append((series.numbers[t] - series.numbers[back]) / passed if passed > 0 else 0.0)
        return coming * sum(rates) / len(rates)

    def misses(weights: Sequence[float]) -> list[float]:
        totals = series.numbers
        return [
            abs(totals[t + horizon] - totals[t] - expected(t, weights, weights[t + horizon] - weights[t]))
            for t in origins
        ]

    weights, coming, method = [float(t) for t in range(count)], ahead, "at its recent and long-run rate"
    found = misses(weights)
    factors = _weekday_factors(series)
    if factors is not None:
        by_day = list(accumulate((factors[day] for day in series.weekdays[1:]), initial=0.0))
        seasonal = misses(by_day)
        if sum(seasonal) < sum(found) * 0.98:
            parts = zip(series.ahead, series.weekdays_ahead, strict=True)
            weights, coming = by_day, sum(part * factors[day] for part, day in parts)
            found, method = seasonal, f"{method}, by weekday"
    middle = series.base + expected(count - 1, weights, coming)
    return Outlook(middle, _scaled(found, ahead, horizon, stretches), stretches, method)


def _trials(series: Series, ahead: float) -> tuple[int, int, list[int], float]:
    """How much history each trial starts with, its horizon, where trials start, and how many do not overlap."""
    count = len(series.numbers)
    warm = max(min(28 if series.weekdays else 4, count // 3), 2)
    longest = max((count - warm) // 2, 1)
    horizon = max(min(ceil(ahead), longest), min(7, longest) if series.weekdays else 1)
    origins = list(range(warm, count - horizon))
    if series.phases:
        # A mean over a window that begins anew is wild at first and calm at its end: like is compared with like.
        phases, phase = series.phases, series.phases[-1]
        whole = [t for t in origins if phases[t + horizon] == phases[t] + horizon]
        alike = [t for t in whole if abs(phases[t] - phase) <= max(7, phase // 4)]
        origins = next((some for some in (alike, whole) if len(some) >= 2 * _FEWEST_ORIGINS), origins)
    stretches = max(len(origins) / horizon, 0.5)
    step = max(len(origins) // _ORIGINS, 1)
    return warm, horizon, origins[::-1][::step], stretches


def _mean(sums: Sequence[float], count: int, lately: int) -> float:
    """Half the mean of the first numbers, half that of the last of them: a level that has moved for good is not pulled
    all the way back."""
    recent = min(lately, count)
    return (sums[count] / count + (sums[count] - sums[count - recent]) / recent) / 2


def _slope(numbers: Sequence[float], t: int, reach: int) -> float:
    return (numbers[t] - numbers[t - reach]) / reach


def _scaled(misses: list[float], ahead: float, horizon: int, stretches: float) -> list[float]:
    growth = (ahead / horizon) ** _GROWTH if ahead > horizon else 1.0
    return sorted(miss * growth * (1 + _WIDENING / sqrt(stretches)) for miss in misses)


def _weekday_offsets(numbers: Sequence[float], weekdays: Sequence[int]) -> list[float]:
    """How far each weekday lies off the mean of the week around it, by the median."""
    off: list[list[float]] = [[] for _ in range(7)]
    for index in range(3, len(numbers) - 3):
        off[weekdays[index]].append(numbers[index] - sum(numbers[index - 3 : index + 4]) / 7)
    return [median(some) if some else 0.0 for some in off]


def _weekday_factors(series: Series) -> list[float] | None:
    """What a weekday brings of a mean day, drawn a little towards 1; None where there is too little to tell."""
    if len(series.weekdays) < _WEEKS_FOR_WEEKDAYS * 7:
        return None
    sums, counts = [0.0] * 7, [0] * 7
    for index in range(1, len(series.numbers)):
        day = series.weekdays[index]
        sums[day] += series.numbers[index] - series.numbers[index - 1]
        counts[day] += 1
    mean = sum(sums) / sum(counts)
    if mean <= 0 or min(sums) < 0:
        return None
    return [(total / mean + 2) / (number + 2) for total, number in zip(sums, counts, strict=True)]
