"""What a site tells of itself, for `check` and `discover`: not hot, so the `jira` package reads it.

The package brings its own HTTP session. It runs in a thread, retries nothing, follows no redirect, and connects only to
the address that the guard has checked. Without a guard (an in-process site) the same resources are read by the session.
"""

import asyncio
from typing import Any, Literal

import msgspec

from connectors.contract import GuardedTransport
from connectors.errors import ConnectorError, UnavailableError, UnexpectedResponseError
from connectors.jira.failures import failure
from connectors.jira.session import JiraSession
from connectors.outbound import requests_adapter

Resource = Literal["serverInfo", "myself", "project", "field", "status"]

_TIMEOUT = (3, 30)  # seconds to connect, and between two reads


async def describe(session: JiraSession, *resources: Resource) -> list[bytes]:
    """The JSON of each resource, in the order asked for; any of `connectors.errors` otherwise."""
    guard = session.toolbox.guard
    if guard is None:
        return [msgspec.json.encode(await session.get(f"{session.api}/{name}", Any, name)) for name in resources]
    answers, refused = await asyncio.to_thread(_read_with_package, session, guard, resources)
    if refused is not None:
        raise refused
    return answers


def _read_with_package(
    session: JiraSession, guard: GuardedTransport, resources: tuple[Resource, ...]
) -> tuple[list[bytes], ConnectorError | None]:
    # The package is imported where it is used: it costs a third of a second that a pull should not pay.
    from jira import JIRA, JIRAError
    from requests import RequestException

    class GuardedJira(JIRA):
        # The constructor asks for the server's info already, so the guard has to be mounted while it prepares the
        # session. These are its steps for the two kinds of credential.
        def _create_http_basic_session(self, username: str, password: str) -> None:
            self._guard()
            super()._create_http_basic_session(username, password)

        def _create_token_session(self, token_auth: str) -> None:
            self._guard()
            super()._create_token_session(token_auth)

        def _guard(self) -> None:
            self._session.trust_env = False
            self._session.max_redirects = 0
            for prefix in ("https://", "http://"):
                self._session.mount(prefix, requests_adapter(guard))

    client: Any = None
    secret = session.config.token.reveal()
    email = session.config.email
    try:
        client = GuardedJira(
            options={"server": session.config.url, "rest_api_version": session.api.rpartition("/")[2]},
            basic_auth=(email, secret) if email is not None else None,
            token_auth=secret if email is None else None,
            max_retries=0,
            timeout=_TIMEOUT,
            logging=False,
        )
        read = {
            "serverInfo": client.server_info,
            "myself": client.myself,
            "project": lambda: [project.raw for project in client.projects()],
            "field": client.fields,
            "status": lambda: [status.raw for status in client.statuses()],
        }
        return [msgspec.json.encode(read[name]()) for name in resources], None
    except ConnectorError as error:
        return [], error
    except JIRAError as error:
        # Returned, not chained: the package's error prints the request's headers, and with them the token.
        headers = error.response.headers if error.response is not None else {}
        body = error.response.content if error.response is not None else b""
        found = failure(error.status_code or 0, headers, body, session.toolbox.now())
        return [], found or UnexpectedResponseError("Jira answered with something that is not its API.")
    except RequestException as error:
        if isinstance(error, ValueError):  # JSON that is none, a redirect's bad address
            return [], UnexpectedResponseError("Jira answered with something that is not its API.")
        return [], UnavailableError(f"Jira could not be reached ({type(error).__name__}).")
    except (KeyError, TypeError, AttributeError):
        # The package takes the shape of answers for granted.
        return [], UnexpectedResponseError("Jira's answer has another shape than expected.")
    finally:
        if client is not None:
            client.close()
