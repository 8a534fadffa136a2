"""Opening a connection: its secrets resolved for this one use, its connector handed the guarded toolbox.

A connector is contained: it can fail its own run and nothing else. It can not swallow our errors, end the process or
make its own failure look like the store's.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import structlog

from app.domain.records import JsonValue
from app.errors import InvalidInput, NotFound
from app.services.context import Services
from app.store import organisation
from app.store.tables import Connection, Team
from connectors.boundary import check_entities, check_page
from connectors.contract import Checked, Connector, Cursor, Discovered, Page, Toolbox
from connectors.errors import ConnectorError, QueryError, UnexpectedResponseError
from connectors.secrets import SecretReference, bind, secrets_of

log = structlog.get_logger(__name__)

#: The name of a webhook secret that is generated.
_GENERATED = "hook"
_END: Any = object()  # None would be a page of a connector that yields it


class ConnectorCrashError(Exception):
    """A connector raised what is no ConnectorError: the type's name, with the frames but without the words of the
    original, for they may hold a secret."""


@contextmanager
def contained() -> Iterator[None]:
    """Around every call of a connector's hook: what is neither a ConnectorError nor our own cancelling is a crash."""
    try:
        yield
    except (ConnectorError, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise _crash(error) from None
    except BaseException as error:
        raise _crash(error) from None


def _crash(error: BaseException) -> ConnectorCrashError:
    return ConnectorCrashError(type(error).__name__).with_traceback(error.__traceback__)


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
    """A connector's session on a connection. An error of the body goes on, whatever the connector makes of it: one that
    it swallowed would let an incomplete read pass for a complete one."""
    if connector.open is None:
        raise QueryError(f"The connector {connector.key} can not be asked, it only takes webhooks.")
    config = await bound_config(services, connector, connection, team)
    with contained():
        opened = connector.open(config, toolbox)
        session = await opened.__aenter__()
    try:
        yield session
    except BaseException as error:
        try:
            with contained():
                await opened.__aexit__(type(error), error, error.__traceback__)
        except (ConnectorError, ConnectorCrashError) as second:
            log.warning("connector.close_failed", connector=connector.key, error=type(second).__name__)
        raise
    with contained():
        await opened.__aexit__(None, None, None)


async def read_pages(connector: Connector, session: Any, dataset: Any, cursor: Cursor | None) -> AsyncGenerator[Page]:
    """The pages of a read, each checked; ends where the connector's read is complete."""
    read = connector.read
    assert read is not None
    async with aclosing(_contained(lambda: read(session, dataset, cursor))) as pages:
        async for page in pages:
            yield check_page(page)


async def fetch_pages(
    connector: Connector, session: Any, dataset: Any, known: Mapping[str, str], cursor: Cursor | None
) -> AsyncGenerator[Page]:
    """The pages of single entities, each checked. UnexpectedResponseError where one that was asked for is neither there
    nor absent, for then nothing can be said of it."""
    fetch = connector.fetch
    assert fetch is not None
    open_ids = set(known)
    async with aclosing(_contained(lambda: fetch(session, dataset, known, cursor))) as pages:
        async for page in pages:
            check_page(page)
            open_ids.difference_update(change.entity for change in page.changes)
            open_ids.difference_update(page.absent)
            yield page
    if open_ids:
        raise UnexpectedResponseError(f"Of {len(open_ids)} entities that were asked for nothing was said.")


async def sweep_batches(connector: Connector, session: Any, dataset: Any) -> AsyncGenerator[Sequence[str]]:
    """The ids of a sweep in batches, each checked."""
    sweep = connector.sweep
    assert sweep is not None
    async with aclosing(_contained(lambda: sweep(session, dataset))) as batches:
        async for batch in batches:
            yield check_entities(batch)


async def _contained(begin: Callable[[], AsyncIterator[Any]]) -> AsyncGenerator[Any]:
    """What a connector's generator yields, and its failures as those of a connector."""
    with contained():
        items = aiter(begin())
    try:
        while True:
            with contained():
                item = await anext(items, _END)
            if item is _END:
                return
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            with contained():
                await items.aclose()


def with_sealed_secret(body: JsonValue) -> str:
    """Name, in the JSON of a connection, the sealed secret that its webhooks are signed with, unless it names one; the
    name. InvalidInput where it takes none, or has another kind."""
    if not isinstance(body, dict):
        raise InvalidInput.at("", "dict_type", "A connection is expected.")
    verify = body.get("verify")
    if isinstance(verify, dict) and verify.get("scheme") != "none":
        holder, key, pointer = verify, "secret", "/verify/secret"
    elif body.get("connector") == "jira":
        holder, key, pointer = body, "webhook_secret", "/webhook_secret"
    else:
        raise InvalidInput.at("/verify", "no_secret", "No secret signs the webhooks of this connection.")
    given = holder.setdefault(key, {"sealed": _GENERATED})
    name = given.get("sealed") if isinstance(given, dict) else None
    if not isinstance(name, str):
        detail = "A secret that is generated is sealed: leave it out, or write {sealed: name}."
        raise InvalidInput.at(pointer, "sealed", detail)
    return name


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
            with contained():
                checked = await connector.check(session)
    except ConnectorError as error:
        async with services.database.writing() as db:
            await organisation.note_failure(db, connection.id, error.code, str(error), services.clock())
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
        with contained():
            return list(await connector.discover(session))
