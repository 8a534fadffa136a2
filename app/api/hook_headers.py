"""The headers of webhooks, read by their shape: a sender gives the same names in the same order every time, so what is
asked of names is asked once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.api.body import MAX_BODY, Headers, content_type, is_json
from app.api.front import request_id_in
from app.api.problem import new_request_id

# What proves who the sender is, or opens anything: not to be kept.
_CONFIDENTIAL = re.compile(
    r"auth(?!or)|authori[sz]|cookie|signature|secret|token|passw|api-?key|credential|jwt|session"
)
#: Headers after which a body is not simply what is sent, or not yet sent.
_UNUSUAL = frozenset((b"content-encoding", b"transfer-encoding", b"expect"))
_LENGTH = re.compile(rb"[0-9]{1,7}")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the names of a request's headers say. `length` and `media` are the places of Content-Length and
    Content-Type, None where a look at the values does not do; `kept` are the places of what may be stored."""

    names: tuple[str, ...]
    kept: tuple[int, ...]
    media: int | None
    length: int | None
    has_id: bool


def shape_of(headers: Headers) -> Shape:
    """The shape of these headers (names in lower case)."""
    return _shape(tuple([name for name, _ in headers]))


@lru_cache(maxsize=1_024)
def _shape(names: tuple[bytes, ...]) -> Shape:
    texts = tuple(name.decode("latin-1") for name in names)
    is_plain = names.count(b"content-length") == names.count(b"content-type") == 1 and _UNUSUAL.isdisjoint(names)
    return Shape(
        names=texts,
        kept=tuple(place for place, text in enumerate(texts) if not _is_confidential(text)),
        media=names.index(b"content-type") if is_plain else None,
        length=names.index(b"content-length") if is_plain else None,
        has_id=b"x-request-id" in names,
    )


def plain_length(shape: Shape, headers: Headers) -> int | None:
    """The bytes of a body of JSON that comes as it is, neither none nor too many. None for whatever has to be looked at
    more closely."""
    if shape.length is None or shape.media is None:
        return None
    said = headers[shape.length][1]
    if not is_json_type(headers[shape.media][1]) or not _LENGTH.fullmatch(said):
        return None
    length = int(said)
    return length if 0 < length <= MAX_BODY else None


def id_for(shape: Shape, headers: Headers) -> str:
    """The request's id: the caller's own, or a new one."""
    return request_id_in(headers) if shape.has_id else new_request_id()


def pairs(shape: Shape, headers: Headers) -> Sequence[tuple[str, str]]:
    """The headers as text, in order."""
    return [(name, value.decode("latin-1")) for name, (_, value) in zip(shape.names, headers, strict=True)]


def storable(shape: Shape, found: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of them that may be kept."""
    return [pair for place in shape.kept if "\0" not in (pair := found[place])[1]]


@lru_cache(maxsize=256)
def is_json_type(value: bytes) -> bool:
    """Whether a Content-Type says JSON in UTF-8."""
    return is_json(content_type([(b"content-type", value)]))


def _is_confidential(name: str) -> bool:
    return _CONFIDENTIAL.search(name) is not None or "\0" in name
