"""How far a key result should be by now."""

from datetime import datetime
from fractions import Fraction

from app.domain.window import TimeSpan


def expected_progress(cycle: TimeSpan, now: datetime) -> Fraction:
    """Linear over the cycle: 0 until it starts, 1 from its end on; ValueError for a cycle without bounds or length."""
    elapsed = cycle.elapsed(now)
    if elapsed is None:
        raise ValueError("a cycle has a start and a later end")
    return elapsed
