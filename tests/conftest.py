"""Fixtures that every test may use: real servers started once a run, a fresh database each, a clock to turn by hand."""

import asyncio
import gc
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import pytest
import redis
import structlog
from hypothesis import settings
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from app.embedded.valkey import EmbeddedValkey
from app.store import database
from app.store.tables import metadata
from tests.services_fixtures.backlot import Backlot, BacklotError
from tests.services_fixtures.postgres import PostgresServer

# As the service writes its log. A traceback with every local variable takes minutes to be laid out.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# No test asserts on time, and a shared machine stops for longer than any deadline.
settings.register_profile("krsync", deadline=None)
settings.load_profile("krsync")

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked slow too")


#: Folders whose files take longest: where files are run side by side, nobody waits for a long one at the end.
LONGEST_FIRST = ("browser", "journeys", "faults", "services", "docs", "embedded", "api")


def _place(item: pytest.Item) -> int:
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_place)
    if config.getoption("--long"):
        return
    slow = [item for item in items if "slow" in item.keywords]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if "slow" not in item.keywords]


def pytest_collection_finish() -> None:
    # The thousands of tests, and all that they import, stay: looking through them again takes half a second each time.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Every test opens a database of its own, and its engine would compile every statement anew: a seventh of the time.
    Here the engines of a kind share what SQLAlchemy has compiled, and the dialect, by which that is known."""
    create = database._create_engine
    known: dict[str, Engine] = {}

    def shared(url: str) -> AsyncEngine:
        made = create(url)
        engine = made.sync_engine
        first = known.get(engine.dialect.name)
        if first is None or first.dialect.server_version_info is None:  # it was never connected
            known[engine.dialect.name] = engine
        else:
            engine.dialect = engine.pool._dialect = first.dialect
            engine._compiled_cache = first._compiled_cache
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_create_engine", shared)
        yield


class FakeClock:
    """A clock that stands still until it is moved: call it for the time, aware UTC."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def __call__(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        """Jump to `now` (aware)."""
        self._now = now.astimezone(UTC)

    def advance(self, span: timedelta) -> datetime:
        """Move by `span` and return the new time."""
        self._now += span
        return self._now


@pytest.fixture
def clock() -> FakeClock:
    """A clock at 2026-11-22 09:30 UTC."""
    return FakeClock(datetime(2026, 11, 22, 9, 30, tzinfo=UTC))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real data sets, beside the repository or at KRSYNC_SHARED_DATA."""
    folder = Path(os.environ.get("KRSYNC_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder}; KRSYNC_SHARED_DATA says where they are")
    return folder


# --- Valkey ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey for the whole run; `redis_url` is the one to take where leftovers matter."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The URL of the run's Valkey, emptied for this test."""
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


class _Runner:
    """Runs coroutines and blocking calls to their end beside whatever event loop the test itself uses."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fixtures")

    def await_(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._pool.submit(asyncio.run, coroutine).result()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return self._pool.submit(function, *arguments).result()

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture(scope="session")
def _aside() -> Iterator[_Runner]:
    runner = _Runner()
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The async driver URL of a real PostgreSQL, its maintenance database: for `CREATE DATABASE`, not for tables.

    KRSYNC_TEST_POSTGRES (a superuser's URL) takes the place of the server that is started here.
    """
    given = os.environ.get("KRSYNC_TEST_POSTGRES")
    if given:
        yield "postgresql+asyncpg://" + given.split("://", 1)[1]
        return
    server = PostgresServer()
    server.start()
    yield server.url()
    server.stop()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def _postgres_template(postgres_url: str, _aside: _Runner) -> Iterator[str]:
    from app.store.migrate import upgrade

    name = f"krsync_template_{uuid4().hex[:12]}"
    _aside.await_(_execute(postgres_url, f"CREATE DATABASE {name}"))
    _aside.call(upgrade, _sibling(postgres_url, name))
    yield name
    _aside.await_(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory, _aside: _Runner) -> Path:
    from app.store.migrate import upgrade

    path = tmp_path_factory.mktemp("template") / "krsync.db"
    _aside.call(upgrade, f"sqlite+aiosqlite:///{path}")
    return path


def _sibling(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


#: A database is emptied in a tenth of the time that a new one takes to be made and got to know.
_EMPTY = (
    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid()",
    *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)),
    "DELETE FROM touch",  # once more: what was deleted after it left its words there
    "DO $$ DECLARE one record; BEGIN FOR one IN SELECT sequencename FROM pg_sequences LOOP "
    "EXECUTE format('ALTER SEQUENCE %I RESTART', one.sequencename); END LOOP; END $$",
)


@pytest.fixture(scope="session")
def _postgres_for_all(postgres_url: str, _postgres_template: str, _aside: _Runner) -> Iterator[str]:
    name = f"krsync_shared_{uuid4().hex[:12]}"
    _aside.await_(_execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {_postgres_template}"))
    yield _sibling(postgres_url, name)
    _aside.await_(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without a row, on SQLite and on PostgreSQL in turn; the latter is emptied for each test, and
    whoever is still connected to it from the test before is cut off."""
    if request.param == "sqlite":
        path = tmp_path / "krsync.db"
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
        return f"sqlite+aiosqlite:///{path}"
    url: str = request.getfixturevalue("_postgres_for_all")
    request.getfixturevalue("_aside").await_(_execute(url, *_EMPTY))
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def blank_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a table, on SQLite and on PostgreSQL in turn: for tests of the migrations themselves."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'krsync.db'}"
        return
    yield from _postgres_database(request)


def _postgres_database(request: pytest.FixtureRequest) -> Iterator[str]:
    server: str = request.getfixturevalue("postgres_url")
    aside: _Runner = request.getfixturevalue("_aside")
    name = f"krsync_{uuid4().hex}"
    aside.await_(_execute(server, f"CREATE DATABASE {name}"))
    yield _sibling(server, name)
    aside.await_(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


# --- programs of others ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def backlot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backlot]:
    """A running backlot for the whole run: somebody else's Jira, GitHub and Slack."""
    peer = Backlot(tmp_path_factory.mktemp("backlot"))
    try:
        peer.start()
    except BacklotError as error:
        pytest.skip(f"no live peer: {error}")
    yield peer
    peer.stop()
