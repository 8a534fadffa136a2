"""Jira on one's own servers: pages by number that rows leave while they are read, histories that are cut."""

import asyncio
import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import pytest

from connectors.contract import Page, RecordChange, Toolbox, Window
from connectors.errors import AuthenticationError, QueryError, UnexpectedResponseError
from connectors.http import create_client, parse_policy, toolbox
from connectors.jira import JIRA, JiraConfig, JiraDataset, JiraQuery
from connectors.jira.connector import check, measure
from connectors.jira.data_center import DataCenterSession
from connectors.jira.reading import fetch_issues, read_issues, sweep_issues
from connectors.jira.session import JiraSession
from connectors.jira.sprints import read_sprints
from connectors.secrets import bind
from tests.connectors.jira.conftest import NOW, small_site
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import JiraCloudFake
from tests.fakes.jira_data_center import API, TOKEN, JiraDataCenterFake

ERP = JiraDataset(jql="project = ERP")
OPEN = JiraDataset(jql="project = ERP AND status != Closed")


def _config(url: str = "https://jira.acme.example", token: str = TOKEN) -> JiraConfig:
    given = {"url": url, "token": {"env": "JIRA_PAT"}}
    return bind(JiraConfig.model_validate(given), lambda reference: token)


def _server(count: int, **options: Any) -> JiraDataCenterFake:
    cloud = small_site(count)
    return JiraDataCenterFake(
        list(cloud.issues.values()), cloud.statuses, cloud.fields, **{"now": lambda: NOW, **options}
    )


@asynccontextmanager
async def _session(fake: JiraCloudFake, *, now: datetime = NOW, token: str = TOKEN) -> AsyncIterator[JiraSession]:
    assert JIRA.open is not None
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(fake)) as http,
        JIRA.open(_config(token=token), Toolbox(http=http, now=lambda: now)) as session,
    ):
        yield session


async def _read(session: JiraSession, cursor: Any = None) -> tuple[dict[str, RecordChange], Page]:
    found: dict[str, RecordChange] = {}
    last = Page(())
    async for page in read_issues(session, ERP, cursor):
        for change in page.changes:
            assert change.entity not in found
            found[change.entity] = change
        last = page
    return found, last


async def test_everything_is_read_once_with_its_history() -> None:
    fake = _server(1_234, most_rows=100)
    async with _session(fake) as session:
        assert isinstance(session, DataCenterSession)
        found, last = await _read(session)
        assert len(found) == 1_234
        assert all(len(change.transitions) == 1 for change in found.values())
        assert found["7"].link == "https://jira.acme.example/browse/ERP-7"
        fake.requests.clear()
        nothing, _ = await _read(session, last.cursor)
        assert nothing == {}
        assert len(fake.requests) == 1


@pytest.mark.parametrize("leaving", [1, 9, 10, 11, 40, 140])
@pytest.mark.parametrize("most_rows", [2, 7, 50])
async def test_rows_that_leave_the_result_while_it_is_read_hide_no_other(leaving: int, most_rows: int) -> None:
    fake = _server(300, most_rows=most_rows)
    pages = 0

    def leave() -> None:
        nonlocal pages
        pages += 1
        if pages in (3, 5):
            for key in [issue["key"] for issue in fake.issues.values()][:leaving]:
                fake.delete(key, NOW)

    fake.on_page = leave
    async with _session(fake) as session:
        found, _ = await _read(session)
    assert fake.issues.keys() <= found.keys()


@pytest.mark.parametrize("seed", range(5))
async def test_rows_that_come_and_go_anywhere_are_neither_lost_nor_doubled(seed: int) -> None:
    chance = random.Random(seed)
    fake = _server(200, most_rows=20)

    def shuffle() -> None:
        for key in chance.sample([issue["key"] for issue in fake.issues.values()], 3):
            if chance.random() < 0.5:
                fake.delete(key, NOW)
            else:
                fake.move(key, "Reopened", NOW)

    fake.on_page = shuffle
    async with _session(fake) as session:
        found, _ = await _read(session)
    assert fake.issues.keys() <= found.keys()


