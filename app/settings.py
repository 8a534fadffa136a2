"""The environment as one frozen value, read only by the roots: `app.main`, `app.cli`, `app.runtime`, `workers.main`."""

import base64
import binascii
import difflib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

LogFormat = Literal["json", "console"]

# Every variable of ours, with what it is for; `krsync doctor` and the README list the same.
VARIABLES: Mapping[str, str] = {
    "KRSYNC_DATABASE_URL": "where the data lies: sqlite+aiosqlite:///… or postgresql+asyncpg://…",
    "KRSYNC_REDIS_URL": "the queue: redis://…, rediss://… or unix://…",
    "KRSYNC_SECRET_KEY": "the key that seals secrets: 32 random bytes in base64 or hexadecimal",
    "KRSYNC_SECRET_KEY_FILE": "a file that holds the same",
    "KRSYNC_OUTBOUND_ALLOW": "host names and CIDRs beyond the public internet that connectors may reach",
    "KRSYNC_SECRETS_ALLOW": "which environment variables and files each team may refer to as secrets",
    "KRSYNC_SMTP_URL": "the mail server for notices: smtp://user:password@host:587?from=okr@acme.example",
    "KRSYNC_LOG": "json or console",
    "KRSYNC_DELIVERIES_KEEP_DAYS": "how long applied webhook deliveries are kept (400; 0: for ever)",
    "KRSYNC_DELIVERIES_KEEP_MB": "how much of them is kept, the newest (no limit)",
    "KRSYNC_DATA_DIR": "the folder for what is kept in files",
    "KRSYNC_HOST": "the address to listen on",
    "KRSYNC_PORT": "the port to listen on",
    "KRSYNC_URL": "where the client commands go",
    "KRSYNC_TOKEN": "the token that the client commands send",
    "KRSYNC_TEST_POSTGRES": "a PostgreSQL for the tests, a superuser's URL",
    "KRSYNC_SHARED_DATA": "the real data sets for the tests",
}


class SettingsError(Exception):
    """The environment can not be used; `problems` holds one sentence each, none of which shows a value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service and the workers run with. URLs and the key stay out of the repr: they hold passwords."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    secret_key: bytes = field(repr=False)
    outbound_allow: str = ""
    smtp_url: str | None = field(default=None, repr=False)
    secrets_allow: str = ""
    log_format: LogFormat = "json"
    data_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    deliveries_keep_days: int | None = 400
    deliveries_keep_mb: int | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read every KRSYNC_* variable; SettingsError with all that is wrong at once. An empty variable is unset."""
        given = {name: value.strip() for name, value in environ.items() if name.startswith("KRSYNC_") and value.strip()}
        problems, warnings = _unknown(given)
        settings = cls(
            database_url=_database_url(given, problems),
            redis_url=_redis_url(given, problems),
            secret_key=_secret_key(given, problems),
            outbound_allow=given.get("KRSYNC_OUTBOUND_ALLOW", ""),
            secrets_allow=given.get("KRSYNC_SECRETS_ALLOW", ""),
            smtp_url=given.get("KRSYNC_SMTP_URL"),
            log_format=_log_format(given, problems),
            data_dir=Path(given["KRSYNC_DATA_DIR"]).absolute() if "KRSYNC_DATA_DIR" in given else None,
            host=given.get("KRSYNC_HOST", "127.0.0.1"),
            port=_port(given, problems),
            deliveries_keep_days=_count(given, "KRSYNC_DELIVERIES_KEEP_DAYS", 400, problems),
            deliveries_keep_mb=_count(given, "KRSYNC_DELIVERIES_KEEP_MB", 0, problems),
            warnings=tuple(warnings),
        )
        if problems:
            raise SettingsError(tuple(problems))
        return settings


def database_url(environ: Mapping[str, str]) -> str:
    """KRSYNC_DATABASE_URL alone, with its async driver; SettingsError where it is missing or not one we can use."""
    problems: list[str] = []
    url = _database_url({name: value.strip() for name, value in environ.items()}, problems)
    if problems:
        raise SettingsError(tuple(problems))
    return url


