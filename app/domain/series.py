"""A metric's history as evenly spaced numbers, the way a forecast needs it.

A space is a local day, or the time between two steps of a metric that moves only there. Floats are good enough to guess
the future with.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from app.domain.language import MetricSpec, ToDate
from app.domain.pace import Pace, last_step, next_step
from app.domain.window import DAY, TimeSpan, local_day, resolve, start_of_day

History: TypeAlias = Sequence[tuple[datetime, Decimal]]
"""Values in order of their moments; each holds until the next."""

FEWEST_DAYS = 21
FEWEST_STEPS = 8
FEWEST_CHANGES = 3
MOST_DAYS = 365
MOST_DAYS_OF_STEPS = 3650
FARTHEST = 4
"""How many times the length of its history a forecast may reach ahead."""

# So many moves in one direction are no chance.
_MOVES_ONE_WAY = 8
_UTC = ZoneInfo("UTC")
# At midnight the newest value is that of the day before.
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is known of a metric's numbers before looking at them.

    `is_cumulative`: a count or sum that accumulates over its window; with `never_falls` its increments are not
    negative. `resets` are the moments at which the window begins anew, past and to come; what has them and is not
    cumulative is a mean over its window so far. `lowest` and `highest` bound the values (0 and 100 for a share), which
    another `is_percent` may leave. `steps` are the local edges at which alone the value moves. Days are of `zone`.
    """

    is_cumulative: bool = False
    never_falls: bool = False
    resets: tuple[datetime, ...] = ()
    lowest: Decimal | None = None
    highest: Decimal | None = None
    is_percent: bool = False
    steps: Pace | None = None
    zone: ZoneInfo = _UTC


