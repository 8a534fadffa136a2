"""Which values are moments."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.moments import format_moment, full_timestamp, parse_moment

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01t12:00:00.000z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T08:00:00.000-0400",
        "2026-03-01 12:00:00",
        "2026-03-01 12:00:00 +0000",
        "2026-03-01T12:00",
        "2026-03-01T12:00:00.000000999Z",
        1772366400,
        1772366400000,
        Decimal("1772366400.0"),
        NOON,
        NOON.replace(tzinfo=None),
    ],
)
def test_moments_in_their_common_spellings(value: Any) -> None:
    assert parse_moment(value) == NOON


def test_a_date_is_its_midnight_in_utc() -> None:
    assert parse_moment("2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        None, True, "", "soon", "2026-02-30T00:00:00Z", "2026-03-01T25:00:00Z", "20260301", "2026-W09-7", "12:00",
        "0001-01-01T00:00:00+14:00", 10**40, Decimal("NaN"), Decimal("1e30"), [], {}, "2026-03-01T12:00:00Z" * 9,
    ],
)  # fmt: skip
def test_what_is_no_moment(value: Any) -> None:
    assert parse_moment(value) is None


def test_only_whole_timestamps_are_moments_of_themselves() -> None:
    assert full_timestamp("2026-03-01T12:00:00Z") == NOON
    for text in ("2026-03-01", "2026-03-01T12:00:00", "on 2026-03-01T12:00:00Z", "2026-02-30T12:00:00Z"):
        assert full_timestamp(text) is None


def test_moments_are_written_in_utc() -> None:
    assert format_moment(datetime.fromisoformat("2026-03-01T13:00:00.5+01:00")) == "2026-03-01T12:00:00.500000Z"