def parse_secret_key(text: str) -> bytes | None:
    """32 bytes from hexadecimal or base64 (either alphabet, padding optional); None for anything else."""
    text = text.strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text)
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None


def _unknown(given: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Problems for what looks misspelt, warnings for the rest: container platforms add variables of their own."""
    problems, warnings = [], []
    for name in sorted(set(given) - set(VARIABLES)):
        close = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.8)
        if close:
            problems.append(f"{name} is not a setting; did you mean {close[0]}?")
        else:
            warnings.append(f"{name} is not a setting and is ignored.")
    return problems, warnings


_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


def _database_url(given: Mapping[str, str], problems: list[str]) -> str:
    url = given.get("KRSYNC_DATABASE_URL", "")
    if not url:
        problems.append("KRSYNC_DATABASE_URL is not set: postgresql+asyncpg://… or sqlite+aiosqlite:///….")
        return ""
    scheme, separator, rest = url.partition("://")
    driver = _DRIVERS.get(scheme)
    if driver is None or not separator:
        problems.append("KRSYNC_DATABASE_URL has to begin with postgresql+asyncpg:// or sqlite+aiosqlite:///.")
        return ""
    if driver.startswith("sqlite") and (not rest.startswith("/") or rest in ("/", "/:memory:")):
        problems.append("KRSYNC_DATABASE_URL has to name a file: sqlite+aiosqlite:////absolute/path.db.")
    return f"{driver}://{rest}"


def _redis_url(given: Mapping[str, str], problems: list[str]) -> str:
    url = given.get("KRSYNC_REDIS_URL", "")
    if not url:
        problems.append("KRSYNC_REDIS_URL is not set: redis://host:6379/0, for example.")
    elif url.partition("://")[0] not in ("redis", "rediss", "unix"):
        problems.append("KRSYNC_REDIS_URL has to begin with redis://, rediss:// or unix://.")
    return url


def _secret_key(given: Mapping[str, str], problems: list[str]) -> bytes:
    text, name = given.get("KRSYNC_SECRET_KEY"), "KRSYNC_SECRET_KEY"
    path = given.get("KRSYNC_SECRET_KEY_FILE")
    if text and path:
        problems.append("KRSYNC_SECRET_KEY and KRSYNC_SECRET_KEY_FILE are both set; keep one.")
        return b""
    if path:
        name = "KRSYNC_SECRET_KEY_FILE"
        try:
            text = Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            problems.append("KRSYNC_SECRET_KEY_FILE can not be read.")
            return b""
    if not text:
        problems.append(
            "KRSYNC_SECRET_KEY or KRSYNC_SECRET_KEY_FILE is not set; `openssl rand -base64 32` makes a key."
        )
        return b""
    key = parse_secret_key(text)
    if key is None:
        problems.append(f"{name} is not 32 bytes in base64 or hexadecimal; `openssl rand -base64 32` makes a key.")
        return b""
    return key


def _log_format(given: Mapping[str, str], problems: list[str]) -> LogFormat:
    text = given.get("KRSYNC_LOG")
    if text is None:
        return "console" if sys.stderr.isatty() else "json"
    if text == "console":
        return "console"
    if text != "json":
        problems.append("KRSYNC_LOG is either json or console.")
    return "json"


def _count(given: Mapping[str, str], name: str, default: int, problems: list[str]) -> int | None:
    """A whole number; None where it is 0: no limit."""
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        problems.append(f"{name} has to be a whole number; 0 means no limit.")
        return None
    return int(text) or None


def _port(given: Mapping[str, str], problems: list[str]) -> int:
    text = given.get("KRSYNC_PORT", "8000")
    # A Kubernetes service named `krsync` puts KRSYNC_PORT=tcp://10.0.0.1:8000 into every pod beside it.
    if text.startswith("tcp://"):
        return 8000
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535:
        return int(text)
    problems.append("KRSYNC_PORT has to be a port number, 0 to 65535.")
    return 8000
