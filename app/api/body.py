"""The door for bodies: counted, timed and parsed strictly by us, so that no input can upset what is behind it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.types import Receive

from app.api.problem import plain_error
from app.domain.document import DocumentError, read_yaml
from app.domain.scalars import PATTERN_MEANINGS
from app.domain.strict_json import StrictJsonError, loads
from app.errors import FieldError, InvalidInput, TooLarge, UnsupportedMedia
from connectors.contract import JsonValue

#: The most bytes of a body, of the API's and of a webhook's.
MAX_BODY = 1024 * 1024
#: Seconds within which a whole body has to arrive.
BODY_DEADLINE = 20.0

JSON_TYPES = ("application/json",)
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")

_LONGEST_KEY = 63
ModelT = TypeVar("ModelT", bound=BaseModel)
Headers = Sequence[tuple[bytes, bytes]]


async def read_body(headers: Headers, receive: Receive, *, deadline: float = BODY_DEADLINE) -> bytes:
    """The whole body. Raises TooLarge at the cap, whatever Content-Length says; 400 where the two differ or the sender
    left; 408 where it does not arrive in time; UnsupportedMedia for an encoded body."""
    declared = _declared_length(headers)
    encodings = [value for name, value in headers if name == b"content-encoding"]
    if any(value.strip().lower() not in (b"", b"identity") for value in encodings):
        raise UnsupportedMedia("Send the body as it is, without a Content-Encoding.")
    if declared is not None and declared > MAX_BODY:
        raise TooLarge(f"A body has at most {MAX_BODY} bytes.")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(deadline):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise plain_error(400, "The body ended early.")
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > MAX_BODY:
                    raise TooLarge(f"A body has at most {MAX_BODY} bytes.")
                chunks.append(chunk)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise plain_error(408, Connection="close") from None
    if declared is not None and declared != size:
        raise plain_error(400, "Content-Length is not the body's length.")
    return b"".join(chunks)


def room_for(headers: Headers) -> int:
    """How many bytes a body may take while it comes: what is said of it, or the most where nothing is."""
    declared = _declared_length(headers)
    return MAX_BODY if declared is None or declared > MAX_BODY else declared


def _declared_length(headers: Headers) -> int | None:
    lengths = [value for name, value in headers if name == b"content-length"]
    if not lengths:
        return None
    value = lengths[0]
    if len(set(lengths)) > 1 or not value.isdigit() or len(value) > 19:
        raise plain_error(400, "Content-Length can not be read.")
    return int(value)


def content_type(headers: Headers) -> str:
    """The media type in lower case, without parameters; "" where it is absent, given twice, or not in UTF-8."""
    values = [value for name, value in headers if name == b"content-type"]
    if len(values) != 1:
        return ""
    media, *parameters = values[0].decode("latin-1").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            return ""
    return media.strip()


def is_json(media: str) -> bool:
    """Whether a media type says JSON, `application/problem+json` and the like included."""
    return media in JSON_TYPES or (media.startswith("application/") and media.endswith("+json"))


async def raw_body(request: Request) -> bytes:
    """The request's body, read once."""
    kept: bytes | None = getattr(request.state, "body", None)
    if kept is None:
        kept = await read_body(request.scope["headers"], request.receive)
        request.state.body = kept
    return kept


async def json_body(request: Request) -> JsonValue:
    """The body as strict JSON: numbers exact, no NaN, no repeated key, no lone surrogate."""
    if not is_json(content_type(request.scope["headers"])):
        raise UnsupportedMedia("Send application/json.")
    return parse_json(await raw_body(request))


async def document_body(request: Request) -> JsonValue:
    """The body as strict JSON or YAML: a team file."""
    media = content_type(request.scope["headers"])
    if is_json(media):
        return parse_json(await raw_body(request))
    if media not in YAML_TYPES:
        raise UnsupportedMedia("Send application/yaml or application/json.")
    body = await raw_body(request)
    try:
        # PyYAML needs a second for the largest documents: not on the loop.
        document = await asyncio.to_thread(read_yaml, body)
    except DocumentError as error:
        detail = f"line {error.line}, column {error.column}: {error.message}"
        raise InvalidInput("The YAML can not be read.", errors=(FieldError("", "yaml", detail),)) from error
    value: JsonValue = document.value
    return value


async def no_body(request: Request) -> bytes:
    """For operations without one: an empty body (or `{}`) is expected, so that nothing is silently ignored."""
    body = await raw_body(request)
    if body.strip() not in (b"", b"{}"):
        raise InvalidInput("This takes no body.", errors=(FieldError("", "unexpected_body", "Send no body."),))
    return body


def parse_json(body: bytes) -> JsonValue:
    """Strict JSON, or InvalidInput with its pointer."""
    try:
        return loads(body)
    except StrictJsonError as error:
        raise InvalidInput(
            "The JSON can not be read.", errors=(FieldError(error.pointer or "", error.code, error.message),)
        ) from error


def validated(model: type[ModelT], value: JsonValue) -> ModelT:
    """`value` as one of our shapes, or InvalidInput with a pointer to each wrong place."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidInput(errors=field_errors(error.errors(include_url=False, include_input=False))) from error


def field_errors(errors: Sequence[Mapping[str, object]]) -> tuple[FieldError, ...]:
    """pydantic's errors as ours: a pointer, a code, a sentence, and never the input."""
    found = []
    for error in errors:
        location = error["loc"]
        parts = location if isinstance(location, tuple) else ()
        if str(error["type"]) == "extra_forbidden" and len(str(parts[-1])) > _LONGEST_KEY:
            parts = parts[:-1]  # an unknown key is named, but not whatever is sent in its place
        found.append(FieldError(_pointer(parts), str(error["type"]), _sentence(error)))
    return tuple(found)


def _sentence(error: Mapping[str, object]) -> str:
    message, context = str(error["msg"]), error.get("ctx")
    if isinstance(context, Mapping):  # a pattern is for programs
        message = PATTERN_MEANINGS.get(str(context.get("pattern")), message)
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")


def _pointer(parts: Sequence[object]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


JsonBody = Annotated[JsonValue, Depends(json_body)]
DocumentBody = Annotated[JsonValue, Depends(document_body)]
NoBody = Annotated[bytes, Depends(no_body)]
