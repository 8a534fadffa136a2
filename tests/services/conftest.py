"""The services over a real database, with a clock turned by hand and a queue that only counts."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from app.services.context import Services
from app.store.tables import metadata
from tests.conftest import FakeClock, _execute, _sibling
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import SECRETS, Story, jira_site, make_services, open_story

__all__ = ["SECRETS", "make_services"]

#: A database is emptied in a tenth of the time that a new one takes to be made and got to know.
_EMPTY = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid()",
    *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)),
    "DELETE FROM touch",  # once more: what was deleted after it left its words there
    "DO $$ DECLARE one record; BEGIN FOR one IN SELECT sequencename FROM pg_sequences LOOP "
    "EXECUTE format('ALTER SEQUENCE %I RESTART', one.sequencename); END LOOP; END $$",
)


@pytest.fixture(scope="session")
def _postgres_for_all(postgres_url: str, _postgres_template: str, _aside: Any) -> Iterator[str]:
    name = f"krsync_services_{uuid4().hex[:12]}"
    _aside.await_(_execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {_postgres_template}"))
    yield _sibling(postgres_url, name)
    _aside.await_(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without a row, on SQLite and on PostgreSQL in turn; the latter is emptied for each test."""
    if request.param == "sqlite":
        path = tmp_path / "krsync.db"
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
        return f"sqlite+aiosqlite:///{path}"
    url: str = request.getfixturevalue("_postgres_for_all")
    request.getfixturevalue("_aside").await_(_execute(url, *_EMPTY))
    return url


@pytest_asyncio.fixture
async def story(database_url: str, clock: FakeClock) -> AsyncIterator[Story]:
    """A team on an empty database; outbound calls go nowhere."""
    async with open_story(database_url, clock) as story:
        yield story


@pytest_asyncio.fixture
async def services(story: Story) -> Services:
    """Services over an empty database; outbound calls go nowhere unless a test replaces the toolbox."""
    return story.services


@pytest_asyncio.fixture
async def site(clock: FakeClock) -> JiraCloudFake:
    """An empty Jira site, for a test to fill."""
    return jira_site(clock)


@pytest_asyncio.fixture
async def jira_story(database_url: str, clock: FakeClock, site: JiraCloudFake) -> AsyncIterator[Story]:
    """A team on an empty database, whose Jira is `site`."""
    async with open_story(database_url, clock, site) as story:
        yield story
