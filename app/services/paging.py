"""Opaque cursors of lists: where to go on, checked so that a tampered or foreign one is refused, not guessed at."""

import base64
import binascii
import zlib

import msgspec

from app.errors import InvalidInput

_LONGEST = 1024
_LARGEST_ID = 2**63 - 1


def encode_cursor(kind: str, *keys: int | str) -> str:
    """The cursor of a list of `kind` that goes on after the row with these keys."""
    payload = msgspec.json.encode([kind, *keys])
    checksum = zlib.crc32(payload).to_bytes(4, "big")
    return base64.urlsafe_b64encode(checksum + payload).rstrip(b"=").decode()


def decode_cursor(kind: str, cursor: str, *types: type[int] | type[str]) -> tuple[int | str, ...]:
    """The keys in a cursor made by `encode_cursor` for the same kind of list; InvalidInput for anything else."""
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, payload = raw[:4], raw[4:]
        if zlib.crc32(payload).to_bytes(4, "big") != checksum:
            raise ValueError
        found_kind, *keys = msgspec.json.decode(payload, type=list[int | str])
        if found_kind != kind or len(keys) != len(types):
            raise ValueError
        for key, wanted in zip(keys, types, strict=True):
            if type(key) is not wanted or (isinstance(key, int) and not 0 <= key <= _LARGEST_ID):
                raise ValueError
    except (ValueError, binascii.Error, UnicodeError, msgspec.DecodeError) as error:
        raise InvalidInput.at(
            "/after", "cursor", "This is not a cursor of this list; take it from `next`.", "query"
        ) from error
    return tuple(keys)


def decode_id(kind: str, cursor: str | None) -> int | None:
    """The id in the cursor of a list that is ordered by one id; None for the list's start."""
    if cursor is None:
        return None
    (identity,) = decode_cursor(kind, cursor, int)
    return int(identity)
