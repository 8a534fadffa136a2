"""Progress in both directions, targets, bounds and projections."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.language import Change, Maintain
from app.domain.progress import compliance, holds, progress, projected_value, resolve_target
from app.domain.window import TimeSpan

D = Decimal
numbers = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=4)


@pytest.mark.parametrize(
    ("value", "baseline", "target", "expected"),
    [
        ("8.7", "15", "5", Fraction(63, 100)),
        ("15", "15", "5", 0),
        ("5", "15", "5", 1),
        ("4", "15", "5", Fraction(11, 10)),
        ("16", "15", "5", Fraction(-1, 10)),
        ("0.3", "0.1", "0.2", 2),
        ("1", "0", "3", Fraction(1, 3)),
        ("7", "-3", "-3", None),
    ],
)
def test_progress_is_exact(value: str, baseline: str, target: str, expected: Fraction | None) -> None:
    assert progress(D(value), D(baseline), D(target)) == expected


def test_decimal_thirds_reach_their_target_exactly() -> None:
    assert progress(D("0.1") + D("0.2"), D(0), D("0.3")) == 1


@given(numbers, numbers, numbers)
def test_up_and_down_are_one_formula(value: Decimal, baseline: Decimal, target: Decimal) -> None:
    assume(baseline != target)
    forward = progress(value, baseline, target)
    assert forward is not None
    assert progress(-value, -baseline, -target) == forward
    assert progress(value, target, baseline) == 1 - forward
    assert Fraction(baseline) + forward * (Fraction(target) - Fraction(baseline)) == Fraction(value)


@given(numbers, numbers)
def test_progress_runs_from_zero_to_one(baseline: Decimal, target: Decimal) -> None:
    assume(baseline != target)
    assert progress(baseline, baseline, target) == 0
    assert progress(target, baseline, target) == 1
    assert progress((baseline + target) / 2, baseline, target) == Fraction(1, 2)


@pytest.mark.parametrize(
    ("change", "baseline", "expected"),
    [
        ("-25%", "80", "60"),
        ("-12%", "1000.50", "880.44"),
        ("+3", "12", "15"),
        ("-0.5", "12", "11.5"),
        ("+33.3%", "3", "3.999"),
        ("-25%", "-80", "-100"),
        ("+10%", "0", "0"),
    ],
)
def test_targets_relative_to_the_baseline(change: str, baseline: str, expected: str) -> None:
    assert str(resolve_target(Change(change=change), D(baseline))) == expected


def test_targets_that_are_numbers_bounds_or_not_known_yet() -> None:
    assert resolve_target(D("5.50"), None) == D("5.5")
    assert resolve_target(Change(change="-25%"), None) is None
    assert resolve_target(Maintain(maintain=">= 99.9"), D(3)) is None


@pytest.mark.parametrize(
    ("bound", "value", "baseline", "expected"),
    [
        (">= 99.9", "99.9", None, True),
        (">= 99.9", "99.90", None, True),
        (">= 99.9", "99.8999999999999999999999", None, False),
        ("> 99.9", "99.9", None, False),
        ("<= 0.3", str(D("0.1") + D("0.2")), None, True),
        ("< 0.3", str(D("0.1") + D("0.2")), None, False),
        ("<=2", "2.1", None, False),
        (">= -4", "-4", None, True),
        (">= 97% of baseline", "194", "200", True),
        (">= 97% of baseline", "193.9", "200", False),
        ("<= 110% of baseline", "0.33", "0.3", True),
        (">= 97% of baseline", "194", None, None),
    ],
)
def test_bounds_are_compared_exactly(bound: str, value: str, baseline: str | None, expected: bool | None) -> None:
    assert holds(bound, D(value), None if baseline is None else D(baseline)) is expected


def test_an_unknown_value_neither_holds_nor_breaks() -> None:
    assert holds(">= 99.9", None) is None


@given(numbers, numbers)
def test_a_bound_and_its_opposite_never_agree(value: Decimal, limit: Decimal) -> None:
    assert holds(f">= {limit:f}", value) is not holds(f"< {limit:f}", value)
    assert holds(f"<= {limit:f}", value) is not holds(f"> {limit:f}", value)


@pytest.mark.parametrize("bound", ["99.9", ">= ", "=> 3", ">= 97 % of baseline", ">= 1e3", ">= NaN"])
def test_what_is_not_a_bound_is_refused(bound: str) -> None:
    with pytest.raises(ValueError, match="is not a bound"):
        holds(bound, D(1))


@pytest.mark.parametrize(
    ("bound", "value", "is_percent", "is_held", "margin", "remaining"),
    [
        (">= 99.9", "99.95", True, True, "0.05", Fraction(1, 2)),
        (">= 99.9", "99.9", True, True, "0", 0),
        (">= 99.9", "99.7", True, False, "-0.2", -2),
        (">= 100", "100", True, True, "0", None),
        (">= 40", "42", False, True, "2", None),
        ("<= 4", "1", False, True, "3", Fraction(3, 4)),
        ("< 4", "4", False, False, "0", 0),
        ("<= 0", "0", False, True, "0", None),
        ("<= -5", "-10", False, True, "5", None),
    ],
)
def test_compliance_and_the_budget_that_remains(
    bound: str, value: str, is_percent: bool, is_held: bool, margin: str, remaining: Fraction | None
) -> None:
    result = compliance(bound, D(value), is_percent=is_percent)
    assert (result.bound, result.holds, str(result.margin), result.remaining_budget) == (
        bound,
        is_held,
        margin,
        remaining,
    )


def test_compliance_is_about_absolute_bounds() -> None:
    with pytest.raises(ValueError, match="absolute"):
        compliance(">= 97% of baseline", D(3), is_percent=False)


START = datetime(2026, 10, 1, tzinfo=UTC)
QUARTER = TimeSpan(START, START + timedelta(days=90))


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-1, None), (0, None), (8.999, None), (9, "1000"), (30, "300"), (45, "200"), (90, "100"), (120, "100")],
)
def test_a_total_is_projected_to_the_end_of_its_window(days: float, expected: str | None) -> None:
    result = projected_value(D(100), QUARTER, START + timedelta(days=days))
    assert (None if result is None else str(result)) == expected


def test_a_window_without_end_is_not_projected() -> None:
    assert projected_value(D(100), TimeSpan(START, None), START + timedelta(days=50)) is None


@given(st.integers(9, 90), numbers)
def test_a_steady_total_is_projected_to_the_same_end_every_day(day: int, daily: Decimal) -> None:
    assert projected_value(daily * day, QUARTER, START + timedelta(days=day)) == daily * 90


@pytest.mark.parametrize(
    ("value", "holds_", "margin"),
    [("5", True, "0"), ("7", True, "2"), ("9", True, "1"), ("12", False, "-2"), ("4", False, "-1")],
)
def test_a_corridor_has_a_margin_to_its_nearer_side_and_no_budget(value: str, holds_: bool, margin: str) -> None:
    kept = compliance("between 5 and 10", D(value), is_percent=True)
    assert (kept.holds, kept.margin, kept.remaining_budget) == (holds_, D(margin), None)


@given(st.decimals(-100, 100, places=3), st.decimals(-100, 100, places=3), st.decimals(-100, 100, places=3))
def test_between_is_both_bounds_at_once(value: Decimal, one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    both = holds(f">= {low:f}", value) and holds(f"<= {high:f}", value)
    assert holds(f"between {low:f} and {high:f}", value) == both
