"""Where a metric will stand at the end of a cycle, with an interval and the chance that a goal holds then.

The value is carried on from today with gentle pulls: towards its long-run mean, and along its trends of four and of
thirteen weeks. How strong they are is found on the metric's own history: each combination is run from many past days
over the same horizon, and they are averaged by how little they erred there, bold ones less. What accumulates, or only
ever goes one way, goes on at the mean of its recent and its long-run rate; a mean over a window that begins anew is the
part that is known and the part that is to come. Weekdays count where that errs less. The interval is what those past
runs erred by, the recent ones counting more, as in weighted split conformal prediction (Barber et al. 2023,
https://doi.org/10.1214/23-AOS2276), widened where few stretches were seen that do not overlap. No distribution is
assumed, and nothing is fitted to other metrics.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from math import ceil, exp, sqrt
from statistics import median

from app.domain.language import Change, Maintain
from app.domain.outcome import Forecast, Outlook, answer
from app.domain.progress import Bound, parse_bound, reaching, resolve_target
from app.domain.series import History, NotEnough, Series, Shape, evenly_spaced, shape_of

__all__ = ["Forecast", "History", "NotEnough", "Shape", "forecast", "goal", "shape_of"]

_ORIGINS = 60
# Pulls towards the mean, along the trend of four weeks and along that of thirteen, each with how bold it is.
_PULLS = [
    *(
        ((mean, trend, 0.0), abs(mean - 0.4) + (1.3 if trend == 1 else trend))
        for mean in (0.0, 0.25, 0.5, 0.75, 1.0)
        for trend in (0.0, 0.25, 0.5, 1.0)
    ),
    *(
        ((mean, 0.0, trend), 0.7 * (abs(mean - 0.4) + (1.3 if trend == 1 else trend)))
        for mean in (0.0, 0.25, 0.5)
        for trend in (0.25, 0.5, 0.75, 1.0)
    ),
]
_BOLDNESS = 1.0
_SHARPNESS = 16.0
"""How much more those pulls weigh that erred less: a tenth more error is a fifth of the weight."""
_HALF_LIFE_DAYS, _HALF_LIFE_STEPS = 150, 40
"""After so many spaces a past run counts half."""
_WIDENING_DAYS, _WIDENING_STEPS = 0.5, 1.5
_GROWTH = 0.75
"""The power with which errors grow beyond the longest horizon that history allows to try."""
_WEEKS_FOR_WEEKDAYS = 6
_WORTH_A_WORD = 0.1


def goal(rule: Decimal | Change | Maintain, baseline: Decimal | None) -> Bound | None:
    """What must hold at the end for a key result to be met; None while its baseline is unknown, or is the target."""
    if isinstance(rule, Maintain):
        return parse_bound(rule.maintain)
    target = resolve_target(rule, baseline)
    if target is None or baseline is None or target == baseline:
        return None
    return reaching(target, baseline)


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
    outlook = _total(series) if shape.is_cumulative or series.way or series.window else _level(series)
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
    seasonal, seasonal_error = _pulled(adjusted, series.base - offsets[series.weekday], series)
    if seasonal_error >= error * 0.95:
        return plain
    middle = seasonal.middle + offsets[series.weekdays_ahead[-1]]
    return Outlook(middle, seasonal.misses, seasonal.stretches, f"{seasonal.method}, by weekday")


def _pulled(numbers: Sequence[float], base: float, series: Series) -> tuple[Outlook, float]:
    """The outlook of what has a level, and the mean miss of its past runs."""
    trials = _trials(series)
    sums = list(accumulate(numbers, initial=0.0))
    lately, short, long = (60, 28, 90) if series.weekdays else (8, 4, 12)

    def directions(t: int, value: float, ahead: float) -> tuple[float, float, float]:
        """From a value after `t` spaces to its mean, and where its short and its long trend lead."""
        back, far = min(short, t), min(long, t)
        slopes = (value - numbers[t - back]) / back, (value - numbers[t - far]) / far
        return _mean(sums, t + 1, lately) - value, ahead * slopes[0], ahead * slopes[1]

    runs = [
        (numbers[t + trials.horizon] - numbers[t], directions(t, numbers[t], trials.horizon)) for t in trials.origins
    ]
    caution = _BOLDNESS / sqrt(trials.stretches)
    errors = [
        sum(
            weight * abs(gap - a * mean - b * trend - c * drift)
            for weight, (gap, (mean, trend, drift)) in zip(trials.weights, runs, strict=True)
        )
        * (1 + boldness * caution)
        for (a, b, c), boldness in _PULLS
    ]
    least = min(errors)
    votes = [exp(_SHARPNESS * (1 - error / least)) if least > 0 else 1.0 for error in errors]
    pull = [sum(vote * pulls[i] for vote, (pulls, _) in zip(votes, _PULLS, strict=True)) / sum(votes) for i in range(3)]

    def moved(ways: Sequence[float]) -> float:
        return sum(part * way for part, way in zip(pull, ways, strict=True))

    misses = [abs(gap - moved(ways)) for gap, ways in runs]
    middle = base + moved(directions(len(numbers) - 1, base, trials.ahead))
    names = [name for name, part in (("its mean", pull[0]), ("its trend", pull[1] + pull[2])) if part >= _WORTH_A_WORD]
    method = f"pulled to {' and '.join(names)}" if names else "its last value"
    return Outlook(middle, trials.scaled(misses), trials.stretches, method), sum(misses) / len(misses)


def _total(series: Series) -> Outlook:
    """The outlook of what accumulates, or of a mean as the total that it is a part of."""
    trials = _trials(series)
    totals, count = series.numbers, len(series.numbers)
    reaches = [28, 90] if series.weekdays else [4, 13]
    if series.window:
        reaches.append(count)

    def gained(t: int, weights: Sequence[float], coming: float) -> float:
        rates = []
        for reach in reaches:
            back = max(t - reach, 0)
            passed = weights[t] - weights[back]
            rates.append((totals[t] - totals[back]) / passed if passed > 0 else 0.0)
        return coming * sum(rates) / len(rates)

    def misses(weights: Sequence[float]) -> list[float]:
        return [
            abs(totals[t + h] - totals[t] - gained(t, weights, weights[t + h] - weights[t])) for t in trials.origins
        ]

    h = trials.horizon
    weights, coming, method = [float(t) for t in range(count)], trials.ahead, "at its recent and long-run rate"
    found = misses(weights)
    factors = _weekday_factors(series)
    if factors is not None:
        by_day = list(accumulate((factors[day] for day in series.weekdays[1:]), initial=0.0))
        seasonal = misses(by_day)
        if sum(seasonal) < sum(found) * 0.98:
            parts = zip(series.ahead, series.weekdays_ahead, strict=True)
            weights, coming = by_day, sum(part * factors[day] for part, day in parts)
            found, method = seasonal, f"{method}, by weekday"
    middle = series.base + gained(count - 1, weights, coming)
    days = series.window or 1.0
    return Outlook(middle / days, [miss / days for miss in trials.scaled(found)], trials.stretches, method)


@dataclass(frozen=True, slots=True)
class _Trials:
    """The past runs of a method: from which spaces on (newest first), how many spaces ahead, how much each counts, how
    many do not overlap, and how many spaces ahead the forecast itself looks."""

    origins: list[int]
    horizon: int
    weights: list[float]
    stretches: float
    widening: float
    ahead: float

    def scaled(self, misses: Sequence[float]) -> list[float]:
        """What the runs missed by, sorted, each as often as it counts, as far as this says how wide to be."""
        growth = (self.ahead / self.horizon) ** _GROWTH if self.ahead > self.horizon else 1.0
        wide = growth * (1 + self.widening / sqrt(self.stretches))
        found: list[float] = []
        counted, share = 0.0, sum(self.weights) / len(misses)
        for miss, weight in sorted(zip(misses, self.weights, strict=True)):
            counted += weight
            while (len(found) + 0.5) * share <= counted and len(found) < len(misses):
                found.append(miss * wide)
        return found


def _trials(series: Series) -> _Trials:
    count, ahead = len(series.numbers), sum(series.ahead)
    warm = max(min(28 if series.weekdays else 4, count // 3), 2)
    longest = max((count - warm) // 2, 1)
    horizon = max(min(ceil(ahead), longest), min(7, longest) if series.weekdays else 1)
    every = range(count - horizon - 1, warm - 1, -1)
    stretches = max(len(every) / horizon, 0.5)
    origins = list(every[:: max(len(every) // _ORIGINS, 1)])
    half_life, widening = (_HALF_LIFE_DAYS, _WIDENING_DAYS) if series.weekdays else (_HALF_LIFE_STEPS, _WIDENING_STEPS)
    weights = [0.5 ** ((origins[0] - t) / half_life) for t in origins]
    return _Trials(origins, horizon, weights, stretches, widening, ahead)


def _mean(sums: Sequence[float], count: int, lately: int) -> float:
    """Half the mean of the first numbers, half that of the last of them: a level that has moved for good is not pulled
    all the way back."""
    recent = min(lately, count)
    return (sums[count] / count + (sums[count] - sums[count - recent]) / recent) / 2


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
