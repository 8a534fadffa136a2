"""What a rounded number may not seem to say."""

from decimal import Decimal
from fractions import Fraction

import pytest

from app.domain.shown import digits_beside, goal_of, typed_decimal, whole_percent


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.634, 63),
        (0.625, 62),
        (0.9951, 99),
        (Fraction(99999, 100000), 99),
        (Decimal("0.999"), 99),
        (1, 100),
        (1.004, 100),
        (2.0, 200),
        (-0.1, -10),
    ],
)
def test_a_share_falls_short_of_the_whole_where_it_does(share: float | Fraction | Decimal, shown: int) -> None:
    assert whole_percent(share) == shown


def test_a_little_below_nothing_is_no_minus_nothing() -> None:
    assert str(whole_percent(-0.001)) == "0"


@pytest.mark.parametrize(
    ("value", "target", "baseline", "maintain", "digits"),
    [
        ("95.238", None, None, ">= 96", 4),
        ("95.996", None, None, ">= 96", 5),
        ("96.004", None, None, "<= 96", 5),
        ("95.9999999999", None, None, "< 96", 12),
        ("96", None, None, ">= 96", 4),
        ("99.9996", "100", "0", None, 6),
        ("4.00001", "4", "24", None, 6),
        ("3.99999", "4", "24", None, 4),
        ("1240400", "1240000", "2000000", None, 5),
    ],
)
def test_a_value_is_told_to_as_many_digits_as_its_goal_takes(
    value: str, target: str | None, baseline: str | None, maintain: str | None, digits: int
) -> None:
    given = None if target is None else Decimal(target), None if baseline is None else Decimal(baseline)
    must = goal_of(*given, maintain)
    assert must is not None
    assert digits_beside(Decimal(value), must, given[1], at_least=4) == digits


def test_without_a_target_or_a_baseline_there_is_no_goal() -> None:
    assert goal_of(Decimal(4), None, None) is None
    assert goal_of(None, Decimal(4), None) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("8.7", "8.7"),
        ("8,7", "8.7"),
        (" 38\u202f547 ", "38547"),
        ("1 240,5", "1240.5"),
        ("-3", "-3"),
        ("0,125", "0.125"),
        ("1240,125", "1240.125"),
        ("1.240", "1.24"),
        ("1,240", None),
        ("-38,547", None),
        ("1,240.5", None),
        ("1 24", None),
        ("1e9", None),
        ("NaN", None),
        ("", None),
        ("\u0663", None),
        ("9" * 40, None),
    ],
)
def test_what_a_person_types_is_one_number_or_none(typed: str, meant: str | None) -> None:
    assert typed_decimal(typed) == (None if meant is None else Decimal(meant))
