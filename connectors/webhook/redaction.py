"""Dropping fields of a body before it is stored: paths such as `body.user.email` and `body.alerts[*].annotations`."""

from collections.abc import Iterable
from typing import Any

import msgspec

from connectors.decoding import decode
from connectors.paths import FieldPath

_encoder = msgspec.json.Encoder(decimal_format="number")


def redacted(body: bytes, paths: Iterable[FieldPath]) -> bytes:
    """The JSON body without what the paths name, everything else exact; UnexpectedResponseError where it is no JSON."""
    value: Any = decode(body, source="The body of the delivery")
    for path in paths:
        _drop(value, path)
    return _encoder.encode(value)


def _drop(value: Any, path: FieldPath) -> None:
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and isinstance(step, str):
        if not rest:
            value.pop(step, None)
        elif step in value:
            _drop(value[step], rest)
    elif isinstance(value, list) and not isinstance(step, str):
        if not rest:
            # An element leaves null behind: what follows it keeps its place.
            chosen = range(len(value)) if step is None else range(step, min(step + 1, len(value)))
            for index in chosen:
                value[index] = None
            return
        for item in value if step is None else value[step : step + 1]:
            _drop(item, rest)
