"""The address of a database, as operators write it: `postgresql://user:password@host:port/name?sslmode=require`. Pure.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.errors import AuthenticationError

SslMode: TypeAlias = Literal["disable", "prefer", "require", "verify-full"]
_SCHEMES = ("postgresql", "postgres", "redshift", "cockroachdb")
_PORT = 5432


@dataclass(frozen=True, slots=True)
class Dsn:
    """Where a database is and who asks it. No repr holds the password."""

    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    database: str | None
    sslmode: SslMode

    @property
    def place(self) -> str:
        """The database as a person may see it: `warehouse at db.acme.example`."""
        return f"{self.database or 'the database'} at {self.host}"


def parse_dsn(text: str) -> Dsn:
    """The parts of an address; AuthenticationError, without any of it, where it is none that can be used."""
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _unusable("it is not an address") from None
    if parts.scheme.partition("+")[0] not in _SCHEMES:
        raise _unusable("it has to begin with postgresql://")
    if not host:
        raise _unusable("it names no host")
    if not parts.username:
        raise _unusable("it names no user")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    mode = options.pop("sslmode", "prefer")
    if mode not in get_args(SslMode):
        raise _unusable(f"its sslmode has to be one of {', '.join(get_args(SslMode))}")
    if options:
        raise _unusable("sslmode is the only option it may have")
    password = unquote(parts.password) if parts.password is not None else None
    database = unquote(parts.path.lstrip("/")) or None
    return Dsn(host, port or _PORT, unquote(parts.username), password, database, cast(SslMode, mode))


def _unusable(why: str) -> AuthenticationError:
    return AuthenticationError(f"The database's address (dsn) can not be used: {why}.")
