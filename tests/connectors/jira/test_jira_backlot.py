"""A peer that is not ours: backlot's Jira, served on loopback. It knows `project = …` and no histories."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from connectors.contract import Toolbox, Window
from connectors.errors import AuthenticationError
from connectors.http import create_client, parse_policy, toolbox
from connectors.jira import JIRA, JiraConfig, JiraQuery
from connectors.jira.connector import measure
from connectors.jira.fields import moment_of, plan_fields
from connectors.jira.payloads import IssueIdPage, IssuePage
from connectors.jira.session import JiraSession
from connectors.secrets import bind
from tests.connectors.jira.conftest import NOW

ALWAYS = Window(None, None)


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """backlot's bundled company, imported."""
    if shutil.which("backlot", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("backlot is not installed: no live peer for Jira")
    folder = tmp_path_factory.mktemp("backlot")
    done = subprocess.run(
        [sys.executable, "-m", "backlot", "import", "--bundled", "--data-dir", str(folder)],
        env={**os.environ, "BACKLOT_TELEMETRY": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"backlot could not import its company: {done.stderr[-300:]}")
    return folder


@pytest.fixture
async def site(data_folder: Path) -> AsyncIterator[tuple[str, str]]:
    """backlot's Jira: its base URL and a token that sees everything."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["serve", "--disable-telemetry", "--port", str(port), "--data-dir", str(data_folder)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "backlot",
        *command,
        env={**os.environ, "BACKLOT_TELEMETRY": "false"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if not await _answers(port, process):
            pytest.skip("backlot did not start: no live peer for Jira")
        tokens = yaml.safe_load((data_folder / "tokens.yaml").read_text(encoding="utf-8"))
        yield f"http://127.0.0.1:{port}/atlassian", tokens["admin_token"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(port: int, process: asyncio.subprocess.Process) -> bool:
    for _ in range(200):
        if process.returncode is not None:
            return False
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            await writer.wait_closed()
            return True
    return False


@pytest.fixture
async def box() -> AsyncIterator[Toolbox]:
    """The real outbound client, loopback allowed."""
    async with create_client(parse_policy("127.0.0.1")) as client:
        found = toolbox(client, lambda: NOW)
        async with found.http:
            yield found


def _session(url: str, token: str, box: Toolbox) -> JiraSession:
    given = {"url": url, "email": "bot@acme.example", "token": {"env": "JIRA_TOKEN"}}
    return JiraSession(bind(JiraConfig.model_validate(given), lambda reference: token), box)


async def test_a_foreign_jira_is_read_page_by_page(site: tuple[str, str], box: Toolbox) -> None:
    url, token = site
    session = _session(url, token, box)
    jql = "project = platform"
    async with httpx.AsyncClient(auth=("bot@acme.example", token)) as plain:
        answer = await plain.get(f"{url}/rest/api/3/search/jql", params={"jql": jql, "maxResults": 5_000})
    expected = {issue["id"]: issue for issue in answer.json()["issues"]}
    assert len(expected) > 2

    counted = await measure(session, JiraQuery(jql=jql), ALWAYS)
    assert counted.value == len(expected)

    pages = [page async for page in session.search(jql, ["id"], 2, IssueIdPage)]
    assert len(pages) == (len(expected) + 1) // 2
    assert {issue.id for page in pages for issue in page.issues} == set(expected)

    plan = plan_fields((), await session.fields())
    async for page in session.search(jql, plan.ids, 2, IssuePage):
        for issue in page.issues:
            fields = expected[issue.id]["fields"]
            record = plan.values(issue)
            assert record["key"] == expected[issue.id]["key"]
            assert record["status"] == fields["status"]["name"]
            assert record["type"] == fields["issuetype"]["name"]
            assert moment_of(issue, "created") <= moment_of(issue, "updated")


async def test_a_foreign_jira_takes_a_wrong_token_for_a_stranger_and_we_do_not(
    site: tuple[str, str], box: Toolbox
) -> None:
    url, _ = site
    with pytest.raises(AuthenticationError):
        await measure(_session(url, "revoked", box), JiraQuery(jql="project = platform"), ALWAYS)


def test_the_connector_is_whole() -> None:
    assert JIRA.capabilities == ("check", "discover", "measure", "read", "verify", "parse")
