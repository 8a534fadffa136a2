"""History that was asked for, and how far it has come."""

from datetime import date, datetime
from typing import Literal

from app.services.views.shared import View


class BackfillView(View):
    """A job: `done` of `total` days of metrics, the samples it has added, and what could not be told, with the reason.

    It waits while a tool has still to be read completely."""

    id: int
    team: str
    since: date
    state: Literal["waiting", "running", "done"]
    done: int
    total: int
    samples: int
    notes: list[str]
    created_at: datetime
    created_by: str
    finished_at: datetime | None
