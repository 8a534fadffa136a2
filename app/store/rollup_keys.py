"""Bytes whose order is the order of what they stand for: what the index of order statistics sorts on.

Compared byte by byte, as SQLite compares blobs and PostgreSQL `bytea`, the keys of two numbers are ordered as the
numbers are, and equal numbers (3 and 3.00) have one key. A number can be read back from its key, so an index alone
answers which value has a rank. A group's key is its digest: only equality is asked of it.
"""

import hashlib
from decimal import Decimal

_NEGATIVE, _ZERO, _POSITIVE = b"\x7f", b"\x80", b"\x81"
_BIAS = 1 << 15
_COMPLEMENT = bytes(255 - byte for byte in range(256))


def number_key(number: Decimal) -> bytes:
    """The key of a finite number of up to a few thousand digits.

    A sign, the exponent of the leading digit, then two digits a byte. A negative number has the complement, and a last
    byte above any that could follow, because there the longer number is the smaller one.
    """
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("a finite number is expected")
    text = "".join(map(str, digits)).lstrip("0")
    if not text:
        return _ZERO
    head = (len(text) - 1 + exponent + _BIAS).to_bytes(2, "big")
    text = text.rstrip("0")
    text += "0" * (len(text) % 2)
    body = head + bytes(int(text[place : place + 2]) + 1 for place in range(0, len(text), 2))
    return _NEGATIVE + body.translate(_COMPLEMENT) + b"\xff" if sign else _POSITIVE + body


def number_of(key: bytes) -> Decimal:
    """The number that a key stands for."""
    if key == _ZERO:
        return Decimal(0)
    is_negative = key.startswith(_NEGATIVE)
    body = key[1:-1].translate(_COMPLEMENT) if is_negative else key[1:]
    digits = tuple(digit for byte in body[2:] for digit in divmod(byte - 1, 10))
    leading = int.from_bytes(body[:2], "big") - _BIAS
    return Decimal((int(is_negative), digits, leading - len(digits) + 1))


def group_key(group: str | None) -> bytes:
    """The key of a group that a distinct count counts: 16 bytes of a cryptographic digest, so that two groups share
    one in no realistic dataset."""
    return b"" if group is None else hashlib.blake2b(group.encode(), digest_size=16).digest()


def after(key: bytes) -> bytes:
    """The least possible key above a key."""
    return key + b"\x00"
