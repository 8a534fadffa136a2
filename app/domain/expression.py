"""Rules: CEL expressions over a record or a delivery, as teams write them.

What a rule sees differs from plain CEL in what people expect of records:

* An absent or null value is `null` at any depth: `== null` is ordinary, `has(x)` is `x != null`, and everything else
  with null (ordering, arithmetic, calls) is unknown, as in SQL: a condition that is unknown does not match, an unknown
  value is null. `!(record.points > 3)` of a record without points does not match either.
* A plain path keeps the exact number. Everything else is CEL: decimals become doubles, and arithmetic is in doubles
  (`record.qty * 1.5` and `5 / 2` are what they look like, whatever mix of integers and decimals the data brings),
  unless that does not fit the types of the expression (`size(x) + 1`), which is then plain CEL.
* A datetime in the data is a timestamp.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from app.domain.rule_text import (
    Path,
    RuleError,
    Step,
    Token,
    call_cost,
    check_cost,
    element_names,
    is_mark,
    loop_bodies,
    loop_depth,
    paths,
    separators,
    tokens,
)
from app.domain.rule_values import SAFE_INTEGER, Conversion, RuleValue, from_cel

__all__ = ["Rule", "RuleData", "RuleError", "RuleValue", "compile_rule"]

RuleData: TypeAlias = Mapping[str, Any]

# The library stops after 10,000 steps, but a step costs what it touches.
MAX_LIST_IN_MAP = 400  # map and filter copy the list at every element they keep
MAX_VALUES_IN_LOOP = 100
MAX_CHARACTERS_IN_LOOP = 4_096
MAX_VALUES_IN_NESTED_LOOPS = 1_000
MAX_STEPS = 3_000_000  # of patterns and calls, a character each
_ERROR_PLACE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_STATUS_CODE = re.compile(r" \[[A-Z_]+\]$")
_NO_OVERLOAD = "No matching overloads found"
_ABSENT = ("Key not found in map", "Index error", "SELECT to non-message")


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule. `is_path`: a plain path; `is_exact`: its numbers are those of the data; `fields`: the first
    steps it reads of its variables, None where it reads a variable whole."""

    text: str
    is_path: bool
    fields: frozenset[str] | None
    _paths: tuple[Path, ...] = field(repr=False)
    _program: Any = field(repr=False, compare=False)
    _names: tuple[str, ...] = field(repr=False)
    _in_doubles: bool = field(repr=False)
    _filled: frozenset[str] = field(repr=False)
    _separators: tuple[str, ...] | None = field(repr=False)
    _cost: int = field(repr=False)
    _nested_cost: int = field(repr=False)
    _has_copying_loop: bool = field(repr=False)
    _has_nested_loop: bool = field(repr=False)

    @property
    def is_exact(self) -> bool:
        """Whether `value` gives the numbers of the data untouched (a plain path), not doubles computed by CEL."""
        return self.is_path

    def value(self, data: RuleData) -> RuleValue:
        """The value for this data: null where anything it needs is absent; numbers as int or Decimal.

        Raises RuleError for what went wrong in the rule, or for data too large for a rule.
        """
        if self.is_path:
            found: RuleValue = _walk(data, self._paths[0])
            return found
        return self._evaluate(data)

    def matches(self, data: RuleData) -> bool:
        """Whether the condition holds; an unknown one does not. RuleError where it is no condition."""
        found = self.value(data)
        if found is None or isinstance(found, bool):
            return found is True
        raise RuleError(f"a condition is true or false, this is {_kind(found)}")

    def _evaluate(self, data: RuleData) -> RuleValue:
        conversion = Conversion(self._in_doubles, self._filled, self._separators)
        variables: dict[str, Any] = {}
        reads_null, repeated = False, 0
        for name, path in zip(self._names, self._paths, strict=True):
            values, characters = conversion.values, conversion.characters
            found = _walk(data, path)
            reads_null = reads_null or found is None
            variables[name] = conversion.convert(found)
            variables[f"{name}m"] = isinstance(found, datetime)
            if path.in_loop:
                repeated += conversion.characters - characters
                if conversion.values - values > MAX_VALUES_IN_LOOP or repeated > MAX_CHARACTERS_IN_LOOP:
                    raise RuleError("the data is too large to be read again for every element")
        self._check_size(conversion, repeated)
        try:
            result = self._program.eval(data=variables)
            kind = result.type().name()
            plain = result.plain_value()
        except RuntimeError as error:
            raise RuleError(_plain_message(str(error))) from error
        if kind == "ERROR":
            _raise_unless_unknown(str(plain), reads_null)
            return None
        return from_cel(plain)

    def _check_size(self, conversion: Conversion, repeated: int) -> None:
        """`repeated`: the characters that are read again for every element."""
        if self._has_copying_loop and conversion.longest > MAX_LIST_IN_MAP:
            raise RuleError(f"map and filter take lists of at most {MAX_LIST_IN_MAP} elements")
        values = conversion.values + conversion.pieces
        if self._has_nested_loop and values > MAX_VALUES_IN_NESTED_LOOPS:
            raise RuleError("the data is too large for a loop within a loop")
        # A loop within a loop may hold every text against every element.
        steps = self._cost * (conversion.characters + repeated * values)
        if steps + self._nested_cost * conversion.characters * values > MAX_STEPS:
            raise RuleError("the text is too long for this rule")


