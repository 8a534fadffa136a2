"""Freshness: the age of the last success against what was promised."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.freshness import Freshness, freshness

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY = timedelta(hours=24)
FAILS = "the tool refuses the credential"


@pytest.mark.parametrize(
    ("age", "failing", "level", "word"),
    [
        pytest.param(timedelta(0), None, "fresh", None, id="just read"),
        pytest.param(DAY, None, "fresh", None, id="exactly as old as allowed"),
        pytest.param(DAY + timedelta(microseconds=1), None, "stale", "older than 1d", id="a moment older"),
        pytest.param(timedelta(hours=3), FAILS, "fresh", FAILS, id="failing, still young"),
        pytest.param(timedelta(hours=25), FAILS, "error", FAILS, id="failing and old"),
        pytest.param(None, FAILS, "error", FAILS, id="failing from the start"),
        pytest.param(None, None, "no_data", "nothing has come", id="nothing yet"),
        pytest.param(timedelta(hours=1), None, "fresh", None, id="read, and found no value"),
        pytest.param(timedelta(seconds=-30), None, "fresh", None, id="a clock ahead of ours"),
    ],
)
def test_levels(age: timedelta | None, failing: str | None, level: str, word: str | None) -> None:
    result = freshness(
        last_success_at=None if age is None else NOW - age,
        failing_reason=failing,
        fresh_within=DAY,
        now=NOW,
    )
    assert result.level == level
    assert word is None or word in (result.reason or "")
    assert (result.reason is None) == (word is None)
    assert result.age_seconds == (None if age is None else max(age // timedelta(seconds=1), 0))
    assert result.fresh_within_seconds == 86_400


@given(
    st.integers(0, 10**7),
    st.integers(1, 10**6),
    st.none() | st.just(FAILS),
)
def test_nothing_older_than_promised_is_fresh(age: int, allowed: int, failing: str | None) -> None:
    result: Freshness = freshness(
        last_success_at=NOW - timedelta(seconds=age),
        failing_reason=failing,
        fresh_within=timedelta(seconds=allowed),
        now=NOW,
    )
    assert (result.level == "fresh") == (age <= allowed)
    assert result.level == "fresh" or result.reason is not None
