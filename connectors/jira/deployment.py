"""Which kind of Jira answers: a credential of the other kind is refused there as any wrong one, so it is told apart."""

from connectors.errors import AuthenticationError, ConnectorError, QueryError
from connectors.jira.models import JiraConfig
from connectors.jira.payloads import ServerInformation, decode
from connectors.jira.session import JiraSession

#: Cloud and Data Center have this one; Data Center has no other.
OLDER_API = "/rest/api/2"


def require_deployment(config: JiraConfig, server: ServerInformation) -> None:
    """AuthenticationError where the credential is of the other kind of Jira, QueryError for one that is too old."""
    is_cloud = server.deploymentType in (None, "Cloud")
    if is_cloud and not config.is_cloud and server.deploymentType is not None:
        raise AuthenticationError("This is Jira Cloud: give the account's email beside its API token.")
    if not is_cloud and config.is_cloud:
        raise AuthenticationError(
            "This is Jira Data Center: leave the email out and give a personal access token of the account."
        )
    if not is_cloud and tuple(server.versionNumbers[:2]) < (8, 14):
        raise QueryError(f"Jira {server.version} is too old: personal access tokens exist from 8.14 on.")


async def explain_refusal(session: JiraSession) -> None:
    """Raise what `require_deployment` says of the site, as it presents itself to strangers; return where it fits, or
    where the site tells strangers nothing."""
    for api in dict.fromkeys((session.api, OLDER_API)):
        try:
            body = await session.as_stranger(f"{api}/serverInfo")
            server = None if body is None else decode(body, ServerInformation, "server information")
        except ConnectorError:
            return None
        if server is not None:
            return require_deployment(session.config, server)
    return None
