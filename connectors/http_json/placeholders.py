"""What stands for something else in an address and in what is posted. Pure.

Of a query the window's edges: `{from}`, `{to:date}`, `{last}`; of a dataset the page that is asked for: `{page}`,
`{next}`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.contract import JsonValue, Window
from connectors.errors import QueryError

_PLACEHOLDER = re.compile(r"\{(?:(from|to)(?::(date|unix|ms))?|(last))\}")
_PAGE = re.compile(r"\{(page|next)\}")
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def edges_in(value: JsonValue) -> frozenset[str]:
    """Which edges of the window a text, or the texts of a JSON value, ask for: `from`, `to`."""
    return frozenset(
        "from" if found[1] == "from" else "to" for text in _texts(value) for found in _PLACEHOLDER.finditer(text)
    )


def pages_in(value: JsonValue) -> frozenset[str]:
    """By what a text, or the texts of a JSON value, ask for a page: `page`, `next`."""
    return frozenset(found[1] for text in _texts(value) for found in _PAGE.finditer(text))


def unknown_in(text: str, *, of_pages: bool = False) -> str | None:
    """What stands in braces in an address and is no placeholder of a window, or of pages; None where there is no such
    thing."""
    known = _PAGE if of_pages else _PLACEHOLDER
    return next((found[0] for found in _BRACES.finditer(text) if not known.fullmatch(found[0])), None)


def filled(text: str, window: Window) -> str:
    """The text with the window's edges in it. QueryError for an edge that the window does not have."""
    return _PLACEHOLDER.sub(lambda found: _edge(found, window), text)


def filled_json(value: JsonValue, window: Window) -> JsonValue:
    """The JSON value with the edges in its texts; its keys and all else as they are."""
    return _mapped(value, lambda text: filled(text, window))


@dataclass(frozen=True, slots=True)
class PageAsked:
    """Which page is asked for: its number from 1, and what the one before said of it (None: it is the first)."""

    page: int = 1
    next: str | None = None

    def in_address(self, text: str) -> str:
        """An address with the page in it; nothing for the first page's `{next}`."""
        given = {"page": str(self.page), "next": quote(self.next or "", safe="")}
        return _PAGE.sub(lambda found: given[found[1]], text)

    def in_json(self, value: JsonValue) -> JsonValue:
        """A JSON value with the page in its texts; a text that is nothing else becomes the number, or null."""
        given = {"page": str(self.page), "next": self.next or ""}
        whole: dict[str, JsonValue] = {"{page}": self.page, "{next}": self.next}
        return _mapped(
            value, lambda text: whole[text] if text in whole else _PAGE.sub(lambda found: given[found[1]], text)
        )


def _mapped(value: JsonValue, change: Callable[[str], JsonValue]) -> JsonValue:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
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
