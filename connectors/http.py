"""The one factory of outbound HTTP, and (from `connectors.answer`) what every connector does with an answer.

`create_client` makes one client per process, `toolbox` a view of it per run: with its own cookies and its own count,
over the same pool. Addresses are checked by `connectors.outbound`; each call has a total deadline and a cap on decoded
bytes; redirects are not followed; transport failures come as `connectors.errors`.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

from connectors.answer import decode_json, parse_retry_after, raise_for_status
from connectors.bounded import BoundedTransport
from connectors.contract import Toolbox
from connectors.decoding import decode
from connectors.errors import AccessDeniedError
from connectors.outbound import (
    Lookup,
    OutboundGuard,
    OutboundPolicy,
    parse_policy,
    requests_adapter,
    system_lookup,
)

__all__ = [
    "OutboundClient",
    "OutboundGuard",
    "OutboundPolicy",
    "create_client",
    "decode",
    "decode_json",
    "parse_policy",
    "parse_retry_after",
    "raise_for_status",
    "requests_adapter",
    "toolbox",
]

DEADLINE = timedelta(seconds=30)
MAX_BYTES = 32 * 1024 * 1024
MAX_CONNECTIONS = 100
MAX_CONNECTIONS_PER_HOST = 32
PIECE = 256 * 1024  # of a body that is read at a time, and half of what waits for that on each connection


class OutboundClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` over a bounded transport; it follows no redirect, whatever a call asks for."""

    def __init__(
        self, transport: "BoundedTransport | _CountedTransport", guard: OutboundGuard, user_agent: str
    ) -> None:
        self.outbound = transport
        self.guard = guard
        self.user_agent = user_agent
        # Passing a transport also keeps httpx from loading certificates (140 ms), so a client per run is cheap.
        super().__init__(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(DEADLINE.total_seconds()),
        )

    def build_request(self, *args: Any, **options: Any) -> httpx.Request:
        """As httpx's; AccessDeniedError for a URL that is none."""
        with contextlib.suppress(httpx.InvalidURL):  # its text may hold the URL, so it is not chained
            return super().build_request(*args, **options)
        raise AccessDeniedError("The address of the request is not a valid URL.")

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As httpx's, with redirects off.

        Most calls want the whole answer and bring their credential as a header: these go to the transport at once,
        past the layers for what they do not use (half of what a request costs).
        """
        auth = options.get("auth", self.auth)
        has_auth = bool(request.url.userinfo) or (self.auth if auth is httpx.USE_CLIENT_DEFAULT else auth) is not None
        if has_auth or options.get("stream") or self.is_closed:
            return await super().send(request, **{**options, "follow_redirects": False})
        for hook in self.event_hooks["request"]:
            await hook(request)
        response = await self.outbound.exchange(request)
        for hook in self.event_hooks["response"]:
            await hook(response)
        if "set-cookie" in response.headers:
            self.cookies.extract_cookies(response)
        return response


def create_client(
    policy: OutboundPolicy,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    user_agent: str = "krsync",
    deadline: timedelta = DEADLINE,
    max_bytes: int = MAX_BYTES,
    lookup: Lookup = system_lookup,
    ssl_context: ssl.SSLContext | None = None,
) -> OutboundClient:
    """The process's client. Close it with `aclose`.

    `transport` replaces the network (tests). `deadline` is for a whole call, from the request to the body's last byte;
    `max_bytes` counts decoded bytes. `ssl_context` is for an operator's own certificate authorities.
    """
    guard = OutboundGuard(policy, lookup)
    inner = transport or _network(guard, ssl_context or httpx.create_ssl_context(trust_env=False))
    return OutboundClient(BoundedTransport(inner, guard, deadline, max_bytes), guard, user_agent)


def toolbox(client: OutboundClient, now: Callable[[], datetime]) -> Toolbox:
    """A run's toolbox over the process's client: the same connections, but its own cookies and count of requests.

    Closing its `http` leaves the process's client open.
    """
    counted = _CountedTransport(client.outbound)
    return Toolbox(
        http=OutboundClient(counted, client.guard, client.user_agent),
        now=now,
        guard=client.guard,
        calls=lambda: counted.calls,
    )


class _GuardedResolver(AbstractResolver):
    """aiohttp's resolver: the addresses it returns are those that were checked, and the only ones connected to."""

    def __init__(self, guard: OutboundGuard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await asyncio.to_thread(self._guard.resolve, host, port)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _network(guard: OutboundGuard, ssl_context: ssl.SSLContext) -> AiohttpTransport:
    def open_session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=_GuardedResolver(guard),
            ssl=ssl_context,
            limit=MAX_CONNECTIONS,
            limit_per_host=MAX_CONNECTIONS_PER_HOST,
        )
        # No cookies here: this session is shared by every connection of every team.
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=PIECE,
        )

    return _Network(client=open_session, verify=ssl_context, trust_env=False)


class _Network(AiohttpTransport):
    """As its own, in larger pieces: what a piece costs on its way does not hang on its size."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if isinstance(response.stream, AiohttpResponseStream):
            response.stream.CHUNK_SIZE = 4 * PIECE
        return response


class _CountedTransport(httpx.AsyncBaseTransport):
    """Counts the requests of one run over a transport that it does not own."""

    def __init__(self, inner: "BoundedTransport | _CountedTransport") -> None:
        self._inner = inner
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return await self._inner.handle_async_request(request)

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return await self._inner.exchange(request)
