"""Formulas: arithmetic over metrics, such as `overhead / headcount` or `100% - hr.sick_rate`.

    sum      = product { ("+" | "-") product }
    product  = factor { ("*" | "/") factor }
    factor   = "-" factor | "(" sum ")" | number [ "%" ] | metric
    metric   = name | team "." name

Numbers are rationals from the text to the result, which is rounded once. There are no powers, functions or exponents,
and length, nesting and the size of numbers are bounded, so no formula takes longer than milliseconds.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Literal, TypeAlias

from app.domain.aggregate import exact, rounded

MAX_LENGTH = 1000
MAX_OPERANDS = 100
MAX_NESTING = 32
_MAX_BITS = 20_000
_LARGEST_EXPONENT = 1000
_LONGEST_REFERENCE = 127

Operator: TypeAlias = Literal["+", "-", "*", "/"]


class FormulaError(ValueError):
    """Text that is no formula; `column` (1-based) is where reading stopped. The message never holds the text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column

    def __str__(self) -> str:
        return f"column {self.column}: {self.message}"


class UndefinedError(ArithmeticError):
    """A formula without a value for these numbers: a division by zero, or a result beyond any use."""


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal literal; `12%` is twelve hundredths."""

    value: Fraction
    is_percent: bool
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A metric by its name in the team, or by `team.name`."""

    text: str


@dataclass(frozen=True, slots=True)
class Negative:
    operand: "Node"
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    operator: Operator
    left: "Node"
    right: "Node"
    text: str


Node: TypeAlias = Number | Reference | Negative | Operation


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula, read: its text, its tree, and the metrics it names in the order they first appear."""

    text: str
    root: Node
    references: tuple[str, ...]


_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<percent>%)?(?![0-9A-Za-z_.%])"
    r"|(?P<name>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)(?![0-9A-Za-z_.])"
    r"|(?P<sign>[-+*/()]))"
)


@lru_cache(maxsize=4096)
def parse_formula(text: str) -> Formula:
    """Read a formula; FormulaError for anything else, and for one that names no metric."""
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"a formula has at most {MAX_LENGTH} characters", MAX_LENGTH + 1)
    parser = _Parser(text)
    root = parser.whole()
    references = tuple(dict.fromkeys(node.text for node in walk(root) if isinstance(node, Reference)))
    if not references:
        raise FormulaError("a formula names at least one metric", 1)
    return Formula(text, root, references)


def walk(node: Node) -> Iterator[Node]:
    """Every node of a tree, each after its operands."""
    if isinstance(node, Negative):
        yield from walk(node.operand)
    elif isinstance(node, Operation):
        yield from walk(node.left)
        yield from walk(node.right)
    yield node


class _Parser:
    """Recursive descent over the grammar above. Every node keeps the text that it was read from."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._start = 0
        self._operands = 0
        self._depth = 0
        self._next()

    def whole(self) -> Node:
        node = self._sum()
        if self._match is not None or self._text[self._at :].strip():
            raise self._refusal("an operator is expected here")
        return node

    def _sum(self) -> Node:
        start = self._start
        node = self._product()
        while self._sign in ("+", "-"):
            node = self._operation(node, self._product, start)
        return node

    def _product(self) -> Node:
        start = self._start
        node = self._factor()
        while self._sign in ("*", "/"):
            node = self._operation(node, self._factor, start)
        return node

    def _operation(self, left: Node, read: Callable[[], Node], start: int) -> Node:
        operator = self._sign
        self._next()
        if operator == "*" and self._sign == "*":
            raise self._refusal("there are no powers; write the product out")
        right = read()
        return Operation(operator, left, right, self._text[start : self._end].strip())  # type: ignore[arg-type]

    def _factor(self) -> Node:
        start, match, sign = self._start, self._match, self._sign
        if sign in ("-", "("):
            self._depth += 1
            if self._depth > MAX_NESTING:
                raise self._refusal(f"a formula is nested at most {MAX_NESTING} deep")
            self._next()
            if sign == "-":
                node: Node = Negative(self._factor(), self._text[start : self._end])
            else:
                node = self._sum()
                if self._sign != ")":
                    raise self._refusal("a closing parenthesis is expected here")
                self._next()
            self._depth -= 1
            return node
        if match is None or sign is not None:
            raise self._refusal("a metric, a number or a parenthesis is expected here")
        self._operands += 1
        if self._operands > MAX_OPERANDS:
            raise self._refusal(f"a formula has at most {MAX_OPERANDS} metrics and numbers")
        if match["name"] is not None:
            if len(match["name"]) > _LONGEST_REFERENCE:
                raise self._refusal(f"a metric's name has at most {_LONGEST_REFERENCE} characters")
            self._next()
            return Reference(match["name"])
        digits = match["number"]
        if len(digits.replace(".", "")) > 28:
            raise self._refusal("a number has at most 28 digits")
        is_percent = match["percent"] is not None
        self._next()
        return Number(Fraction(digits) / (100 if is_percent else 1), is_percent, self._text[start : self._end])

    def _next(self) -> None:
        """Go on to the next token; none of `_match` and `_sign` where there is none."""
        self._end = self._at
        self._match = _TOKEN.match(self._text, self._at)
        self._sign = None if self._match is None else self._match["sign"]
        if self._match is not None:
            self._at = self._match.end()
            self._start = self._at - len(self._match[0].lstrip())
        else:
            rest = self._text[self._at :]
            self._start = self._at + len(rest) - len(rest.lstrip())

    def _refusal(self, message: str) -> FormulaError:
        return FormulaError(message, self._start + 1)


