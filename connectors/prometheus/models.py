"""What a team writes for Prometheus: the connection, and a query that gives one number."""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from connectors.account import Username, check_account
from connectors.prometheus.promql import has_placeholder
from connectors.secrets import Secret
from connectors.urls import base_url

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)

_ServerUrl = Annotated[str, AfterValidator(base_url("server's", "http://prometheus:9090", may_be_plain=True))]


class PrometheusConfig(BaseModel):
    """A server that answers Prometheus' HTTP API, and the account that asks it, where it wants one: a bearer `token`,
    or a `username` with its `password`."""

    model_config = _STRICT

    url: _ServerUrl = Field(description="The server.", examples=["http://prometheus:9090"])
    token: Secret | None = Field(default=None, description="A bearer token, where the server wants one.")
    username: Username | None = Field(default=None, description="The account, where the server wants a password.")
    password: Secret | None = Field(default=None, description="The password beside `username`.")

    @model_validator(mode="after")
    def _account_is_whole_and_safe(self) -> Self:
        check_account(self)
        return self


class PrometheusQuery(BaseModel):
    """A number that Prometheus computes: a scalar, or a vector of one series. `{window}` stands for the window as a
    range (`[{window}]`), `{from}` and `{to}` for its edges in Unix seconds; it is asked at the window's end, or now."""

    model_config = _STRICT

    #: How a query asks for its window, for whoever has to be told.
    placeholders: ClassVar[str] = "[{window}]"

    promql: Annotated[str, Field(min_length=1, max_length=20_000)] = Field(
        description="What is asked; `[{window}]` stands for the window as a range.",
        examples=["sum(increase(tickets_total[{window}]))"],
    )

    def windowed(self) -> bool:
        """Whether the query looks at a window at all."""
        return has_placeholder(self.promql)
