"""What a webhook's headers and body make of it at the door: a delivery to store, an answer to a handshake, or a
refusal. Pure, and the one reading of the rules, however the request came in."""

import hashlib
import re
from datetime import datetime
from functools import lru_cache

import structlog

from app.api.body import Headers
from app.api.hook_headers import Shape, is_json_type, pairs, storable
from app.errors import AppError, InvalidInput
from app.services.hook_directory import Hook
from app.services.hook_identity import dedupe_key
from app.store.deliveries import NewDelivery
from connectors.contract import InboundDelivery
from connectors.errors import ConnectorError

log = structlog.get_logger(__name__)

PREFIX = "/v1/hooks/"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@lru_cache(maxsize=4_096)
def hook_names(path: str) -> tuple[str, str] | None:
    """The team and the connection that a path names, None where it can name none."""
    names = path[len(PREFIX) :].split("/")
    return (names[0], names[1]) if len(names) == 2 and all(map(_NAME.fullmatch, names)) else None


def is_taken(headers: Headers) -> bool:
    """Whether the one type that is said of the body is JSON."""
    types = [value for name, value in headers if name == b"content-type"]
    return len(types) == 1 and is_json_type(types[0])


def read_delivery(
    hook: Hook, shape: Shape, headers: Headers, body: bytes, received_at: datetime
) -> NewDelivery | bytes:
    """The delivery as it is to be stored, or the answer to its sender's handshake. Raises AppError for one that is not
    proven, or that can not be redacted."""
    delivery = InboundDelivery(pairs(shape, headers), body, received_at)
    _verify(hook, delivery)
    greeting = None if hook.connector.greet is None else hook.connector.greet(hook.config, delivery)
    if greeting is not None:
        return greeting
    digest = hashlib.sha256(body).hexdigest()
    key = dedupe_key(hook.connector, hook.config, delivery, digest)
    # The digest is of what was sent; what the connection redacts is stored nowhere.
    kept = _kept(hook, delivery)
    return NewDelivery(hook.connection_id, key, digest, received_at, storable(shape, delivery.headers), kept)


def _verify(hook: Hook, delivery: InboundDelivery) -> None:
    assert hook.connector.verify is not None
    try:
        hook.connector.verify(hook.config, delivery)
    except ConnectorError as error:
        # Which check failed helps the owner, in the log; told to the sender it would help a forger.
        log.warning("hook.refused", connection_id=hook.connection_id, reason=str(error))
        raise AppError(
            status=401,
            code="signature",
            title="The sender could not be verified",
            headers={"WWW-Authenticate": "Signature"},
        ) from None


def _kept(hook: Hook, delivery: InboundDelivery) -> bytes:
    if hook.connector.redact is None:
        return delivery.body
    try:
        return hook.connector.redact(hook.config, delivery)
    except ConnectorError as error:
        # It may hold what is to be dropped, so it can not be kept as a dead letter.
        raise InvalidInput(str(error), code="unreadable") from None