@pytest.mark.parametrize(("inline", "alone"), [(None, None), (40, None), (40, 50), (0, 0)])
async def test_a_history_is_whole_wherever_it_is_cut(inline: int | None, alone: int | None) -> None:
    fake = _server(3)
    for number in range(60):
        fake.move("ERP-2", "Reopened" if number % 2 else "Resolved", NOW - timedelta(minutes=61 - number))
    fake.inline_histories, fake.issue_histories = inline, alone
    async with _session(fake) as session:
        found, _ = await _read(session)
    transitions = found["2"].transitions
    assert len(transitions) == 61
    assert all(one.after == other.before and one.at < other.at for one, other in pairwise(transitions))


async def test_a_history_that_can_not_be_had_whole_is_no_history() -> None:
    fake = _server(3)
    fake.move("ERP-2", "Reopened", NOW)
    fake.inline_histories = fake.issue_histories = 1
    fake.knows_changelogs = False
    async with _session(fake) as session:
        with pytest.raises(UnexpectedResponseError):
            await _read(session)


async def test_a_server_that_says_more_follow_and_sends_none_is_not_believed() -> None:
    fake = _server(30, most_rows=10)
    fake.faults = [jira_faults.edited(f"{API}/search", lambda page: {**page, "issues": []}, first=3, times=1_000)]
    async with _session(fake) as session:
        with pytest.raises(UnexpectedResponseError):
            await _read(session)


@pytest.mark.parametrize("most_rows", [1_000, 2])
async def test_by_id_and_in_sweeps(most_rows: int) -> None:
    fake = _server(12, most_rows=most_rows)
    fake.move("ERP-3", "Closed", NOW)
    fake.delete("ERP-2", NOW)
    async with _session(fake) as session:
        pages = [page async for page in fetch_issues(session, OPEN, {str(n): f"ERP-{n}" for n in range(1, 5)}, None)]
        absent = {entity: why for page in pages for entity, why in page.absent.items()}
        assert absent == {"2": "deleted", "3": "out_of_scope"}
        assert sorted(change.entity for page in pages for change in page.changes) == ["1", "4"]
        ids = [entity async for batch in sweep_issues(session, OPEN) for entity in batch]
        assert sorted(ids, key=int) == ["1", *map(str, range(4, 13))]


async def test_a_count_is_the_servers_own_and_exact() -> None:
    fake = _server(1_234)
    async with _session(fake) as session:
        for exact in (True, False):
            found = await measure(session, JiraQuery(jql="project = ERP", exact=exact), Window(None, None))
            assert (found.value, found.is_exact) == (Decimal(1_234), True)
    assert len(fake.requests) == 2


async def test_a_long_query_is_posted() -> None:
    fake = _server(5)
    dataset = JiraDataset(jql=" OR ".join(f"key = ERP-{number}" for number in range(1, 400)))
    async with _session(fake) as session:
        found = [change async for page in read_issues(session, dataset, None) for change in page.changes]
    assert len(found) == 5
    assert {request.method for request in fake.requests if request.path == f"{API}/search"} == {"POST"}


async def test_check_tells_the_deployments_apart() -> None:
    fake = _server(1)
    async with _session(fake) as session:
        found = await check(session)
        assert found.details["deployment"] == "Server"
        fake.version = [8, 13, 2]
        with pytest.raises(QueryError, match=r"8\.14"):
            await check(session)
    cloud = small_site(1)
    async with _session(cloud) as session:
        with pytest.raises(AuthenticationError, match="This is Jira Cloud: give the account's email"):
            await check(session)
        with pytest.raises(AuthenticationError, match="This is Jira Cloud"):
            await _read(session)
    fake.version = [9, 12, 0]
    given = {"url": "https://jira.acme.example", "email": "bot@acme.example", "token": {"env": "JIRA_PAT"}}
    config = bind(JiraConfig.model_validate(given), lambda reference: TOKEN)
    assert JIRA.open is not None
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(fake)) as http,
        JIRA.open(config, Toolbox(http=http, now=lambda: NOW)) as session,
    ):
        with pytest.raises(AuthenticationError, match="This is Jira Data Center: leave the email out"):
            await check(session)
        with pytest.raises(AuthenticationError, match="This is Jira Data Center"):
            await _read(session)
    async with _session(fake, token="revoked") as session:
        fake.version = [9, 12, 0]
        with pytest.raises(AuthenticationError):
            await check(session)
        with pytest.raises(AuthenticationError):
            await _read(session)


