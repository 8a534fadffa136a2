"""`check` and `discover`: by the session in process, and by the `jira` package over a real socket under the guard."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import uvicorn

from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.http import create_client, parse_policy, toolbox
from connectors.jira import JIRA
from connectors.jira.connector import check, discover
from connectors.jira.session import JiraSession
from tests.connectors.jira.conftest import NOW, Connect, jira_config
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, TOKEN, JiraCloudFake
from tests.fakes.jira_issues import FLUID_STATUSES, STORY_POINTS, SYSTEM_FIELDS, issue

CANARY = "canary-7f3a"


@pytest.fixture
def fake() -> JiraCloudFake:
    fields = {"project": {"id": "1", "key": "ERP", "name": "Resource planning"}, "status": FLUID_STATUSES[0]}
    at = "2026-01-01T00:00:00.000+0000"
    issues = [issue(1, "ERP-1", {**fields, "created": at, "updated": at})]
    return JiraCloudFake(issues, FLUID_STATUSES, [*SYSTEM_FIELDS, STORY_POINTS], "Asia/Tokyo", now=lambda: NOW)


@asynccontextmanager
async def _served(fake: JiraCloudFake) -> AsyncIterator[int]:
    """The fake on a port of loopback."""
    server = uvicorn.Server(uvicorn.Config(fake, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    try:
        port: int = server.servers[0].sockets[0].getsockname()[1]
        yield port
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def _live(
    fake: JiraCloudFake,
    *,
    allow: str = "jira.localhost.test",
    token: str = TOKEN,
    lookup: Callable[[str, int], Sequence[str]] = lambda host, port: ["127.0.0.1"],
) -> AsyncIterator[JiraSession]:
    """A session through the outbound factory, on a host that only the guard's own lookup knows."""
    async with _served(fake) as port, create_client(parse_policy(allow), lookup=lookup) as client:
        # The name is no loopback one, so the config can not be written with http: it is set past its validation.
        config = jira_config(token=token).model_copy(update={"url": f"http://jira.localhost.test:{port}"})
        assert JIRA.open is not None
        box = toolbox(client, lambda: NOW)
        async with box.http, JIRA.open(config, box) as session:
            yield session


async def test_check_says_who_and_which_site(connect: Connect, fake: JiraCloudFake) -> None:
    found = await check(await connect(fake))
    assert found.summary == "Connected to Acme Jira at https://acme.atlassian.net as Bot."
    assert found.details["time zone"] == "Asia/Tokyo"
    assert found.details["deployment"] == "Cloud"


async def test_the_package_reads_the_same_as_the_session(connect: Connect, fake: JiraCloudFake) -> None:
    plain = await connect(fake)
    async with _live(fake) as live:
        assert (await check(live)).details == (await check(plain)).details
        found = await discover(live)
        assert found == await discover(plain)
    kinds = {(one.kind, one.name, one.detail) for one in found}
    assert ("project", "Resource planning", "ERP") in kinds
    assert ("field", "Story Points", "number") in kinds
    assert ("status", "Closed", "done") in kinds


async def test_the_package_does_not_hold_up_the_loop(fake: JiraCloudFake) -> None:
    """The fake answers from this loop: a package that ran on it would wait for itself for ever."""
    gate = asyncio.Event()
    fake.faults = [jira_faults.held(f"{API}/serverInfo", gate)]
    async with _live(fake) as live:
        running = asyncio.create_task(check(live))
        while not fake.requests:
            await asyncio.sleep(0)
        assert not running.done()
        gate.set()
        assert (await running).details["account"] == "Bot"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (jira_faults.status(f"{API}/myself", 401), AuthenticationError),
        (jira_faults.status(f"{API}/myself", 403), AccessDeniedError),
        (jira_faults.status(f"{API}/myself", 404), UnexpectedResponseError),
        (jira_faults.status(f"{API}/serverInfo", 429, retry_after="Sun, 22 Nov 2026 09:31:00 GMT"), RateLimitedError),
        (jira_faults.status(f"{API}/serverInfo", 429), RateLimitedError),
        (jira_faults.status(f"{API}/serverInfo", 503), UnavailableError),
        (jira_faults.status(f"{API}/serverInfo", 302, location="http://169.254.169.254/"), UnexpectedResponseError),
        (jira_faults.login_page(f"{API}/serverInfo"), UnexpectedResponseError),
        (jira_faults.truncated(f"{API}/myself"), UnexpectedResponseError),
        (jira_faults.edited(f"{API}/serverInfo", lambda _: []), UnexpectedResponseError),
        (jira_faults.edited(f"{API}/serverInfo", lambda _: {"version": 5}), UnexpectedResponseError),
    ],
    ids=["401", "403", "404", "429 date", "429", "503", "redirect", "login", "truncated", "list", "keys"],
)
@pytest.mark.parametrize("is_live", [True, False], ids=["package", "session"])
async def test_a_check_that_fails_says_what_to_do_and_no_secret(
    connect: Connect, fake: JiraCloudFake, fault: jira_faults.Fault, error: type[ConnectorError], is_live: bool
) -> None:
    fault.seen = 0
    fault.times = 1_000
    fake.faults = [fault]
    if is_live:
        async with _live(fake, token=CANARY) as live:
            with pytest.raises(ConnectorError) as caught:
                await check(live)
        # The fake tells a wrong token by a header on every answer that is not replaced.
        assert isinstance(caught.value, (error, AuthenticationError))
        async with _live(fake) as live:
            with pytest.raises(error):
                await check(live)
    else:
        with pytest.raises(error) as caught:
            await check(await connect(fake))
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert CANARY not in shown
    assert "Basic " not in shown


async def test_the_package_asks_once_and_does_not_retry(fake: JiraCloudFake) -> None:
    fake.faults = [jira_faults.status(f"{API}/serverInfo", 503, times=9, retry_after="1")]
    async with _live(fake) as live:
        with pytest.raises(UnavailableError):
            await check(live)
    assert fake.count() == 1


async def test_the_package_reaches_only_what_the_guard_allows(fake: JiraCloudFake) -> None:
    async with _live(fake, allow="") as live:
        with pytest.raises(AccessDeniedError):
            await check(live)
    assert fake.requests == []


async def test_the_package_connects_to_the_address_that_was_checked(fake: JiraCloudFake) -> None:
    """A name that resolves to something else the second time gains nothing."""
    asked: list[str] = []

    def lookup(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with _live(fake, lookup=lookup) as live:
        await check(live)
    # The name has no address but this lookup's: every connection went where it said.
    assert set(asked) == {"jira.localhost.test"}
    assert fake.count() == 3


async def test_a_site_that_is_away_is_unavailable(fake: JiraCloudFake) -> None:
    async with _live(fake) as live:
        live.config = live.config.model_copy(update={"url": "http://jira.localhost.test:1"})
        with pytest.raises(UnavailableError):
            await check(live)
