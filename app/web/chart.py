"""The chart of a key result over its cycle: columns and marks for the script that draws them.

Floats are good enough for pixels; nothing is decided by them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from markupsafe import Markup

from app.domain.progress import parse_bound
from app.domain.window import TimeSpan
from app.services.expectation import ExpectedValue
from app.services.views import CheckInView, KeyResultView, RestatementView, SampleView
from app.web.format import quantity

_SAID = ("asserted", "override", "restated")
MarkKind = Literal["rule", "restated", "check_in", "override"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to a key result, at a moment: a kind, and a sentence that says it."""

    at: datetime
    kind: MarkKind
    text: str


def marks_of(
    history: Sequence[SampleView],
    check_ins: Sequence[CheckInView],
    restatements: Sequence[RestatementView] = (),
    unit: str | None = None,
) -> list[Mark]:
    """Rule changes, restatements (of a moment's value, and of a sealed one), overrides and check-ins in the order in
    which they were true. `history` is in the order of recording."""
    marks = []
    for before, after in pairwise(history):
        if after.revision > before.revision:
            marks.append(Mark(after.observed_at, "rule", f"rule {after.revision} from here on"))
    marks += _restated(history, unit)
    marks += [
        Mark(
            change.at,
            "restated",
            f"sealed at {quantity(change.value_before, unit)}, it would be {quantity(change.value_now, unit)}: "
            f"{change.reason}",
        )
        for change in restatements
    ]
    marks += [
        Mark(sample.observed_at, "override", "a person's value stands here")
        for sample in history
        if sample.quality == "override"
    ]
    marks += [Mark(said.at, "check_in", said.note or "checked in") for said in check_ins]
    return sorted(set(marks), key=lambda mark: mark.at)


def _restated(history: Sequence[SampleView], unit: str | None) -> list[Mark]:
    """Where somebody told another value of a moment later. What was only reconstructed is no other word."""
    told: list[SampleView] = []
    marks = []
    for sample in history:
        if sample.quality not in _SAID:
            continue
        stood = max(
            (one for one in told if one.observed_at <= sample.observed_at),
            key=lambda one: (one.observed_at, one.id),
            default=None,
        )
        is_again = sample.quality == "restated" or (stood is not None and stood.observed_at == sample.observed_at)
        if is_again and (stood is None or stood.value != sample.value):
            before = quantity(None if stood is None else stood.value, unit)
            marks.append(Mark(sample.observed_at, "restated", f"from {before} to {quantity(sample.value, unit)}"))
        told.append(sample)
    return marks


def chart_of(
    view: KeyResultView,
    span: TimeSpan,
    history: Sequence[SampleView],
    expected: Sequence[ExpectedValue],
    marks: Sequence[Mark],
    now: datetime,
) -> dict[str, Any]:
    """The chart over the `span` of the cycle. `series`: for each of value, expected, target, forecast, its interval's
    high and low end the moments (seconds) and the values (null: unknown) that are joined; the `limits` of a bound to
    hold, `marks`, and `start`, `end`, `now` (null outside the cycle)."""
    if span.start is None or span.end is None:
        raise ValueError("a cycle has two ends")
    start, end, moment = span.start.timestamp(), span.end.timestamp(), now.timestamp()
    is_running = start <= moment < end
    standing = None if view.value is None else float(view.value)
    values = _values(history, standing, start, min(max(moment, start), end))
    series: list[dict[float, float | None]] = [
        values,
        {point.at.timestamp(): float(point.value) for point in expected},
        {} if view.target is None else {start: float(view.target), end: float(view.target)},
        *({}, {}, {}),
    ]
    if view.forecast is not None and is_running and standing is not None:
        outlook = view.forecast
        for place, ahead in enumerate((outlook.value_at_end, outlook.high, outlook.low), 3):
            series[place] = {moment: standing, end: float(ahead)}
    return {
        "start": start,
        "end": end,
        "now": moment if is_running else None,
        "series": [[sorted(one), [one[at] for at in sorted(one)]] for one in series],
        "limits": _limits(view),
        "marks": [
            asdict(mark) | {"at": min(mark.at.timestamp(), end)}  # what came after a cycle stands at its end
            for mark in marks
            if start <= mark.at.timestamp() <= max(end, moment)
        ],
    }


def _values(
    history: Sequence[SampleView], standing: float | None, start: float, until: float
) -> dict[float, float | None]:
    """The value at each moment of the cycle at which it changed; what stood before begins it, what stands ends it.

    `history` is in the order of recording. That nothing was known before the first value was told is no news where
    that one was true earlier already.
    """
    first = next((place for place, sample in enumerate(history) if sample.value is not None), len(history))
    earliest = min((sample.observed_at for sample in history[first:]), default=None)
    known = [
        sample
        for place, sample in enumerate(history)
        if place >= first or earliest is None or sample.observed_at < earliest
    ]
    values: dict[float, float | None] = {}
    for sample in sorted(known, key=lambda sample: (sample.observed_at, sample.id)):
        at = sample.observed_at.timestamp()
        if at < until or not values:
            values[max(at, start)] = None if sample.value is None else float(sample.value)
    if values:
        values[max(until, *values)] = standing
    return values


def _limits(view: KeyResultView) -> list[float]:
    """Where a bound to hold lies; a relative one has no fixed place."""
    if view.compliance is None:
        return []
    bound = parse_bound(view.compliance.bound)
    if bound.is_relative:
        return []
    return [float(limit) for limit in (bound.limit, bound.upper) if limit is not None]


def as_json(value: Any) -> Markup:
    """JSON inside a script element of a page: nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704
