"""Formulas: how they are read, what they are worth, and that none can take long."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.aggregate import rounded
from app.domain.formula import (
    MAX_LENGTH,
    FormulaError,
    Quantity,
    UndefinedError,
    accumulation,
    evaluate_formula,
    formula_value,
    parse_formula,
    with_numbers,
)

NUMBERS = {"a": Decimal("12"), "b": Decimal("0.1"), "hr.c": Decimal("-3"), "zero": Decimal(0)}


def value(text: str, numbers: Mapping[str, Decimal] = NUMBERS) -> Decimal:
    formula = parse_formula(text)
    return formula_value(formula, {name: Quantity(numbers[name]) for name in formula.references})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "12"),
        ("a + 2 * 3", "18"),
        ("(a + 2) * 3", "42"),
        ("a - 2 - 3", "7"),
        ("a / 2 / 3", "2"),
        ("a / (2 / 3)", "18"),
        ("-a + 1", "-11"),
        ("--a", "12"),
        ("2 - -a", "14"),
        ("-(a - 20) * 2", "16"),
        ("hr.c * hr.c", "9"),
        ("b + 0.2", "0.3"),
        ("50% * a", "6"),
        ("a/7", "1.714285714285714285714285714"),
        ("a / 7 * 7", "12"),
        ("\ta\n", "12"),
    ],
)
def test_a_formula_means_what_it_does_on_paper(text: str, expected: str) -> None:
    assert value(text) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "is expected"),
        ("1 + 2", 1, "at least one metric"),
        ("a b", 3, "an operator"),
        ("a +", 4, "is expected here"),
        ("(a", 3, "closing parenthesis"),
        ("a)", 2, "an operator"),
        ("a ** 2", 4, "no powers"),
        ("9**9**9", 3, "no powers"),
        ("a ^ 2", 3, "an operator"),
        ("a // b", 4, "is expected here"),
        ("1e9 * a", 1, "is expected here"),
        ("2a", 1, "is expected here"),
        ("a.b.c", 1, "is expected here"),
        ("Overhead", 1, "is expected here"),
        ("max(a, b)", 4, "an operator"),
        ("a.__class__", 1, "is expected here"),
        ("a\x00", 2, "an operator"),
        ("١ + a", 1, "is expected here"),
        ("a * " + "9" * 29, 5, "28 digits"),
        ("x" * 128, 1, "127 characters"),
        ("(" * 33 + "a" + ")" * 33, 33, "32 deep"),
        ("-" * 33 + "a", 33, "32 deep"),
        ("a" + " + a" * 100, 401, "100 metrics"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "1000 characters"),
        ("(" * 1_000_000, MAX_LENGTH + 1, "1000 characters"),
    ],
)
def test_what_is_no_formula_is_refused_where_it_goes_wrong(text: str, column: int, message: str) -> None:
    with pytest.raises(FormulaError, match=message) as refused:
        parse_formula(text)
    assert refused.value.column == column


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a / zero", "division by zero: zero is 0"),
        ("a / (b - 0.1)", r"division by zero: b - 0.1 is 0"),
        ("1 / (a * zero)", r"division by zero: a \* zero is 0"),
    ],
)
def test_a_division_by_zero_has_no_value_and_says_by_what(text: str, reason: str) -> None:
    with pytest.raises(UndefinedError, match=reason):
        value(text)


@pytest.mark.parametrize(
    ("text", "huge"),
    [(" * ".join(["a"] * 100), Decimal("1e999")), ("a", Decimal("1e1001")), ("1 / a * 1 / a", Decimal("1e600"))],
)
def test_numbers_beyond_any_use_are_out_of_range(text: str, huge: Decimal) -> None:
    with pytest.raises(UndefinedError, match="out of range"):
        value(text, {"a": huge})


def test_each_metric_is_listed_once_in_order_and_replaced_everywhere() -> None:
    formula = parse_formula("b + hr.c * b - bb")
    assert formula.references == ("b", "hr.c", "bb")
    assert with_numbers(formula, {"b": "1", "hr.c": "(-2)", "bb": "3"}) == "1 + (-2) * 1 - 3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("total", 1),
        ("-total / state", 1),
        ("total / total", 0),
        ("total + total", 1),
        ("total + state", None),
        ("state + 1", 0),
        ("total * total", 2),
        ("state / total", -1),
        ("2 * (total + state)", None),
    ],
)
def test_a_total_shows_through_where_the_formula_is_proportional_to_it(text: str, expected: int | None) -> None:
    assert accumulation(parse_formula(text), frozenset({"total"})) == expected


# --- any formula -----------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "hr.c")


@st.composite
def expressions(draw: st.DrawFn) -> tuple[str, object]:
    """The text of a random expression with needless blanks and parentheses, and a function that computes it."""

    def node(depth: int) -> tuple[str, object]:
        kind = draw(st.sampled_from("nr" if depth == 0 else "nr-+*/()"))
        if kind == "n":
            text = draw(st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,6})?", fullmatch=True))
            return text, lambda _, exact=Fraction(text): exact
        if kind == "r":
            name = draw(st.sampled_from(NAMES))
            return name, lambda numbers, name=name: numbers[name]
        text, inner = node(depth - 1)
        if kind in "()":
            return f"({text})", inner
        if kind == "-" and draw(st.booleans()):
            return f"-({text})", lambda numbers: -inner(numbers)  # type: ignore[operator]
        other, right = node(depth - 1)
        blank = draw(st.sampled_from(("", " ", "  ")))
        made = {
            "+": lambda numbers: inner(numbers) + right(numbers),  # type: ignore[operator]
            "-": lambda numbers: inner(numbers) - right(numbers),  # type: ignore[operator]
            "*": lambda numbers: inner(numbers) * right(numbers),  # type: ignore[operator]
            "/": lambda numbers: inner(numbers) / right(numbers),  # type: ignore[operator]
        }
        return f"({text}){blank}{kind}{blank}({other})", made[kind]

    text, compute = node(draw(st.integers(0, 4)))
    return f"a + {text}", lambda numbers: numbers["a"] + compute(numbers)  # type: ignore[operator]


@given(expressions(), st.fixed_dictionaries({name: st.decimals(-10_000, 10_000, places=3) for name in NAMES}))
def test_a_formula_is_worth_what_exact_arithmetic_says(
    expression: tuple[str, object], given_: dict[str, Decimal]
) -> None:
    text, compute = expression
    formula = parse_formula(text)
    exact = {name: Fraction(number) for name, number in given_.items()}
    try:
        expected = compute(exact)  # type: ignore[operator]
    except ZeroDivisionError:
        with pytest.raises(UndefinedError, match="division by zero"):
            evaluate_formula(formula, exact)
        return
    assert evaluate_formula(formula, exact) == expected
    assert formula_value(formula, {name: Quantity(number) for name, number in given_.items()}) == rounded(expected)


@given(st.text(max_size=200) | st.text(alphabet="ab.()+-*/ 019%", max_size=200))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        formula = parse_formula(text)
    except FormulaError as refused:
        column = refused.column
    else:
        column = 1
        assert parse_formula(with_numbers(formula, {})) == formula
    assert 1 <= column <= len(text) + 1
