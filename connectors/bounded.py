"""One outbound call within its bounds: checked literal addresses, a deadline, a cap on bytes, named failures."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import httpx
import yarl

from connectors.answer import without_credential
from connectors.errors import AccessDeniedError, ConnectorError, UnavailableError, UnexpectedResponseError
from connectors.outbound import OutboundGuard

_INFLATED_PIECE = 256 * 1024


class BoundedTransport(httpx.AsyncBaseTransport):
    """Checks literal addresses, ends a call at its deadline, decodes and counts the body, and names failures."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, guard: OutboundGuard, deadline: timedelta, max_bytes: int
    ) -> None:
        self._inner = inner
        self._guard = guard
        self._deadline = deadline
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response, headers, stream = await self._answered(request)
        return httpx.Response(response.status_code, headers=headers, stream=stream, extensions=response.extensions)

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        """As `handle_async_request`, the body read to its end."""
        response, headers, stream = await self._answered(request)
        try:
            body = b"".join([piece async for piece in stream])
        finally:
            await stream.aclose()
        return httpx.Response(
            response.status_code, headers=headers, content=body, request=request, extensions=response.extensions
        )

    async def _answered(self, request: httpx.Request) -> tuple[httpx.Response, httpx.Headers, httpx.AsyncByteStream]:
        """The answer as it came, and its headers and its body as they may be had."""
        host = self._check(request.url)
        ends = asyncio.get_running_loop().time() + self._deadline.total_seconds()
        failure: ConnectorError
        try:
            async with asyncio.timeout_at(ends):
                response = await self._inner.handle_async_request(request)
        except _TRANSPORT_ERRORS as error:
            failure = _failure(error, host)
        else:
            return response, *await self._bounded(response, request, host, ends)
        raise failure

    async def _bounded(
        self, response: httpx.Response, request: httpx.Request, host: str, ends: float
    ) -> tuple[httpx.Headers, httpx.AsyncByteStream]:
        headers = response.headers
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            await response.aclose()
            raise UnexpectedResponseError(f"{host} answered in a content encoding that was not asked for.")
        is_gzip = coding.endswith("gzip")
        if is_gzip:
            headers.pop("content-encoding")
            headers.pop("content-length", None)  # it counted the compressed bytes
        assert isinstance(response.stream, httpx.AsyncByteStream)
        stream: httpx.AsyncByteStream = _BoundedStream(response.stream, host, ends, self._max_bytes, is_gzip=is_gzip)
        authorization = request.headers.get("authorization")
        if response.status_code >= 400 and authorization:
            headers.pop("content-length", None)
            stream = _RedactedStream(stream, authorization)
        return headers, stream

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


class _RedactedStream(httpx.AsyncByteStream):
    """The body of a refusal without the credential of its request: what tools say of errors is shown and stored."""

    def __init__(self, inner: httpx.AsyncByteStream, authorization: str) -> None:
        self._inner = inner
        self._authorization = authorization

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = b"".join([piece async for piece in self._inner])
        yield without_credential(body, self._authorization)

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