def evaluate_formula(formula: Formula, numbers: Mapping[str, Fraction]) -> Fraction:
    """The exact value for a number of each metric it names; UndefinedError where there is none."""
    return _value(formula.root, numbers)


def _value(node: Node, numbers: Mapping[str, Fraction]) -> Fraction:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Reference):
        return numbers[node.text]
    if isinstance(node, Negative):
        return -_value(node.operand, numbers)
    left, right = _value(node.left, numbers), _value(node.right, numbers)
    if node.operator == "+":
        made = left + right
    elif node.operator == "-":
        made = left - right
    elif node.operator == "*":
        made = left * right
    elif not right:
        raise UndefinedError(f"division by zero: {_shown(node.right)} is 0")
    else:
        made = left / right
    if made.numerator.bit_length() + made.denominator.bit_length() > _MAX_BITS:
        raise UndefinedError("the result is out of range")
    return made


def _shown(node: Node) -> str:
    text = node.text
    return text if len(text) <= 60 else text[:59] + "…"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A metric's number in its unit, as readers see it; `scale` is what one of the unit is worth (1/100 a percent)."""

    value: Decimal
    scale: Fraction = Fraction(1)


def formula_value(formula: Formula, inputs: Mapping[str, Quantity], scale: Fraction = Fraction(1)) -> Decimal:
    """The value in a unit of that scale, rounded once to 28 digits; UndefinedError where there is none."""
    try:
        numbers = {name: exact(quantity.value) * quantity.scale for name, quantity in inputs.items()}
    except ValueError:
        raise UndefinedError("an input is out of range") from None
    made = rounded(evaluate_formula(formula, numbers) / scale)
    if made and abs(made.adjusted()) > _LARGEST_EXPONENT:
        raise UndefinedError("the result is out of range")
    return made


def with_numbers(formula: Formula, shown: Mapping[str, str]) -> str:
    """The formula's text with what is given in the place of each metric it names."""

    def put(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0] if name is None else match[0].replace(name, shown.get(name, name))

    return _TOKEN.sub(put, formula.text)


def accumulation(formula: Formula, cumulative: frozenset[str]) -> int | None:
    """How often a total that grows over its window is a factor of the result: 1 makes it grow in the same way, 0 not at
    all. None where it can not be said, as in the sum of a total and a state."""
    return _degree(formula.root, cumulative)


def _degree(node: Node, cumulative: frozenset[str]) -> int | None:
    if isinstance(node, Number):
        return 0
    if isinstance(node, Reference):
        return int(node.text in cumulative)
    if isinstance(node, Negative):
        return _degree(node.operand, cumulative)
    left, right = _degree(node.left, cumulative), _degree(node.right, cumulative)
    if left is None or right is None:
        return None
    if node.operator == "*":
        return left + right
    if node.operator == "/":
        return left - right
    return left if left == right else None
