"""Windows: what they span, that they hold their moment, and when they move."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.domain.language import ToDate, Trailing, WindowSpec
from app.domain.window import MICROSECOND, UNBOUNDED, TimeSpan, local_day, next_edge, resolve, start_of_day

BERLIN = ZoneInfo("Europe/Berlin")
CYCLE = TimeSpan(datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC))

# From UTC−12 to UTC+14, half and quarter hours, clocks that change at, before and after midnight, and a skipped day.
ZONES = (
    "UTC",
    "Etc/GMT+12",
    "Pacific/Kiritimati",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
)
zones = st.sampled_from(ZONES).map(ZoneInfo)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# To the microsecond, from 1980 to 2080.
moments = st.integers(315_532_800_000_000, 3_471_292_800_000_000).map(lambda micros: EPOCH + micros * MICROSECOND)
calendar_windows = st.one_of(
    st.integers(1, 800).map(lambda days: Trailing(trailing=f"{days}d")),
    st.sampled_from([ToDate(to_date="month"), ToDate(to_date="quarter"), ToDate(to_date="year")]),
)
fiscal_years = st.integers(1, 12)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        (Trailing(trailing="1d"), "2026-11-21T23:00", "2026-11-22T23:00"),
        (Trailing(trailing="30d"), "2026-10-23T22:00", "2026-11-22T23:00"),
        (Trailing(trailing="2w"), "2026-11-08T23:00", "2026-11-22T23:00"),
        (Trailing(trailing="36h"), "2026-11-20T21:30", "2026-11-22T09:30"),
        (Trailing(trailing="15m"), "2026-11-22T09:15", "2026-11-22T09:30"),
        (ToDate(to_date="month"), "2026-10-31T23:00", "2026-11-30T23:00"),
        (ToDate(to_date="quarter"), "2026-09-30T22:00", "2026-12-31T23:00"),
        (ToDate(to_date="year"), "2025-12-31T23:00", "2026-12-31T23:00"),
    ],
    ids=str,
)
def test_windows_are_counted_in_the_teams_days(window: WindowSpec, start: str, end: str) -> None:
    assert resolve(window, at=utc("2026-11-22T09:30"), zone=BERLIN) == TimeSpan(utc(start), utc(end))


def test_unbounded_and_cycle_windows() -> None:
    at = utc("2026-11-22T09:30")
    assert resolve("now", at=at, zone=BERLIN) == resolve("all", at=at, zone=BERLIN) == UNBOUNDED
    assert resolve("cycle", at=at, zone=BERLIN, cycle=CYCLE) == CYCLE
    assert resolve(ToDate(to_date="cycle"), at=at, zone=BERLIN, cycle=CYCLE) == CYCLE
    for window in ("cycle", ToDate(to_date="cycle")):
        with pytest.raises(ValueError, match="needs a cycle"):
            resolve(window, at=at, zone=BERLIN)


@pytest.mark.parametrize(
    ("to_date", "fiscal_year_start", "start", "end"),
    [
        ("year", 4, date(2025, 4, 1), date(2026, 4, 1)),
        ("year", 2, date(2026, 2, 1), date(2027, 2, 1)),
        ("quarter", 2, date(2026, 2, 1), date(2026, 5, 1)),
        ("quarter", 12, date(2025, 12, 1), date(2026, 3, 1)),
        ("month", 9, date(2026, 2, 1), date(2026, 3, 1)),
    ],
)
def test_fiscal_years_shift_quarters_and_years(to_date: str, fiscal_year_start: int, start: date, end: date) -> None:
    window = ToDate.model_validate({"to_date": to_date})
    span = resolve(window, at=utc("2026-02-15T12:00"), zone=BERLIN, fiscal_year_start=fiscal_year_start)
    assert span == TimeSpan(start_of_day(start, BERLIN), start_of_day(end, BERLIN))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        ("America/Havana", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), Fraction(47, 2)),
        ("Pacific/Apia", date(2011, 12, 30), 0),
        ("Etc/GMT+12", date(2026, 3, 29), 24),
        ("Pacific/Kiritimati", date(2026, 3, 29), 24),
    ],
)
def test_a_local_day_is_as_long_as_its_clocks_make_it(zone: str, day: date, hours: int | Fraction) -> None:
    length = start_of_day(day + timedelta(days=1), ZoneInfo(zone)) - start_of_day(day, ZoneInfo(zone))
    assert Fraction(length // timedelta(seconds=1), 3600) == hours


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/Sao_Paulo", date(2018, 11, 4)),  # midnight does not exist
        ("Africa/Cairo", date(2026, 4, 24)),
        ("America/Havana", date(2026, 11, 1)),  # midnight comes twice
        ("America/St_Johns", date(2007, 11, 4)),  # at 00:01 back to 23:01 of the day before
        ("America/Toronto", date(1919, 3, 31)),  # from 23:30 to 00:30: the gap holds midnight
        ("Pacific/Apia", date(2011, 12, 31)),
    ],
)
def test_a_local_day_begins_at_the_first_instant_of_its_date(zone: str, day: date) -> None:
    around = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=26)
    instants = (around + timedelta(minutes=minute) for minute in range(52 * 60))
    first = next(instant for instant in instants if instant.astimezone(ZoneInfo(zone)).date() == day)
    assert start_of_day(day, ZoneInfo(zone)) == first


@given(calendar_windows, moments, zones, fiscal_years)
@example(Trailing(trailing="1d"), utc("2007-11-04T02:45"), ZoneInfo("America/St_Johns"), 1)
@example(Trailing(trailing="1d"), utc("2011-12-30T09:59"), ZoneInfo("Pacific/Apia"), 1)
def test_a_window_holds_its_moment(window: WindowSpec, at: datetime, zone: ZoneInfo, fiscal: int) -> None:
    assert resolve(window, at=at, zone=zone, fiscal_year_start=fiscal).contains(at)


@given(calendar_windows, moments, zones, fiscal_years, st.data())
@example(Trailing(trailing="2d"), utc("2011-12-30T09:59"), ZoneInfo("Pacific/Apia"), 1, None)
def test_the_next_edge_is_the_first_moment_at_which_a_window_moves(
    window: WindowSpec, at: datetime, zone: ZoneInfo, fiscal: int, data: st.DataObject | None
) -> None:
    now = resolve(window, at=at, zone=zone, fiscal_year_start=fiscal)
    edge = next_edge(window, at=at, zone=zone, fiscal_year_start=fiscal)
    assert edge is not None
    assert edge > at
    assert resolve(window, at=edge, zone=zone, fiscal_year_start=fiscal) != now
    last = edge - MICROSECOND
    between = at if data is None else at + data.draw(st.integers(0, (last - at) // MICROSECOND)) * MICROSECOND
    for moment in (between, last):
        assert resolve(window, at=moment, zone=zone, fiscal_year_start=fiscal) == now


@given(moments, zones, st.sampled_from([ToDate(to_date="month"), ToDate(to_date="quarter"), ToDate(to_date="year")]))
def test_periods_follow_each_other_without_gap_or_overlap(at: datetime, zone: ZoneInfo, window: ToDate) -> None:
    span = resolve(window, at=at, zone=zone)
    assert span.end is not None
    assert resolve(window, at=span.end, zone=zone).start == span.end


@given(moments, zones, st.integers(1, 400), st.integers(0, 86_399))
def test_trailing_days_move_by_whole_days(at: datetime, zone: ZoneInfo, days: int, seconds: int) -> None:
    later = at + timedelta(seconds=seconds)
    assume(local_day(at, zone) == local_day(later, zone))
    window = Trailing(trailing=f"{days}d")
    assert resolve(window, at=at, zone=zone) == resolve(window, at=later, zone=zone)


def test_when_a_window_moves() -> None:
    at = utc("2026-11-22T09:30")
    assert next_edge(Trailing(trailing="1h"), at=at, zone=BERLIN) == at + timedelta(minutes=1)
    assert next_edge(Trailing(trailing="7d"), at=at, zone=BERLIN) == utc("2026-11-22T23:00")
    assert next_edge(ToDate(to_date="quarter"), at=at, zone=BERLIN) == utc("2026-12-31T23:00")
    for window in ("now", "all", "cycle", ToDate(to_date="cycle")):
        assert next_edge(window, at=at, zone=BERLIN, cycle=CYCLE) is None


def test_windows_beyond_the_calendar_are_unbounded_and_naive_moments_are_refused() -> None:
    at = utc("2026-11-22T09:30")
    early = datetime(50, 11, 22, 9, 30, tzinfo=UTC)
    assert resolve(Trailing(trailing="36500d"), at=early, zone=BERLIN).start is None
    assert resolve(Trailing(trailing="876000h"), at=early, zone=BERLIN) == TimeSpan(None, early)
    assert resolve(ToDate(to_date="year"), at=utc("9999-06-01T00:00"), zone=BERLIN).end is None
    for bad in (at.replace(tzinfo=None), datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(ValueError, match=r"aware|out of range"):
            resolve(ToDate(to_date="month"), at=bad, zone=BERLIN)


def test_spans_are_half_open_and_know_how_much_of_them_has_passed() -> None:
    start, end = utc("2026-10-01T00:00"), utc("2026-10-11T00:00")
    span = TimeSpan(start, end)
    assert [span.contains(at) for at in (start, end - timedelta(microseconds=1), end)] == [True, True, False]
    assert TimeSpan(None, end).contains(datetime.min.replace(tzinfo=UTC))
    assert UNBOUNDED.contains(end)
    moments = (start - timedelta(1), start, start + timedelta(days=1), end, end + timedelta(1))
    assert [span.elapsed(at) for at in moments] == [0, 0, Fraction(1, 10), 1, 1]
    assert TimeSpan(None, end).elapsed(start) is None
    assert TimeSpan(end, end).elapsed(end) is None
