"""What a team writes for SQL: the database, and a SELECT that gives one number."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from connectors.secrets import Secret
from connectors.sql.statement import has_placeholder

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


class SqlConfig(BaseModel):
    """A PostgreSQL database: its address with the account, `postgresql://user:password@host/name`, as a secret.

    Give the account the right to read what is asked for and no other; a query runs in a transaction that only reads.
    """

    model_config = _STRICT

    dsn: Secret = Field(description="The database's address with the account, which is a secret.")


class SqlQuery(BaseModel):
    """A SELECT that gives one row of one number. `:from` and `:to` are the window's edges, `[from, to)`: a local date
    of the team where they are compared with dates, a moment where with timestamps."""

    model_config = _STRICT

    #: How a query asks for its window, for whoever has to be told.
    placeholders: ClassVar[str] = ":from and :to"

    sql: Annotated[str, Field(min_length=1, max_length=20_000)] = Field(
        description="One SELECT of one number; `:from` and `:to` stand for the window's edges.",
        examples=["select sum(amount) from gl where day >= :from and day < :to"],
    )

    def windowed(self) -> bool:
        """Whether the query looks at a window at all."""
        return has_placeholder(self.sql)
