"""The services over a real database, with a clock turned by hand and a queue that only counts."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import pytest_asyncio

from app.services.context import Services
from app.store.database import Database
from connectors.contract import Toolbox
from connectors.registry import connectors
from connectors.secrets import SecretReference
from tests.conftest import FakeClock


@dataclass
class CountingQueue:
    """A doorbell that nobody hears."""

    rung: list[str] = field(default_factory=list)

    async def deliveries(self) -> None:
        self.rung.append("deliveries")

    async def pull(self, plan_id: int, fence: int) -> None:
        self.rung.append(f"pull {plan_id} {fence}")

    async def build(self) -> None:
        self.rung.append("build")


@dataclass
class GivenSecrets:
    """Secrets by name; every team may use them."""

    values: dict[str, str]

    def allows(self, team: str, reference: SecretReference) -> bool:
        return True

    async def resolve(
        self, database: Database, team: str, connection_id: int, reference: SecretReference
    ) -> str | None:
        return self.values.get(reference.name)


SECRETS = {"ERP_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "JIRA_TOKEN": "a-jira-token"}


@pytest_asyncio.fixture
async def services(database_url: str, clock: FakeClock) -> AsyncIterator[Services]:
    """Services over an empty database; outbound calls go nowhere unless a test replaces the toolbox."""
    database = Database(database_url)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(503))) as client:
        yield make_services(database, clock, lambda: Toolbox(http=client, now=clock))
    await database.close()


def make_services(database: Database, clock: FakeClock, toolbox: Callable[[], Toolbox]) -> Services:
    return Services(
        database=database,
        clock=clock,
        connectors=connectors(),
        secrets=GivenSecrets(SECRETS),
        toolbox=toolbox,
        queue=CountingQueue(),
    )
