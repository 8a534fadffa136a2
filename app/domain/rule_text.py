"""Reading the text of a rule: its tokens, the paths into the data, and what it may cost.

A rule is CEL (https://github.com/google/cel-spec). The library evaluates, and counts the steps of a comprehension, but
has no clock: text that grows, costly patterns and big data inside a loop are refused here, before they run.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

Step: TypeAlias = str | int

MAX_LENGTH = 4_000
MAX_MACROS = 4
MAX_GROWTH = 4
MAX_PATTERN_COST = 5_000
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<string>(?:[bB]?[rR][bB]?(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"[^"\n]*"|'[^'\n]*'))
        | [bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
      | (?P<int>0x[0-9a-fA-F]+|\d+)(?![uU\w])
      | (?P<word>[_a-zA-Z][_a-zA-Z0-9]*)
      | (?P<mark>\|\||&&|[=!<>]=|[\s\S])""",
    re.VERBOSE,
)
_REPEAT = re.compile(r"(\))?\{(\d{1,6})(?:,(\d{0,6}))?\}")


class RuleError(ValueError):
    """A rule that does not compile, fails on its data, or costs too much. `column` is 1-based, None at run time."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a rule; `start` and `end` are offsets in its text. `kind` is string, float, int, word or mark."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Path:
    """A place in the data that the text reads: `record.po["Story Points"][0]`. `in_loop`: inside a comprehension."""

    root: str
    steps: tuple[Step, ...]
    first: int
    last: int
    in_loop: bool


def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a rule without white space and comments; never fails, CEL judges what makes no sense."""
    return tuple(
        Token(match.lastgroup or "mark", match[0], match.start(), match.end())
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "space"
    )


def literal(token: Token | None) -> str | None:
    """The value of a string literal, None for everything else."""
    if token is None or token.kind != "string":
        return None
    try:
        value = ast.literal_eval(token.text)
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, str) else None


def is_mark(found: Sequence[Token], index: int, text: str) -> bool:
    """Whether the token at `index` is this mark; an index outside is no token."""
    return 0 <= index < len(found) and found[index].kind == "mark" and found[index].text == text


def paths(found: Sequence[Token], roots: Sequence[str]) -> Iterator[Path]:
    """Every path into the data, the longest that is plain at each place."""
    loops = loop_bodies(found)
    for index, token in enumerate(found):
        if token.kind == "word" and token.text in roots and not is_mark(found, index - 1, "."):
            steps, last = _steps(found, index)
            if is_mark(found, last + 1, "(") and last == index:
                continue
            yield Path(token.text, steps, index, last, any(first <= index <= end for first, end in loops))


def _steps(found: Sequence[Token], index: int) -> tuple[tuple[Step, ...], int]:
    steps: list[Step] = []
    while True:
        ahead = found[index + 1 : index + 4]
        if len(ahead) >= 2 and is_mark(ahead, 0, ".") and ahead[1].kind == "word" and not is_mark(ahead, 2, "("):
            steps.append(ahead[1].text)
            index += 2
        elif len(ahead) == 3 and is_mark(ahead, 0, "[") and is_mark(ahead, 2, "]"):
            key = literal(ahead[1])
            if key is not None:
                steps.append(key)
            elif ahead[1].kind == "int":
                steps.append(int(ahead[1].text, 0))
            else:
                return tuple(steps), index
            index += 3
        else:
            return tuple(steps), index


