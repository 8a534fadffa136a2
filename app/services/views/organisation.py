"""Teams, tokens, and who changed what."""

from datetime import datetime
from typing import Any, Literal

from app.services.views.shared import View


class TeamView(View):
    id: str
    title: str
    parent: str | None
    timezone: str
    calendar: dict[str, Any]
    managed_by: Literal["file", "api"]
    version: int


class OrganisationView(View):
    """What holds for every team, unless the team says otherwise; version 0 before anything was set."""

    name: str | None
    fiscal_year_start: int
    cycles: dict[str, Any]
    teams: dict[str, str | None]
    timezone: str
    presets: dict[str, Any]
    preset: Any
    version: int
    updated_at: datetime | None
    updated_by: str | None


class MovedCycleView(View):
    """A cycle of a team that lies elsewhere under other settings of the organisation."""

    id: str
    start_before: datetime
    end_before: datetime
    start_after: datetime
    end_after: datetime


class OrganisationPlanView(View):
    """What applying the organisation's file changes: fields, the teams that inherit them, and cycles that move."""

    is_applied: bool
    fields: list[str]
    teams: list[str]
    cycles: list[MovedCycleView]
    version: int


class TokenView(View):
    id: int
    name: str
    scopes: list[str]
    team: str | None
    created_at: datetime
    revoked_at: datetime | None


class AuditView(View):
    id: int
    at: datetime
    actor: str
    action: str
    kind: str
    object: str
    before: Any
    after: Any
    reason: str | None = None
