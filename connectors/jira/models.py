"""What a team writes for Jira: the connection, a counting query, a dataset of issues."""

import re
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from connectors.jira.jql import has_placeholder
from connectors.secrets import Secret

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _site_url(text: str) -> str:
    """The site's base URL without a trailing slash. Where it may lead is the outbound guard's to decide."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise PydanticCustomError("site_url", "not a URL") from error
    if not host or re.search(r"[\s\x00-\x1f\\]", text):
        raise PydanticCustomError("site_url", "a URL such as https://acme.atlassian.net")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise PydanticCustomError("site_url", "the site's address only: no user, query or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise PydanticCustomError("site_url", "https:// is required (http:// only for this computer itself)")
    return text.rstrip("/")


Jql = Annotated[str, Field(min_length=1, max_length=20_000)]


class JiraConfig(BaseModel):
    """A Jira Cloud site and the account that reads it, by an API token.

    Tokens: https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/
    """

    model_config = _STRICT

    url: Annotated[str, AfterValidator(_site_url)]
    email: Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\s:]+$")]
    token: Secret

    @model_validator(mode="before")
    @classmethod
    def _say_what_is_to_come(cls, given: Any) -> Any:
        if isinstance(given, dict) and "webhook_secret" in given:
            raise PydanticCustomError(
                "not_supported_yet", "webhook_secret: webhooks from Jira are not supported yet; leave it out"
            )
        return given


class JiraQuery(BaseModel):
    """A number that Jira counts: how many issues match. `{from}` and `{to}` stand for the window's edges.

    `exact: false` takes Jira's estimate, one request whatever the count.
    """

    model_config = _STRICT

    jql: Jql
    exact: bool = True

    def windowed(self) -> bool:
        """Whether the query looks at a window at all."""
        return has_placeholder(self.jql)


class JiraDataset(BaseModel):
    """The issues to keep, and the fields to keep of them beyond the default ones, by the names people see."""

    model_config = _STRICT

    jql: Jql
    fields: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=255)], ...], Field(strict=False)] = ()

    @field_validator("jql")
    @classmethod
    def _not_windowed(cls, jql: str) -> str:
        if has_placeholder(jql):
            raise PydanticCustomError(
                "windowed_dataset", "a dataset keeps records for every window: leave {from} and {to} to metrics"
            )
        return jql
