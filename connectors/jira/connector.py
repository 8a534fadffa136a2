"""The Jira connector: its hooks, and the value that names them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from urllib.parse import quote

from connectors.contract import Checked, Connector, Discovered, Measurement, Toolbox, Window
from connectors.errors import AuthenticationError, QueryError, UnexpectedResponseError
from connectors.jira.data_center import DataCenterSession
from connectors.jira.deployment import explain_refusal, require_deployment
from connectors.jira.directory import describe
from connectors.jira.jql import has_placeholder, in_stable_order, in_window, without_order
from connectors.jira.models import JiraConfig, JiraDataset, JiraQuery
from connectors.jira.payloads import (
    CATEGORIES,
    Account,
    FieldDetails,
    Project,
    ServerInformation,
    StatusDetails,
    decode,
)
from connectors.jira.scope import static_jql
from connectors.jira.session import JiraSession
from connectors.jira.streams import fetch, read, sweep
from connectors.jira.webhooks import identify, parse, relevant, verify
from connectors.windows import is_past


@asynccontextmanager
async def open_jira(config: JiraConfig, toolbox: Toolbox) -> AsyncIterator[JiraSession]:
    """A session of one run. It asks nothing by itself; AuthenticationError where the token is not available."""
    yield JiraSession(config, toolbox) if config.is_cloud else DataCenterSession(config, toolbox)


async def check(session: JiraSession) -> Checked:
    """Who the account is and which site it reaches; raises what `connectors.errors` says otherwise."""
    try:
        site, account = await describe(session, "serverInfo", "myself")
    except (AuthenticationError, UnexpectedResponseError):
        await explain_refusal(session)
        raise
    server = decode(site, ServerInformation, "server information")
    require_deployment(session.config, server)
    person = decode(account, Account, "account")
    title = server.serverTitle or "Jira"
    details = {
        "site": server.baseUrl or session.config.url,
        "deployment": server.deploymentType,
        "version": server.version,
        "account": person.displayName,
        "time zone": person.timeZone,
    }
    who = person.displayName or session.config.email or "the owner of the token"
    return Checked(
        summary=f"Connected to {title} at {session.config.url} as {who}.",
        details={name: value for name, value in details.items() if value},
    )


async def discover(session: JiraSession) -> Sequence[Discovered]:
    """The projects, fields and statuses that the account can see."""
    projects, fields, statuses = await describe(session, "project", "field", "status")
    return [
        *(Discovered("project", one.id, one.name, one.key) for one in decode(projects, list[Project], "projects")),
        *(
            Discovered("field", one.id, one.name, one.schema.type if one.schema else None)
            for one in decode(fields, list[FieldDetails], "fields")
        ),
        *(
            Discovered(
                "status",
                one.id,
                one.name,
                CATEGORIES.get(one.statusCategory.key) if one.statusCategory else None,
            )
            for one in decode(statuses, list[StatusDetails], "statuses")
        ),
    ]


async def measure(session: JiraSession, query: JiraQuery, window: Window) -> Measurement:
    """How many issues match, counted issue by issue, or estimated by Jira where the query says `exact: false`.

    QueryError for a window that the query can not look at.
    """
    _require_window(session, query, window)
    jql = query.jql
    if query.windowed():
        jql = in_window(jql, window.start, window.end, await session.zone())
    link = _issues_link(session.config, jql)
    observed_at = session.toolbox.now()
    if not query.exact and session.config.is_cloud:
        sent = without_order(jql)
        return Measurement(Decimal(await session.estimate(sent)), observed_at, sent, link, is_exact=False)
    sent = in_stable_order(jql)
    count, digest = await session.count(sent)
    return Measurement(Decimal(count), observed_at, sent, link, digest=digest)


def _require_window(session: JiraSession, query: JiraQuery, window: Window) -> None:
    if window.start is not None and not has_placeholder(query.jql, "from"):
        raise QueryError("The metric has a window that its JQL ignores: use {from} and {to} in it.")
    if is_past(window, session.toolbox.now()) and not has_placeholder(query.jql, "to"):
        raise QueryError("The window ended in the past and the JQL counts up to now: use {to} in it.")


def browse(config: JiraConfig, scope: JiraQuery | JiraDataset) -> str | None:
    """Where a person sees the issues that a query counts or a dataset keeps, or the board or project of its sprints;
    None for a query over a window, whose measurement says what was counted."""
    if isinstance(scope, JiraQuery):
        return None if scope.windowed() else _issues_link(config, scope.jql)
    if scope.board is not None and config.home and not static_jql(scope):
        # A name is not an address: of a board that is only named, the list of boards is the nearest.
        is_known = isinstance(scope.board, int)
        page = f"RapidBoard.jspa?rapidView={scope.board}" if is_known else "ManageRapidViews.jspa"
        return f"{config.home}/secure/{page}"
    if scope.stream == "sprints":
        return f"{config.home}/browse/{quote(scope.project or '', safe='')}" if config.home else None
    return _issues_link(config, static_jql(scope))


def _issues_link(config: JiraConfig, jql: str) -> str | None:
    return f"{config.home}/issues/?jql={quote(jql, safe='')}" if config.home else None


JIRA = Connector(
    key="jira",
    title="Jira",
    config=JiraConfig,
    query=JiraQuery,
    dataset=JiraDataset,
    min_interval=timedelta(minutes=1),
    open=open_jira,
    check=check,
    discover=discover,
    measure=measure,
    read=read,
    fetch=fetch,
    sweep=sweep,
    verify=verify,
    identify=identify,
    parse=parse,
    relevant=relevant,
    browse=browse,
)
