"""One run's talk with a database: a connection to a checked address, in transactions that only read.

The guard resolves and checks the name once, and the connection goes to that address; the certificate is still checked
against the name.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from connectors.contract import Toolbox, Window
from connectors.errors import AccessDeniedError, QueryError, UnavailableError
from connectors.sql.answers import failure
from connectors.sql.dsn import Dsn, parse_dsn
from connectors.sql.models import SqlConfig
from connectors.sql.statement import Edge, numbered

_TO_CONNECT = 10.0
#: Seconds that a statement may take, there and here.
_PATIENCE = 30.0
_SETTINGS = {
    "application_name": "krsync",
    "default_transaction_read_only": "on",
    "statement_timeout": str(int((_PATIENCE - 2) * 1000)),
}


class SqlSession:
    """An open connection."""

    def __init__(self, connection: Any, dsn: Dsn, toolbox: Toolbox) -> None:
        self.dsn = dsn
        self.toolbox = toolbox
        self._connection = connection

    async def rows(self, sql: str, window: Window, *, most: int) -> Sequence[Sequence[object]]:
        """Up to so many rows of one statement that only reads; raises what `connectors.errors` says otherwise."""
        statement, edges = numbered(sql)
        try:
            async with asyncio.timeout(_PATIENCE), self._connection.transaction(readonly=True):
                prepared = await self._connection.prepare(statement)
                if not prepared.get_attributes():
                    raise QueryError("The query selects nothing: one number is asked for.")
                kinds = [parameter.name for parameter in prepared.get_parameters()]
                values = [_edge(edge, kind, window) for edge, kind in zip(edges, kinds, strict=True)]
                cursor = await prepared.cursor(*values)
                return [tuple(row) for row in await cursor.fetch(most)]
        except asyncpg.PostgresError as error:
            raise failure(error.sqlstate, error.message or type(error).__name__) from None
        except asyncpg.InterfaceError as error:
            raise UnavailableError("The connection to the database was lost.") from error
        except (OSError, TimeoutError) as error:
            raise UnavailableError("The database did not answer in time.") from error


def _edge(edge: Edge, kind: str, window: Window) -> date | datetime:
    """An edge of the window as a parameter of a type of the database's."""
    moment = window.start if edge == "from" else window.end
    if moment is None:
        raise QueryError(f"The query asks for :{edge} and the metric's window has none.")
    local = moment.astimezone(ZoneInfo(window.zone))
    if kind == "date":
        return local.date()
    if kind == "timestamp":
        return local.replace(tzinfo=None)
    if kind == "timestamptz":
        return moment.astimezone(UTC)
    raise QueryError(f"Compare :{edge} with a date or a timestamp, not with {kind}. A cast says which: :{edge}::date.")


@asynccontextmanager
async def open_sql(config: SqlConfig, toolbox: Toolbox) -> AsyncIterator[SqlSession]:
    """A session over one connection, closed at the end; AccessDeniedError for a host that is not allowed."""
    dsn = parse_dsn(config.dsn.reveal())
    connection = await _connect(dsn, toolbox)
    try:
        yield SqlSession(connection, dsn, toolbox)
    finally:
        try:
            await connection.close(timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()


async def _connect(dsn: Dsn, toolbox: Toolbox) -> Any:
    if toolbox.guard is None:
        raise AccessDeniedError("No database can be reached from here.")
    host = f"[{dsn.host}]" if ":" in dsn.host else dsn.host
    address = await asyncio.to_thread(toolbox.guard.check, f"https://{host}:{dsn.port}/")
    for context in _contexts(dsn):
        try:
            async with asyncio.timeout(_TO_CONNECT):
                return await asyncpg.connect(
                    host=address,
                    port=dsn.port,
                    user=dsn.user,
                    # An empty one, not none: asyncpg would look for one in the service's own environment and files.
                    password=dsn.password or "",
                    database=dsn.database or dsn.user,
                    passfile="/dev/null",
                    ssl=context,
                    timeout=_TO_CONNECT,
                    command_timeout=_PATIENCE,
                    statement_cache_size=0,
                    server_settings=_SETTINGS,
                )
        except asyncpg.PostgresError as error:
            raise failure(error.sqlstate, error.message or type(error).__name__) from None
        except ssl.SSLCertVerificationError as error:
            raise AccessDeniedError(f"The certificate of {dsn.host} is not valid for it.") from error
        except (asyncpg.InterfaceError, OSError, TimeoutError) as error:
            failed = error
            if not (dsn.sslmode == "prefer" and context and isinstance(error, ConnectionError)):
                break
    raise UnavailableError(f"The database at {dsn.host} can not be reached.") from failed


class _Named(ssl.SSLContext):
    """Checks the certificate against a name, whatever address is connected to."""

    name: str

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return super().wrap_bio(*arguments, **{**options, "server_hostname": self.name})


def _contexts(dsn: Dsn) -> Sequence[ssl.SSLContext | bool]:
    """What to try for an sslmode, in order."""
    if dsn.sslmode == "disable":
        return [False]
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.name = dsn.host
    if dsn.sslmode == "verify-full":
        context.load_default_certs()
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return [context, False] if dsn.sslmode == "prefer" else [context]
