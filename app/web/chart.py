"""The chart of a key result over its cycle: columns and marks for the script that draws them.

Floats are good enough for pixels; nothing is decided by them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Any, Literal

from markupsafe import Markup

from app.domain.progress import parse_bound
from app.services.expectation import ExpectedValue
from app.services.views import CheckInView, KeyResultView, SampleView

MarkKind = Literal["rule", "restated", "check_in", "override"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to a key result, at a moment: a kind, and a sentence that says it."""

    at: datetime
    kind: MarkKind
    text: str


def marks_of(history: Sequence[SampleView], check_ins: Sequence[CheckInView]) -> list[Mark]:
    """Rule changes, restatements, overrides and check-ins in the order in which they were true."""
    marks = []
    for before, after in pairwise(history):
        if after.revision > before.revision:
            marks.append(Mark(after.observed_at, "rule", f"rule {after.revision} from here on"))
    marks += [
        Mark(sample.observed_at, "restated", "this value was restated")
        for sample in history
        if sample.supersedes is not None and sample.quality == "restated"
    ]
    marks += [
        Mark(sample.observed_at, "override", "a person's value stands here")
        for sample in history
        if sample.quality == "override"
    ]
    marks += [Mark(said.at, "check_in", said.note or "checked in") for said in check_ins]
    return sorted(set(marks), key=lambda mark: mark.at)


def chart_of(
    view: KeyResultView,
    history: Sequence[SampleView],
    expected: Sequence[ExpectedValue],
    marks: Sequence[Mark],
    now: datetime,
) -> dict[str, Any]:
    """`columns` (seconds, value, expected, target, forecast, its interval's high and low end; null where there is
    none), the `limits` of a bound to hold, `marks`, `start`, `end` and `now` (null outside the cycle)."""
    start, end = _midnight(view.cycle.start), _midnight(view.cycle.end)
    is_running = start <= now.timestamp() < end
    values: dict[float, float | None] = {
        sample.observed_at.timestamp(): None if sample.value is None else float(sample.value)
        for sample in sorted(history, key=lambda sample: (sample.observed_at, sample.id))
    }
    last = max(values, default=None)
    standing = None if last is None else values[last]
    if last is not None:
        until = now.timestamp() if is_running else end
        if last < until and now.timestamp() >= until:
            values[until] = standing  # it still stands
    way = {point.at.timestamp(): float(point.value) for point in expected}
    ahead: dict[float, tuple[float, float, float]] = {}
    if view.forecast is not None and is_running and standing is not None:
        outlook = view.forecast
        ahead[now.timestamp()] = (standing, standing, standing)
        ahead[end] = (float(outlook.value_at_end), float(outlook.high), float(outlook.low))
    moments = sorted({start, end, *values, *way, *ahead})
    return {
        "start": min(start, *values) if values else start,
        "end": max(end, *values) if values else end,
        "now": now.timestamp() if is_running else None,
        "columns": [
            moments,
            [values.get(at) for at in moments],
            [way.get(at) for at in moments],
            [None if view.target is None else float(view.target) for _ in moments],
            *([ahead[at][place] if at in ahead else None for at in moments] for place in range(3)),
        ],
        "limits": _limits(view),
        "marks": [asdict(mark) | {"at": mark.at.timestamp()} for mark in marks],
    }


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


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()
