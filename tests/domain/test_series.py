"""A metric's history as evenly spaced numbers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from app.domain.language import MetricSpec
from app.domain.pace import Pace
from app.domain.series import NotEnough, Series, Shape, evenly_spaced, shape_of
from app.domain.window import TimeSpan

D = Decimal
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
END = datetime(2026, 12, 31, 23, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def spaced(values: dict[str, str], shape: Shape, now: str = "2026-11-05T12:00", end: str = "2026-11-10") -> Series:
    known = [(at(moment), D(value)) for moment, value in values.items()]
    found = evenly_spaced(known, now=at(now), end=at(end), shape=shape)
    assert isinstance(found, Series)
    return found


def daily(first: str, *values: str) -> dict[str, str]:
    start = datetime.fromisoformat(first) + timedelta(hours=12)
    return {(start + timedelta(days=day)).isoformat(): value for day, value in enumerate(values)}


def test_a_day_holds_the_last_value_before_its_local_end() -> None:
    values = daily("2026-10-10", *(str(n) for n in range(21)))
    values |= {"2026-10-31T23:59": "90", "2026-11-01T00:00": "91", "2026-11-05T11:00": "99"}
    series = spaced(values, Shape(zone=BERLIN))
    assert series.numbers == [*range(21), 90, 91, 91, 91, 91]
    assert series.base == 99
    # 25 October has 25 hours, and is a day like the others: a Sunday.
    assert series.weekdays[15] == 6
    assert series.ahead == [pytest.approx(0.5), 1, 1, 1, 1]
    assert series.weekdays_ahead == [3, 4, 5, 6, 0]


def test_what_accumulates_goes_on_over_the_start_of_a_new_window() -> None:
    values = daily("2026-10-09", *(str(n) for n in range(1, 23)))  # 22 on the 30th
    values |= {"2026-11-02T12:00": "3", "2026-11-03T12:00": "5"}  # the 1st of November brought nothing
    shape = Shape(is_cumulative=True, never_falls=True, resets=(at("2026-11-01"),), zone=BERLIN)
    series = spaced(values, shape)
    moves = [after - before for before, after in zip(series.numbers, series.numbers[1:], strict=False)]
    assert moves == [*[1] * 21, 0, 0, 3, 2, 0]
    assert series.base == 5


def test_a_window_that_begins_anew_before_the_end_starts_from_nothing() -> None:
    values = daily("2026-10-01", *(str(n) for n in range(30)))
    shape = Shape(is_cumulative=True, resets=(at("2026-11-01"), at("2026-11-08")), zone=BERLIN)
    series = spaced(values, shape)
    assert (series.base, series.ahead) == (0, [1, 1])
    # Nothing has come since the window last began.
    assert spaced(values, Shape(is_cumulative=True, resets=(at("2026-11-01"),), zone=BERLIN)).base == 0


def test_a_reset_that_nobody_told_of_is_seen_where_counts_never_fall() -> None:
    values = daily("2026-10-10", *(str(n) for n in range(1, 23)), "1", "2", "3")
    counted = spaced(values, Shape(is_cumulative=True, never_falls=True, zone=BERLIN))
    assert counted.numbers[-1] - counted.numbers[0] == 21 + 3
    summed = spaced(values, Shape(is_cumulative=True, zone=BERLIN))
    assert summed.numbers[-1] - summed.numbers[0] == 2


def test_steps_are_the_spaces_of_a_metric_that_moves_only_there() -> None:
    months = {f"2026-{month:02}-01T06:00": str(month) for month in range(1, 12)}
    series = spaced(months, Shape(steps=Pace(steps="month", zone=BERLIN), zone=BERLIN), end="2027-02-15")
    assert series.numbers == list(range(2, 12))
    assert series.ahead == [1, 1, 1]
    assert series.weekdays == []
    soon = spaced(months, Shape(steps=Pace(steps="month", zone=BERLIN), zone=BERLIN), end="2026-12-01")
    assert soon.ahead == []


def test_a_mean_over_a_window_is_a_total_over_its_days() -> None:
    values = daily("2026-10-10", *["3"] * 20, "6", "6", "5", "4", "4")  # the 1st of November, a Sunday, brought 5
    series = spaced(values, Shape(resets=(at("2026-10-01"), at("2026-11-01"), at("2026-11-10")), zone=BERLIN))
    moves = [after - before for before, after in zip(series.numbers, series.numbers[1:], strict=False)]
    # A day that leaves the mean at 3 brought 3; one that moves it brought the rest. A new window starts from nothing.
    assert moves == pytest.approx([*[3] * 19, 6 * 30.04 - 3 * 29.04, 6, 5, 3, 4, 4], abs=0.2)
    assert series.base == pytest.approx(4 * 4.5)
    assert series.window == pytest.approx(9)
    fresh = spaced(values, Shape(resets=(at("2026-11-05"),), zone=BERLIN))
    # Nothing has come since the window began: all of it is ahead.
    assert (fresh.base, sum(fresh.ahead), fresh.window) == (0, 5, pytest.approx(5))


def test_numbers_that_only_go_one_way_are_told_from_others() -> None:
    assert spaced(daily("2026-10-10", *(str(n) for n in range(27))), Shape(zone=BERLIN)).way == 1
    assert spaced(daily("2026-10-10", *(str(-n) for n in range(27))), Shape(zone=BERLIN)).way == -1
    assert spaced(daily("2026-10-10", *(str(n) for n in range(26)), "24"), Shape(zone=BERLIN)).way == 0


@pytest.mark.parametrize(("now", "weekday"), [("2026-11-05T00:00", 2), ("2026-11-05T12:00", 3)])
def test_at_midnight_the_newest_value_is_that_of_the_day_before(now: str, weekday: int) -> None:
    assert spaced(daily("2026-10-10", *(str(n % 7) for n in range(26))), Shape(zone=BERLIN), now).weekday == weekday


@pytest.mark.parametrize(
    ("values", "end", "code"),
    [
        (daily("2026-10-20", *(str(n) for n in range(10))), "2026-12-01", "short_history"),
        ({"2026-09-01": "1", "2026-10-01": "2", "2026-11-01": "3"}, "2026-12-01", "few_changes"),
        (daily("2026-10-01", *(str(n) for n in range(30))), "2027-06-01", "too_far"),
    ],
)
def test_too_little_is_said_to_be_too_little(values: dict[str, str], end: str, code: str) -> None:
    known = [(at(moment), D(value)) for moment, value in values.items()]
    found = evenly_spaced(known, now=at("2026-11-05T12:00"), end=at(end), shape=Shape(zone=BERLIN))
    assert isinstance(found, NotEnough)
    assert found.code == code


COUNT = {"records": {"dataset": "tickets"}, "unit": "tickets"}
SUM = {"records": {"dataset": "orders", "value": "record.body.total"}, "aggregate": "sum", "unit": "EUR"}
DAYS = {
    "duration": {"dataset": "tickets", "from": {"field": "created"}, "to": {"category": "done"}},
    "aggregate": "avg",
    "unit": "days",
}
SHARE = {"state_share": {"dataset": "erp", "good": ["up"]}, "unit": "percent"}


@pytest.mark.parametrize(
    ("spec", "window", "expected"),
    [
        (COUNT, {"to_date": "quarter"}, (True, True, D(0), None, 3)),
        (SUM, {"to_date": "month"}, (True, False, None, None, 5)),
        (COUNT, {"trailing": "28d"}, (False, True, D(0), None, 0)),
        (DAYS, {"to_date": "quarter"}, (False, False, D(0), None, 3)),
        (SHARE, {"trailing": "28d"}, (False, False, D(0), D(100), 0)),
        (COUNT, "cycle", (True, True, D(0), None, 2)),
        (SUM, {"to_date": "cycle"}, (True, False, None, None, 2)),
        ({**DAYS, "aggregate": "max"}, {"to_date": "quarter"}, (False, False, D(0), None, 0)),
    ],
)
def test_the_shape_follows_from_the_metric(
    spec: dict[str, object], window: object, expected: tuple[bool, bool, Decimal | None, Decimal | None, int]
) -> None:
    metric = MetricSpec.model_validate({**spec, "window": window})
    quarter = TimeSpan(at("2026-10-01"), at("2027-01-01"))
    shape = shape_of(metric, zone=BERLIN, first=at("2026-09-15"), end=at("2027-01-01"), cycle=quarter)
    found = (shape.is_cumulative, shape.never_falls, shape.lowest, shape.highest, len(shape.resets))
    assert found == expected
    assert all(reset.astimezone(BERLIN).hour == 0 for reset in shape.resets)


def test_a_window_of_a_cycle_needs_one() -> None:
    metric = MetricSpec.model_validate({**COUNT, "window": "cycle"})
    with pytest.raises(ValueError, match="cycle"):
        shape_of(metric, zone=BERLIN, first=NOW, end=END)