def _macros(found: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """The opening parenthesis and the loop variable of each `.exists(x, …)`."""
    for index, token in enumerate(found):
        if (
            token.text in _MACROS
            and is_mark(found, index - 1, ".")
            and is_mark(found, index + 1, "(")
            and is_mark(found, index + 3, ",")
            and found[index + 2].kind == "word"
        ):
            yield index + 1, found[index + 2]


def loop_bodies(found: Sequence[Token]) -> tuple[tuple[int, int], ...]:
    """The token ranges, both ends included, of what is evaluated once per element."""
    return tuple((opening + 3, _closing(found, opening)) for opening, _ in _macros(found))


def loop_depth(found: Sequence[Token], index: int) -> int:
    """In how many loop bodies, one within the other, the token at `index` stands."""
    return sum(first <= index <= last for first, last in loop_bodies(found))


def _closing(found: Sequence[Token], opening: int) -> int:
    depth = 0
    for index in range(opening, len(found)):
        if found[index].kind == "mark":
            depth += (found[index].text in "([{") - (found[index].text in ")]}")
            if depth == 0:
                return index
    return len(found) - 1


def element_names(found: Sequence[Token]) -> frozenset[str]:
    """The names that are read of loop variables: `price` of `items.exists(i, i.price > 3)`."""
    variables = {variable.text for _, variable in _macros(found)}
    names: set[str] = set()
    for index, token in enumerate(found):
        if token.kind == "word" and token.text in variables and not is_mark(found, index - 1, "."):
            names.update(str(step) for step in _steps(found, index)[0][:1] if isinstance(step, str))
    return frozenset(names)


def check_cost(text: str, found: Sequence[Token], roots: Sequence[str]) -> int:
    """The summed cost of the patterns and calls of a rule for each character that it reads; RuleError where its text
    alone shows that it could run away."""
    if len(text) > MAX_LENGTH:
        raise RuleError(f"a rule is at most {MAX_LENGTH} characters long", 1)
    macros = list(_macros(found))
    if len(macros) > MAX_MACROS:
        raise RuleError(f"a rule has at most {MAX_MACROS} of all, exists, exists_one, map and filter", 1)
    for _, variable in macros:
        if variable.text in roots:
            raise RuleError(f"{variable.text!r} is taken, choose another name", variable.start + 1)
    _check_growth(found)
    return sum(_pattern_cost(found, index) for index in _calls(found, "matches")) + call_cost(found)


#: What a call costs for each character, as a pattern does for each of its states. At worst, looking for a text that is
#: data takes the square of it.
_SPLIT_COST, _REPLACE_COST, _LITERAL_COST, _SEARCH_COST = 20, 8, 1, 8
_SEARCHES = ("contains", "indexOf", "lastIndexOf")
_MADE = ("replace", "lowerAscii", "upperAscii", "join")


def separators(found: Sequence[Token]) -> tuple[str, ...] | None:
    """The texts that a rule splits by; None where any character may be one, for it is not known or the text is made."""
    calls = list(_calls(found, "split"))
    given = [literal(_first_argument(found, index)) for index in calls]
    is_made = any(token.text in _MADE or is_mark(found, index, "+") for index, token in enumerate(found))
    if calls and (is_made or not all(given)):
        return None
    return tuple(dict.fromkeys(text for text in given if text))


def call_cost(found: Sequence[Token], *, depth: int = 0) -> int:
    """What the calls of a rule, in so many loops at least, cost for each character of its data; RuleError where a text
    would grow too much."""
    costs = {"split": _SPLIT_COST, "replace": _REPLACE_COST * _growth(found), **dict.fromkeys(_SEARCHES, _SEARCH_COST)}
    total = 0
    for name, cost in costs.items():
        for index in _calls(found, name):
            if depth and loop_depth(found, index) < depth:
                continue
            is_literal = literal(_first_argument(found, index)) is not None and not is_mark(found, index + 3, "+")
            total += _LITERAL_COST if name in _SEARCHES and is_literal else cost
    return total


def _first_argument(found: Sequence[Token], call: int) -> Token | None:
    """The first token between a call's parentheses; None where the text ends before."""
    return found[call + 2] if call + 2 < len(found) else None


def _calls(found: Sequence[Token], name: str) -> Iterator[int]:
    return (i for i, token in enumerate(found) if token.text == name and is_mark(found, i + 1, "("))


def _check_growth(found: Sequence[Token]) -> None:
    """Text and lists that a loop makes longer each time double at every chained loop: 2²⁴ in 200 characters."""
    growing: set[int] = set()
    for first, last in loop_bodies(found):
        for index in range(first, last):
            token = found[index]
            if token.kind != "mark":
                continue
            if token.text == "+":
                growing.add(index)
            is_literal = token.text == "[" and not _ends_value(found[index - 1])
            inside = found[index : _closing(found, index)]
            if token.text == "{" or (is_literal and any(t.kind == "word" for t in inside)):
                raise RuleError(
                    "a list or map made inside all, exists, map or filter is not supported", token.start + 1
                )
    if len(growing) > MAX_GROWTH:
        raise RuleError(f"at most {MAX_GROWTH} additions are allowed inside all, exists, map and filter", 1)
    for index in _calls(found, "format"):
        raise RuleError("format is not supported", found[index].start + 1)
    for index in _calls(found, "join"):
        if not is_mark(found, index + 2, ")") and len(literal(_first_argument(found, index)) or " " * 99) > 16:
            raise RuleError("join takes a literal of at most 16 characters", found[index].start + 1)


def _growth(found: Sequence[Token]) -> int:
    """How many times longer all replacements together make a text at the most."""
    growth = 1.0
    for index in _calls(found, "replace"):
        values = [literal(token) for token in found[index + 2 : index + 5 : 2]]
        if len(values) < 2 or not values[0] or values[1] is None:
            raise RuleError("replace takes two literal texts, the first not empty", found[index].start + 1)
        growth *= max(1.0, len(values[1]) / len(values[0]))
    if growth > 16:
        raise RuleError("replace makes the text more than 16 times longer", 1)
    return ceil(growth)


def _ends_value(token: Token) -> bool:
    return token.kind in ("word", "string") or token.text in (")", "]", "}")


def _pattern_cost(found: Sequence[Token], index: int) -> int:
    """About how many states the pattern has: RE2 takes at most (states × characters) steps.
    https://github.com/google/re2/wiki/WhyRE2"""
    arguments = [literal(token) for token in found[index + 2 : _closing(found, index + 1)]]
    patterns = [value for value in arguments if value is not None]
    if len(patterns) != 1 or arguments[-1] is None:
        raise RuleError("matches takes a literal pattern", found[index].start + 1)
    if loop_depth(found, index) > 1:
        raise RuleError("matches is not supported in a loop within a loop", found[index].start + 1)
    product, total = 1, 0
    for after_group, low, high in _REPEAT.findall(patterns[0]):
        times = max(int(low), int(high or 0), 1)
        total += times
        product *= times if after_group else 1
    cost = len(patterns[0]) * max(product, 1) + total
    if cost > MAX_PATTERN_COST:
        raise RuleError("this pattern is too costly: fewer or smaller repetitions", found[index].start + 1)
    return cost
