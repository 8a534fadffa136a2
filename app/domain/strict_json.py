"""The door for JSON text: exact numbers in, exact numbers out, and a clear refusal of everything ambiguous.

RFC 8259 leaves duplicate keys, lone surrogates, the range of numbers and the depth of nesting to the reader. This
reader refuses what two programs could read differently or what could stall one, and says where.
"""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import accumulate
from typing import Any, Literal, TypeAlias

import msgspec

from app.domain.records import JsonValue

MAX_DEPTH = 64
# Digits on either side of the point: enough for every IEEE 754 double written out, far from what costs time.
MAX_DIGITS = 400

StrictJsonCode: TypeAlias = Literal[
    "empty", "encoding", "syntax", "trailing", "depth", "duplicate_key", "not_finite", "number", "surrogate", "nul"
]

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_SUSPECT_ESCAPE = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_STRUCTURE = b'"[]{}'
_NOT_STRUCTURE = bytes(set(range(256)) - set(_STRUCTURE))
_STEP = [0] * 256
for _byte in b"[{":
    _STEP[_byte] = 1
for _byte in b"]}":
    _STEP[_byte] = -1


class StrictJsonError(ValueError):
    """Text that is refused. The message never holds the text; `pointer` (RFC 6901) is None where it is not known."""

    def __init__(self, code: StrictJsonCode, message: str, pointer: str | None = None) -> None:
        super().__init__(message)
        self.code: StrictJsonCode = code
        self.message = message
        self.pointer = pointer


class _Refused:
    """Stands in the decoded tree for a value that is refused, so that a walk can tell its pointer."""

    __slots__ = ("code", "key", "message")

    def __init__(self, code: StrictJsonCode, message: str, key: str | None = None) -> None:
        self.code: StrictJsonCode = code
        self.message = message
        self.key = key


def loads(data: bytes | str, *, max_depth: int = MAX_DEPTH, max_digits: int = MAX_DIGITS) -> JsonValue:
    """The value of one JSON text in UTF-8: integers as int, other numbers as Decimal, never float.

    Raises StrictJsonError for anything that is not exactly one unambiguous value within the limits.
    """
    raw, text = _decoded(data)
    if _is_deeper(raw, max_depth):
        raise StrictJsonError("depth", f"nested deeper than {max_depth} levels")
    has_refused = False

    def refuse(code: StrictJsonCode, message: str, key: str | None = None) -> Any:
        nonlocal has_refused
        has_refused = True
        return _Refused(code, message, key)

    def integer(digits: str) -> Any:
        if len(digits) > max_digits:
            return refuse("number", f"a number of more than {max_digits} digits")
        return int(digits)

    def decimal(digits: str) -> Any:
        # Reading the exponent of a long number is what may cost time; a short one without exponent is in range.
        if len(digits) > max_digits or "e" in digits or "E" in digits:
            value = exact_decimal(digits, max_digits)
            return value if value is not None else refuse("number", f"a number of more than {max_digits} digits")
        return Decimal(digits)

    def mapping(pairs: list[tuple[str, Any]]) -> Any:
        found = dict(pairs)
        if len(found) != len(pairs):
            return refuse("duplicate_key", "this key is given twice", _first_repeated(pairs))
        return found

    try:
        value: JsonValue = json.loads(
            text,
            parse_int=integer,
            parse_float=decimal,
            parse_constant=lambda _: refuse("not_finite", "NaN and Infinity are not JSON numbers"),
            object_pairs_hook=mapping,
        )
    except json.JSONDecodeError as error:
        raise _syntax_error(error) from None
    if has_refused or _SUSPECT_ESCAPE.search(text):
        _raise_refused(value)
    return value


def exact_decimal(digits: str, max_digits: int = MAX_DIGITS) -> Decimal | None:
    """A number's exact value, or None where it would need more than `max_digits` digits on a side of the point."""
    if len(digits) > 2 * max_digits + 2:
        return None
    try:
        value = Decimal(digits)
    except ArithmeticError:  # an exponent beyond what Decimal can hold
        return None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > max_digits or value.adjusted() >= max_digits:
        return None
    return value


