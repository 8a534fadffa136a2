"""`POST /v1/hooks/{team}/{connection}`: verify the bytes, store them durably, answer 202. Nothing is parsed
before that.

A bare ASGI application beside the routes: deliveries come by the thousand, and what stands before a route costs more
than storing one (`docs/performance.md`). It answers the same problem+json.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from app.api.body import Headers, content_type, is_json, read_body, room_for
from app.api.front import as_app_error, request_id_of, send_problem
from app.api.problem import plain_error
from app.errors import AppError, InvalidInput, NotFound, StoreUnavailable, UnsupportedMedia
from app.services.context import Services
from app.services.hook_directory import Hook, HookDirectory
from app.services.hook_identity import dedupe_key
from app.services.ingest import DeliveryWriter, StoreAwayError, StoreBusyError
from app.services.refusals import Refusals
from app.store.deliveries import NewDelivery
from app.telemetry import Telemetry
from connectors.contract import InboundDelivery
from connectors.errors import ConnectorError

log = structlog.get_logger(__name__)

PREFIX = "/v1/hooks/"
#: Seconds within which a delivery's body has to arrive.
DEADLINE = 10.0
#: Bytes of bodies that may be on their way in at once, from whomever: nobody is known before the body is there.
MOST_ON_THE_WAY = 128 * 1024 * 1024

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OUTCOMES = ("stored", "duplicate", "conflict", "greeting")
# What proves who the sender is, or opens anything: not to be kept.
_CONFIDENTIAL = re.compile(
    r"auth(?!or)|authori[sz]|cookie|signature|secret|token|passw|api-?key|credential|jwt|session"
)


@dataclass(frozen=True, slots=True)
class HookDoor:
    """What the endpoint works with; there from the start of the lifespan to its end."""

    services: Services
    directory: HookDirectory
    writer: DeliveryWriter
    refusals: Refusals


class Hooks:
    """The endpoint. `door` is set by the lifespan."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.door: HookDoor | None = None
        self._telemetry = telemetry
        self._on_the_way = 0
        self._taken = {word: telemetry.deliveries.labels(word) for word in _OUTCOMES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(scope)
        door = self.door
        try:
            answer, outcome = await self._take(door, scope, receive)
        except Exception as error:
            await self._refuse(error, scope, send, request_id)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-request-id", request_id.encode()),
        ]
        status = 200 if outcome == "greeting" else 202
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        self._taken[outcome].inc()
        if door is not None and outcome != "greeting":
            await _ring(door)

    async def _take(self, door: HookDoor | None, scope: Scope, receive: Receive) -> tuple[bytes, str]:
        if scope["method"] != "POST":
            raise plain_error(405, "Send webhooks by POST.", Allow="POST")
        if door is None:
            raise StoreUnavailable
        headers = scope["headers"]
        if not _takes(headers):
            raise UnsupportedMedia("Send application/json.")
        room = room_for(headers)
        if self._on_the_way + room > MOST_ON_THE_WAY:
            raise StoreUnavailable("Too many deliveries come at once.", retry_after=1)
        self._on_the_way += room
        try:
            body = await read_body(headers, receive, deadline=DEADLINE)
        finally:
            self._on_the_way -= room
        if not body:
            raise plain_error(400, "The body is empty.")
        hook = await self._find(door, scope["path"])
        try:
            return await self._store(door, hook, headers, body)
        except AppError as error:
            door.refusals.note(hook.connection_id, error.code)
            raise

    async def _store(self, door: HookDoor, hook: Hook, headers: Headers, body: bytes) -> tuple[bytes, str]:
        delivery = InboundDelivery(
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
            body=body,
            received_at=door.services.clock(),
        )
        _verify(hook, delivery)
        greeting = None if hook.connector.greet is None else hook.connector.greet(hook.config, delivery)
        if greeting is not None:
            return greeting, "greeting"
        try:
            stored = await door.writer.store(_new(hook, delivery))
        except StoreBusyError:
            raise StoreUnavailable("Too many deliveries wait.", retry_after=1) from None
        except StoreAwayError:
            raise StoreUnavailable from None
        outcome = "stored" if stored.is_new else "conflict" if stored.is_conflict else "duplicate"
        return msgspec.json.encode({"id": stored.id, "duplicate": not stored.is_new}), outcome

    async def _find(self, door: HookDoor, path: str) -> Hook:
        names = _names(path)
        if names is not None:
            hook = await door.directory.find(*names)
            if hook is not None:
                return hook
        raise NotFound("There is no such endpoint.")

    async def _refuse(self, error: Exception, scope: Scope, send: Send, request_id: str) -> None:
        told = as_app_error(error)
        if told.status == 500:
            log.error("hook.crashed", request_id=request_id, exc_info=error)
        self._telemetry.deliveries.labels(told.code).inc()
        await send_problem(send, told, request_id, with_body=scope["method"] != "HEAD")


async def _ring(door: HookDoor) -> None:
    try:
        await door.services.queue.deliveries()
    except Exception as error:  # the delivery is stored; a sweep finds it without the bell
        log.warning("hook.bell_failed", error=type(error).__name__)


@lru_cache(maxsize=4_096)
def _names(path: str) -> tuple[str, str] | None:
    """The team and the connection that a path names, None where it can name none."""
    names = path[len(PREFIX) :].split("/")
    return (names[0], names[1]) if len(names) == 2 and all(map(_NAME.fullmatch, names)) else None


@lru_cache(maxsize=1_024)
def _is_confidential(name: str) -> bool:
    return _CONFIDENTIAL.search(name) is not None or "\0" in name


@lru_cache(maxsize=256)
def _is_json_type(value: bytes) -> bool:
    return is_json(content_type([(b"content-type", value)]))


def _takes(headers: Headers) -> bool:
    types = [value for name, value in headers if name == b"content-type"]
    return len(types) == 1 and _is_json_type(types[0])


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


def _new(hook: Hook, delivery: InboundDelivery) -> NewDelivery:
    digest = hashlib.sha256(delivery.body).hexdigest()
    return NewDelivery(
        connection_id=hook.connection_id,
        dedupe_key=dedupe_key(hook.connector, hook.config, delivery, digest),
        digest=digest,
        received_at=delivery.received_at,
        headers=[(name, value) for name, value in delivery.headers if not _is_confidential(name) and "\0" not in value],
        # The digest above is of what was sent; what the connection redacts is stored nowhere.
        body=_kept(hook, delivery),
    )


def _kept(hook: Hook, delivery: InboundDelivery) -> bytes:
    if hook.connector.redact is None:
        return delivery.body
    try:
        return hook.connector.redact(hook.config, delivery)
    except ConnectorError as error:
        # It may hold what is to be dropped, so it can not be kept as a dead letter.
        raise InvalidInput(str(error), code="unreadable") from None
