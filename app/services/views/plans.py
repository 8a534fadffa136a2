"""What an apply does, or would do."""

from typing import Literal

from pydantic import Field

from app.domain.judgement import KeyResultStatus
from app.services.views.shared import ExactString, View


class ChangeView(View):
    """One object that an apply creates, updates, deletes or leaves to others."""

    kind: Literal["team", "connection", "dataset", "metric", "objective", "key_result"]
    id: str
    action: Literal["create", "update", "delete", "unchanged", "kept"]
    fields: list[str] = Field(default_factory=list)
    reason: str | None = None


class KeyResultEffect(View):
    """A key result before and after, on stored records."""

    id: str
    value_before: ExactString | None
    value_after: ExactString | None
    progress_before: float | None
    progress_after: float | None
    status_before: KeyResultStatus | None
    status_after: KeyResultStatus | None


class WarningView(View):
    pointer: str
    code: str
    detail: str


class PlanView(View):
    """What an apply does (or would do): objects, key results in numbers, warnings."""

    team: str
    is_applied: bool
    changes: list[ChangeView]
    effects: list[KeyResultEffect]
    baselines_to_freeze: list[str] = Field(default_factory=list)
    warnings: list[WarningView] = Field(default_factory=list)