@lru_cache(maxsize=4_096)
def compile_rule(text: str, variables: tuple[str, ...]) -> Rule:
    """The rule of this text over these variables (`record`, or `body` and `headers`); RuleError with the column."""
    found = tokens(text)
    cost = check_cost(text, found, variables)
    plain = _compile(_environment(variables), text)
    reads = tuple(paths(found, variables))
    is_path = len(reads) == 1 and (reads[0].first, reads[0].last) == (0, len(found) - 1)
    names = tuple(f"v{index}" for index in range(len(reads)))
    program, in_doubles = plain, False
    if not is_path:
        environment = _environment(names, tuple(f"{name}m" for name in names))
        program, in_doubles = _compile_over_paths(environment, found, reads, names)
    whole = any(not path.steps for path in reads)
    return Rule(
        text=text,
        is_path=is_path,
        fields=None if whole else frozenset(str(path.steps[0]) for path in reads),
        _paths=reads,
        _program=program,
        _names=names,
        _in_doubles=in_doubles,
        _filled=element_names(found),
        _separators=separators(found),
        _cost=cost,
        _nested_cost=call_cost(found, depth=2),
        _has_copying_loop=any(token.text in ("map", "filter") for token in found),
        _has_nested_loop=any(loop_depth(found, first) > 1 for first, _ in loop_bodies(found)),
    )


# --- compilation -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _environment(variables: tuple[str, ...], flags: tuple[str, ...] = ()) -> Any:
    types = dict.fromkeys(variables, cel.Type.DYN) | dict.fromkeys(flags, cel.Type.BOOL)
    return cel.NewEnv(variables=types, extensions=[ext_strings.ExtStrings()])


def _compile(environment: Any, text: str) -> Any:
    try:
        return environment.compile(text)
    except RuntimeError as error:
        place = _ERROR_PLACE.search(str(error))
        raise RuleError(_plain_message(str(error)), _column(text, place) if place else None) from error


def _column(text: str, place: re.Match[str]) -> int | None:
    """The column counted from the start of the rule, over its line breaks."""
    line, column = int(place[1]), int(place[2])
    return None if line < 1 else sum(len(part) for part in text.splitlines(keepends=True)[: line - 1]) + column


def _plain_message(message: str) -> str:
    place = _ERROR_PLACE.search(message)
    text = place[3] if place else message.split("\n")[0].split(": ", 1)[-1]
    if "Iteration budget" in text:
        return "this rule takes too many steps"
    return _STATUS_CODE.sub("", text).removesuffix(" (in container '')").rstrip()[:300]


