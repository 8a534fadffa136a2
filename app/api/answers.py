"""Answers: JSON from the services' views, pages of lists, and the entity tags that spare a poll its body."""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, Field

from app.errors import InvalidInput
from app.services.read import stable

ViewT = TypeVar("ViewT")

JSON = "application/json"
_IF_MATCH = re.compile(r'(?:W/)?"([1-9][0-9]{0,17})(?:-[0-9a-f]+)?"')
#: Of every read: it may be kept by whoever asked, and asked for again each time.
NO_STORE = {"Cache-Control": "private, no-cache"}


class Items(BaseModel, Generic[ViewT]):
    """A page of a list. `next` is the cursor of the following page, null on the last."""

    items: list[ViewT]
    next: str | None = Field(default=None, description="Give it as `after` to get the next page.")


def answer(request: Request, view: BaseModel, *, version: int | None = None) -> Response:
    """A view as JSON with an entity tag, or 304 where the caller has it already.

    The tag is weak: equal tags mean the same facts, while ages and expectations may have moved on a little. With a
    `version` the tag can be sent back in `If-Match`.
    """
    return answer_bytes(request, view.model_dump_json().encode(), version=version)


def answer_bytes(request: Request, body: bytes, *, version: int | None = None, media_type: str = JSON) -> Response:
    """A body with an entity tag, or 304 where the caller has it already."""
    digest = hashlib.sha256(stable(body)).hexdigest()[:32]
    tag = digest if version is None else f"{version}-{digest}"
    return answer_ready(request, tag, lambda: body, media_type=media_type)


def answer_ready(request: Request, tag: str, body: Callable[[], bytes], *, media_type: str = JSON) -> Response:
    """A body with the entity tag that it is known to have, or 304, without the body, where the caller has it."""
    headers = {"ETag": f'W/"{tag}"', **NO_STORE}
    if is_known(request.headers.getlist("if-none-match"), f'"{tag}"'):
        return Response(status_code=304, headers=headers)
    return Response(body(), media_type=media_type, headers=headers)


def result(view: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The answer to a change: never to be stored by anything on the way."""
    return Response(
        view.model_dump_json(),
        status_code=status,
        media_type=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def is_known(given: list[str], tag: str) -> bool:
    """Whether one of the `If-None-Match` headers names the tag, weakly compared."""
    tags = [item.strip() for line in given for item in line.split(",")]
    return any(item == "*" or item.removeprefix("W/") == tag for item in tags)


def if_match(request: Request) -> int | None:
    """The version that `If-Match` asks for: an entity tag as it was given, or `"17"`. None without the header."""
    given = request.headers.getlist("if-match")
    if not given:
        return None
    match = _IF_MATCH.fullmatch(given[0].strip())
    if len(given) != 1 or match is None:
        raise InvalidInput.at("/If-Match", "if_match", 'One entity tag is expected, such as "17".', "header")
    return int(match[1])


IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": 'The entity tag that was read, or its version alone: `"17"`. 412 where it is another by now.',
    "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,17}"$'},
}