# --- a peer that is not ours ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Any:
    """jira820 on a port of loopback: its base URL."""
    pytest.importorskip("jira820")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "jira820"],
        env={**os.environ, "JIRA820_HOST": "127.0.0.1", "JIRA820_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{port}", process
    process.kill()
    process.wait()


async def _first_answer(plain: httpx.AsyncClient, process: Any) -> httpx.Response:
    """All issues, as soon as the server is up."""
    for _ in range(600):
        assert process.poll() is None
        try:
            return await plain.get("/rest/api/2/search", params={"maxResults": 10_000})
        except httpx.TransportError:
            await asyncio.sleep(0.05)
    raise AssertionError("The server did not come up.")


async def test_the_sprints_of_a_foreign_data_center_are_read_whole(server: Any) -> None:
    url, process = server
    async with httpx.AsyncClient(base_url=url) as plain:
        await _first_answer(plain, process)
        boards = (await plain.get("/rest/agile/1.0/board", params={"maxResults": 1_000})).json()["values"]
        scrum = next(board for board in boards if board["type"] == "scrum")
        told = (await plain.get(f"/rest/agile/1.0/board/{scrum['id']}/sprint", params={"maxResults": 1_000})).json()
    async with create_client(parse_policy("127.0.0.1")) as client:
        box = toolbox(client, lambda: datetime.now(NOW.tzinfo))
        async with box.http:
            dataset = JiraDataset(stream="sprints", board=scrum["name"])
            pages = [page async for page in read_sprints(DataCenterSession(_config(url), box), dataset, None)]
    found = {change.entity: change for page in pages for change in page.changes}
    assert found.keys() == {f"sprint/{one['id']}" for one in told["values"]}
    assert {change.name for change in found.values()} == {one["name"] for one in told["values"]}
    closed = [change for change in found.values() if change.fields["state"] == "closed"]
    assert closed
    assert all(change.fields["completed"] for change in closed)


async def test_a_foreign_data_center_is_read_whole_with_its_histories(server: Any) -> None:
    url, process = server
    async with httpx.AsyncClient(base_url=url) as plain:
        raw = await _first_answer(plain, process)
        expected = {issue["id"]: issue for issue in raw.json()["issues"]}
        key = next(iter(expected.values()))["key"]
        alone = await plain.get(f"/rest/api/2/issue/{key}", params={"expand": "changelog"})
    assert len(expected) > 20
    project = key.rpartition("-")[0]
    async with create_client(parse_policy("127.0.0.1")) as client:
        box = toolbox(client, lambda: datetime.now(NOW.tzinfo))
        session = DataCenterSession(_config(url), box)
        async with box.http:
            checked = await check(session)
            assert checked.details["version"].startswith("8.20")
            given = {"url": url, "email": "bot@acme.example", "token": {"env": "JIRA_PAT"}}
            wrong = JiraSession(bind(JiraConfig.model_validate(given), lambda reference: TOKEN), box)
            with pytest.raises(AuthenticationError, match="This is Jira Data Center"):
                await check(wrong)
            dataset = JiraDataset(jql=f"project = {project}")
            pages = [page async for page in read_issues(session, dataset, None)]
            found = {change.entity: change for page in pages for change in page.changes}
            assert found.keys() == expected.keys()
            for entity, change in found.items():
                assert change.name == expected[entity]["key"]
                assert change.fields["status"] == expected[entity]["fields"]["status"]["name"]
            histories = alone.json()["changelog"]["histories"]
            moves = [item for save in histories for item in save["items"] if item["field"] == "status"]
            assert len(found[alone.json()["id"]].transitions) == len(moves)
            counted = await measure(session, JiraQuery(jql=f"project = {project}"), Window(None, None))
            assert counted.value == len(expected)
            swept = [entity async for batch in sweep_issues(session, dataset) for entity in batch]
            assert set(swept) == set(expected)
