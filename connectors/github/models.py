"""What a team writes for GitHub: the account that reads, and the stream of a repository that is kept."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from connectors.secrets import Secret
from connectors.urls import base_url

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)

Stream = Literal["pull_requests", "issues"]


def _day(given: object) -> object:
    """A day, from YAML or JSON text."""
    if isinstance(given, str):
        try:
            return date.fromisoformat(given)
        except ValueError:
            raise PydanticCustomError("day", "a day such as 2026-01-01") from None
    return given


class GitHubConfig(BaseModel):
    """GitHub and the token that reads it: fine-grained with read access to pull requests and issues, or classic.

    Tokens: https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens
    """

    model_config = _STRICT

    token: Secret = Field(description="Read access to pull requests and issues.")
    url: Annotated[str, AfterValidator(base_url("API's", "https://github.acme.example/api/v3"))] = Field(
        default="https://api.github.com",
        description="The API; GitHub Enterprise Server has its own.",
        examples=["https://github.acme.example/api/v3"],
    )


class GitHubDataset(BaseModel):
    """The pull requests or issues of one repository. `since` leaves out what was created before that day (UTC).

    `approvals` of pull requests are read where `fields` names them, or a rule of the team's does: a request each.
    """

    model_config = _STRICT

    stream: Stream = Field(description="What is kept.")
    repository: Annotated[
        str, Field(max_length=140, pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$")
    ] = Field(description="Whose, as owner/name.", examples=["acme/erp"])
    since: Annotated[date | None, BeforeValidator(_day)] = Field(
        default=None, description="What was created before that day (UTC) is left out.", examples=["2026-01-01"]
    )
    fields: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=255)], ...], Field(strict=False)] = Field(
        default=(), description="What is kept beyond the usual fields.", examples=[["approvals"]]
    )
