"""`POST /v1/hooks/{team}/{connection}`: verify the bytes, store them durably, answer 202. Nothing is parsed
before that.

A bare ASGI application beside the routes: deliveries come by the thousand, and what stands before a route costs more
than storing one (`docs/performance.md`). It answers the same problem+json. The server hands over what is plain without
even that (`take`): the rules (`app.api.hook_delivery`) and the answers are the same.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog
from starlette.types import Receive, Scope, Send

from app.api.body import Headers, read_body, room_for
from app.api.front import Answer, as_app_error, problem_answer, request_id_in, send_answer
from app.api.hook_delivery import hook_names, is_taken, read_delivery
from app.api.hook_headers import Shape, id_for, shape_of
from app.api.problem import plain_error
from app.errors import AppError, NotFound, StoreUnavailable, UnsupportedMedia
from app.services.context import Services
from app.services.hook_directory import Hook, HookDirectory
from app.services.ingest import DeliveryWriter, StoreAwayError, StoreBusyError
from app.services.refusals import Refusals
from app.store.deliveries import NewDelivery, Stored
from app.telemetry import Telemetry

log = structlog.get_logger(__name__)

#: Seconds within which a delivery's body has to arrive.
DEADLINE = 10.0
#: Bytes of bodies that may be on their way in at once, from whomever: nobody is known before the body is there.
MOST_ON_THE_WAY = 128 * 1024 * 1024

_OUTCOMES = ("stored", "duplicate", "conflict", "greeting")


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
        request_id = request_id_in(scope["headers"])
        try:
            answer = await self._answer(scope, receive, request_id)
        except Exception as error:
            answer = self._refusal(error, request_id)
        await send_answer(send, answer, with_body=scope["method"] != "HEAD")

    def known(self, path: str) -> Hook | None:
        """The connection that takes what is sent to a path, where it is known by now."""
        names = hook_names(path)
        return None if self.door is None or names is None else self.door.directory.known(*names)

    def take(self, hook: Hook, shape: Shape, headers: Headers, body: bytes, answer: Callable[[Answer], None]) -> None:
        """Take a whole delivery; `answer` is called once, after the commit where it is stored."""
        self._take(hook, shape, headers, body, id_for(shape, headers), answer)

    def reserve(self, size: int) -> bool:
        """Make room for a body on its way in; whether there is any. `release` it when it is there."""
        if self._on_the_way + size > MOST_ON_THE_WAY:
            return False
        self._on_the_way += size
        return True

    def release(self, size: int) -> None:
        """Give room back that was reserved."""
        self._on_the_way -= size

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Answer:
        door, headers = self.door, scope["headers"]
        if scope["method"] != "POST":
            raise plain_error(405, "Send webhooks by POST.", Allow="POST")
        if door is None:
            raise StoreUnavailable
        if not is_taken(headers):
            raise UnsupportedMedia("Send application/json.")
        room = room_for(headers)
        if not self.reserve(room):
            raise StoreUnavailable("Too many deliveries come at once.", retry_after=1)
        try:
            body = await read_body(headers, receive, deadline=DEADLINE)
        finally:
            self.release(room)
        if not body:
            raise plain_error(400, "The body is empty.")
        names = hook_names(scope["path"])
        hook = None if names is None else await door.directory.find(*names)
        if hook is None:
            raise NotFound("There is no such endpoint.")
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def answer(given: Answer) -> None:
            if not answered.done():  # the sender may have gone
                answered.set_result(given)

        self._take(hook, shape_of(headers), headers, body, request_id, answer)
        return await answered

    def _take(
        self, hook: Hook, shape: Shape, headers: Headers, body: bytes, request_id: str, answer: Callable[[Answer], None]
    ) -> None:
        try:
            if self.door is None:
                raise StoreUnavailable
            delivery = read_delivery(hook, shape, headers, body, self.door.services.clock())
            if isinstance(delivery, NewDelivery):
                self.door.writer.submit(delivery, partial(self._stored, hook, request_id, answer))
                return
            given = self._taking(200, delivery, "greeting", request_id)
        except Exception as error:
            given = self._refusal(error, request_id, hook)
        answer(given)

    def _stored(
        self, hook: Hook, request_id: str, answer: Callable[[Answer], None], outcome: Stored | Exception
    ) -> None:
        if isinstance(outcome, Exception):
            given = self._refusal(outcome, request_id, hook)
        elif outcome.is_new:
            given = self._taking(202, b'{"id":%d,"duplicate":false}' % outcome.id, "stored", request_id)
        else:
            word = "conflict" if outcome.is_conflict else "duplicate"
            given = self._taking(202, b'{"id":%d,"duplicate":true}' % outcome.id, word, request_id)
        answer(given)

    def _taking(self, status: int, body: bytes, outcome: str, request_id: str) -> Answer:
        self._taken[outcome].inc()
        return (
            status,
            [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"cache-control", b"no-store"),
                (b"x-request-id", request_id.encode()),
            ],
            body,
        )

    def _refusal(self, error: Exception, request_id: str, hook: Hook | None = None) -> Answer:
        told = _told(error)
        if told.status == 500:
            log.error("hook.crashed", request_id=request_id, exc_info=error)
        elif hook is not None and self.door is not None:
            self.door.refusals.note(hook.connection_id, told.code)
        self._telemetry.deliveries.labels(told.code).inc()
        return problem_answer(told, request_id)


def _told(error: Exception) -> AppError:
    if isinstance(error, StoreBusyError):
        return StoreUnavailable("Too many deliveries wait.", retry_after=1)
    return StoreUnavailable() if isinstance(error, StoreAwayError) else as_app_error(error)
