"""How far a key result should be by now.

Expectation runs over a cycle from 0 to 1: along a straight line, along one of a few named curves, or from checkpoint to
checkpoint. All of it is exact. Where a metric moves only at some local edges (a monthly close), the expectation holds
still between them too, so that nothing looks late while it can not move.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from app.domain.progress import progress
from app.domain.window import DAY, TimeSpan, local_day, period_start, start_of_day

Curve: TypeAlias = Literal["linear", "early", "late", "s_curve"]
Steps: TypeAlias = Literal["week", "month", "quarter"] | timedelta
"""Where a value can move: local weeks (from Monday), months, fiscal quarters, or every so many days of the cycle."""

_UTC = ZoneInfo("UTC")
_CURVE_PARTS = 32
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PacePoint:
    """What is expected at a moment: a part of the way, 0 to 1 as a rule."""

    at: datetime
    progress: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How expectation moves over a cycle. Checkpoints outrank the curve; `zone` and `fiscal_year_start` place steps."""

    curve: Curve = "linear"
    checkpoints: tuple[PacePoint, ...] = ()
    steps: Steps | None = None
    zone: ZoneInfo = _UTC
    fiscal_year_start: int = 1


LINEAR = Pace()


def expected_progress(cycle: TimeSpan, now: datetime, pace: Pace = LINEAR) -> Fraction:
    """The part of the way that is expected at a moment: 0 until the cycle starts, 1 from its end on.

    ValueError for a cycle without bounds or length.
    """
    if cycle.start is None or cycle.end is None or cycle.end <= cycle.start:
        raise ValueError("a cycle has a start and a later end")
    if now < cycle.start:
        return Fraction(0)
    if now >= cycle.end:
        return Fraction(1)
    at = now if pace.steps is None else max(last_step(pace, cycle.start, now), cycle.start)
    if pace.checkpoints:
        return _between_checkpoints(pace.checkpoints, cycle.start, cycle.end, at)
    return on_curve(pace.curve, _part(cycle.start, cycle.end, at))


def expected_path(cycle: TimeSpan, pace: Pace = LINEAR) -> tuple[PacePoint, ...]:
    """The expectation over the whole cycle as points to be joined by straight lines, from its start to its end.

    Exact on a line, between checkpoints and at steps; a curve is drawn through 33 points. ValueError for a cycle
    without bounds or length.
    """
    start, end = cycle.start, cycle.end
    if start is None or end is None or end <= start:
        raise ValueError("a cycle has a start and a later end")
    moments = {start, end}
    if pace.steps is not None:
        at = start
        while (at := next_step(pace, start, at)) < end:
            moments |= {max(at - _INSTANT, start), at}
    elif pace.checkpoints:
        moments |= {point.at for point in pace.checkpoints if start < point.at < end}
    elif pace.curve != "linear":
        moments |= {start + (end - start) * place / _CURVE_PARTS for place in range(1, _CURVE_PARTS)}
    if pace.steps is not None or pace.checkpoints:
        moments.add(max(end - _INSTANT, start))  # all of it is expected at the end, however little just before
    return tuple(PacePoint(at, expected_progress(cycle, at, pace)) for at in sorted(moments))


def on_curve(curve: Curve, elapsed: Fraction) -> Fraction:
    """A curve at a part of the time, from 0 at 0 to 1 at 1 and never falling.

    `linear` t; `early` 1 − (1 − t)², most of the way in the first half; `late` t², most of it in the second; `s_curve`
    3t² − 2t³ (the cubic Hermite "smoothstep"), slow at both ends.
    """
    t = elapsed
    if curve == "early":
        return t * (2 - t)
    if curve == "late":
        return t * t
    if curve == "s_curve":
        return t * t * (3 - 2 * t)
    return t


def last_step(pace: Pace, start: datetime, at: datetime) -> datetime:
    """The last moment, at or before one, at which the value could move; ValueError where the pace has no steps."""
    day = local_day(at, pace.zone)
    if pace.steps is None:
        raise ValueError("a pace with steps is expected")
    if isinstance(pace.steps, timedelta):
        length = max(pace.steps // DAY, 1)
        first = local_day(start, pace.zone)
        edge = first + DAY * ((day - first).days // length * length)
    elif pace.steps == "week":
        edge = day - DAY * day.weekday()
    else:
        edge = period_start(day, 1 if pace.steps == "month" else 3, pace.fiscal_year_start)
    return start_of_day(edge, pace.zone)


def next_step(pace: Pace, start: datetime, at: datetime) -> datetime:
    """The first moment after one at which the value can move; ValueError where the pace has no steps."""
    edge = local_day(last_step(pace, start, at), pace.zone)
    if isinstance(pace.steps, timedelta):
        return start_of_day(edge + DAY * max(pace.steps // DAY, 1), pace.zone)
    beyond = edge + DAY * {"week": 7, "month": 31, "quarter": 93}[str(pace.steps)]
    if pace.steps != "week":
        beyond = period_start(beyond, 1 if pace.steps == "month" else 3, pace.fiscal_year_start)
    return start_of_day(beyond, pace.zone)


def checkpoint(
    on: date,
    zone: ZoneInfo,
    *,
    value: Decimal | None = None,
    part: Decimal | None = None,
    baseline: Decimal | None = None,
    target: Decimal | None = None,
) -> PacePoint | None:
    """What is expected at the end of a local day, named as a value of the metric or as a part of the way.

    None for a value while its baseline or target is unknown, or where they are equal.
    """
    at = start_of_day(on + DAY, zone)
    if part is not None:
        return PacePoint(at, Fraction(part))
    if value is None or baseline is None or target is None:
        return None
    reached = progress(value, baseline, target)
    return None if reached is None else PacePoint(at, reached)


def _part(start: datetime, end: datetime, at: datetime) -> Fraction:
    return TimeSpan(start, end).elapsed(at) or Fraction(0)


def _between_checkpoints(named: Iterable[PacePoint], start: datetime, end: datetime, at: datetime) -> Fraction:
    before = PacePoint(start, Fraction(0))
    for point in sorted(named, key=lambda item: item.at):
        # Points outside the cycle say nothing about it; one at its very end is what is expected up to there.
        if not start < point.at <= end:
            continue
        if at < point.at:
            return _interpolated(before, point, at)
        before = point
    return _interpolated(before, PacePoint(end, Fraction(1)), at)


def _interpolated(before: PacePoint, after: PacePoint, at: datetime) -> Fraction:
    return before.progress + (after.progress - before.progress) * _part(before.at, after.at, at)
