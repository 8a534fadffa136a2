"""Forecasts: sane in every corner, better than a guess, and honest about what is not known."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.forecast import Forecast, History, NotEnough, Shape, forecast, goal
from app.domain.language import Change, Maintain
from app.domain.pace import Pace
from app.domain.progress import Bound, parse_bound

D = Decimal
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
END = datetime(2026, 12, 31, 23, tzinfo=UTC)
LEVEL = Shape(zone=BERLIN)
COUNT = Shape(is_cumulative=True, never_falls=True, lowest=D(0), zone=BERLIN)
PERCENT = Shape(lowest=D(0), highest=D(100), zone=BERLIN)


def daily(value: Callable[[int], float | int], days: int = 90, places: int = 2) -> list[tuple[datetime, Decimal]]:
    """A value at noon of each of the last days; the argument counts them from 0."""
    first = NOW.replace(hour=12) - timedelta(days=days)
    quantum = D(1).scaleb(-places)
    return [(first + timedelta(days=day), D(value(day)).quantize(quantum)) for day in range(days)]


def foretold(history: History, shape: Shape = LEVEL, must: Bound | None = None, end: datetime = END) -> Forecast:
    found = forecast(history, now=NOW, end=end, shape=shape, must=must)
    assert isinstance(found, Forecast), found
    assert found.low <= found.value_at_end <= found.high
    return found


def noise(seed: int, size: float = 1.0) -> Callable[[int], float]:
    numbers = random.Random(seed)
    return lambda _day: numbers.gauss(0, size)


def test_a_value_that_wobbles_stays_where_it_wobbles() -> None:
    wobble = noise(1)
    found = foretold(daily(lambda day: 10 + wobble(day)))
    assert abs(found.value_at_end - 10) < 1
    assert 1 < found.high - found.low < 8


def test_a_steady_trend_goes_on() -> None:
    wobble = noise(2, 0.5)
    found = foretold(daily(lambda day: 200 - day + wobble(day)))
    # One a day for the 39.6 days to come, from 111.
    assert 65 < found.value_at_end < 80
    assert found.method.endswith("its trend")
    assert foretold(daily(lambda day: 100 + day + wobble(day))).value_at_end > 220


def test_what_only_ever_went_one_way_is_not_foretold_to_turn() -> None:
    up = daily(lambda day: 3 * (day // 4) + (0.5 if day > 70 else 0))
    found = foretold(up)
    assert found.low >= up[-1][1]
    assert found.method == "at its recent and long-run rate"
    down = daily(lambda day: 100 - day + 0.1 * (day % 3))
    found = foretold(down)
    assert found.high <= down[-1][1]
    # Forty more would be below nothing, where it never was.
    assert (found.low, found.value_at_end) == (0, 0)


def test_a_percent_that_was_never_above_a_hundred_is_not_foretold_there() -> None:
    wobble = noise(4, 6)
    history = daily(lambda day: min(100, 70 + day / 3 + wobble(day)))
    assert foretold(history, Shape(is_percent=True, zone=BERLIN), parse_bound(">= 110")).high <= 100
    beyond = [*history[:-1], (history[-1][0], D(104))]
    assert foretold(beyond, Shape(is_percent=True, zone=BERLIN)).high > 100


def test_a_mean_to_date_is_what_is_known_and_what_is_to_come() -> None:
    # 4 in the quarters before, 10 for the 52 days of this one: 40 days at a rate between are to come.
    october = datetime(2026, 9, 30, 22, tzinfo=UTC)
    wobble = noise(6, 0.3)
    history = [
        (at, D(10 if at >= october else 4) + D(str(round(wobble(0), 2)))) for at, _ in daily(lambda day: day, days=300)
    ]
    resets = tuple(datetime(2026, month, 1, tzinfo=BERLIN) for month in (1, 4, 7, 10))
    found = foretold(history, Shape(resets=resets, zone=BERLIN))
    known, to_come = D(52) / 92, D(40) / 92
    assert known * 10 + to_come * 5 < found.value_at_end < 10
    assert found.high - found.low < 6


def test_on_the_grid_of_whole_numbers_an_interval_reaches_no_further_than_it_says() -> None:
    numbers = random.Random(11)
    history = daily(lambda _: numbers.choice([0, 0, 1, 1, 2, 3]), days=200, places=0)
    whole = foretold(history)
    fine = foretold([(at, value + D("0.000")) for at, value in history])
    assert fine.low <= whole.low <= whole.high <= fine.high


def test_weekdays_are_those_of_the_zone_and_of_the_last_day_that_is_known() -> None:
    # At local midnight the newest value is yesterday's: a quiet Sunday says nothing of the Monday that begins.
    zone = ZoneInfo("Pacific/Auckland")
    midnight = datetime(2026, 11, 23, tzinfo=zone)
    wobble = noise(8, 0.5)
    days = [midnight - timedelta(days=84 - day) for day in range(84)]
    history = [
        (day + timedelta(hours=23), D(str(round((5 if day.weekday() > 4 else 40) + wobble(0), 1)))) for day in days
    ]
    for weekday, level in ((0, 40), (4, 40), (6, 5)):
        end = midnight + timedelta(days=15 + weekday)
        found = forecast(history, now=midnight, end=end, shape=Shape(zone=zone))
        assert isinstance(found, Forecast)
        assert abs(found.value_at_end - level) < 4, weekday


def test_a_count_goes_on_at_its_rate_and_never_falls() -> None:
    history = daily(lambda day: 2 * day, places=0)
    found = foretold(history, COUNT)
    # Two a day for the 39.6 days to come.
    assert abs(found.value_at_end - (history[-1][1] + 79)) <= 2
    assert found.low >= history[-1][1]
    assert str(found.value_at_end).isdigit()


def test_weekdays_count_for_what_accumulates() -> None:
    # Ten on working days, nothing at the weekend; the end is two days ahead, on a Tuesday at midnight.
    first = NOW - timedelta(days=90)
    total, history = 0, []
    for day in range(90):
        at = first + timedelta(days=day)
        total += 10 if at.weekday() < 5 else 0
        history.append((at, D(total)))
    found = foretold(history, COUNT, end=datetime(2026, 11, 24, 23, tzinfo=UTC))
    # NOW is a Sunday: a Monday and a Tuesday are to come, where the mean rate would say 18.
    assert found.method.endswith("by weekday")
    assert abs(found.value_at_end - (total + 20)) <= 1


def test_weekdays_count_for_a_level() -> None:
    wobble = noise(3, 0.2)
    history = daily(lambda day: 50 + wobble(day) + (-20 if (day % 7) in (0, 1) else 0), days=84)
    ends = [foretold(history, end=NOW + timedelta(days=day)).value_at_end for day in range(8, 15)]
    assert max(ends) - min(ends) > 10


def test_a_budget_that_begins_anew_is_forecast_from_nothing() -> None:
    months = tuple(datetime(2026, month, 1, tzinfo=UTC) for month in range(9, 13))
    history = [
        (at, D(10 * at.day)) for at in (NOW.replace(hour=8) - timedelta(days=day) for day in reversed(range(80)))
    ]
    spent = Shape(is_cumulative=True, resets=months)
    found = foretold(history, spent, parse_bound("<= 350"))
    # Ten a day, from the first of December on.
    assert abs(found.value_at_end - 310) <= 5
    assert found.chance_of_target is not None
    assert found.chance_of_target > D("0.8")


def test_steps_move_a_step_at_a_time() -> None:
    monthly = [(datetime(2025 + month // 12, month % 12 + 1, 1, 6, tzinfo=UTC), D(50 - month)) for month in range(23)]
    shape = Shape(steps=Pace(steps="month"))
    found = foretold(monthly, shape)
    assert abs(found.value_at_end - 27) <= 1
    nothing_left = foretold(monthly, shape, parse_bound("<= 28"), end=datetime(2026, 12, 1, tzinfo=UTC))
    assert (nothing_left.low, nothing_left.value_at_end, nothing_left.high) == (D(28), D(28), D(28))
    assert nothing_left.chance_of_target == 1
    assert nothing_left.method == "its last value: no step is left"


def test_quarters_are_steps_too() -> None:
    quarters = [
        (datetime(2023 + quarter // 4, quarter % 4 * 3 + 1, 1, 6, tzinfo=UTC), D(100 + 5 * quarter))
        for quarter in range(16)
    ]
    found = foretold(quarters, Shape(steps=Pace(steps="quarter")), end=datetime(2027, 3, 1, tzinfo=UTC))
    assert abs(found.value_at_end - 180) <= 1
    assert found.days > 1000


def test_a_percent_stays_within_its_bounds() -> None:
    wobble = noise(5)
    found = foretold(daily(lambda day: min(100, 99 + wobble(day))), PERCENT, parse_bound(">= 99.9"))
    assert found.high <= 100
    assert found.chance_of_target is not None
    assert 0 < found.chance_of_target < 1


@pytest.mark.parametrize(
    ("must", "chance"),
    [
        (">= 178", 1),
        (">= 0", 1),
        ("<= 100", 0),
        ("<= 177", 0),
        ("< 0", 0),
        (">= 100000", None),
        ("between 0 and 100", 0),
    ],
)
def test_what_is_certain_has_a_certain_chance(must: str, chance: int | None) -> None:
    found = foretold(daily(lambda day: 2 * day, places=0), COUNT, parse_bound(must))
    assert found.chance_of_target is not None
    if chance is None:
        # Never seen, and yet nobody can say never.
        assert 0 < found.chance_of_target < D("0.1")
    else:
        assert found.chance_of_target == chance


def test_the_chance_agrees_with_the_interval() -> None:
    wobble = noise(7)
    history = daily(lambda day: 10 + wobble(day), days=300, places=4)
    found = foretold(history)
    tenth = foretold(history, must=Bound(">=", found.high, is_relative=False)).chance_of_target
    half = foretold(history, must=Bound(">=", found.value_at_end, is_relative=False)).chance_of_target
    within = foretold(history, must=parse_bound(f"between {found.low:f} and {found.high:f}")).chance_of_target
    assert tenth is not None
    assert half is not None
    assert within is not None
    assert abs(tenth - D("0.1")) <= D("0.02")
    assert abs(half - D("0.5")) <= D("0.02")
    assert abs(within - D("0.8")) <= D("0.03")


@pytest.mark.parametrize(
    ("history", "end", "code"),
    [
        pytest.param([], END, "no_history", id="nothing"),
        pytest.param([(NOW + timedelta(days=1), D(1))], END, "no_history", id="only what is yet to come"),
        pytest.param(daily(lambda day: day, days=10), END, "short_history", id="ten days"),
        pytest.param(daily(lambda _: 99.9), END, "few_changes", id="a value that never moved"),
        pytest.param(daily(lambda day: day, days=30), NOW + timedelta(days=365), "too_far", id="a year from a month"),
        pytest.param(daily(lambda day: day), NOW, "ended", id="the end is now"),
    ],
)
def test_not_enough_is_an_answer_with_a_reason(history: History, end: datetime, code: str) -> None:
    found = forecast(history, now=NOW, end=end, shape=LEVEL)
    assert isinstance(found, NotEnough)
    assert found.code == code
    assert found.reason


def test_what_comes_later_has_no_bearing() -> None:
    history = daily(lambda day: day % 9)
    later = [*history, (NOW + timedelta(hours=1), D(1000))]
    assert foretold(later) == foretold(history)


def test_numbers_are_shown_as_exactly_as_the_metric_has_them_and_as_the_interval_is_worth() -> None:
    wobble = noise(9, 30)
    coarse = foretold(daily(lambda day: 500 + wobble(day), places=6))
    assert coarse.value_at_end == coarse.value_at_end.to_integral_value()
    fine = noise(9, 0.003)
    assert -4 <= int(foretold(daily(lambda day: 5 + fine(day), places=6)).value_at_end.as_tuple().exponent) <= -3
    assert foretold(daily(lambda day: day % 9, places=0)).high.as_tuple().exponent == 0


def test_zero_has_no_sign() -> None:
    wobble = noise(3, 8)
    off = [wobble(day) for day in range(90)]

    def low_at(level: float) -> Decimal:
        return foretold(daily(lambda day: max(level + off[day], 0)), Shape(lowest=D(0), zone=BERLIN)).low

    lows = [low_at(quarters / 4) for quarters in range(80)]
    assert {low.is_signed() for low in lows} == {False}
    assert 0 in lows


def test_a_bound_relative_to_a_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match="absolute"):
        forecast([], now=NOW, end=END, shape=LEVEL, must=parse_bound(">= 97% of baseline"))


@pytest.mark.parametrize("scale", ["1E+26", "1E-26"])
def test_the_largest_and_the_smallest_numbers_of_the_language_are_forecast(scale: str) -> None:
    history = [(at, value * D(scale)) for at, value in daily(lambda day: day % 9 + 1, places=0)]
    found = foretold(history)
    assert 0 < found.value_at_end <= found.high < 20 * D(scale)


def test_a_naive_moment_is_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    for now, end in ((naive, END), (NOW, END.replace(tzinfo=None)), (naive, naive)):
        with pytest.raises(ValueError, match="aware"):
            forecast([], now=now, end=end, shape=LEVEL)


@pytest.mark.parametrize(
    ("rule", "baseline", "expected"),
    [
        (D(5), D(15), Bound("<=", D(5), is_relative=False)),
        (D(15), D(5), Bound(">=", D(15), is_relative=False)),
        (Change(change="-25%"), D(80), Bound("<=", D(60), is_relative=False)),
        (Maintain(maintain=">= 99.9"), None, parse_bound(">= 99.9")),
        (Maintain(maintain="between 5 and 10"), None, parse_bound("between 5 and 10")),
        (Change(change="-25%"), None, None),
        (D(5), None, None),
        (D(5), D(5), None),
    ],
)
def test_the_goal_is_what_must_hold_at_the_end(
    rule: Decimal | Change | Maintain, baseline: Decimal | None, expected: Bound | None
) -> None:
    assert goal(rule, baseline) == expected


values = st.lists(st.decimals(-1000, 1000, places=2), min_size=21, max_size=120)


@settings(deadline=None)
@given(values, st.integers(1, 80), st.sampled_from([LEVEL, COUNT, Shape(is_cumulative=True), PERCENT]))
def test_whatever_the_history_the_answer_is_sane(some: list[Decimal], ahead: int, shape: Shape) -> None:
    history = daily(lambda day: float(some[day]), days=len(some))
    must = Bound(">=", some[0], is_relative=False)
    found = forecast(history, now=NOW, end=NOW + timedelta(days=ahead), shape=shape, must=must)
    if isinstance(found, NotEnough):
        assert found.code in ("few_changes", "short_history", "too_far")
        return
    assert all(number.is_finite() for number in (found.low, found.value_at_end, found.high))
    assert found.low <= found.value_at_end <= found.high
    assert found.chance_of_target is not None
    assert 0 <= found.chance_of_target <= 1
    if shape.highest is not None:
        assert 0 <= found.low <= found.high <= 100
    assert forecast(history, now=NOW, end=NOW + timedelta(days=ahead), shape=shape, must=must) == found


@settings(deadline=None, max_examples=30)
@given(values, st.decimals(-1000, 1000, places=1), st.decimals(0, 500, places=1))
def test_a_bolder_goal_is_never_likelier(some: list[Decimal], limit: Decimal, more: Decimal) -> None:
    history = daily(lambda day: float(some[day]), days=len(some))
    chances = [
        found.chance_of_target
        for goal_ in (limit, limit + more)
        if isinstance(
            found := forecast(history, now=NOW, end=END, shape=LEVEL, must=Bound(">=", goal_, is_relative=False)),
            Forecast,
        )
    ]
    known = [chance for chance in chances if chance is not None]
    assert known == sorted(known, reverse=True)


@pytest.mark.parametrize("kind", ["wobble", "walk", "count", "trend"])
def test_the_interval_holds_about_four_times_out_of_five_and_beats_staying_put(kind: str) -> None:
    numbers = random.Random(2026)
    inside, ours, last = 0, 0.0, 0.0
    rounds, days, ahead = 60, 120, 30
    for _ in range(rounds):
        level, path = 50.0, []
        for day in range(days + ahead):
            shock = numbers.gauss(0, 1)
            if kind == "walk":
                level += shock
            elif kind == "count":
                level += numbers.choice((0, 0, 1, 2, 5))
            elif kind == "trend":
                level = 50 + 0.3 * day + 2 * shock
            else:
                level = 50 + 0.6 * (level - 50) + shock
            path.append(level)
        history = daily(path.__getitem__, days=days, places=3)
        shape = Shape(is_cumulative=True, never_falls=True) if kind == "count" else LEVEL
        found = foretold(history, shape, end=NOW + timedelta(days=ahead))
        truth = path[-1]
        inside += float(found.low) <= truth <= float(found.high)
        ours += abs(float(found.value_at_end) - truth)
        last += abs(path[days - 1] - truth)
    assert 0.7 <= inside / rounds <= 0.97
    assert ours < last * (1.1 if kind == "walk" else 0.8)
