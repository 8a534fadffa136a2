"""Units of formulas: how they compose, and which do not fit."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.formula import parse_formula
from app.domain.units import Unit, UnitError, check_units, parse_unit

UNITS = {
    "overhead": "EUR",
    "spend": "EUR",
    "sales": "USD",
    "headcount": "people",
    "tickets": "issues",
    "solved": "issues",
    "share": "percent",
    "rate": "percent",
    "hours": "hours",
    "days": "days",
    "factor": "ratio",
    "per_head": "EUR/people",
}


def check(text: str, declared: str) -> None:
    formula = parse_formula(text)
    check_units(formula, {name: UNITS[name] for name in formula.references}, declared)


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("overhead / headcount", "EUR/people"),
        ("per_head * headcount", "EUR"),
        ("overhead + spend", "EUR"),
        ("-(overhead - spend) * 2", "EUR"),
        ("overhead * share", "EUR"),
        ("overhead * factor", "EUR"),
        ("overhead / spend", "ratio"),
        ("solved / tickets", "percent"),
        ("100% - share", "percent"),
        ("(share + rate) / 2", "percent"),
        ("share * rate", "percent"),
        ("1 - solved / tickets", "percent"),
        ("solved / tickets + share", "percent"),
        ("1 / days", "1/days"),
        ("hours * headcount", "people*hours"),
        ("hours * hours / hours", "hours"),
        ("overhead / headcount / days", "EUR/people/days"),
        ("per_head + overhead / headcount", "EUR / people"),
    ],
)
def test_units_that_fit(text: str, declared: str) -> None:
    check(text, declared)


@pytest.mark.parametrize(
    ("text", "declared", "message"),
    [
        ("overhead / headcount", "EUR", "the formula is in EUR/people, but the metric's unit is EUR"),
        ("overhead", "people", "the formula is in EUR, but the metric's unit is people"),
        ("overhead / spend", "EUR", "the formula is in a plain number, but the metric's unit is EUR"),
        ("tickets / days", "issues", "the formula is in issues/days"),
        ("1 / days", "days", "the formula is in 1/days"),
        ("overhead + headcount", "EUR", "EUR and people can not be added or subtracted"),
        ("hours - days", "hours", "hours and days can not be added or subtracted"),
        ("share + overhead", "EUR", "percent and EUR can not be added or subtracted"),
        ("overhead + 1000", "EUR", "EUR and a plain number can not be added or subtracted"),
        ("overhead + sales", "EUR", "currencies are never converted, and this mixes EUR and USD"),
        ("overhead / sales", "ratio", "currencies are never converted, and this mixes EUR and USD"),
        ("overhead", "USD", "currencies are never converted, and this mixes EUR and USD"),
        ("100 - share", "percent", "write the number as a percent, such as 100%"),
        ("100 * solved / tickets", "percent", "leave the 100 out"),
        ("overhead * share / 100", "EUR", "leave the 100 out"),
    ],
)
def test_units_that_do_not_fit_are_told(text: str, declared: str, message: str) -> None:
    with pytest.raises(UnitError) as refused:
        check(text, declared)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown", "scale"),
    [
        ("EUR/people", "EUR/people", 1),
        ("people * hours / EUR", "hours*people/EUR", 1),
        ("1/days", "1/days", 1),
        ("km/h/h", "km/h/h", 1),
        ("percent", "a plain number", Fraction(1, 100)),
        ("percent/month", "1/month", Fraction(1, 100)),
        ("story points", "story points", 1),
        ("and/", "and/", 1),
        ("ratio", "a plain number", 1),
        ("EUR/EUR", "a plain number", 1),
    ],
)
def test_a_units_text(text: str, shown: str, scale: int | Fraction) -> None:
    unit = parse_unit(text)
    assert (str(unit), unit.scale) == (shown, scale)


NAMES = st.sampled_from(("EUR", "people", "days", "issues"))
POWERS = st.dictionaries(NAMES, st.integers(-3, 3), max_size=4)


def product(*factors: dict[str, int]) -> Unit:
    names = {name for powers in factors for name in powers}
    total = {name: sum(powers.get(name, 0) for powers in factors) for name in names}
    return Unit(frozenset((name, power) for name, power in total.items() if power))


def spelled(powers: dict[str, int]) -> str:
    text = str(product(powers))
    return "1" if text == "a plain number" else text


@given(POWERS, POWERS)
def test_a_product_adds_powers_and_a_quotient_takes_them_away(one: dict[str, int], other: dict[str, int]) -> None:
    units = {"a": spelled(one), "b": spelled(other)}
    inverse = {name: -power for name, power in other.items()}
    check_units(parse_formula("a * b"), units, spelled(dict(product(one, other).powers)))
    check_units(parse_formula("a / b"), units, spelled(dict(product(one, inverse).powers)))
    if product(one) == product(other):
        check_units(parse_formula("a + b - a"), units, spelled(one))
    else:
        with pytest.raises(UnitError):
            check_units(parse_formula("a + b"), units, spelled(one))


@given(POWERS)
def test_a_unit_reads_back_as_itself(powers: dict[str, int]) -> None:
    assert parse_unit(spelled(powers)) == product(powers)