def dumps(value: JsonValue, *, sort_keys: bool = False) -> bytes:
    """UTF-8 JSON without spaces; a Decimal is written as a number with all its digits.

    With `sort_keys` the order in which keys were set does not matter, as a digest needs it. Raises TypeError for a
    float, a moment or anything else that is not a JsonValue; ValueError for NaN, Infinity and lone surrogates.
    """
    encode = _ENCODE_SORTED if sort_keys else _ENCODE
    try:
        return encode(value) if _check_writable(value) else encode(_with_long_integers_as_decimals(value))
    except UnicodeEncodeError as error:
        raise ValueError("a lone surrogate can not be written") from error


_ENCODE: Callable[[Any], bytes] = msgspec.json.Encoder(decimal_format="number").encode
_ENCODE_SORTED: Callable[[Any], bytes] = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode


def _decoded(data: bytes | str) -> tuple[bytes, str]:
    try:
        if isinstance(data, str):
            raw, text = data.encode(), data
        else:
            raw, text = data, data.decode()
    except UnicodeError:
        raise StrictJsonError("encoding", "the text is not valid UTF-8") from None
    if raw.startswith(b"\xef\xbb\xbf"):
        raise StrictJsonError("encoding", "the text starts with a byte order mark")
    if b"\x00" in raw[:4]:
        raise StrictJsonError("encoding", "the text is not UTF-8 (UTF-16 or UTF-32 is not read)")
    if not raw.strip(b" \t\r\n"):
        raise StrictJsonError("empty", "the text is empty")
    return raw, text


def _is_deeper(raw: bytes, limit: int) -> bool:
    """Whether brackets outside strings nest deeper than `limit`. Exact for the well-formed beginning of a text, which
    is as far as the parser goes; done without recursion, which is what the parser could run out of."""
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    if b"\\" in raw:
        raw = _ESCAPE.sub(b"", raw)
    brackets = _STRING.sub(b"", raw.translate(None, _NOT_STRUCTURE))
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def _syntax_error(error: json.JSONDecodeError) -> StrictJsonError:
    where = f"line {error.lineno}, column {error.colno}"
    if error.msg == "Extra data":
        return StrictJsonError("trailing", f"more text after the value at {where}")
    return StrictJsonError("syntax", f"not JSON at {where}: {error.msg[:1].lower()}{error.msg[1:]}")


def _first_repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key is repeated")


def _raise_refused(value: Any) -> None:
    """Raise for the first refused value, lone surrogate or NUL in the tree, with its pointer."""
    for path, item in _walk(value):
        if isinstance(item, _Refused):
            steps = path if item.key is None else (*path, item.key)
            raise StrictJsonError(item.code, item.message, _pointer(steps))
        if isinstance(item, str) and not item.isascii() and _has_surrogate(item):
            raise StrictJsonError("surrogate", "a lone surrogate is not text", _pointer(path))
        if isinstance(item, str) and "\x00" in item:
            raise StrictJsonError("nul", "the character NUL is not allowed in text", _pointer(path))


def _walk(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value and every key of a tree with its path, in the text's order."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while stack:
        path, item = stack.pop()
        yield path, item
        if isinstance(item, dict):
            for key in item:
                yield (*path, key), key
            stack.extend(((*path, key), child) for key, child in reversed(item.items()))
        elif isinstance(item, list):
            stack.extend(((*path, index), item[index]) for index in range(len(item) - 1, -1, -1))


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _pointer(path: tuple[str | int, ...]) -> str:
    """RFC 6901, with long keys cut and what can not be encoded replaced: it goes into an answer."""
    steps = (str(step)[:100].encode(errors="replace").decode() for step in path)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _check_writable(value: JsonValue) -> bool:
    """Raise for what JSON has no exact form for; False where an integer is beyond the encoder's 64 bits."""
    fits = True
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str or item is None or kind is bool:
            continue
        if kind is dict:
            if not all(type(key) is str for key in item):
                raise TypeError("keys of a JSON object are text")
            stack.extend(item.values())
        elif kind is list or kind is tuple:
            stack.extend(item)
        elif kind is int:
            fits = fits and -(2**63) <= item < 2**63
        elif kind is Decimal:
            if not item.is_finite():
                raise ValueError("NaN and Infinity have no JSON form")
        else:
            raise TypeError(f"{kind.__name__} has no exact JSON form")
    return fits


def _with_long_integers_as_decimals(value: Any) -> Any:
    if type(value) is int:
        return Decimal(value)
    if isinstance(value, dict):
        return {key: _with_long_integers_as_decimals(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_long_integers_as_decimals(item) for item in value]
    return value
