"""A GitHub that is not ours: backlot's, served on loopback. What is read is what its own API says."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from connectors.contract import Page
from connectors.errors import AuthenticationError, QueryError
from connectors.github import GitHubConfig, GitHubDataset
from connectors.github.connector import check, discover, open_github
from connectors.github.payloads import approvals_of
from connectors.github.reading import read
from connectors.http import create_client, parse_policy, toolbox
from connectors.secrets import bind
from tests.services_fixtures.backlot import Backlot


async def run(backlot: Backlot, hook: Any, token: str | None = None) -> Any:
    config = GitHubConfig.model_validate({"url": f"{backlot.url}/github", "token": {"env": "T"}})
    bound = bind(config, lambda _: token or backlot.admin_token)
    async with (
        create_client(parse_policy("127.0.0.1")) as client,
        open_github(bound, toolbox(client, lambda: datetime.now(UTC))) as session,
    ):
        return await hook(session)


def reading(repository: str, stream: str, **more: Any) -> Any:
    kept = GitHubDataset.model_validate({"stream": stream, "repository": repository, **more})

    async def hook(session: Any) -> list[Page]:
        return [page async for page in read(session, kept, None)]

    return hook


async def test_a_foreign_github_is_read_as_it_says_itself(backlot: Backlot) -> None:
    assert (await run(backlot, check)).summary.startswith("Connected to GitHub at http://127.0.0.1")
    repositories = [one.id for one in await run(backlot, discover)]
    assert repositories
    read_of_all = {"pull_requests": 0, "issues": 0}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {backlot.admin_token}"}, trust_env=False) as plain:
        for repository in repositories[:4]:
            base = f"{backlot.url}/github/repos/{repository}"
            said = (await plain.get(f"{base}/pulls", params={"state": "all", "per_page": "100"})).json()
            pages = await run(backlot, reading(repository, "pull_requests", fields=["approvals"]))
            found = {change.entity: change for page in pages for change in page.changes}
            assert set(found) == {str(row["number"]) for row in said}
            for row in said:
                fields = found[str(row["number"])].fields
                reviews = (await plain.get(f"{base}/pulls/{row['number']}/reviews")).json()
                assert fields["approvals"] == approvals_of(reviews)
                assert (fields["title"], fields["state"]) == (row["title"], row["state"])
                assert fields["merged"] is (row["merged_at"] is not None)
            said = (await plain.get(f"{base}/issues", params={"state": "all", "per_page": "100"})).json()
            pages = await run(backlot, reading(repository, "issues"))
            issues = {change.entity for page in pages for change in page.changes}
            assert issues == {str(row["number"]) for row in said if "pull_request" not in row}
            read_of_all["pull_requests"] += len(found)
            read_of_all["issues"] += len(issues)
    assert min(read_of_all.values()) > 0


async def test_a_foreign_github_refuses_as_github_does(backlot: Backlot) -> None:
    with pytest.raises(AuthenticationError):
        await run(backlot, check, token="ghp_nobody")
    with pytest.raises(QueryError, match="no repository nobody/nothing"):
        await run(backlot, reading("nobody/nothing", "issues"))
