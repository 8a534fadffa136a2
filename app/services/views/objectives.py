"""Objectives with what their parts add up to."""

from typing import Literal

from app.domain.judgement import KeyResultStatus
from app.services.views.key_results import KeyResultView
from app.services.views.shared import CycleView, View


class RollUpView(View):
    """An objective's progress, worst status, and how much of its weight is known."""

    progress: float | None
    status: KeyResultStatus
    coverage: float


class ObjectiveView(View):
    id: str
    title: str
    description: str | None
    team: str
    cycle: CycleView
    focus: str | None
    owner: str | None
    supports: list[str]
    roll_up: RollUpView
    key_result_ids: list[str]
    key_results: list[KeyResultView] | None = None
    managed_by: Literal["file", "api"]
    version: int