@dataclass(frozen=True, slots=True)
class NotEnough:
    """There is no forecast, and why."""

    reason: str
    code: Literal["no_history", "short_history", "few_changes", "ended", "too_far"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Numbers at even spacing up to the last whole space before now.

    `base` is the number now (0 where the window begins anew before the end), `ahead` the spaces from there to the end,
    the first and last of them in part. `weekdays` and `weekdays_ahead` are those of the spaces, empty for steps;
    `weekday` is that of `base`.
    A mean over a window is taken as a total, a day bringing the mean of that day: `window` is what the total at the end
    is divided by, None for all else. `way`: 1 where every move was up, -1 where down, else 0. `days` of history count.
    """

    numbers: list[float]
    base: float
    ahead: list[float]
    weekdays: list[int]
    weekdays_ahead: list[int]
    weekday: int
    window: float | None
    way: int
    days: int


def shape_of(
    spec: MetricSpec,
    *,
    zone: ZoneInfo,
    first: datetime,
    end: datetime,
    cycle: TimeSpan | None = None,
    fiscal_year_start: int = 1,
    steps: Pace | None = None,
) -> Shape:
    """The shape of a metric, its window's resets from the last before `first` to `end`; ValueError where it needs a
    cycle and has none. `cycle` is that of the key result, whose predecessors are taken to be as long."""
    accumulates = isinstance(spec.window, ToDate) or spec.window == "cycle"
    adds = spec.form == "records" and (spec.aggregate in ("count", "sum", None) or not isinstance(spec.aggregate, str))
    is_mean = spec.aggregate not in ("min", "max", "last")
    is_share = spec.unit == "percent" and spec.form in ("ratio", "state_share", "milestones")
    is_count = adds and spec.aggregate != "sum"
    return Shape(
        is_cumulative=accumulates and adds,
        never_falls=is_count,
        resets=_resets(spec, zone, first, end, cycle, fiscal_year_start) if accumulates and (adds or is_mean) else (),
        lowest=Decimal(0) if is_share or is_count or spec.form == "duration" else None,
        highest=Decimal(100) if is_share else None,
        is_percent=spec.unit == "percent",
        steps=steps,
        zone=zone,
    )


def _resets(
    spec: MetricSpec, zone: ZoneInfo, first: datetime, end: datetime, cycle: TimeSpan | None, fiscal_year_start: int
) -> tuple[datetime, ...]:
    found: list[datetime] = []
    if spec.needs_cycle:
        if cycle is None or cycle.start is None or cycle.end is None:
            raise ValueError("this window needs a cycle")
        at, length = cycle.start, cycle.end - cycle.start
        while at > first:
            found.append(at)
            at = start_of_day(local_day(at - length + DAY / 2, zone), zone)
        return tuple(reversed([*found, at]))
    at = first
    if (opened := resolve(spec.window, at=at, zone=zone, fiscal_year_start=fiscal_year_start).start) is not None:
        found.append(opened)
    while (edge := resolve(spec.window, at=at, zone=zone, fiscal_year_start=fiscal_year_start).end) and edge <= end:
        found.append(edge)
        at = edge
    return tuple(found)


def evenly_spaced(known: History, *, now: datetime, end: datetime, shape: Shape) -> Series | NotEnough:
    """The history up to now at even spacing; where it is too short, too still or too far from the end, why."""
    moments = [at for at, _ in known]
    most = MOST_DAYS if shape.steps is None else MOST_DAYS_OF_STEPS
    edges = _edges(max(moments[0], now - most * DAY), now, shape)
    days = (now - moments[0]) // DAY
    fewest, unit = (FEWEST_DAYS, "days") if shape.steps is None else (FEWEST_STEPS, "steps")
    if len(edges) < fewest:
        return NotEnough(f"{len(edges)} {unit} of history: at least {fewest} are needed", "short_history")
    used = known[max(bisect_left(moments, edges[0]) - 1, 0) :]
    moves = (1 for before, after in pairwise(used) if before[1] != after[1])
    changes = sum(islice(moves, FEWEST_CHANGES))
    if changes < FEWEST_CHANGES:
        moved = ("not moved", "moved once", "moved twice")[changes]
        return NotEnough(f"the value has {moved} in {days} days: too few moves to learn from", "few_changes")
    resets = sorted(shape.resets)
    coming = resets[bisect_right(resets, now) : bisect_left(resets, end)]
    ahead, weekdays_ahead = _ahead(coming[-1] if coming else now, end, shape)
    if sum(ahead) > FARTHEST * len(edges):
        return NotEnough(f"{len(edges)} {unit} of history are too few to look {sum(ahead):.0f} ahead", "too_far")
    base, window, start = float(known[-1][1]), None, now
    numbers = [float(known[max(bisect_left(moments, edge) - 1, 0)][1]) for edge in edges]
    past = resets[: bisect_right(resets, now)]
    is_fresh = bool(coming) or bool(past and moments[-1] < past[-1])
    if shape.is_cumulative:
        numbers = _accumulated(numbers, edges, past, moments, never_falls=shape.never_falls)
        base = 0.0 if is_fresh else base
    elif past and shape.steps is None:
        numbers = _totals_of_means(numbers, edges, past)
        opened = (coming or past)[-1]
        base, start = (0.0, opened) if is_fresh else (base * ((now - past[-1]) / DAY), now)
        window = (end - opened) / DAY
    ahead, weekdays_ahead = _ahead(coming[-1] if coming else start, end, shape)
    return Series(
        numbers=numbers,
        base=base,
        ahead=ahead,
        weekdays=[local_day(edge - DAY / 2, shape.zone).weekday() for edge in edges] if shape.steps is None else [],
        weekdays_ahead=weekdays_ahead,
        weekday=local_day(now - _MOMENT, shape.zone).weekday(),
        window=window,
        way=_way(numbers if resets else [*numbers, base]),
        days=min(days, most),
    )


def _way(numbers: Sequence[float]) -> int:
    """1 where numbers only ever grew, -1 where they only ever shrank, else 0."""
    moves = [1 if after > before else -1 for before, after in pairwise(numbers) if after != before]
    return moves[0] if len(moves) >= _MOVES_ONE_WAY and len(set(moves)) == 1 else 0


def _edges(first: datetime, now: datetime, shape: Shape) -> list[datetime]:
    """The ends of the whole spaces between two moments, ascending."""
    edges: list[datetime] = []
    if shape.steps is not None:
        # A value that moves at an edge is there a day later.
        at = last_step(shape.steps, first, first)
        while (at := next_step(shape.steps, first, at)) <= now:
            edges.append(min(at + DAY, now))
        return edges
    day, last = local_day(first, shape.zone) + DAY, local_day(now, shape.zone)
    while day <= last:
        edges.append(start_of_day(day, shape.zone))
        day += DAY
    return edges


def _ahead(start: datetime, end: datetime, shape: Shape) -> tuple[list[float], list[int]]:
    """The spaces between two moments as parts of a whole one, and their weekdays."""
    if shape.steps is not None:
        count, at = 0, start
        while (at := next_step(shape.steps, start, at)) < end:
            count += 1
        return [1.0] * count, []
    parts, weekdays = [], []
    day = local_day(start, shape.zone)
    at = start
    while at < end:
        opened, closed = start_of_day(day, shape.zone), start_of_day(day + DAY, shape.zone)
        parts.append((min(closed, end) - at) / (closed - opened))
        weekdays.append(day.weekday())
        day, at = day + DAY, closed
    return parts, weekdays


def _accumulated(
    numbers: Sequence[float],
    edges: Sequence[datetime],
    resets: Sequence[datetime],
    moments: Sequence[datetime],
    *,
    never_falls: bool,
) -> list[float]:
    """The running total as if its window never began anew."""
    total, totals = 0.0, [0.0]
    for index in range(1, len(numbers)):
        before, after = numbers[index - 1], numbers[index]
        reset = bisect_left(resets, edges[index]) - 1
        if reset >= 0 and resets[reset] >= edges[index - 1]:
            # The value held over the reset is that of the window before, until something comes in the new one.
            newest = moments[max(bisect_left(moments, edges[index]) - 1, 0)]
            step = after if newest >= resets[reset] else 0.0
        elif never_falls and after < before / 2:
            step = after  # a reset that nobody told of
        else:
            step = after - before
            if reset >= 0 and moments[max(bisect_left(moments, edges[index - 1]) - 1, 0)] < resets[reset]:
                step = after if moments[max(bisect_left(moments, edges[index]) - 1, 0)] >= resets[reset] else 0.0
        total += step
        totals.append(total)
    return totals


def _totals_of_means(numbers: Sequence[float], edges: Sequence[datetime], resets: Sequence[datetime]) -> list[float]:
    """Means over a window so far as a running total over all windows: a mean times the days that it is taken over.

    How many records a day has is not known; over a few weeks that evens out.
    """
    total, totals, before, opened = 0.0, [], 0.0, None
    for number, edge in zip(numbers, edges, strict=True):
        # An edge that is itself a reset still holds the value of the window before.
        reset = bisect_left(resets, edge) - 1
        began = resets[reset] if reset >= 0 else edges[0] - DAY
        summed = number * max((edge - began) / DAY, 0.0)
        total += summed if began != opened else summed - before
        totals.append(total)
        before, opened = summed, began
    return totals
