"""What stands before every route: a request id, the last word on exceptions, counters, and headers for browsers."""

import re
import time
from collections.abc import Sequence

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.context import ApiContext
from app.api.problem import MEDIA_TYPE, new_request_id, plain_error, problem_body
from app.errors import AppError, Conflict, StoreUnavailable
from app.store.database import is_unavailable, why_unavailable
from app.store.ready import is_conflict
from app.telemetry import Telemetry

log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]
Headers = list[tuple[bytes, bytes]]
#: The status, the headers and the body.
Answer = tuple[int, Headers, bytes]


def request_id_of(scope: Scope) -> str:
    """The caller's own `X-Request-Id` where it is a plain one, else a new id."""
    return request_id_in(scope["headers"])


def request_id_in(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The same, of headers."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode()
    return new_request_id()


def as_app_error(error: Exception) -> AppError:
    """What a caller is told about an exception; one of our own making is 500 without details."""
    if isinstance(error, AppError):
        return error
    if is_unavailable(error):
        return StoreUnavailable()
    if is_conflict(error):
        return Conflict("Something else changed it at the same moment: try again.", code="concurrent_change")
    return plain_error(500)


async def send_problem(send: Send, error: AppError, request_id: str, *, with_body: bool = True) -> None:
    """Answer with a problem."""
    await send_answer(send, problem_answer(error, request_id), with_body=with_body)


async def send_answer(send: Send, answer: Answer, *, with_body: bool = True) -> None:
    """Answer with what was made ready."""
    status, headers, body = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if with_body else b""})


def problem_answer(error: AppError, request_id: str) -> Answer:
    """A problem as an answer."""
    body = problem_body(error, request_id)
    headers: Headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
        *SAFE,
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    return error.status, headers, body


def _context(scope: Scope) -> ApiContext | None:
    app = scope.get("app")
    return None if app is None else getattr(app.state, "context", None)


class Front:
    """Wraps the routes. HEAD is GET without the body."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        method = scope["method"]
        is_head = method == "HEAD"
        inner = {**scope, "method": "GET" if is_head else method, "state": {**scope.get("state", {})}}
        inner["state"]["request_id"] = request_id
        status = 0
        began = time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name for name, _ in message["headers"]}
                extra = [pair for pair in [(b"x-request-id", request_id.encode()), *SAFE] if pair[0] not in given]
                message = {**message, "headers": [*message["headers"], *extra]}
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(inner, receive, answer)
            except Exception as error:
                told = as_app_error(error)
                if told.status >= 500:
                    self._report(error, told)
                if status:
                    raise  # half an answer is out already: only the server can cut it off
                status = told.status
                await send_problem(send, told, request_id, with_body=not is_head)
        if method not in ("GET", "HEAD") and status < 400 and (context := _context(inner)) is not None:
            await context.services.queue.changed()
        self._count(inner, method, status, time.perf_counter() - began)

    def _report(self, error: Exception, told: AppError) -> None:
        if isinstance(told, StoreUnavailable):
            log.warning("store.unavailable", reason=why_unavailable(error))
        else:
            log.error("request.crashed", exc_info=error)

    def _count(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        # The path as the router knows it: one as it was sent would make a series of each.
        effective = scope.get("fastapi", {}).get("effective_route_context")
        route = getattr(effective, "path_format", None) or getattr(scope.get("route"), "path", None) or "none"
        known = method if method in ("GET", "HEAD", "POST", "PUT", "DELETE") else "other"
        self._telemetry.requests.labels(known, route, str(status)).inc()
        self._telemetry.request_seconds.labels(route).observe(seconds)
