"""Where a metric will stand at the end of a cycle, with an interval and the chance of reaching a goal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from app.domain.language import Change, Maintain
from app.domain.pace import Pace
from app.domain.progress import Bound, parse_bound, resolve_target

History: TypeAlias = Sequence[tuple[datetime, Decimal]]
"""Values in order of their moments; each holds until the next."""

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is known of a metric's numbers before looking at them.

    `is_cumulative`: a count or sum over a window that accumulates, beginning anew at each of `resets`; with
    `never_falls` its increments are not negative. `lowest` and `highest` bound the values (0 and 100 for a percent).
    `steps` are the local edges at which alone the value moves. Days are those of `zone`.
    """

    is_cumulative: bool = False
    resets: tuple[datetime, ...] = ()
    never_falls: bool = False
    lowest: Decimal | None = None
    highest: Decimal | None = None
    steps: Pace | None = None
    zone: ZoneInfo = _UTC


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
class NotEnough:
    """There is no forecast, and why."""

    reason: str
    code: Literal["no_history", "short_history", "few_changes", "ended", "too_far"]


def goal(rule: Decimal | Change | Maintain, baseline: Decimal | None) -> Bound | None:
    """What must hold at the end for a key result to be met; None while its baseline is unknown."""
    if isinstance(rule, Maintain):
        return parse_bound(rule.maintain)
    target = resolve_target(rule, baseline)
    if target is None or baseline is None or target == baseline:
        return None
    return Bound(">=" if target > baseline else "<=", target, is_relative=False)


def forecast(
    history: History, *, now: datetime, end: datetime, shape: Shape, must: Bound | None = None
) -> Forecast | NotEnough:
    """The forecast of a metric's value at `end` from what was known at `now`.

    It moves with the local day of `now` only, so it may be kept until the history or the day changes.
    """
    if now >= end:
        return NotEnough("the cycle has ended: its value is known", "ended")
    known = [(at, value) for at, value in history if at <= now]
    if not known:
        return NotEnough("there is no value yet", "no_history")
    if now - known[0][0] < timedelta(days=14):
        return NotEnough("less than 14 days of history", "short_history")
    value = known[-1][1]
    return Forecast(
        value_at_end=value,
        low=value,
        high=value,
        chance_of_target=None,
        days=(now - known[0][0]).days,
        method="last value",
    )
