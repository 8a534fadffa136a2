"""Cycles: their names, and the one that holds a moment."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cycle import CycleKind, current_cycle, parse_cycle
from app.domain.window import TimeSpan

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("name", "fiscal_year_start", "first", "after"),
    [
        ("2026-Q4", 1, date(2026, 10, 1), date(2027, 1, 1)),
        ("2026-Q1", 1, date(2026, 1, 1), date(2026, 4, 1)),
        ("2026-H2", 1, date(2026, 7, 1), date(2027, 1, 1)),
        ("2026", 1, date(2026, 1, 1), date(2027, 1, 1)),
        ("2026-11", 1, date(2026, 11, 1), date(2026, 12, 1)),
        ("2026-12", 7, date(2026, 12, 1), date(2027, 1, 1)),
        ("2026-Q1", 4, date(2026, 4, 1), date(2026, 7, 1)),
        ("2026-Q4", 4, date(2027, 1, 1), date(2027, 4, 1)),
        ("2026-H2", 10, date(2027, 4, 1), date(2027, 10, 1)),
        ("2026", 2, date(2026, 2, 1), date(2027, 2, 1)),
    ],
)
def test_a_name_is_a_span_of_local_days(name: str, fiscal_year_start: int, first: date, after: date) -> None:
    cycle = parse_cycle(name, BERLIN, fiscal_year_start)
    assert cycle.name == name
    assert cycle.span == TimeSpan(cycle.start, cycle.end)
    for moment, day in ((cycle.start, first), (cycle.end, after)):
        local = moment.astimezone(BERLIN)
        assert (local.date(), local.hour, local.minute) == (day, 0, 0)
        assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "name",
    ["", "26-Q4", "2026-Q5", "2026-Q0", "2026-H3", "2026-13", "2026-00", "2026Q4", "2026-Q4\n", "²026", "0000", "9999"],
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not a cycle|is out of range"):
        parse_cycle(name, BERLIN)


@given(
    st.integers(315_532_800, 3_471_292_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(["Etc/GMT+12", "Pacific/Kiritimati", "Europe/Berlin", "America/St_Johns"]).map(ZoneInfo),
    st.sampled_from(["month", "quarter", "half", "year"]),
    st.integers(1, 12),
)
def test_the_current_cycle_holds_its_moment_and_is_the_one_of_its_name(
    now: datetime, zone: ZoneInfo, kind: CycleKind, fiscal_year_start: int
) -> None:
    cycle = current_cycle(now, zone, kind, fiscal_year_start)
    assert cycle.span.contains(now)
    assert parse_cycle(cycle.name, zone, fiscal_year_start) == cycle


def test_quarters_are_the_ordinary_cycle() -> None:
    now = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert current_cycle(now, ZoneInfo("UTC")).name == "2026-Q4"
    assert current_cycle(now, BERLIN).name == "2027-Q1"
    assert current_cycle(now, BERLIN, "half", fiscal_year_start=4).name == "2026-H2"
