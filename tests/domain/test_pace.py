"""Expected progress: linear over the cycle."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.pace import expected_progress
from app.domain.window import TimeSpan

START = datetime(2026, 10, 1, tzinfo=UTC)
CYCLE = TimeSpan(START, START + timedelta(days=92))
moments = st.timedeltas(timedelta(days=-60), timedelta(days=150)).map(lambda offset: START + offset)


@pytest.mark.parametrize(
    ("days", "expected"), [(-10, 0), (0, 0), (23, Fraction(1, 4)), (46, Fraction(1, 2)), (92, 1), (400, 1)]
)
def test_it_is_linear_from_the_start_to_the_end(days: int, expected: Fraction) -> None:
    assert expected_progress(CYCLE, START + timedelta(days=days)) == expected


@given(moments, moments)
def test_it_never_falls(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    assert 0 <= expected_progress(CYCLE, earlier) <= expected_progress(CYCLE, later) <= 1


@pytest.mark.parametrize("cycle", [TimeSpan(None, START), TimeSpan(START, None), TimeSpan(START, START)])
def test_a_cycle_has_bounds_and_length(cycle: TimeSpan) -> None:
    with pytest.raises(ValueError, match="a cycle has"):
        expected_progress(cycle, START)
