"""What a webhook's headers and body make of it at the door: a delivery to store, an answer to a handshake, or a
refusal. Pure, and the one reading of the rules, however the request came in."""

import hashlib
import re
from datetime import datetime
from functools import lru_cache

import structlog

from app.api.body import MAX_BODY, Headers, content_type, is_json
from app.errors import AppError, InvalidInput
from app.services.hook_directory import Hook
from app.services.hook_identity import dedupe_key
from app.store.deliveries import NewDelivery
from connectors.contract import InboundDelivery
from connectors.errors import ConnectorError

log = structlog.get_logger(__name__)

PREFIX = "/v1/hooks/"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LENGTH = re.compile(rb"[0-9]{1,7}")
# What proves who the sender is, or opens anything: not to be kept.
_CONFIDENTIAL = re.compile(
    r"auth(?!or)|authori[sz]|cookie|signature|secret|token|passw|api-?key|credential|jwt|session"
)
#: Headers after which a body is not simply what is sent, or not yet sent.
_UNUSUAL = frozenset((b"content-encoding", b"transfer-encoding", b"expect"))


@lru_cache(maxsize=4_096)
def hook_names(path: str) -> tuple[str, str] | None:
    """The team and the connection that a path names, None where it can name none."""
    names = path[len(PREFIX) :].split("/")
    return (names[0], names[1]) if len(names) == 2 and all(map(_NAME.fullmatch, names)) else None


def is_taken(headers: Headers) -> bool:
    """Whether the one type that is said of the body is JSON."""
    types = [value for name, value in headers if name == b"content-type"]
    return len(types) == 1 and _is_json_type(types[0])


def plain_length(headers: Headers) -> int | None:
    """The bytes of a body of JSON that comes as it is, in full view: said once, and neither none nor too many. None
    for whatever has to be looked at more closely."""
    length, is_taken = 0, False
    for name, value in headers:
        if name == b"content-length":
            if length or not _LENGTH.fullmatch(value):
                return None
            length = int(value)
        elif name == b"content-type":
            if is_taken or not _is_json_type(value):
                return None
            is_taken = True
        elif name in _UNUSUAL:
            return None
    return length if is_taken and 0 < length <= MAX_BODY else None


def read_delivery(hook: Hook, headers: Headers, body: bytes, received_at: datetime) -> NewDelivery | bytes:
    """The delivery as it is to be stored, or the answer to its sender's handshake. Raises AppError for one that is not
    proven, or that can not be redacted."""
    delivery = InboundDelivery(
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
        body=body,
        received_at=received_at,
    )
    _verify(hook, delivery)
    greeting = None if hook.connector.greet is None else hook.connector.greet(hook.config, delivery)
    if greeting is not None:
        return greeting
    digest = hashlib.sha256(body).hexdigest()
    return NewDelivery(
        connection_id=hook.connection_id,
        dedupe_key=dedupe_key(hook.connector, hook.config, delivery, digest),
        digest=digest,
        received_at=received_at,
        headers=[pair for pair in delivery.headers if not _is_confidential(pair[0]) and "\0" not in pair[1]],
        # The digest above is of what was sent; what the connection redacts is stored nowhere.
        body=_kept(hook, delivery),
    )


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


@lru_cache(maxsize=1_024)
def _is_confidential(name: str) -> bool:
    return _CONFIDENTIAL.search(name) is not None or "\0" in name


@lru_cache(maxsize=256)
def _is_json_type(value: bytes) -> bool:
    return is_json(content_type([(b"content-type", value)]))
