"""A raw HTTP server on loopback: a test says byte by byte what it answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Loopback:
    """Where the server listens, and the head of each request it was sent."""

    port: int
    requests: list[str] = field(default_factory=list)


@asynccontextmanager
async def serve(answers: dict[str, bytes | Answer], tls: ssl.SSLContext | None = None) -> AsyncIterator[Loopback]:
    """Serve each path's bytes, or what its function writes; one request a connection."""
    busy: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            site.requests.append(head)
            answer = answers[head.split(" ")[1]]
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
            await writer.drain()
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client has left, or the test is over
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
            busy.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    site = Loopback(server.sockets[0].getsockname()[1])
    try:
        yield site
    finally:
        server.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        await server.wait_closed()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


async def drip(writer: asyncio.StreamWriter) -> None:
    """A body that comes one byte at a time, each well within any read time-out, and never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_head(writer: asyncio.StreamWriter) -> None:
    """A header that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def hold(writer: asyncio.StreamWriter) -> None:
    """No answer at all."""
    await asyncio.Event().wait()


async def cut(writer: asyncio.StreamWriter) -> None:
    """A body that ends before its length."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
