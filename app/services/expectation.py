"""What was expected of a key result at each moment of its cycle, as values of its metric: for charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from app.domain.aggregate import exact, rounded
from app.domain.pace import expected_path
from app.services.definitions import team_cycle
from app.services.read import Judged
from app.services.read.terms import pace_of


@dataclass(frozen=True, slots=True)
class ExpectedValue:
    """What the metric is expected to be at a moment, in its unit."""

    at: datetime
    value: Decimal


def expected_values(judged: Judged) -> Sequence[ExpectedValue]:
    """The expectation over the cycle, to be joined by straight lines; it follows the key result's curve, checkpoints
    and steps.

    Empty where no value is expected: for a bound to hold, without a baseline, and for a total that is judged by where
    it is heading.
    """
    view, row = judged.view, judged.row
    if view.baseline is None or view.target is None or view.projected_value is not None:
        return ()
    pace = pace_of(judged.spec, row.team, view.baseline)
    if pace is None:
        return ()
    start, way = exact(view.baseline), exact(view.target) - exact(view.baseline)
    cycle = team_cycle(row.team, row.key_result.cycle)
    return [ExpectedValue(point.at, _value(start, way, point.progress)) for point in expected_path(cycle.span, pace)]


def _value(start: Fraction, way: Fraction, share: Fraction) -> Decimal:
    return rounded(start + way * share)
