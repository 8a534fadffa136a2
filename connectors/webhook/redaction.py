"""Dropping fields of a body before it is stored: paths such as `body.user.email` and `body.alerts[*].annotations`."""

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
from pydantic_core import PydanticCustomError

from connectors.decoding import decode

FieldPath: TypeAlias = tuple[str | int | None, ...]
"""Names and positions from the body's root; None is every element."""

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(?:(\*)|([0-9]{1,6})|\"([^\"\\]+)\")\]")
_encoder = msgspec.json.Encoder(decimal_format="number")


def parse_path(text: str) -> FieldPath:
    """The steps of a path below `body`; a validation error for what is none."""
    steps: list[str | int | None] = []
    position = len("body")
    while text.startswith("body") and position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            break
        name, every, index, quoted = step.groups()
        steps.append(None if every else int(index) if index else name or quoted)
        position = step.end()
    if not steps or position < len(text):
        raise PydanticCustomError(
            "path", 'a path such as body.user.email, body["e-mail"] or body.items[*].name is expected'
        )
    return tuple(steps)


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
