"""The GitHub connector: its hooks, and the value that names them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from connectors.contract import Checked, Connector, Discovered, Toolbox
from connectors.errors import AccessDeniedError, QueryError
from connectors.github.models import GitHubConfig, GitHubDataset
from connectors.github.reading import read
from connectors.github.session import GitHubSession

_MOST_REPOSITORIES = 1_000


@asynccontextmanager
async def open_github(config: GitHubConfig, toolbox: Toolbox) -> AsyncIterator[GitHubSession]:
    """A session of one run. It asks nothing by itself; AuthenticationError where the token is not available."""
    yield GitHubSession(config, toolbox)


async def check(session: GitHubSession) -> Checked:
    """Whose token it is; raises what `connectors.errors` says otherwise."""
    try:
        login = (await session.object("/user", about="account of the token")).get("login")
    except (AccessDeniedError, QueryError):  # the token of an app has no account; any token may ask for its limits
        await session.object("/rate_limit", about="limits of the token")
        login = None
    who = login if isinstance(login, str) and login else "an app"
    url = session.config.url
    return Checked(f"Connected to GitHub at {url} as {who}.", {"account": who, "url": url})


async def discover(session: GitHubSession) -> Sequence[Discovered]:
    """The repositories that the token sees, up to a thousand."""
    found: dict[str, Discovered] = {}
    async for rows in session.pages("/user/repos", {"sort": "full_name"}, about="list of repositories"):
        for row in rows:
            name = row.get("full_name")
            if isinstance(name, str) and name:
                found[name] = Discovered("repository", name, name, "private" if row.get("private") else "public")
        if len(found) >= _MOST_REPOSITORIES:
            break
    return list(found.values())[:_MOST_REPOSITORIES]


def browse(config: GitHubConfig, dataset: GitHubDataset) -> str:
    """Where a person sees what a dataset keeps."""
    site = "https://github.com" if config.url == "https://api.github.com" else config.url.removesuffix("/api/v3")
    return f"{site}/{dataset.repository}/{'pulls' if dataset.stream == 'pull_requests' else 'issues'}"


GITHUB = Connector(
    key="github",
    title="GitHub",
    config=GitHubConfig,
    dataset=GitHubDataset,
    min_interval=timedelta(minutes=1),
    open=open_github,
    check=check,
    discover=discover,
    read=read,
    browse=browse,
)
