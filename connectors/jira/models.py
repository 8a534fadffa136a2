"""What a team writes for Jira: the connection, a counting query, a dataset of issues, worklogs or sprints."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from connectors.jira.jql import has_placeholder
from connectors.secrets import Secret
from connectors.urls import base_url

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)

_SiteUrl = Annotated[str, AfterValidator(base_url("site's", "https://acme.atlassian.net"))]
Jql = Annotated[str, Field(min_length=1, max_length=20_000)]


#: Where scoped API tokens are accepted: https://api.atlassian.com/ex/jira/{cloud id}
GATEWAY = "https://api.atlassian.com/ex/jira/"


class JiraConfig(BaseModel):
    """A Jira site and the account that reads it: by email and API token on Jira Cloud, by a personal access token and
    no email on Data Center.

    Tokens: https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/
    """

    model_config = _STRICT

    url: _SiteUrl = Field(
        description="The site; Atlassian's gateway for a scoped token.", examples=["https://acme.atlassian.net"]
    )
    site: _SiteUrl | None = Field(default=None, description="Where people open issues, where `url` is the gateway.")
    email: Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\s:]+$")] | None = Field(
        default=None, description="The account's, on Jira Cloud; Data Center's tokens need none."
    )
    token: Secret = Field(description="The account's API token, or Data Center's personal access token.")
    webhook_secret: Secret | None = Field(default=None, description="What Jira signs its webhooks with.")
    webhook_secret_previous: Secret | None = Field(
        default=None, description="Accepted beside `webhook_secret` while it is being rotated."
    )
    requests_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="At most so many requests an hour, for everything that reads through the connection."
    )

    @model_validator(mode="after")
    def _has_an_account(self) -> Self:
        if self.is_gateway and self.email is None:
            raise PydanticCustomError("email_missing", "Jira Cloud wants the account's email beside its token")
        return self

    @property
    def is_gateway(self) -> bool:
        """Whether requests go through Atlassian's gateway, as scoped tokens have to."""
        return self.url.startswith(GATEWAY)

    @property
    def is_cloud(self) -> bool:
        """Jira Cloud has accounts with an email; Data Center's tokens stand for themselves."""
        return self.email is not None

    @property
    def home(self) -> str | None:
        """The address that people open and links lead to; None where only the gateway's is known."""
        return self.site or (None if self.is_gateway else self.url)


class JiraQuery(BaseModel):
    """A number that Jira counts: how many issues match. `{from}` and `{to}` stand for the window's edges.

    `exact: false` takes Jira's estimate, one request whatever the count.
    """

    model_config = _STRICT

    jql: Jql = Field(
        description="Which issues count; `{from}` and `{to}` stand for the window's edges.",
        examples=["priority = P1 AND resolution IS EMPTY"],
    )
    exact: bool = Field(default=True, description="Whether issues are counted one by one; `false` takes an estimate.")

    def windowed(self) -> bool:
        """Whether the query looks at a window at all."""
        return has_placeholder(self.jql)


_Name = Annotated[str, Field(min_length=1, max_length=255)]
_Number = Annotated[int, Field(ge=1, lt=2**53)]


Stream = Literal["issues", "worklogs", "sprints"]


class JiraDataset(BaseModel):
    """The issues to keep, or the work logged on them: those of a query, a project, a saved filter or a board, or of all
    that are given; and the fields to keep of them beyond the default ones, by the names people see. Or the sprints of a
    board, or of a project's boards."""

    model_config = _STRICT

    stream: Stream = Field(
        default="issues", description="What is kept: issues, the work logged on them, or the sprints of boards."
    )
    jql: Jql | None = Field(
        default=None,
        description="Which issues are kept, without a window.",
        examples=["project = ONB AND issuetype = Onboarding"],
    )
    project: _Name | None = Field(default=None, description="Those of a project, by its key or name.", examples=["ERP"])
    filter: _Number | _Name | None = Field(
        default=None, description="Those of a saved filter, by its id or name.", examples=[10100]
    )
    board: _Number | _Name | None = Field(
        default=None, description="Those that a board shows, by its id or name.", examples=["Service desk"]
    )
    fields: Annotated[tuple[_Name, ...], Field(strict=False)] = Field(
        default=(),
        description="What is kept beyond the usual fields, by the names people see.",
        examples=[["Story Points"]],
    )

    @field_validator("jql")
    @classmethod
    def _not_windowed(cls, jql: str | None) -> str | None:
        if jql is not None and has_placeholder(jql):
            raise PydanticCustomError(
                "windowed_dataset", "a dataset keeps records for every window: leave {from} and {to} to metrics"
            )
        return jql

    @model_validator(mode="after")
    def _has_a_scope(self) -> Self:
        if self.stream == "sprints":
            if self.jql is not None or self.filter is not None or (self.board is None) == (self.project is None):
                raise PydanticCustomError("scope_of_sprints", "sprints are those of a board or of a project")
            return self
        if self.jql is None and self.project is None and self.filter is None and self.board is None:
            raise PydanticCustomError("scope_missing", "one of jql, project, filter and board has to be given")
        return self
