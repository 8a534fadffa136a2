"""What the shapes of `GET` answers share.

Measured quantities are decimal strings (exact), ratios are JSON numbers, moments are RFC 3339 UTC.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer

ExactString = Annotated[
    Decimal, PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json-unless-none")
]


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


CycleState = Literal["upcoming", "running", "ended", "closed", "reopened"]


class CycleView(View):
    """A cycle by its first local day and the first day after it. `ended` is over, but not closed."""

    name: str
    start: date
    end: date
    state: CycleState | None = None


class MetricReference(View):
    id: str
    unit: str
    revision: int


class FreshnessView(View):
    level: Literal["fresh", "stale", "no_data", "error"]
    age_seconds: int | None
    fresh_within_seconds: int
    reason: str | None


class SourceView(View):
    """Where the value comes from: the connection, how it is doing, and a link into the tool where there is one."""

    connection: str | None
    health: Literal["ok", "waiting", "failing", "paused"]
    reason: str | None = None
    link: str | None = None


class WindowView(View):
    start: datetime | None
    end: datetime | None
    rule: Any = None
