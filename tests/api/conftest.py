"""The API over a fresh database: the application itself, called without a network, and tokens of every kind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.api.application import Api
from app.api.context import ApiContext
from app.services.context import Queue, Services
from app.services.secrets import Seal, SecretPolicy, SecretResolver
from app.services.tokens import Principal, Scope, create_token
from app.store.database import Database
from connectors.http import create_client, toolbox
from connectors.outbound import parse_policy
from connectors.registry import connectors
from tests.conftest import FakeClock

#: For tests in which the store plays no part.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

KEY = bytes(range(32))
ADMIN = Principal(0, "tests", frozenset({"admin"}), None)


@dataclass
class Bell:
    """A doorbell that notes its rings."""

    rings: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliveries(self) -> None:
        self.rings.append("deliveries")

    async def pull(self, plan_id: int, fence: int) -> None:
        self.rings.append(f"pull {plan_id}")

    async def build(self) -> None:
        self.rings.append("build")

    async def changed(self) -> None:
        self.news.set()

    async def changes(self) -> AsyncIterator[None]:
        while True:
            await self.news.wait()
            self.news.clear()
            yield


@dataclass
class World:
    """A running API: call it, and look behind it."""

    api: Api
    http: httpx.AsyncClient
    services: Services
    bell: Bell
    environ: dict[str, str]
    outbound: list[httpx.Request]

    async def token(self, *scopes: Scope, team: str | None = None) -> str:
        """A new token's text."""
        _, text = await create_token(
            self.services.database,
            name="-".join(scopes),
            scopes=scopes,
            team=team,
            principal=ADMIN,
            now=self.services.clock(),
        )
        return text

    async def as_(self, *scopes: Scope, team: str | None = None) -> dict[str, str]:
        """The headers of somebody who holds these scopes."""
        return {"Authorization": f"Bearer {await self.token(*scopes, team=team)}"}

    async def apply(self, **changes: Any) -> httpx.Response:
        """Apply the operations team's file (`changes` replace its sections)."""
        headers = await self.as_("write")
        document = {**TEAM_FILE, **changes}
        response = await self.http.post(f"/v1/teams/{document['team']}/apply", json=document, headers=headers)
        assert response.status_code == 200, response.text
        return response


TEAM_FILE: dict[str, Any] = {
    "version": 1,
    "team": "operations",
    "title": "Operations",
    "timezone": "Europe/Berlin",
    "connections": {
        "erp": {"connector": "webhook", "verify": {"scheme": "standard-webhooks", "secret": {"env": "ERP_SECRET"}}},
        "desk": {"connector": "webhook", "verify": {"scheme": "hmac-sha256", "secret": {"env": "DESK_SECRET"}}},
        "jira": {
            "connector": "jira",
            "url": "https://10.0.0.1",  # refused by the guard: no test leaves the machine
            "email": "bot@acme.example",
            "token": {"env": "JIRA_TOKEN"},
        },
    },
    "datasets": {
        "orders": {"connection": "erp", "entity": "body.id", "at": "body.at", "event": "body.event"},
    },
    "metrics": {
        "satisfaction": {"unit": "score", "manual": {"every": "14d"}},
        "orders_placed": {"unit": "orders", "records": {"dataset": "orders"}, "window": "all"},
        "open_p1": {"unit": "issues", "query": {"connection": "jira", "jql": "priority = P1"}},
    },
    "objectives": {
        "happy_desk": {
            "title": "People like asking us",
            "cycle": "2026-Q4",
            "key_results": {
                "satisfaction_up": {
                    "metric": "satisfaction",
                    "baseline": 6,
                    "target": 8,
                    "owner": "dana@acme.example",
                },
                "orders_up": {"metric": "orders_placed", "baseline": 0, "target": 10},
            },
        }
    },
}


@pytest.fixture
async def world(database_url: str, clock: FakeClock) -> AsyncIterator[World]:
    async with open_world(database_url, clock) as opened:
        yield opened


@asynccontextmanager
async def open_world(database_url: str, clock: FakeClock, queue: Queue | None = None) -> AsyncIterator[World]:
    """The API over a migrated database, for the length of the block; rings go to `queue` instead of `bell`."""
    bell = Bell()
    environ: dict[str, str] = {}
    outbound: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        outbound.append(request)
        return httpx.Response(401, json={"message": "who are you"})

    database = Database(database_url)
    client = create_client(parse_policy(""), transport=httpx.MockTransport(answer))
    seal = Seal(KEY)

    services = Services(
        database=database,
        clock=clock,
        connectors=connectors(),
        secrets=SecretResolver(SecretPolicy.parse("*=*"), seal, environ),
        toolbox=lambda: toolbox(client, clock),
        queue=queue or bell,
    )

    @asynccontextmanager
    async def open_context() -> AsyncIterator[ApiContext]:
        yield ApiContext(services=services, seal=seal)

    api = Api(open_context)
    transport = httpx.ASGITransport(api)
    try:
        async with api.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://krsync.test") as http:
            yield World(api, http, services, bell, environ, outbound)
    finally:
        await client.aclose()
        await database.close()
