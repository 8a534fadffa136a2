"""Opens and closes, once per process, everything that use cases are handed: shared by the API and the workers."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.queue import Doorbell
from app.services.context import Services
from app.services.notify.mail import parse_smtp_url
from app.services.secrets import Seal, SecretPolicy, SecretResolver
from app.settings import Settings
from app.store.database import Database
from connectors.http import create_client, toolbox
from connectors.outbound import parse_policy
from connectors.registry import connectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What is open: the use cases' world, and the key for new secrets."""

    services: Services
    seal: Seal


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, clock: Callable[[], datetime] = utc_now, patience: float | None = None
) -> AsyncIterator[Runtime]:
    """Everything open for the length of the block. Redis may be away, then and later; so may the database, whose every
    answer is waited for `patience` seconds (None: for ever).

    Raises ValueError where KRSYNC_SECRETS_ALLOW, KRSYNC_OUTBOUND_ALLOW or KRSYNC_SMTP_URL can not be read.
    """
    seal = Seal(settings.secret_key)
    resolver = SecretResolver(
        policy=SecretPolicy.parse(settings.secrets_allow),
        seal=seal,
        environ=os.environ,
        protected=_protected(settings),
    )
    policy = parse_policy(settings.outbound_allow)
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url, patience=patience)
        stack.push_async_callback(database.close)
        client = create_client(policy)
        stack.push_async_callback(client.aclose)
        queue = Doorbell(settings.redis_url)
        stack.push_async_callback(queue.close)
        yield Runtime(
            services=Services(
                database=database,
                clock=clock,
                connectors=connectors(),
                secrets=resolver,
                toolbox=lambda: toolbox(client, clock),
                queue=queue,
                mail=None if settings.smtp_url is None else parse_smtp_url(settings.smtp_url),
            ),
            seal=seal,
        )


def _protected(settings: Settings) -> tuple[Path, ...]:
    """Files that no team may name as a secret of theirs: our key, the admin token, the database."""
    key_file = os.environ.get("KRSYNC_SECRET_KEY_FILE")
    return tuple(path for path in (settings.data_dir, Path(key_file) if key_file else None) if path is not None)
