"""When plans are due: half the tightest freshness, spread out, repeatable."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.schedule import cadence, next_due, unit_interval

LAST = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([], HOUR),
        ([24 * HOUR], 12 * HOUR),
        ([24 * HOUR, HOUR, 6 * HOUR], 30 * MINUTE),
        ([MINUTE], MINUTE),
        ([timedelta(seconds=1)], MINUTE),
    ],
)
def test_the_tightest_reader_sets_the_cadence(asked: list[timedelta], expected: timedelta) -> None:
    assert cadence(asked, MINUTE, default=HOUR) == expected


def test_the_default_keeps_the_tools_interval_too() -> None:
    assert cadence([], 2 * HOUR, default=HOUR) == 2 * HOUR


@given(st.integers(1, 10**7), st.text(max_size=20))
def test_the_next_pull_is_a_cadence_away_and_at_most_a_tenth_more(seconds: int, seed: str) -> None:
    every = timedelta(seconds=seconds)
    due = next_due(LAST, every, seed)
    assert LAST + every <= due <= LAST + every * 11 / 10
    assert next_due(LAST, every, seed) == due


def test_plans_of_one_moment_spread_out() -> None:
    dues = {next_due(LAST, HOUR, f"plan {number}") for number in range(1000)}
    tenths = {int((due - LAST - HOUR) / (HOUR / 100)) for due in dues}
    assert tenths == set(range(10))


@given(st.text(max_size=50))
def test_jitter_is_a_number_from_zero_to_one(seed: str) -> None:
    assert 0 <= unit_interval(seed) < 1
