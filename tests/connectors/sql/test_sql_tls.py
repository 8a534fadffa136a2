"""PostgreSQL behind TLS: the connection goes to the checked address, the certificate is held to the name."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from connectors.errors import AccessDeniedError
from connectors.http import create_client, parse_policy, toolbox
from connectors.secrets import bind
from connectors.sql import SqlConfig
from connectors.sql.connector import check
from connectors.sql.session import open_sql
from tests.connectors.certificates import certificate_for

NAME = "db.warehouse.test"


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def behind_tls(server: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a door that takes PostgreSQL's request for TLS and hands on what comes to a server without it."""
    port = urlsplit(server.replace("+asyncpg", "")).port
    pipes: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == bytes.fromhex("0000000804d2162f")
        writer.write(b"S")
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.start_tls(context)
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            pipes.add(asyncio.create_task(_pipe(reader, inner_writer)))
            pipes.add(asyncio.create_task(_pipe(inner_reader, writer)))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)


async def connected(port: int, sslmode: str) -> str:
    address = f"postgresql://krsync@{NAME}:{port}/postgres?sslmode={sslmode}"
    config = bind(SqlConfig.model_validate({"dsn": {"env": "DSN"}}), lambda _: address)
    async with (
        create_client(parse_policy(NAME), lookup=lambda host, port: ["127.0.0.1"]) as client,
        open_sql(config, toolbox(client, lambda: datetime(2026, 11, 22, tzinfo=UTC))) as opened,
    ):
        return (await check(opened)).summary


async def test_a_certificate_is_held_to_the_name(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, _ = certificate_for(NAME, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "both.pem"))
    async with behind_tls(postgres_url, context) as port:
        for mode in ("verify-full", "require", "prefer"):
            assert (await connected(port, mode)).startswith(f"Connected to postgres at {NAME} as krsync")


async def test_a_certificate_for_another_name_is_refused_where_it_is_looked_at(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, _ = certificate_for("elsewhere.test", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "both.pem"))
    async with behind_tls(postgres_url, context) as port:
        with pytest.raises(AccessDeniedError, match="is not valid for it"):
            await connected(port, "verify-full")
        assert await connected(port, "require")


async def test_a_certificate_that_nobody_vouches_for_is_refused_where_it_is_looked_at(
    postgres_url: str, tmp_path: Path
) -> None:
    context, _ = certificate_for(NAME, tmp_path)
    async with behind_tls(postgres_url, context) as port:
        with pytest.raises(AccessDeniedError, match="is not valid for it"):
            await connected(port, "verify-full")
