"""The window's edges in an address and in what is posted: `{from}`, `{to:date}`, `{last}`. Pure."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.contract import JsonValue, Window
from connectors.errors import QueryError

_PLACEHOLDER = re.compile(r"\{(?:(from|to)(?::(date|unix|ms))?|(last))\}")
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def edges_in(value: JsonValue) -> frozenset[str]:
    """Which edges of the window a text, or the texts of a JSON value, ask for: `from`, `to`."""
    return frozenset(
        "from" if found[1] == "from" else "to" for text in _texts(value) for found in _PLACEHOLDER.finditer(text)
    )


def unknown_in(text: str) -> str | None:
    """What stands in braces in an address and is no placeholder; None where there is no such thing."""
    return next((found[0] for found in _BRACES.finditer(text) if not _PLACEHOLDER.fullmatch(found[0])), None)


def filled(text: str, window: Window) -> str:
    """The text with the window's edges in it. QueryError for an edge that the window does not have."""
    return _PLACEHOLDER.sub(lambda found: _edge(found, window), text)


def filled_json(value: JsonValue, window: Window) -> JsonValue:
    """The JSON value with the edges in its texts; its keys and all else as they are."""
    if isinstance(value, str):
        return filled(value, window)
    if isinstance(value, dict):
        return {key: filled_json(item, window) for key, item in value.items()}
    if isinstance(value, list):
        return [filled_json(item, window) for item in value]
    return value


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _edge(found: re.Match[str], window: Window) -> str:
    side, form, last = found.groups()
    moment = window.start if side == "from" else window.end
    if moment is None:
        raise QueryError(f"The query asks for {found[0]} and the metric's window has no such edge.")
    zone = ZoneInfo(window.zone)
    if last:  # the end of a window is not in it
        return (moment - timedelta(microseconds=1)).astimezone(zone).date().isoformat()
    if form == "date":
        return moment.astimezone(zone).date().isoformat()
    if form == "unix":
        return str((moment - _EPOCH) // timedelta(seconds=1))
    if form == "ms":
        return str((moment - _EPOCH) // timedelta(milliseconds=1))
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
