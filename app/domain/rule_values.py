"""Values on their way into CEL and out of it: counted, and exact where CEL can be."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any, TypeAlias

from app.domain.moments import format_moment
from app.domain.records import JsonValue
from app.domain.rule_text import RuleError

RuleValue: TypeAlias = "JsonValue | datetime | timedelta"

MAX_VALUES = 10_000
MAX_CHARACTERS = 65_536
MAX_DEPTH = 64
SAFE_INTEGER = 2**53


class Conversion:
    """The values of one evaluation, converted for CEL and counted; RuleError where they are too many or too deep.

    Texts count as the lists that a rule splits them into: by these `separators`, or (None) anywhere.
    """

    def __init__(self, in_doubles: bool, filled: frozenset[str], separators: tuple[str, ...] | None = ()) -> None:
        self._in_doubles = in_doubles
        self._filled = filled
        self._separators = separators
        self.values = 0
        self.characters = 0
        self.longest = 0
        self.pieces = 0

    def convert(self, value: Any, depth: int = 0, *, in_list: bool = False) -> Any:
        self.values += 1
        if self.values > MAX_VALUES or depth > MAX_DEPTH:
            raise RuleError("the data is too large for a rule")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, datetime):
            return format_moment(value)
        if isinstance(value, int):
            # Doubles hold integers up to 2⁵³ exactly; larger ones (ids) stay integers as long as CEL has them.
            is_double = abs(value) <= SAFE_INTEGER if self._in_doubles else not -(2**63) <= value < 2**63
            return _float(value) if is_double else self._large(value)
        if isinstance(value, Decimal):
            return _float(value)
        if isinstance(value, Mapping):
            items = {self._text(str(key)): self.convert(item, depth + 1) for key, item in value.items()}
            if in_list:
                items.update((name, None) for name in self._filled if name not in items)
            return items
        if isinstance(value, list | tuple):
            self.longest = max(self.longest, len(value))
            return [self.convert(item, depth + 1, in_list=True) for item in value]
        raise RuleError(f"a rule can not read a {type(value).__name__}")

    def _large(self, value: int) -> int | float:
        return value if -(2**63) <= value < 2**63 else _float(value)

    def _text(self, value: str) -> str:
        self.characters += len(value)
        if self.characters > MAX_CHARACTERS:
            raise RuleError("the data is too large for a rule")
        if self._separators != ():
            pieces = len(value) if self._separators is None else max(map(value.count, self._separators)) + 1
            self.pieces += pieces
            self.longest = max(self.longest, pieces)
        if value.isascii():
            return value.replace("\0", "\ufffd")
        # The library cuts a text at NUL and can not take half a surrogate pair.
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _float(value: int | Decimal) -> float:
    try:
        number = float(value)
    except OverflowError as error:
        raise RuleError("a number is too large for a rule") from error
    if not isfinite(number):
        raise RuleError("a number is too large for a rule")
    return number


def from_cel(value: Any) -> RuleValue:
    """A result of CEL: doubles as Decimal, moments as aware UTC. RuleError for bytes, types, infinity and NaN."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise RuleError("the result is no number (a division by zero?)")
        return Decimal(repr(value))
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, timedelta):
        return value
    if isinstance(value, list):
        return [from_cel(item) for item in value]  # type: ignore[misc]
    if isinstance(value, dict):
        return {str(key): from_cel(item) for key, item in value.items()}  # type: ignore[misc]
    raise RuleError("a rule gives text, a number, a moment, a duration, true, false or null")
