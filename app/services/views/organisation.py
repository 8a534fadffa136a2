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
