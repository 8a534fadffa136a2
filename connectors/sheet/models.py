"""What a team writes for a spreadsheet: the document, a query that gives one number, a dataset of its rows."""

from typing import Annotated, ClassVar, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.account import Username, check_account
from connectors.aggregates import Aggregate
from connectors.secrets import Secret
from connectors.spreadsheet.dates import DateOrder
from connectors.spreadsheet.numbers import DecimalMark
from connectors.urls import document_url

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)

_EXAMPLE = "https://docs.google.com/spreadsheets/d/1aBcD/edit?gid=0"
Label = Annotated[str, StringConstraints(min_length=1, max_length=300)]
_SHEET = "The sheet of an .xlsx workbook; the first that shows where this is not said."


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError("timezone", "a timezone such as Europe/Berlin is expected") from None
    return name


class SheetConfig(BaseModel):
    """A spreadsheet that is published at an address as CSV or .xlsx, and the account that may read it, where it wants
    one: a bearer `token`, or a `username` with its `password`."""

    model_config = _STRICT

    url: Annotated[str, StringConstraints(max_length=2_000), AfterValidator(document_url(_EXAMPLE))] = Field(
        description="The document: its content, or the page that a browser shows of a Google or SharePoint sheet.",
        examples=[_EXAMPLE, "https://files.acme.example/budget.csv"],
    )
    token: Secret | None = Field(default=None, description="A bearer token, where the server wants one.")
    username: Username | None = Field(default=None, description="The account, where the server wants a password.")
    password: Secret | None = Field(default=None, description="The password beside `username`.")
    decimal: DecimalMark | None = Field(
        default=None, description="How the sheet writes decimals; by what it has where this is not said."
    )
    dates: DateOrder | None = Field(
        default=None,
        description="Whether 3/4/2026 is in April (`dmy`) or March (`mdy`); by what it has where this is not said.",
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="Where its days begin.", examples=["Europe/Berlin"]
    )

    @model_validator(mode="after")
    def _account_is_whole_and_safe(self) -> Self:
        check_account(self)
        return self


class SheetQuery(BaseModel):
    """A number of a sheet as it is now: that in a `cell`, that where a `row` and a `column` meet by what they are
    called, or those of a `column` as one."""

    model_config = _STRICT

    #: A sheet knows no window.
    placeholders: ClassVar[str | None] = None

    sheet: Label | None = Field(default=None, description=_SHEET)
    cell: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,3}[1-9][0-9]{0,6}$")] | None = Field(
        default=None, description="Where the number is.", examples=["C7"]
    )
    row: Label | None = Field(
        default=None, description="What the row is called, left of its numbers.", examples=["Overhead"]
    )
    column: Label | None = Field(
        default=None, description="What the column is called, above its numbers.", examples=["Actual"]
    )
    aggregate: Aggregate | None = Field(default=None, description="How the numbers of a column become one.")

    @model_validator(mode="after")
    def _is_one_number(self) -> Self:
        said = tuple(name for name in ("cell", "row", "column", "aggregate") if getattr(self, name) is not None)
        if said not in (("cell",), ("row", "column"), ("column", "aggregate")):
            raise PydanticCustomError("place", "a cell, a row with its column, or a column with its aggregate")
        return self

    def windowed(self) -> bool:
        """Whether the query looks at a window at all."""
        return False


class SheetDataset(BaseModel):
    """The rows of a sheet as records. `id` is the column that says which record a row is; `record.Hours` is what the
    row has in the column Hours."""

    model_config = _STRICT

    sheet: Label | None = Field(default=None, description=_SHEET)
    id: Label = Field(description="The column that tells the rows apart.", examples=["Ticket"])
    created: Label | None = Field(
        default=None, description="The column with the day or moment of a row: its `created`.", examples=["Opened"]
    )
