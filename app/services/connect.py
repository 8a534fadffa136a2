"""Opening a connection: its secrets resolved for this one use, its connector handed the guarded toolbox."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.errors import NotFound
from app.services.context import Services
from app.store import organisation
from app.store.tables import Connection, Team
from connectors.contract import Checked, Connector, Discovered, Toolbox
from connectors.errors import ConnectorError, QueryError
from connectors.secrets import SecretReference, bind, secrets_of


async def bound_config(services: Services, connector: Connector, connection: Connection, team: Team) -> Any:
    """The connection's config with its secrets, as far as the operator allows the team to use them."""
    config = connector.config.model_validate(connection.spec)
    values: dict[SecretReference, str | None] = {}
    for secret in secrets_of(config):
        values[secret.reference] = await services.secrets.resolve(
            services.database, team.name, connection.id, secret.reference
        )
    return bind(config, values.get)


@asynccontextmanager
async def open_session(
    services: Services, connector: Connector, connection: Connection, team: Team, toolbox: Toolbox
) -> AsyncIterator[Any]:
    """A connector's session on a connection."""
    if connector.open is None:
        raise QueryError(f"The connector {connector.key} can not be asked, it only takes webhooks.")
    config = await bound_config(services, connector, connection, team)
    async with connector.open(config, toolbox) as session:
        yield session


async def _found(services: Services, team: str, name: str) -> tuple[Connection, Team, Connector]:
    async with services.database.reading() as session:
        found = await organisation.get_connection(session, team, name)
    connector = None if found is None else services.connectors.get(found[0].connector)
    if found is None or connector is None:
        raise NotFound("There is no such connection.")
    return found[0], found[1], connector


async def check_connection(services: Services, team: str, name: str) -> Checked:
    """Ask the tool whether the connection works, and note the answer: a paused connection that works goes on.
    Raises the ConnectorError that says what to do."""
    connection, owner, connector = await _found(services, team, name)
    if connector.check is None:
        await bound_config(services, connector, connection, owner)
        return Checked(summary="It takes webhooks: send one to see it here.")
    try:
        async with open_session(services, connector, connection, owner, services.toolbox()) as session:
            checked = await connector.check(session)
    except ConnectorError as error:
        async with services.database.writing() as db:
            await organisation.note_failure(
                db, connection.id, error.code, str(error), services.clock(), is_paused=False
            )
        raise
    async with services.database.writing() as db:
        await organisation.note_success(db, connection.id, services.clock())
        await organisation.resume_connections(db, [connection.id])
    return checked


async def discover(services: Services, team: str, name: str) -> list[Discovered]:
    """What could be read through a connection."""
    connection, owner, connector = await _found(services, team, name)
    if connector.discover is None:
        return []
    async with open_session(services, connector, connection, owner, services.toolbox()) as session:
        return list(await connector.discover(session))
