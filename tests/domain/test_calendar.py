"""Business time against examples and against a walk through every minute."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from holidays import country_holidays
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.calendar import BusinessCalendar, business_calendar, check_calendar
from app.domain.language import CalendarSpec

BERLIN = ZoneInfo("Europe/Berlin")
ALL_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOUR = 3600

OFFICE = CalendarSpec(holidays="DE-BE")
ROUND_THE_CLOCK = CalendarSpec(workweek=ALL_WEEK, hours="00:00-24:00")
NIGHT = CalendarSpec(workweek=ALL_WEEK, hours="02:30-03:30")
SHORT = CalendarSpec(holidays="DE-BE", half_days=("12-24", "12-31", "2026-11-20"))
MORNING = CalendarSpec(workweek=("sun", "mon", "wed"), hours="00:00-02:30", holidays="US")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# To the microsecond, from 1990 to 2040.
moments = st.integers(631_152_000_000_000, 2_208_988_800_000_000).map(lambda n: EPOCH + timedelta(microseconds=n))


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("spec", "start", "end", "hours"),
    [
        pytest.param(OFFICE, "2026-11-20T16:00", "2026-11-23T10:00", 2, id="Friday 16:00 to Monday 10:00"),
        pytest.param(OFFICE, "2026-11-21T08:00", "2026-11-22T20:00", 0, id="a weekend"),
        pytest.param(OFFICE, "2026-11-23T03:00", "2026-11-23T23:00", 8, id="a whole day"),
        pytest.param(OFFICE, "2026-12-24T12:00", "2026-12-28T10:00", 6, id="Christmas"),
        pytest.param(OFFICE, "2027-03-08T00:00", "2027-03-09T00:00", 0, id="Women's Day in Berlin"),
        pytest.param(SHORT, "2026-12-24T00:00", "2026-12-25T00:00", 4, id="half of Christmas Eve"),
        pytest.param(SHORT, "2026-12-24T12:00", "2026-12-28T10:00", 2, id="Christmas after a half day"),
        pytest.param(SHORT, "2027-12-31T12:30", "2028-01-01T00:00", Decimal("0.5"), id="a half day ends at 13:00"),
        pytest.param(SHORT, "2026-11-20T16:00", "2026-11-23T10:00", 1, id="a half Friday of one year"),
        pytest.param(SHORT, "2027-11-19T16:00", "2027-11-22T10:00", 2, id="and not of another"),
        pytest.param(SHORT, "2022-12-24T00:00", "2022-12-26T00:00", 0, id="a half day on a Saturday"),
        pytest.param(
            CalendarSpec(holidays="DE-BE", half_days=("12-25",)),
            "2026-12-25T00:00",
            "2026-12-26T00:00",
            0,
            id="a holiday is none at all",
        ),
        pytest.param(
            CalendarSpec(workweek=ALL_WEEK, hours="00:00-24:00", half_days=("10-25",)),
            "2026-10-25T00:00",
            "2026-10-26T00:00",
            13,
            id="the longer half of the long day",
        ),
        pytest.param(CalendarSpec(holidays="DE-BY"), "2027-03-08T00:00", "2027-03-09T00:00", 8, id="not in Bavaria"),
        pytest.param(CalendarSpec(), "2026-12-25T00:00", "2026-12-26T00:00", 8, id="no holidays named"),
        pytest.param(CalendarSpec(holidays="GB"), "2027-12-27T00:00", "2027-12-29T00:00", 0, id="substitute days"),
        pytest.param(ROUND_THE_CLOCK, "2026-03-29T00:00", "2026-03-30T00:00", 23, id="the short day"),
        pytest.param(ROUND_THE_CLOCK, "2026-10-25T00:00", "2026-10-26T00:00", 25, id="the long day"),
        pytest.param(OFFICE, "2026-03-27T16:00", "2026-03-30T10:00", 2, id="clocks change on the weekend"),
        pytest.param(NIGHT, "2026-03-29T00:00", "2026-03-30T00:00", Decimal("0.5"), id="02:30 does not exist"),
        pytest.param(NIGHT, "2026-10-25T00:00", "2026-10-26T00:00", Decimal("1.5"), id="02:30 comes twice"),
    ],
)
def test_business_hours(spec: CalendarSpec, start: str, end: str, hours: int | Decimal) -> None:
    assert BusinessCalendar(spec, BERLIN).seconds_between(at(start), at(end)) == hours * HOUR


def test_a_quarter_of_a_business_day_over_a_weekend() -> None:
    calendar = BusinessCalendar(OFFICE, BERLIN)
    seconds = calendar.seconds_between(at("2026-11-20T16:00"), at("2026-11-23T10:00"))
    assert seconds / calendar.nominal_day == Decimal("0.25")
    assert calendar.nominal_day == 8 * HOUR
    assert BusinessCalendar(ROUND_THE_CLOCK, BERLIN).nominal_day == 24 * HOUR


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "Pacific/Kiritimati", "Asia/Kathmandu", "UTC"])
def test_a_week_is_forty_hours_in_every_zone(zone: str) -> None:
    calendar = BusinessCalendar(CalendarSpec(), ZoneInfo(zone))
    monday = at("2026-01-05T00:00", ZoneInfo(zone))
    assert calendar.seconds_between(monday, monday + timedelta(weeks=1)) == 40 * HOUR
    assert calendar.seconds_between(monday, monday + timedelta(hours=9)) == 0
    assert calendar.seconds_between(monday, monday + timedelta(hours=17)) == 8 * HOUR


def test_microseconds_are_exact() -> None:
    calendar = BusinessCalendar(OFFICE, BERLIN)
    start = at("2026-11-23T10:00")
    assert str(calendar.seconds_between(start, start + timedelta(microseconds=1_500_001))) == "1.500001"
    assert str(calendar.seconds_between(start, start + timedelta(seconds=90))) == "90"
    assert str(calendar.seconds_between(start, start)) == "0"


def minutes_walked(spec: CalendarSpec, zone: ZoneInfo, start: datetime, end: datetime) -> int:
    """The same by the definition: every minute whose wall clock is in the hours of a working day."""
    opening, closing = spec.hours.split("-")
    holidays = country_holidays(spec.holidays) if spec.holidays else {}
    count = 0
    while start < end:
        wall = start.astimezone(zone)
        first, last = (int(hour[:2]) * 60 + int(hour[3:]) for hour in (opening, closing))
        is_half = f"{wall:%m-%d}" in spec.half_days or wall.date().isoformat() in spec.half_days
        until = (first + last) // 2 if is_half else last
        is_working_day = ALL_WEEK[wall.weekday()] in spec.workweek and wall.date() not in holidays
        count += is_working_day and first <= wall.hour * 60 + wall.minute < until
        start += timedelta(minutes=1)
    return count


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            ROUND_THE_CLOCK,
            NIGHT,
            MORNING,
            CalendarSpec(hours="22:00-24:00", workweek=("sat", "sun")),
            CalendarSpec(
                workweek=ALL_WEEK,
                half_days=tuple(f"{month:02}-{day:02}" for month in range(1, 13) for day in (1, 9, 28)),
            ),
        ]
    ),
    st.sampled_from(
        [
            "Europe/Berlin",
            "America/St_Johns",
            "America/Havana",
            "Africa/Casablanca",
            "Australia/Lord_Howe",
            "Pacific/Apia",
        ]
    ).map(ZoneInfo),
    moments.map(lambda moment: moment.replace(second=0, microsecond=0)),
    st.integers(0, 5 * 1440),
)
@example(ROUND_THE_CLOCK, ZoneInfo("Pacific/Apia"), at("2011-12-29T00:00", ZoneInfo("UTC")), 4000)
@example(NIGHT, BERLIN, at("2026-10-24T22:00"), 1000)
@example(MORNING, ZoneInfo("America/Havana"), at("2026-10-31T22:00", ZoneInfo("UTC")), 2000)
@example(ROUND_THE_CLOCK, ZoneInfo("America/St_Johns"), at("2007-11-03T22:00", ZoneInfo("UTC")), 3000)
@example(ROUND_THE_CLOCK, ZoneInfo("America/St_Johns"), at("2007-11-03T22:00", ZoneInfo("UTC")), 285)
@example(
    CalendarSpec(hours="22:00-24:00", workweek=("sat",)), ZoneInfo("America/St_Johns"), at("2007-11-03T22:00"), 3000
)
@example(ROUND_THE_CLOCK, BERLIN, at("2025-12-31T12:00"), 1440)
def test_every_minute_counts(spec: CalendarSpec, zone: ZoneInfo, start: datetime, minutes: int) -> None:
    end = start + timedelta(minutes=minutes)
    expected = minutes_walked(spec, zone, start, end)
    assert business_calendar(spec, zone).seconds_between(start, end) == expected * 60


@given(st.lists(moments, min_size=3, max_size=3).map(sorted), st.sampled_from([OFFICE, ROUND_THE_CLOCK, NIGHT]))
def test_spans_add_up_and_reverse(times: list[datetime], spec: CalendarSpec) -> None:
    calendar = business_calendar(spec, BERLIN)
    first, middle, last = times
    whole = calendar.seconds_between(first, last)
    assert sum(calendar.seconds_between(start, end) for start, end in pairwise(times)) == whole
    assert calendar.seconds_between(last, first) == -whole
    assert (
        0 <= calendar.seconds_between(first, middle) <= Decimal((middle - first) // timedelta(microseconds=1)) / 10**6
    )


@given(moments, st.integers(0, 400 * 366))
def test_without_clock_changes_and_holidays_it_is_arithmetic(start: datetime, days: int) -> None:
    monday = datetime(start.year, 1, 1, tzinfo=UTC)
    monday += timedelta(days=-monday.weekday() % 7)
    weeks, rest = divmod(days, 7)
    expected = (weeks * 5 + min(rest, 5)) * 8 * HOUR
    calendar = business_calendar(CalendarSpec(), ZoneInfo("UTC"))
    assert calendar.seconds_between(monday, monday + timedelta(days=days)) == expected


def test_mistaken_dates_are_measured_too() -> None:
    calendar = BusinessCalendar(OFFICE, BERLIN)
    earliest, latest = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    now = at("2026-11-23T10:00")
    whole = calendar.seconds_between(earliest, latest)
    assert calendar.seconds_between(earliest, now) + calendar.seconds_between(now, latest) == whole
    assert calendar.seconds_between(at("2500-01-04T00:00"), at("2500-01-11T00:00")) == 40 * HOUR


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (CalendarSpec(workweek=()), "no day"),
        (CalendarSpec(hours="17:00-09:00"), "must end after they begin"),
        (CalendarSpec(hours="09:00-09:00"), "must end after they begin"),
        (CalendarSpec(hours="09:00-24:30"), "24:00 at the latest"),
        (CalendarSpec(half_days=("02-30",)), "there is no day '02-30'"),
        (CalendarSpec(half_days=("2026-02-29",)), "there is no day '2026-02-29'"),
        (CalendarSpec(holidays="XX"), "no public holidays are known for 'XX'"),
        (CalendarSpec(holidays="DE-XX"), "known: DE-BB, DE-BE"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused(spec: CalendarSpec, word: str) -> None:
    objection = check_calendar(spec)
    assert objection is not None
    assert word in objection
    with pytest.raises(ValueError, match=r"no day|must end|at the latest|no public holidays"):
        BusinessCalendar(spec, BERLIN)


@pytest.mark.parametrize("region", ["DE", "DE-BE", "US-CA", "AT-9", "GB-SCT", "CH-ZH", None])
def test_sound_calendars_are_accepted(region: str | None) -> None:
    assert check_calendar(CalendarSpec(holidays=region, hours="00:00-24:00")) is None
