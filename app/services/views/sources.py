"""Where numbers come from: datasets, connections, runs, deliveries."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.services.views.deliveries import RefusalView
from app.services.views.shared import View


class DatasetView(View):
    id: str
    connection: str
    shape: Literal["events", "entities"]
    definition: dict[str, Any]
    records: int
    managed_by: Literal["file", "api"]
    version: int


class RecordView(View):
    entity: str
    name: str
    at: datetime | None
    event: str | None = None
    fields: Any
    link: str | None
    is_deleted: bool = False
    is_out_of_scope: bool = False


class WebhookDrift(View):
    """Of the records that changed in the last seven days, how many only a read found and no webhook told of."""

    changed: int
    missed: int
    summary: str


class PaceView(View):
    """One thing that is read through a connection: a dataset, or a query in its team's words; how often, and what that
    took in the last hour."""

    dataset: str | None
    query: str | None
    every_seconds: int
    requests_last_hour: int
    runs_last_hour: int


class ConnectionView(View):
    """A configured connector. Secrets appear as references only; `hook_url` is what to paste into the tool. Of one
    connection alone are shown: `refused`, what its webhooks' door did not take, and `reads`. `silent_until`: nothing is
    asked of the tool before."""

    id: str
    connector: str
    definition: dict[str, Any]
    health: Literal["ok", "waiting", "failing", "paused"]
    reason: str | None
    last_success_at: datetime | None
    last_delivery_at: datetime | None
    next_due_at: datetime | None
    hook_url: str | None
    deliveries: dict[str, int] = Field(default_factory=dict)
    requests_last_hour: int = 0
    requests_per_hour: int | None = None
    reads: list[PaceView] = Field(default_factory=list)
    silent_until: datetime | None = None
    owner: str | None = None
    drift: WebhookDrift | None = None
    refused: list[RefusalView] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    managed_by: Literal["file", "api"]
    version: int


class RunView(View):
    id: int
    plan: int
    connection: str
    dataset: str | None
    is_full: bool
    kind: str = ""
    outcome: Literal["running", "succeeded", "failed", "crashed", "superseded"]
    started_at: datetime
    finished_at: datetime | None
    duration_seconds: float | None
    calls: int
    records: int
    changed: int
    untold: int | None = None
    warnings: list[str] = Field(default_factory=list)
    error_code: str | None
    error: str | None


class IntakeView(View):
    dataset: str
    outcome: Literal["applied", "ignored", "dead"]
    reason: str | None


class DeliveryView(View):
    id: int
    connection: str
    received_at: datetime
    dedupe_key: str
    size: int
    outcome: Literal["pending", "applied", "ignored", "dead"]
    conflicts: int
    intakes: list[IntakeView]
