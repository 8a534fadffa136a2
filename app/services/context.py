"""What use cases are handed: opened once by `app.runtime`, shared by the API and the workers."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Protocol

from app.store.database import Database
from connectors.contract import Connector, Toolbox
from connectors.secrets import SecretReference


class Queue(Protocol):
    """The doorbell: says that there is work in the database. A lost ring costs a sweep's delay, never the work."""

    async def deliveries(self) -> None: ...

    async def pull(self, plan_id: int, fence: int) -> None: ...

    async def build(self) -> None: ...

    async def changed(self) -> None: ...

    def changes(self) -> AsyncIterator[None]: ...


class Secrets(Protocol):
    """Resolves secret references under what the operator allows a team."""

    def allows(self, team: str, reference: SecretReference) -> bool: ...

    async def resolve(
        self, database: Database, team: str, connection_id: int, reference: SecretReference
    ) -> str | None: ...


class Mail(Protocol):
    """The operator's mail server. `sender` is whom its mail comes from; `send` raises a ConnectorError."""

    @property
    def sender(self) -> str: ...

    async def send(self, mail: EmailMessage) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The world, as use cases see it."""

    database: Database
    clock: Callable[[], datetime]
    connectors: Mapping[str, Connector]
    secrets: Secrets
    toolbox: Callable[[], Toolbox]
    queue: Queue
    mail: Mail | None = None
