"""A peer that is not ours: backlot's Jira, served on loopback. It knows `project = …` and no histories."""

from collections.abc import AsyncIterator

import httpx
import pytest

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
from tests.services_fixtures.backlot import Backlot

ALWAYS = Window(None, None)


@pytest.fixture
def site(backlot: Backlot) -> tuple[str, str]:
    """backlot's Jira: its base URL and a token that sees everything."""
    return f"{backlot.url}/atlassian", backlot.admin_token


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
