"""Expected progress: linear, along curves, between checkpoints and in steps."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cycle import parse_cycle
from app.domain.pace import (
    Curve,
    Pace,
    PacePoint,
    Steps,
    checkpoint,
    expected_path,
    expected_progress,
    last_step,
    next_step,
)
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


BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")
Q4 = parse_cycle("2026-Q4", BERLIN).span


def at(text: str) -> datetime:
    """A moment in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("curve", "parts"),
    [
        ("linear", ["0", "1/4", "1/2", "3/4", "1"]),
        ("early", ["0", "7/16", "3/4", "15/16", "1"]),
        ("late", ["0", "1/16", "1/4", "9/16", "1"]),
        ("s_curve", ["0", "5/32", "1/2", "27/32", "1"]),
    ],
)
def test_curves_follow_their_formula(curve: Curve, parts: list[str]) -> None:
    for quarter, part in enumerate(parts):
        now = START + timedelta(days=23 * quarter)
        assert expected_progress(CYCLE, now, Pace(curve=curve)) == Fraction(part)


curves: st.SearchStrategy[Curve] = st.sampled_from(get_args(Curve))
NAMED_STEPS: list[Steps] = ["week", "month", "quarter"]
steps: st.SearchStrategy[Steps] = st.sampled_from(NAMED_STEPS) | st.integers(1, 60).map(
    lambda days: timedelta(days=days)
)


@given(curves, st.none() | steps, moments, moments)
def test_no_pace_falls_or_leaves_its_bounds(curve: Curve, step: Steps | None, one: datetime, other: datetime) -> None:
    pace = Pace(curve=curve, steps=step, zone=BERLIN)
    earlier, later = sorted((one, other))
    assert 0 <= expected_progress(CYCLE, earlier, pace) <= expected_progress(CYCLE, later, pace) <= 1


@given(steps, moments)
def test_between_steps_expectation_stands_still_behind_the_plain_one(step: Steps, now: datetime) -> None:
    pace = Pace(steps=step, zone=BERLIN)
    edge = last_step(pace, START, now)
    assert edge <= now < next_step(pace, START, now)
    assert last_step(pace, START, edge) == edge
    if CYCLE.contains(now):
        held = max(edge, START)
        assert expected_progress(CYCLE, now, pace) == expected_progress(CYCLE, held) <= expected_progress(CYCLE, now)


@pytest.mark.parametrize(
    ("step", "now", "edge"),
    [
        ("month", "2026-10-31T23:59", "2026-10-01"),
        ("month", "2026-11-01T00:00", "2026-11-01"),
        ("month", "2026-12-31T23:59", "2026-12-01"),
        ("quarter", "2026-12-31T23:59", "2026-10-01"),
        ("week", "2026-10-25T23:59", "2026-10-19"),  # the night of 25 hours
        ("week", "2026-10-26T00:00", "2026-10-26"),
        (timedelta(days=10), "2026-10-31T00:00", "2026-10-31"),
        (timedelta(days=10), "2026-10-30T23:59", "2026-10-21"),
    ],
)
def test_steps_are_local_edges_also_over_a_change_of_clocks(step: Steps, now: str, edge: str) -> None:
    pace = Pace(steps=step, zone=BERLIN)
    assert Q4.start is not None
    assert last_step(pace, Q4.start, at(now)) == at(edge)
    assert expected_progress(Q4, at(now), pace) == expected_progress(Q4, at(edge))


def test_a_fiscal_quarter_is_a_step_of_its_own() -> None:
    pace = Pace(steps="quarter", zone=BERLIN, fiscal_year_start=2)
    assert last_step(pace, at("2026-01-01"), at("2026-06-15")) == at("2026-05-01")
    assert next_step(pace, at("2026-01-01"), at("2026-06-15")) == at("2026-08-01")


def test_a_monthly_close_does_not_look_late_between_closes() -> None:
    pace = Pace(steps="month", zone=BERLIN)
    first, second = expected_progress(Q4, at("2026-11-01"), pace), expected_progress(Q4, at("2026-12-01"), pace)
    assert expected_progress(Q4, at("2026-10-31"), pace) == 0
    assert expected_progress(Q4, at("2026-11-30T23:59"), pace) == first < second < 1
    assert expected_progress(Q4, at("2027-01-01"), pace) == 1


DOWN = {"baseline": Decimal(15), "target": Decimal(5)}
UP = {"baseline": Decimal(-15), "target": Decimal(-5)}


