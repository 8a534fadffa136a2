"""A fake Jira Cloud for each test, and sessions of the connector on it, judged by Atlassian's document."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.contract import Toolbox
from connectors.jira import JIRA, JiraConfig
from connectors.jira.session import JiraSession
from connectors.secrets import bind
from tests.fakes.jira_cloud import EMAIL, TOKEN, JiraCloudFake
from tests.fakes.jira_issues import (
    FLUID_STATUSES,
    SYSTEM_FIELDS,
    SiteData,
    issue,
    load_devlake,
    load_fluid,
    status_change,
)
from tests.fakes.jira_openapi import DOCUMENT, OpenApiChecker

Connect = Callable[..., Awaitable[JiraSession]]

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def jira_config(url: str = "https://acme.atlassian.net", token: str = TOKEN) -> JiraConfig:
    """A config whose token is bound."""
    given = {"url": url, "email": EMAIL, "token": {"env": "JIRA_TOKEN"}}
    return bind(JiraConfig.model_validate(given), lambda reference: token)


@pytest.fixture
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """`await connect(fake)` opens a session. At the end every request, and every answer of a fake without faults, has
    to be what Atlassian's document says (where the shared data sets are at hand)."""
    root = request.config.rootpath
    folder = Path(request.getfixturevalue("shared_data_folder") or root)
    stack = AsyncExitStack()
    judged: list[tuple[JiraCloudFake, OpenApiChecker]] = []

    async def open_session(
        fake: JiraCloudFake, *, token: str = TOKEN, now: Callable[[], datetime] = lambda: NOW
    ) -> JiraSession:
        app: JiraCloudFake | OpenApiChecker = fake
        if (folder / DOCUMENT).is_file():
            app = OpenApiChecker(fake, folder / DOCUMENT)
            judged.append((fake, app))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=httpx.ASGITransport(app)))
        assert JIRA.open is not None
        session: JiraSession = await stack.enter_async_context(
            JIRA.open(jira_config(token=token), Toolbox(http=http, now=now))
        )
        return session

    async with stack:
        yield open_session
    for fake, checker in judged:
        assert checker.request_violations == []
        assert fake.faults or checker.answer_violations == []


@pytest.fixture(scope="session")
def shared_data_folder(request: pytest.FixtureRequest) -> Path | None:
    """The shared data sets, or None where a test can do without."""
    try:
        folder: Path = request.getfixturevalue("shared_data")
    except pytest.skip.Exception:
        return None
    return folder


@pytest.fixture(scope="session")
def recorded_fluid(shared_data: Path) -> SiteData:
    """The FLUID tracker; not to be changed."""
    return load_fluid(shared_data / "jira" / "fluid-issues-to-2012.ndjson")


@pytest.fixture
def fluid(recorded_fluid: SiteData) -> SiteData:
    """The FLUID tracker, this test's own to change."""
    return deepcopy(recorded_fluid)


@pytest.fixture
def devlake(shared_data: Path) -> SiteData:
    """The issues that DevLake recorded with their histories, this test's own to change."""
    return load_devlake(shared_data / "jira" / "devlake")


def small_site(count: int, zone: str = "UTC", **options: Any) -> JiraCloudFake:
    """`count` open issues of a project ERP, one a minute from 2026-01-01, with one old change of status each."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    issues = []
    for number in range(1, count + 1):
        at = (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        fields = {
            "project": {"id": "1", "key": "ERP", "name": "Resource planning"},
            "status": FLUID_STATUSES[1],
            "priority": {"name": "Major"},
            "created": at,
            "updated": at,
        }
        issues.append(issue(number, f"ERP-{number}", fields, [status_change(number, at, *FLUID_STATUSES[:2])]))
    return JiraCloudFake(issues, FLUID_STATUSES, SYSTEM_FIELDS, zone, **{"now": lambda: NOW, **options})
