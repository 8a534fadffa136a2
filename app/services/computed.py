"""A metric's value at a moment, before it becomes a sample."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.window import TimeSpan


@dataclass(frozen=True, slots=True)
class Computed:
    """A metric's value at a moment: None is unknown, with the reason. `sample_size` counts what went in.

    `coverage` is the part (0 to 1) that could be measured, where the source form knows one; `changes_at` is when the
    clock alone moves the value within its window, None when it does not.
    """

    value: Decimal | None
    reason: str | None
    window: TimeSpan
    observed_at: datetime
    sample_size: int | None = None
    numerator: Decimal | None = None
    denominator: Decimal | None = None
    quality: str = "measured"
    coverage: Decimal | None = None
    changes_at: datetime | None = None
