"""Strict JSON for what tools and senders say: exact numbers, no duplicate keys, bounded depth and digits."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from connectors.contract import JsonValue
from connectors.errors import UnexpectedResponseError

MAX_DEPTH = 64
MAX_DIGITS = 100
MAX_EXPONENT = 400  # every IEEE double fits

# A string that never ends matches to the end of the text, so the scan stays linear on hostile input.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_SUSPECT = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")


def decode(body: bytes, *, source: str = "The body") -> JsonValue:
    """The JSON value of `body` (UTF-8, RFC 8259), its fractions as Decimal; UnexpectedResponseError where it is none.

    Refused too: duplicate keys, NaN and infinities, more than 64 levels, numbers beyond 100 digits or 1e±400, NUL and
    lone surrogates. `source` begins the message and no message repeats any of the body.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise UnexpectedResponseError(f"{source} is not UTF-8 text.") from None
    if not text.strip():
        raise UnexpectedResponseError(f"{source} is empty where JSON was expected.")
    if text.lstrip()[0] == "<":
        raise UnexpectedResponseError(f"{source} is an HTML or XML page (a login page?) where JSON was expected.")
    _check_depth(text, source)
    reason = ""
    try:
        value: JsonValue = json.loads(
            text,
            parse_float=_fraction,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except _RefusedError as refused:
        reason = str(refused)
    except (ValueError, RecursionError):  # json's own error holds the whole text: it is not chained
        reason = "is not complete, well-formed JSON"
    else:
        if _SUSPECT.search(text):
            _check_text(value, source)
        return value
    raise UnexpectedResponseError(f"{source} {reason}.")


class _RefusedError(Exception):
    """Valid JSON that we do not take."""


def _check_depth(text: str, source: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > MAX_DEPTH:
            raise UnexpectedResponseError(f"{source} is nested deeper than {MAX_DEPTH} levels.")


def _check_text(value: JsonValue, source: str) -> None:
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str) and ("\0" in item or any("\ud800" <= letter <= "\udfff" for letter in item)):
            raise UnexpectedResponseError(f"{source} holds a NUL or half a surrogate pair, which is not text.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RefusedError("names a key twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _RefusedError(f"holds a number of more than {MAX_DIGITS} digits")
    return int(text)


def _fraction(text: str) -> Decimal:
    if len(text) > MAX_DIGITS + 10:
        raise _RefusedError(f"holds a number of more than {MAX_DIGITS} digits")
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent that no Decimal holds
        raise _RefusedError("holds a number out of range") from None
    if (number and abs(number.adjusted()) > MAX_EXPONENT) or abs(int(number.as_tuple().exponent)) > 2 * MAX_EXPONENT:
        raise _RefusedError("holds a number out of range")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise _RefusedError("holds NaN or an infinity, which JSON does not have")