def _compile_over_paths(
    environment: Any, found: tuple[Token, ...], reads: tuple[Path, ...], names: tuple[str, ...]
) -> tuple[Any, bool]:
    """The program over one variable per path, and whether its numbers are doubles."""
    literals = [_all_integers(found), _operands(found)] if _has_arithmetic(found) else []
    for doubles in literals:
        try:
            return _compile(environment, _rewritten(found, reads, names, doubles)), True
        except RuleError:
            continue
    return _compile(environment, _rewritten(found, reads, names, frozenset())), False


def _rewritten(
    found: tuple[Token, ...], reads: tuple[Path, ...], names: tuple[str, ...], doubles: frozenset[int]
) -> str:
    starts = {path.first: (path, name) for path, name in zip(reads, names, strict=True)}
    parts: list[str] = []
    index = 0
    while index < len(found):
        token = found[index]
        if index in starts:
            path, name = starts[index]
            # Python datetimes can not be nested in dyn values: the text is told apart by a flag.
            parts.append(f"({name}m ? dyn(timestamp({name})) : {name})" if path.root == "record" else name)
            index = path.last + 1
            continue
        if token.text == "has" and is_mark(found, index + 1, "(") and not is_mark(found, index - 1, "."):
            parts.append("(null != ")
            index += 2
            continue
        parts.append(f"{int(token.text, 0)}.0" if index in doubles else token.text)
        index += 1
    return " ".join(parts)


def _has_arithmetic(found: tuple[Token, ...]) -> bool:
    return any(_is_arithmetic(found, index) for index in range(len(found)))


def _is_arithmetic(found: tuple[Token, ...], index: int) -> bool:
    """Whether the token is `* / +` or a `-` between two values; `%` is for integers and stays theirs."""
    if not any(is_mark(found, index, mark) for mark in "+-*/"):
        return False
    before = found[index - 1] if index else None
    return before is not None and (before.kind != "mark" or before.text in (")", "]", "}"))


def _all_integers(found: tuple[Token, ...]) -> frozenset[int]:
    return frozenset(i for i, token in enumerate(found) if token.kind == "int" and int(token.text, 0) <= SAFE_INTEGER)


def _operands(found: tuple[Token, ...]) -> frozenset[int]:
    """The integers next to an arithmetic operator, a sign between them or not."""
    return frozenset(
        i
        for i in _all_integers(found)
        if _is_arithmetic(found, i + 1)
        or _is_arithmetic(found, i - (2 if is_mark(found, i - 1, "-") else 1))
        or _is_arithmetic(found, i - 1)
    )


# --- evaluation ------------------------------------------------------------------------------------------------------


def _walk(data: RuleData, path: Path) -> Any:
    """What lies at the path, None where any step of it is absent."""
    found: Any = data.get(path.root)
    for step in path.steps:
        found = _step(found, step)
        if found is None:
            return None
    return found


def _step(found: Any, step: Step) -> Any:
    if isinstance(step, str):
        return found.get(step) if isinstance(found, Mapping) else None
    is_inside = isinstance(found, list | tuple) and step < len(found)
    return found[step] if is_inside else None


def _raise_unless_unknown(message: str, reads_null: bool) -> None:
    if any(absent in message for absent in _ABSENT):
        return
    if _NO_OVERLOAD in message:
        signature = message.split(_NO_OVERLOAD, 1)[1]
        # Logical operators, `in` and conditions do not name their operands' types.
        if "null_type" in signature or (reads_null and "(" not in signature):
            return
    raise RuleError(_plain_message(message))


def _kind(value: RuleValue) -> str:
    names = {str: "text", int: "a number", Decimal: "a number", datetime: "a moment", timedelta: "a duration"}
    return names.get(type(value), "a list or map")
