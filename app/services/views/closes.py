"""Cycles, what they ended with, and what people said of it."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from app.domain.judgement import KeyResultStatus
from app.services.views.shared import CycleState, ExactString, View

GradeOutcome = Literal["passed", "failed", "scored", "void", "ungraded"]


class BreachView(View):
    """A stretch in which a guardrail did not hold: the value that broke it, and the one farthest out."""

    metric: str
    must: str
    since: datetime
    until: datetime | None
    value: ExactString
    worst: ExactString


class RecommendedGradeView(View):
    """The grade that the data recommends. `is_good`: passed, or scored 0.7 or more with every guardrail kept."""

    outcome: GradeOutcome
    score: ExactString | None
    is_good: bool | None
    reason: str | None = None
    breaches: list[BreachView] = Field(default_factory=list)


class GradeOverrideView(View):
    """A person's word on a grade, with the note that explains it."""

    outcome: GradeOutcome
    score: ExactString
    note: str
    by: str
    at: datetime


class GradeView(View):
    """The grade that counts, and beside it what was recommended and by whom it was overridden."""

    outcome: GradeOutcome
    score: ExactString | None
    recommended: RecommendedGradeView
    override: GradeOverrideView | None = None


class RestatementView(View):
    """What a sealed value would be since a moment: data came late or was deleted, or a rule changed."""

    cycle: str
    at: datetime
    value_before: ExactString | None
    value_now: ExactString | None
    reason: str


class SealView(View):
    """The close that sealed a key result: when, by whom, and the digest of all that it sealed."""

    closed_at: datetime
    closed_by: str
    note: str | None
    digest: str
    included: int | None = None
    excluded: int | None = None
    included_digest: str | None = None


class SealedObjectiveView(View):
    """An objective as its cycle was closed; `score` is the weighted mean of its key results' grades."""

    id: str
    title: str
    progress: float | None
    status: KeyResultStatus
    coverage: float
    score: ExactString | None


class GradedKeyResultView(View):
    """A key result of a closed cycle, with its grade and what became of its value since."""

    id: str
    objective: str
    title: str
    value: ExactString | None
    progress: float | None
    status: KeyResultStatus
    grade: GradeView
    restatements: list[RestatementView] = Field(default_factory=list)


class TeamCycleView(View):
    """A cycle of a team, by its first local day and the first day after it. The closing fields are those of the newest
    close, also where it was reopened since."""

    id: str
    team: str
    name: str
    start: date
    end: date
    state: CycleState
    objectives: int
    key_results: int
    is_current: bool
    closed_at: datetime | None = None
    closed_by: str | None = None
    note: str | None = None
    digest: str | None = None
    reopened_at: datetime | None = None
    reopened_by: str | None = None
    reopened_because: str | None = None
    sealed_objectives: list[SealedObjectiveView] | None = None
    sealed_key_results: list[GradedKeyResultView] | None = None
