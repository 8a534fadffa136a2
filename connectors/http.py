"""The one factory of outbound HTTP, and (from `connectors.answer`) what every connector does with an answer.

`create_client` makes one client per process, `toolbox` a view of it per run: with its own cookies and its own count,
over the same pool. Addresses are checked by `connectors.outbound`; each call has a total deadline and a cap on decoded
bytes; redirects are not followed; transport failures come as `connectors.errors`.
"""

import asyncio
import contextlib
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport

from connectors.answer import decode_json, parse_retry_after, raise_for_status
from connectors.contract import Toolbox
from connectors.decoding import decode
from connectors.errors import (
    AccessDeniedError,
    ConnectorError,
    UnavailableError,
    UnexpectedResponseError,
)
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

_INFLATED_PIECE = 256 * 1024


class OutboundClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` over a bounded transport; it follows no redirect, whatever a call asks for."""

    def __init__(self, transport: httpx.AsyncBaseTransport, guard: OutboundGuard, user_agent: str) -> None:
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
        """As httpx's, with redirects off."""
        return await super().send(request, **{**options, "follow_redirects": False})


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
    return OutboundClient(_BoundedTransport(inner, guard, deadline, max_bytes), guard, user_agent)


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
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        )

    return AiohttpTransport(client=open_session, verify=ssl_context, trust_env=False)


class _CountedTransport(httpx.AsyncBaseTransport):
    """Counts the requests of one run over a transport that it does not own."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return await self._inner.handle_async_request(request)


class _BoundedTransport(httpx.AsyncBaseTransport):
    """Checks literal addresses, ends a call at its deadline, decodes and counts the body, and names failures."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, guard: OutboundGuard, deadline: timedelta, max_bytes: int
    ) -> None:
        self._inner = inner
        self._guard = guard
        self._deadline = deadline
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = self._check(request.url)
        ends = asyncio.get_running_loop().time() + self._deadline.total_seconds()
        failure: ConnectorError
        try:
            async with asyncio.timeout_at(ends):
                response = await self._inner.handle_async_request(request)
        except _TRANSPORT_ERRORS as error:
            failure = _failure(error, host)
        else:
            return await self._bounded(response, host, ends)
        raise failure

    async def _bounded(self, response: httpx.Response, host: str, ends: float) -> httpx.Response:
        headers = response.headers.copy()
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            await response.aclose()
            raise UnexpectedResponseError(f"{host} answered in a content encoding that was not asked for.")
        is_gzip = coding.endswith("gzip")
        if is_gzip:
            headers.pop("content-encoding")
            headers.pop("content-length", None)  # it counted the compressed bytes
        assert isinstance(response.stream, httpx.AsyncByteStream)
        stream = _BoundedStream(response.stream, host, ends, self._max_bytes, is_gzip=is_gzip)
        return httpx.Response(response.status_code, headers=headers, stream=stream, extensions=response.extensions)

    def _check(self, url: httpx.URL) -> str:
        if url.scheme not in ("http", "https") or not url.host:
            raise AccessDeniedError("Only http and https addresses with a host name can be reached.")
        try:
            host = yarl.URL(str(url)).raw_host or ""  # the host as aiohttp will read it, not as httpx did
        except ValueError:
            raise AccessDeniedError("The address of the request is not a valid URL.") from None
        if self._guard.is_literal(host):  # aiohttp asks no resolver for these
            self._guard.check_literal(host)
        return host

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    """The body of an answer, decoded, up to a number of bytes and a moment of the loop's clock."""

    def __init__(self, inner: httpx.AsyncByteStream, host: str, ends: float, max_bytes: int, *, is_gzip: bool) -> None:
        self._inner = inner
        self._host = host
        self._ends = ends
        self._max_bytes = max_bytes
        self._is_gzip = is_gzip

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._inflated() if self._is_gzip else self._raw():
            size += len(piece)
            if size > self._max_bytes:
                raise UnexpectedResponseError(f"The answer of {self._host} is larger than {self._max_bytes} bytes.")
            yield piece

    async def _raw(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        while True:
            failure: ConnectorError
            try:
                async with asyncio.timeout_at(self._ends):
                    chunk = await anext(chunks, None)
            except _TRANSPORT_ERRORS as error:
                failure = _failure(error, self._host)
            else:
                if chunk is None:
                    return
                yield chunk
                continue
            raise failure

    async def _inflated(self) -> AsyncIterator[bytes]:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        is_empty = True
        try:
            async for chunk in self._raw():
                is_empty = False
                while not inflate.eof:  # bounded pieces: 200 KB may hold 200 MB
                    piece = inflate.decompress(chunk, _INFLATED_PIECE)
                    yield piece
                    chunk = inflate.unconsumed_tail
                    if not chunk and len(piece) < _INFLATED_PIECE:
                        break
        except zlib.error as error:
            raise UnexpectedResponseError(f"The answer of {self._host} is not valid gzip.") from error
        if not is_empty and not inflate.eof:
            raise UnexpectedResponseError(f"The answer of {self._host} was cut short.")

    async def aclose(self) -> None:
        await self._inner.aclose()


_TRANSPORT_ERRORS = (TimeoutError, httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError)


def _failure(error: Exception, host: str) -> ConnectorError:
    """What a failed transport means. The cause is chained only where its text can hold no URL and no header."""
    cause = error.__cause__
    failure: ConnectorError
    if isinstance(cause, aiohttp.ClientSSLError):
        failure = UnavailableError(f"{host} could not be reached: its TLS certificate or handshake was not accepted.")
    elif isinstance(cause, aiohttp.ClientConnectionError) and not isinstance(cause, aiohttp.ServerTimeoutError):
        failure = UnavailableError(f"The connection to {host} failed.")  # httpx-aiohttp calls these time-outs
    elif isinstance(error, (TimeoutError, httpx.TimeoutException)):
        failure = UnavailableError(f"{host} did not answer in time.")
    elif isinstance(error, OSError | httpx.NetworkError):
        failure = UnavailableError(f"The connection to {host} failed.")
    elif isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return AccessDeniedError("The address of the request is not one that can be reached.")
    elif isinstance(error, aiohttp.ClientError):
        return UnexpectedResponseError(f"{host} answered with something that is not HTTP.")
    else:
        failure = UnavailableError(f"The connection to {host} broke.")
    failure.__cause__ = error
    return failure
