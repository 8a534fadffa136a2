"""Aggregates: exact, rounded once, and what nothing adds up to."""

import statistics
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.aggregate import aggregate, ratio, rounded

D = Decimal
numbers = st.decimals(-(10**15), 10**15, allow_nan=False, allow_infinity=False, places=6)


def decimals(text: str) -> list[Decimal]:
    return [Decimal(word) for word in text.split()]


@pytest.mark.parametrize(
    ("how", "values", "expected"),
    [
        ("count", "5 5 7", "3"),
        ("sum", "0.1 0.2", "0.3"),
        ("avg", "0.1 0.2", "0.15"),
        ("avg", "1 1 2", "1.333333333333333333333333333"),
        ("avg", "2 2 1", "1.666666666666666666666666667"),
        ("sum", "1e15 0.000001 -1e15", "0.000001"),
        ("sum", "1e40 0.000001 -1e40", "0.000001"),
        ("sum", "60.00 40.0", "100"),
        ("median", "3 1 2", "2"),
        ("median", "4 1 2 3", "2.5"),
        ("p90", "1 2 3 4 5 6 7 8 9 10", "9.1"),
        ("p50", "7", "7"),
        ("p1", "0 100", "1"),
        ("p99", "0 100", "99"),
        ("min", "3 -1.50 2", "-1.5"),
        ("max", "3 -1 2", "3"),
        ("last", "3 1 2", "2"),
        ("min", "0.00 -0", "0"),
    ],
)
def test_aggregates(how: str, values: str, expected: str) -> None:
    assert str(aggregate(how, decimals(values))) == expected


@pytest.mark.parametrize("how", ["count", "sum"])
def test_nothing_counts_and_adds_up_to_zero(how: str) -> None:
    assert aggregate(how, [], divisor=3600) == 0


@pytest.mark.parametrize("how", ["avg", "median", "min", "max", "last", "p90"])
def test_every_other_aggregate_of_nothing_is_unknown(how: str) -> None:
    assert aggregate(how, []) is None


def test_a_unit_divides_before_the_only_rounding() -> None:
    # Rounding the mean first, to 28 digits, and then its hours gives …889 at the end.
    values = [D(1), D(1), D(2)]
    assert aggregate("avg", values, divisor=D("1.5")) == D("0.8888888888888888888888888889")
    assert aggregate("sum", decimals("7200 1800"), divisor=3600) == D("2.5")
    assert aggregate("last", [D(1)], divisor=3) == D("0.3333333333333333333333333333")
    assert aggregate("count", values, divisor=3600) == 3


@given(st.lists(numbers, min_size=1, max_size=30), st.integers(1, 10**6))
def test_an_average_is_the_correctly_rounded_quotient(values: list[Decimal], divisor: int) -> None:
    mean = sum(map(Fraction, values), Fraction(0)) / len(values) / divisor
    result = aggregate("avg", values, divisor=divisor)
    assert result is not None
    _assert_nearest(result, mean)


@given(st.lists(numbers, min_size=2, max_size=40), st.integers(1, 99))
def test_percentiles_are_those_of_the_inclusive_method(values: list[Decimal], percent: int) -> None:
    expected = statistics.quantiles([Fraction(value) for value in values], n=100, method="inclusive")[percent - 1]
    result = aggregate(f"p{percent}", values)
    assert result is not None
    _assert_nearest(result, expected)


@given(st.lists(numbers, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_order_matters_to_last_alone(values: list[Decimal], random: object) -> None:
    shuffled = sorted(values, key=lambda _: random.random())  # type: ignore[attr-defined]
    for how in ("count", "sum", "avg", "median", "p90", "min", "max"):
        assert aggregate(how, shuffled) == aggregate(how, values)
    assert aggregate("last", values) == values[-1]


@given(st.fractions(), st.integers(-40, 40))
def test_rounding_is_to_the_nearest_of_28_digits(number: Fraction, power: int) -> None:
    _assert_nearest(rounded(number * Fraction(10) ** power), number * Fraction(10) ** power)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (Fraction(10**28 * 2 + 1, 2), "1" + "0" * 28),
        (Fraction(10**28 * 2 - 1, 2), "1" + "0" * 28),
        (Fraction(1, 2) + 10**26, "1" + "0" * 26 + ".5"),
        (Fraction(1, 2) + 10**27, "1" + "0" * 27),
        (Fraction(3, 2) + 10**27, "1" + "0" * 26 + "2"),
        (1 + Fraction(1, 10**40), "1"),
        (Fraction(100), "100"),
        (Fraction(10) ** 30, "1" + "0" * 30),
        (Fraction(0), "0"),
        (Fraction(-1, 8), "-0.125"),
        (Fraction(1, 10**12), "0.000000000001"),
    ],
)
def test_numbers_are_written_out_with_ties_to_even(number: Fraction, expected: str) -> None:
    assert format(rounded(number), "f") == expected
    assert rounded(number).as_tuple().exponent in range(-40, 1)


def test_the_callers_decimal_context_changes_nothing() -> None:
    with localcontext() as context:
        context.prec = 3
        assert aggregate("sum", decimals("1000.001 2000.002")) == D("3000.003")
        assert aggregate("avg", decimals("1000.001 2000.002")) == D("1500.0015")


@pytest.mark.parametrize(
    ("good", "total", "percent", "expected"),
    [
        ("1", "3", False, "0.3333333333333333333333333333"),
        ("2", "3", True, "66.66666666666666666666666667"),
        ("999", "1000", True, "99.9"),
        ("0", "5", True, "0"),
        ("0.1", "0.3", True, "33.33333333333333333333333333"),
    ],
)
def test_ratios(good: str, total: str, percent: bool, expected: str) -> None:
    assert str(ratio(D(good), D(total), percent=percent)) == expected


def test_a_ratio_over_nothing_is_unknown() -> None:
    assert ratio(D(0), D(0), percent=True) is None
    assert ratio(D(5), D("0.00"), percent=False) is None


@pytest.mark.parametrize("how", ["mean", "p0", "p100", "p5.5", "", "sum "])
def test_an_unknown_aggregate_is_refused(how: str) -> None:
    with pytest.raises(ValueError, match="unknown aggregate"):
        aggregate(how, [D(1)])


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "1e300000", "1e-300000"])
@pytest.mark.parametrize("how", ["sum", "avg", "median", "last"])
def test_numbers_out_of_range_are_refused_at_once(how: str, value: str) -> None:
    with pytest.raises(ValueError, match="finite number in range"):
        aggregate(how, [D(1), D(value)])


@pytest.mark.parametrize("divisor", [0, -1])
def test_a_divisor_is_positive(divisor: int) -> None:
    with pytest.raises(ValueError, match="positive divisor"):
        aggregate("sum", [D(1)], divisor=divisor)


def _assert_nearest(result: Decimal, exact: Fraction) -> None:
    """At most half a unit of the 28th digit away."""
    if exact == 0:
        assert result == 0
        return
    # The leading digit's place, from integers: 10**place <= |exact| < 10**(place + 1).
    place = len(str(abs(exact.numerator))) - len(str(exact.denominator))
    if abs(exact) < Fraction(10) ** place:
        place -= 1
    assert abs(Fraction(result) - exact) <= Fraction(10) ** (place - 27) / 2
    assert len(result.normalize().as_tuple().digits) <= 28
