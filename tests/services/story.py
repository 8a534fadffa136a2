"""A team to tell stories about: its file applied, its tools read, its webhooks taken, the workers' part by hand."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from textwrap import dedent
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.domain.document import read_yaml
from app.services import apply as applying
from app.services import explain as explaining
from app.services import read
from app.services.build import build_revisions
from app.services.clockwork import evaluate_due
from app.services.context import Services
from app.services.deliveries import apply_pending
from app.services.inventory import get_connection, list_runs
from app.services.pull import claim_due, pull_plan
from app.services.views import ConnectionView, ExplainView, KeyResultView, PlanView, RunView
from app.store import organisation
from app.store.database import Database
from app.store.deliveries import NewDelivery, Stored
from app.store.delivery_log import delivery_log
from app.store.tables import metadata
from connectors.contract import Connector, Toolbox
from connectors.http import create_client, parse_policy, toolbox
from connectors.registry import connectors
from connectors.secrets import SecretReference
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.fakes.jira_issues import SYSTEM_FIELDS, Json, custom_field, issue, status, status_change

#: For tables whose subject is not the store: one database is enough.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TEAM = "support"
SECRETS = {
    "ERP_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "JIRA_TOKEN": "a-jira-token",
    "JIRA_HOOK": "a-hook-secret",
}
STATUSES = (status("1", "Open", "new"), status("2", "In Progress", "indeterminate"), status("3", "Done", "done"))
COST = custom_field(10050, "Cost", "number")


def jira_moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def ticket(number: int, created: datetime, *moves: tuple[str, datetime], **fields: Any) -> Json:
    """An issue `HELP-number`, with its moves to statuses by name; `cost` is a custom field."""
    by_name = {one["name"]: one for one in STATUSES}
    now, histories = STATUSES[0], []
    for index, (name, at) in enumerate(moves):
        histories.append(status_change(number * 100 + index, jira_moment(at), now, by_name[name]))
        now = by_name[name]
    updated = moves[-1][1] if moves else created
    known = {
        "project": {"id": "1", "key": "HELP", "name": "Help"},
        "issuetype": {"name": "Task"},
        "status": now,
        "created": jira_moment(created),
        "updated": jira_moment(updated),
        "resolutiondate": jira_moment(updated) if now["name"] == "Done" else None,
        COST["id"]: fields.pop("cost", None),
    }
    return issue(number, f"HELP-{number}", known | fields, histories)


def jira_site(clock: FakeClock, *tickets: Json, **options: Any) -> JiraCloudFake:
    """A site whose account is in UTC, with a small page so that every read has several."""
    return JiraCloudFake(
        tickets,
        STATUSES,
        [*SYSTEM_FIELDS, COST],
        token=SECRETS["JIRA_TOKEN"],
        now=clock,
        **({"page_size": 2, "ids_page_size": 2} | options),
    )


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

    async def changed(self) -> None:
        pass

    async def changes(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield


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


def make_services(database: Database, clock: FakeClock, toolbox: Callable[[], Toolbox]) -> Services:
    return Services(
        database=database,
        clock=clock,
        connectors=connectors(),
        secrets=GivenSecrets(dict(SECRETS)),
        toolbox=toolbox,
        queue=CountingQueue(),
    )


@dataclass
class Story:
    """One team on a database, and everybody who works for it."""

    services: Services
    clock: FakeClock
    sent: int = field(default=0)

    # --- the team's people ----------------------------------------------------------------------------------------

    async def apply(self, file: str, **options: Any) -> PlanView:
        value = read_yaml(dedent(file).encode()).value
        return await applying.apply_team_file(self.services, value, team=TEAM, actor="dana", **options)

    async def plan(self, file: str, **options: Any) -> PlanView:
        value = read_yaml(dedent(file).encode()).value
        return await applying.plan_team_file(self.services, value, team=TEAM, actor="dana", **options)

    async def key_result(self, name: str, **options: Any) -> KeyResultView:
        async with self.services.database.reading() as session:
            found = await read.get_key_result(session, TEAM, name, now=self.clock(), **options)
        assert found is not None, name
        return found

    async def value(self, name: str, **options: Any) -> Decimal | None:
        return (await self.key_result(name, **options)).value

    async def explain(self, name: str, **options: Any) -> ExplainView:
        async with self.services.database.reading() as session:
            found = await explaining.explain(session, TEAM, name, now=self.clock(), **options)
        assert found is not None, name
        return found

    async def connection(self, name: str = "jira") -> ConnectionView:
        async with self.services.database.reading() as session:
            found = await get_connection(
                session, TEAM, name, takes_webhooks=frozenset({"jira", "webhook"}), now=self.clock()
            )
        assert found is not None
        return found

    async def runs(self) -> list[RunView]:
        """Every run, oldest first."""
        async with self.services.database.reading() as session:
            found, _ = await list_runs(session, limit=1000)
        return found[::-1]

    # --- the team's tools -----------------------------------------------------------------------------------------

    async def send(
        self, bodies: Iterable[Mapping[str, Any] | bytes], *, connection: str = "erp", ids: Iterable[str] | None = None
    ) -> list[Stored]:
        """Deliver webhooks, stored as the door stores them, with an id each (counted up unless given)."""
        payloads = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
        if ids is None:
            ids = [f"msg-{self.sent + number}" for number in range(len(payloads))]
            self.sent += len(payloads)
        async with self.services.database.reading() as session:
            found = await organisation.get_connection(session, TEAM, connection)
        assert found is not None
        batch = [
            NewDelivery(
                connection_id=found[0].id,
                dedupe_key=key,
                digest=hashlib.sha256(body).hexdigest(),
                received_at=self.clock(),
                headers=(("content-type", "application/json"),),
                body=body,
            )
            for key, body in zip(ids, payloads, strict=True)
        ]
        log = delivery_log(self.services.database)
        try:
            return await log.append(batch)
        finally:
            await log.close()

    # --- the workers ----------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """All that workers find to do, but pulls."""
        while await apply_pending(self.services):
            pass
        await build_revisions(self.services)
        while await evaluate_due(self.services):
            pass

    async def claim(self, owner: str = "worker") -> list[tuple[int, int]]:
        return await claim_due(self.services, owner=owner)

    async def pull(self, owner: str = "worker") -> list[str]:
        """Pull what is due; the outcomes."""
        return [await pull_plan(self.services, plan, fence) for plan, fence in await self.claim(owner)]

    async def later(self, **span: float) -> list[str]:
        """Let time pass, then pull what is due and do the rest of the work."""
        self.clock.advance(timedelta(**span))
        outcomes = await self.pull()
        await self.work()
        return outcomes

    # --- looking behind the scenes --------------------------------------------------------------------------------

    async def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        async with self.services.database.reading() as session:
            return [tuple(row) for row in await session.execute(text(query), parameters)]

    async def count(self, table: str) -> int:
        ((count,),) = await self.rows(f"SELECT count(*) FROM {table}")
        assert isinstance(count, int)
        return count

    async def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, but for the words of what was written: they say that, and not what."""
        found = {}
        for table in metadata.sorted_tables:
            if table.name == "touch":
                continue
            keys = ", ".join(column.name for column in table.primary_key)
            found[table.name] = await self.rows(f"SELECT * FROM {table.name} ORDER BY {keys}")
        return found

    def with_connectors(self, *more: Connector) -> "Story":
        """The same story with these connectors beside the usual ones."""
        known = {**self.services.connectors, **{connector.key: connector for connector in more}}
        return replace(self, services=replace(self.services, connectors=known))


@asynccontextmanager
async def open_story(database_url: str, clock: FakeClock, site: JiraCloudFake | None = None) -> AsyncIterator[Story]:
    """A story whose Jira is `site`, reached through the guarded client; without one, nothing answers."""
    nobody = httpx.MockTransport(lambda request: httpx.Response(503))
    client = create_client(parse_policy(""), transport=nobody if site is None else httpx.ASGITransport(site))
    database = Database(database_url)
    try:
        # Without a guard to mount elsewhere, the site in process is asked by the session alone.
        yield Story(make_services(database, clock, lambda: replace(toolbox(client, clock), guard=None)), clock)
    finally:
        await client.aclose()
        await database.close()


async def gather(*jobs: Any) -> list[Any]:
    """All at once; what fails is in the list."""
    return await asyncio.gather(*jobs, return_exceptions=True)
