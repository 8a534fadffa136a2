"""`X-KRSync-Reason`: why a request changes things, for the audit log."""

from typing import Any

from fastapi import Request

from app.errors import InvalidInput
from app.services.audit import given_reason

HEADER = "X-KRSync-Reason"
_LONGEST = 500

REASON: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Why, in a sentence (UTF-8): it is kept in the audit log with every change that the request makes.",
    "schema": {"type": "string", "maxLength": _LONGEST, "pattern": "^[ -~]*$"},
}


async def take_reason(request: Request) -> None:
    """Keep the request's reason for whatever it changes; InvalidInput for one that is not a line of text."""
    given = [value for name, value in request.scope["headers"] if name == HEADER.lower().encode()]
    try:
        text = given[0].decode().strip() if given else ""
    except UnicodeDecodeError:
        text = "\0"
    if len(given) > 1 or len(text) > _LONGEST or not text.isprintable():
        raise InvalidInput.at(f"/{HEADER}", "reason", "One line of text is expected, up to 500 characters.", "header")
    given_reason.set(text or None)
