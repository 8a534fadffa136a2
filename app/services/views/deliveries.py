"""What becomes of deliveries, tried and in sum."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.services.views.shared import ExactString, View


class StepView(View):
    """A step on a delivery's way: whether it went well, and what there is to say."""

    outcome: Literal["ok", "failed", "skipped"]
    reason: str | None = None


class TriedFactView(View):
    """What a metric makes of the entity once the event is there: a value, or why it has none."""

    metric: str
    part: str
    counts: bool
    value: ExactString | None
    at: datetime | None
    reason: str | None


class TriedEventView(View):
    """One event of the delivery as a dataset would keep it. `is_new` False: it is there already, so nothing changes.
    `is_before_deletion`: its entity was deleted since, and what happened to it until then counts no more."""

    entity: str
    event: str | None
    at: datetime
    at_is_receipt: bool
    key: str
    is_deletion: bool
    is_before_deletion: bool
    is_new: bool
    link: str | None
    body: Any
    facts: list[TriedFactView]


class TriedDatasetView(View):
    """What a dataset's rules make of the delivery."""

    dataset: str
    outcome: Literal["applied", "ignored", "dead"]
    reason: str | None
    events: list[TriedEventView] = Field(default_factory=list)


class TriedView(View):
    """A delivery, step by step, with nothing saved. `event` is the tool's own word for it, `is_duplicate` whether a
    delivery of the same key is stored. `headers` and `body` are what rules see of an event; of what could not be read
    the body is the beginning of its text."""

    signature: StepView
    parse: StepView
    kind: Literal["event", "hint", "records", "ignored", "greeting"] | None
    event: str | None
    dedupe_key: str
    is_duplicate: bool
    headers: dict[str, str]
    body: Any
    datasets: list[TriedDatasetView]


class OutcomeCountView(View):
    """How often one event ended one way in a dataset (null: in none, for no dataset reads the connection), with the
    latest delivery of it."""

    connection: str
    dataset: str | None
    event: str | None
    outcome: Literal["applied", "ignored", "dead", "unmatched"]
    reason: str | None
    count: int
    last_received_at: datetime
    last_delivery: int


class RefusalView(View):
    """What the door did not take: a signature that did not hold, a store that was away, and when."""

    code: str
    count: int
    first_at: datetime
    last_at: datetime


class ReplayedView(View):
    """How many deliveries are back in line."""

    replayed: int