@pytest.mark.parametrize(("ends", "sign"), [(DOWN, 1), (UP, -1)])
def test_checkpoints_are_joined_by_straight_lines_in_both_directions(ends: dict[str, Decimal], sign: int) -> None:
    named = [
        checkpoint(date(2026, 10, 10), UTC_ZONE, value=Decimal(14 * sign), **ends),
        checkpoint(date(2026, 10, 20), UTC_ZONE, part=Decimal("0.4")),
    ]
    pace = Pace(checkpoints=tuple(point for point in named if point is not None))
    days = {0: "0", 5: "0.05", 10: "0.1", 15: "0.25", 20: "0.4", 56: "0.7", 92: "1", 200: "1"}
    assert {day: expected_progress(CYCLE, START + timedelta(days=day), pace) for day in days} == {
        day: Fraction(part) for day, part in days.items()
    }


def test_a_checkpoint_can_lie_beyond_both_ends_of_the_way() -> None:
    worse = checkpoint(date(2026, 10, 10), UTC_ZONE, value=Decimal(17), **DOWN)
    better = checkpoint(date(2026, 10, 20), UTC_ZONE, value=Decimal(3), **DOWN)
    assert worse is not None
    assert better is not None
    pace = Pace(checkpoints=(better, worse))
    assert expected_progress(CYCLE, worse.at, pace) == Fraction(-1, 5)
    assert expected_progress(CYCLE, better.at, pace) == Fraction(6, 5)


def test_checkpoints_outside_the_cycle_say_nothing_and_one_at_its_end_holds_up_to_there() -> None:
    before = PacePoint(START, Fraction(1, 2))
    beyond = PacePoint(START + timedelta(days=93), Fraction(1, 2))
    assert expected_progress(CYCLE, START + timedelta(days=46), Pace(checkpoints=(before, beyond))) == Fraction(1, 2)
    last = PacePoint(START + timedelta(days=92), Fraction(1, 2))
    assert expected_progress(CYCLE, START + timedelta(days=46), Pace(checkpoints=(last,))) == Fraction(1, 4)
    assert expected_progress(CYCLE, START + timedelta(days=92), Pace(checkpoints=(last,))) == 1


def test_a_checkpoint_is_due_at_the_end_of_its_local_day() -> None:
    point = checkpoint(date(2026, 10, 25), BERLIN, part=Decimal("0.4"))
    assert point == PacePoint(at("2026-10-26"), Fraction(2, 5))


@pytest.mark.parametrize("ends", [{}, {"baseline": Decimal(15)}, {"baseline": Decimal(5), "target": Decimal(5)}])
def test_a_value_without_a_way_is_no_checkpoint(ends: dict[str, Decimal]) -> None:
    assert checkpoint(date(2026, 10, 25), BERLIN, value=Decimal(10), **ends) is None
    assert checkpoint(date(2026, 10, 25), BERLIN, part=Decimal(0), **ends) is not None


def test_a_pace_without_steps_has_no_edges() -> None:
    with pytest.raises(ValueError, match="steps"):
        last_step(Pace(), START, START)


def test_a_cycle_of_one_day_passes_in_it() -> None:
    day = TimeSpan(at("2026-10-25"), at("2026-10-26"))
    assert expected_progress(day, at("2026-10-25T00:00")) == 0
    assert expected_progress(day, at("2026-10-25T00:00") + timedelta(hours=12, minutes=30)) == Fraction(1, 2)
    assert expected_progress(day, at("2026-10-25T23:59"), Pace(steps="month", zone=BERLIN)) == 0
    assert expected_progress(day, at("2026-10-26T00:00"), Pace(steps="month", zone=BERLIN)) == 1


@pytest.mark.parametrize(
    "pace",
    [
        Pace(),
        Pace(steps="month"),
        Pace(steps=timedelta(days=14), curve="late"),
        Pace(checkpoints=(PacePoint(START + timedelta(days=30), Fraction(1, 10)),)),
        Pace(checkpoints=(PacePoint(START + timedelta(days=92), Fraction(1, 2)),)),
    ],
)
@given(moments)
def test_a_path_joined_by_lines_is_what_is_expected(pace: Pace, moment: datetime) -> None:
    path = expected_path(CYCLE, pace)
    assert (path[0].at, path[-1].at) == (CYCLE.start, CYCLE.end)
    assert [point.at for point in path] == sorted({point.at for point in path})
    if path[0].at <= moment < path[-2].at:
        before = max((point for point in path if point.at <= moment), key=lambda point: point.at)
        after = min((point for point in path if point.at > moment), key=lambda point: point.at)
        share = Fraction(
            (moment - before.at) // timedelta(microseconds=1), (after.at - before.at) // timedelta(microseconds=1)
        )
        joined = before.progress + (after.progress - before.progress) * share
        assert abs(joined - expected_progress(CYCLE, moment, pace)) < Fraction(1, 10**6)


@pytest.mark.parametrize("curve", ["early", "late", "s_curve"])
def test_a_curve_is_drawn_through_points_of_it(curve: Curve) -> None:
    path = expected_path(CYCLE, Pace(curve=curve))
    assert len(path) == 33
    assert all(point.progress == expected_progress(CYCLE, point.at, Pace(curve=curve)) for point in path)
