"""The shapes that metrics and goals build on: the strict model, calendar and windows, connections and datasets."""

from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Tag
from pydantic_core import PydanticCustomError

from app.domain.scalars import (
    Address,
    DurationText,
    Expression,
    HalfDayText,
    HoursText,
    Name,
    PresetName,
    RegionText,
    Text,
    one_of,
    parse_timedelta,
)


class Model(BaseModel):
    """A strict, frozen shape: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Objection(NamedTuple):
    """What does not fit together in an object: a code, a sentence, and the key it is about."""

    code: str
    message: str
    key: str | None = None


def refuse(objections: list[Objection]) -> None:
    """Raise the first objection; the error's context holds them all, for those who report every problem at once."""
    if objections:
        raise PydanticCustomError(objections[0].code, objections[0].message, {"objections": objections})


Silences: TypeAlias = dict[Name, Text]
"""Warnings of the linter that do not apply here: its code, and the reason why not."""


# --- where and when --------------------------------------------------------------------------------------------------

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class CalendarSpec(Model):
    """Business time: the working week, the hours of a day and the public holidays (ISO 3166-2, such as `DE-BE`).

    On `half_days`, of every year (`12-24`) or of one (`2026-12-31`), the first half of the hours is worked.
    """

    workweek: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    hours: HoursText = "09:00-17:00"
    holidays: RegionText | None = None
    half_days: tuple[HalfDayText, ...] = ()


class Trailing(Model):
    """The last days (whole local days, today included), or the last hours or minutes, which move with the clock."""

    trailing: DurationText

    @property
    def span(self) -> timedelta:
        return parse_timedelta(self.trailing)

    @property
    def is_in_days(self) -> bool:
        """Whether it was said in days or weeks: `24h` is not `1d`."""
        return self.trailing[-1] in "dw"


class ToDate(Model):
    """From the beginning of the local month, quarter, year or cycle to now."""

    to_date: Literal["month", "quarter", "year", "cycle"]


WindowSpec: TypeAlias = Annotated[
    Annotated[Literal["now", "cycle", "all"], Tag("<word>")]
    | Annotated[Trailing, Tag("<trailing>")]
    | Annotated[ToDate, Tag("<to_date>")],
    one_of(
        {"<word>": str, "<trailing>": Trailing, "<to_date>": ToDate},
        "a window is now, cycle, all, {trailing: 30d} or {to_date: quarter}",
    ),
]


# --- connections and datasets ----------------------------------------------------------------------------------------


class ConnectionSpec(BaseModel):
    """A configured connector. What is not named here is the connector's own (`model_extra`). `owner` gets an e-mail
    when the tool refuses the connection's credential."""

    model_config = ConfigDict(extra="allow", frozen=True)
    connector: Name
    owner: Address | None = None
    renamed_from: Name | None = None
    silence: Silences = Field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DatasetSpec(BaseModel):
    """What is kept of a connection. `entity at event where link key deleted` are rules over a delivery (CEL over `body`
    and `headers`) and make an event dataset, and so does a `preset`, which stands for some of them. `each` names the
    list in a delivery whose elements are the events: rules then see `item` too. Other keys are the connector's own
    (`model_extra`), such as `jql`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    connection: Name
    entity: Expression | None = None
    at: Expression | None = None
    event: Expression | None = None
    where: Expression | None = None
    link: Expression | None = None
    key: Expression | None = None
    deleted: Expression | None = None
    each: Expression | None = None
    preset: PresetName | None = None
    renamed_from: Name | None = None
    silence: Silences = Field(default_factory=dict)

    @property
    def shape(self) -> Literal["events", "entities"]:
        return "events" if self.entity is not None or self.preset is not None else "entities"

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})
