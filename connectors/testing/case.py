"""The facts of one connector under test, and how its hooks are run: on a mock tool, with the network shut."""

import asyncio
import copy
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar, cast
from unittest import mock

import httpx
import pytest
from pydantic import BaseModel

from connectors.contract import Connector, Cursor, InboundDelivery, Page, Session, Toolbox, Window
from connectors.http import OutboundPolicy, create_client, toolbox
from connectors.secrets import SecretReference, bind, secrets_of

Site = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
ResultT = TypeVar("ResultT")

CANARY = "canary-" + "7f3d9a51e6c84b02"  # in two parts, so that a line of source in a traceback does not hold it
PULL_HOOKS = ("check", "discover", "measure", "read")
UNBOUNDED = Window(None, None)
MAX_PAGES = 1_000


@dataclass(frozen=True, kw_only=True)
class ConformanceCase:
    """What the suite has to know of a connector.

    * `config`, `query`, `dataset`: as a team writes them, each valid. Secrets are references, as in a file.
    * `secrets`: a value by reference name for secrets that must have a form; the others are a canary. The suite looks
      for all of them wherever nothing secret may be.
    * `site`: makes a healthy tool. Every request of the hooks is answered by it, or by a failure put in its place.
    * `patience`: after this long a hook is taken to hang; no other check depends on how long anything takes.
    * `accepted`, `refused`: deliveries that `verify` takes under `config` and `secrets`, and that it must not.
    """

    connector: Connector
    config: Mapping[str, object]
    secrets: Mapping[str, str] = field(default_factory=dict)
    site: Callable[[], Site] | None = None
    query: Mapping[str, object] | None = None
    dataset: Mapping[str, object] | None = None
    window: Window = UNBOUNDED
    now: datetime = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    patience: timedelta = timedelta(minutes=1)
    accepted: Sequence[InboundDelivery] = ()
    refused: Sequence[InboundDelivery] = ()

    def unbound(self) -> BaseModel:
        """The config as it is read from a file: references, no values."""
        return self.connector.config.model_validate(dict(self.config))

    def bound(self) -> BaseModel:
        """The config as the hooks get it."""
        return bind(self.unbound(), self.secret)

    def secret(self, reference: SecretReference) -> str:
        """The value of a reference."""
        return self.secrets.get(reference.name, CANARY)

    def hooks(self) -> list[str]:
        """The pull hooks that are there; skips the check where there is none."""
        found = [name for name in PULL_HOOKS if getattr(self.connector, name) is not None]
        if not found or self.site is None:
            pytest.skip("the connector asks no tool")
        return found

    def healthy(self) -> Site:
        """A new healthy tool."""
        assert self.site is not None, "a connector that asks a tool needs a site in its case"
        return self.site()


@dataclass
class Recorded:
    """A tool that keeps what it was asked."""

    inner: Site
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response | Awaitable[httpx.Response]:
        self.requests.append(request)
        return self.inner(request)


@asynccontextmanager
async def open_toolbox(case: ConformanceCase, site: Site) -> AsyncIterator[Toolbox]:
    """A toolbox whose client is answered by `site` and whose guard is absent: nothing real can be reached."""
    async with create_client(
        OutboundPolicy(), transport=httpx.MockTransport(cast(Any, site)), deadline=case.patience
    ) as client:
        tools = toolbox(client, lambda: case.now)
        yield Toolbox(http=tools.http, now=tools.now, guard=None, calls=tools.calls)


async def call(case: ConformanceCase, hook: str, tools: Toolbox, *, config: BaseModel | None = None) -> Any:
    """What one pull hook gives in a session of its own; all pages, for `read`."""
    connector = case.connector
    assert connector.open is not None
    given = config or case.bound()
    before = given.model_copy(deep=True)
    async with connector.open(given, tools) as session:
        if hook == "read":
            result: Any = await read_all(case, session, None)
        elif hook == "measure":
            assert connector.measure is not None
            assert connector.query is not None
            query = connector.query.model_validate(case.query)
            result = await connector.measure(session, query, case.window)
            assert query == connector.query.model_validate(case.query), "the hook has changed its query"
        else:
            result = await cast(Callable[[Session], Awaitable[Any]], getattr(connector, hook))(session)
    assert given == before, "the hook has changed its config"
    assert not tools.http.is_closed, "the client is not the connector's to close"
    return result


async def read_all(case: ConformanceCase, session: Session, cursor: Cursor | None) -> list[Page]:
    """Every page of a read from `cursor`."""
    connector = case.connector
    assert connector.read is not None
    assert connector.dataset is not None
    dataset, before = connector.dataset.model_validate(case.dataset), copy.deepcopy(cursor)
    pages = connector.read(session, dataset, cursor)
    found: list[Page] = []
    async with AsyncExitStack() as stack:
        if hasattr(pages, "aclose"):
            await stack.enter_async_context(aclosing(cast(Any, pages)))
        async for page in pages:
            found.append(page)
            if len(found) > MAX_PAGES:
                pytest.fail(f"The read does not end: more than {MAX_PAGES} pages.")
    assert dataset == connector.dataset.model_validate(case.dataset), "the hook has changed its dataset"
    assert cursor == before, "the hook has changed the cursor it was given"
    return found


def run_hook(case: ConformanceCase, hook: str, site: Site, *, config: BaseModel | None = None) -> Any:
    """Run one pull hook against `site` with the network shut."""

    async def once() -> Any:
        async with open_toolbox(case, site) as tools:
            return await call(case, hook, tools, config=config)

    return run(once(), case.patience)


def run(work: Coroutine[Any, Any, ResultT], patience: timedelta) -> ResultT:
    """Run a coroutine to its end with the network shut; TimeoutError where it hangs."""

    results: list[ResultT] = []  # not the task's result: asyncio makes a repr of that, however large it is

    async def shut() -> None:
        async with asyncio.timeout(patience.total_seconds()):
            results.append(await work)

    with no_network():
        asyncio.run(shut())
    return results[0]


@contextmanager
def no_network() -> Iterator[None]:
    """Fail whatever tries to connect or to resolve a name: a connector has its toolbox for that."""

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        pytest.fail("The connector went to the network without its toolbox.")

    with ExitStack() as stack:
        for name in ("connect", "connect_ex", "sendto"):
            stack.enter_context(mock.patch.object(socket.socket, name, refuse))
        for name in ("getaddrinfo", "gethostbyname", "create_connection"):
            stack.enter_context(mock.patch.object(socket, name, refuse))
        yield


def secret_values(case: ConformanceCase, requests: Sequence[httpx.Request] = ()) -> set[str]:
    """The secrets of the case, and the credentials that were made of them (a Basic header, for one)."""
    found = {case.secret(secret.reference) for secret in secrets_of(case.unbound())}
    for request in requests:
        credential = request.headers.get("authorization", "").rpartition(" ")[2]
        if credential:
            found.add(credential)
    return {value for value in found if value}


def tells(error: BaseException) -> str:
    """All that a log could say of an error: its text and traceback, and the repr of it and of what led to it."""
    said = traceback.format_exception(error)
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        said += [repr(one), str(one), repr(vars(one))]
        pending += [one.__cause__, one.__context__]
    return "\n".join(said)
