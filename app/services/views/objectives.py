"""Objectives with what their parts add up to."""

from typing import Literal

from pydantic import ConfigDict, Field

from app.domain.judgement import KeyResultStatus
from app.services.views.key_results import KeyResultView
from app.services.views.shared import CycleView, ExactString, View


class PartView(View):
    """What one key result or contributing objective brings to a roll-up: `progress` as it counts (0 to 1), its weight,
    and its share (0 to 1) of the weight that counts. `reason` says why it does not count. A private team's objective
    counts, and is not named."""

    id: str | None
    kind: Literal["key_result", "objective"]
    weight: ExactString
    share: float
    progress: float | None
    status: KeyResultStatus | None
    coverage: float
    reason: str | None


class RollUpView(View):
    """An objective's progress, worst status, how much of its weight is known, and the parts that this was made of."""

    progress: float | None
    status: KeyResultStatus
    coverage: float
    parts: list[PartView] = Field(default_factory=list)


class ContributesToView(View):
    """An objective that this one weighs in."""

    objective: str
    weight: ExactString


class ContributionView(View):
    """An objective that weighs in this one, and how it stands."""

    objective: str
    cycle: str
    weight: ExactString
    progress: float | None
    status: KeyResultStatus
    coverage: float


class ObjectiveView(View):
    """An objective with its roll-up. `stand_alone`: its own key results make its progress, contributions are shown."""

    id: str
    title: str
    description: str | None
    team: str
    cycle: CycleView
    focus: str | None
    owner: str | None
    supports: list[str]
    contributes_to: list[ContributesToView]
    contributions: list[ContributionView]
    stand_alone: bool
    lifecycle: Literal["active", "paused", "dropped"]
    lifecycle_reason: str | None
    roll_up: RollUpView
    key_result_ids: list[str]
    key_results: list[KeyResultView] | None = None
    managed_by: Literal["file", "api"]
    version: int


class ObjectiveNodeView(View):
    """An objective in the cascade."""

    id: str
    title: str
    team: str
    cycle: CycleView
    focus: str | None
    progress: float | None
    status: KeyResultStatus
    coverage: float
    key_results: int
    stand_alone: bool


class AlignmentEdgeView(View):
    """From an objective to the one above it. The weight matters for contributions only."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    kind: Literal["supports", "contributes_to"]
    weight: ExactString

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


class AlignmentView(View):
    """The cascade as a graph."""

    nodes: list[ObjectiveNodeView]
    edges: list[AlignmentEdgeView]
