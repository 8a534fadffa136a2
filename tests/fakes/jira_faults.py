"""Ways for the fake to misbehave: each fault meets some requests to one path and changes what is answered to them."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What the fake sends: a status, headers in lower case, and a body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json;charset=UTF-8"})


@dataclass(slots=True)
class Fault:
    """Changes the answers to the requests number `first` to `first + times - 1` at a path, counted since it was set.

    Requests wait for `until` first, where there is one.
    """

    path: str
    change: Callable[[Answer], Answer]
    first: int = 1
    times: int = 1
    until: asyncio.Event | None = None
    seen: int = 0

    def meets(self, path: str) -> bool:
        """Whether this request is one of those; counts it."""
        if path != self.path:
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.times


def status(path: str, code: int, *, words: str = "", first: int = 1, times: int = 1, **headers: str) -> Fault:
    """An error status with Atlassian's error body; header names with `_` for `-`."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"errorMessages": [words] if words else [], "errors": {}}).encode()
    return Fault(path, lambda _: Answer(code, body, {"content-type": "application/json", **names}), first, times)


def login_page(path: str, *, first: int = 1) -> Fault:
    """A login page with 200, as a proxy or an expired session gives."""
    page = b"<!DOCTYPE html><html><head><title>Log in with Atlassian</title></head><body></body></html>"
    return Fault(path, lambda _: Answer(200, page, {"content-type": "text/html"}), first)


def truncated(path: str, *, first: int = 1) -> Fault:
    """Half of the JSON."""
    return Fault(path, lambda answer: replace(answer, body=answer.body[: len(answer.body) // 2]), first)


def edited(path: str, edit: Callable[[Any], Any], *, first: int = 1, times: int = 1) -> Fault:
    """The JSON with `edit` applied to it."""

    def change(answer: Answer) -> Answer:
        return replace(answer, body=json.dumps(edit(json.loads(answer.body))).encode())

    return Fault(path, change, first, times)


def repeated_token(path: str) -> Fault:
    """Every page names the same successor."""
    return edited(path, lambda page: {**page, "isLast": False, "nextPageToken": "again"}, times=1_000)


def held(path: str, until: asyncio.Event, *, first: int = 1) -> Fault:
    """The right answer, but not before `until` is set."""
    return Fault(path, lambda answer: answer, first, until=until)
