"""What a team wants: objectives with their key results, from a baseline to a target by the end of a cycle."""

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, Tag, model_validator

from app.domain.metric import MetricSpec
from app.domain.scalars import (
    BoundText,
    ChangeText,
    CycleName,
    GuardrailText,
    LocalDate,
    Name,
    Number,
    Reference,
    Span,
    Text,
    Title,
    one_of,
)
from app.domain.shapes import Model, Objection, Silences, refuse


class MeasuredBaseline(Model):
    """The metric's own window rule at the end of that period, measured once and frozen with its evidence."""

    measure: CycleName


class Change(Model):
    """A target relative to the baseline: `-25%` or `+3`."""

    change: ChangeText


class Maintain(Model):
    """A bound to hold, inclusive where it says so: `>= 99.9`, `<= 2`."""

    maintain: BoundText


class GuardrailSpec(Model):
    """What must hold beside the key result: `>= 40`, or `>= 97% of baseline`."""

    metric: Reference
    must: GuardrailText
    baseline: Number | None = None


_NUMBERS = (int, Decimal, str, float)

MetricOrReference: TypeAlias = Annotated[
    Annotated[Reference, Tag("<word>")] | Annotated[MetricSpec, Tag("<mapping>")],
    one_of({"<word>": str, "<mapping>": MetricSpec}, "the name of a metric is expected, or a metric"),
]
Baseline: TypeAlias = Annotated[
    Annotated[Number, Tag("<number>")] | Annotated[MeasuredBaseline, Tag("<mapping>")],
    one_of({"<number>": _NUMBERS, "<mapping>": MeasuredBaseline}, "a baseline is a number, or {measure: 2026-Q3}"),
]
Target: TypeAlias = Annotated[
    Annotated[Number, Tag("<number>")] | Annotated[Change, Tag("<change>")] | Annotated[Maintain, Tag("<maintain>")],
    one_of(
        {"<number>": _NUMBERS, "<change>": Change, "<maintain>": Maintain},
        'a target is a number, {change: -25%} or {maintain: ">= 99.9"}',
    ),
]


class CycleDates(Model):
    """A cycle of one's own: from the first local day (included) to the end (excluded)."""

    start: LocalDate
    end: LocalDate

    @model_validator(mode="after")
    def _ordered(self) -> "CycleDates":
        if self.end <= self.start:
            refuse([Objection("cycle", "a cycle ends after it starts", "end")])
        return self


class Checkpoint(Model):
    """What is expected at the end of a local day: a value of the metric, or a part of the way (0.4)."""

    on: LocalDate
    value: Number | None = None
    progress: Number | None = None

    @model_validator(mode="after")
    def _one(self) -> "Checkpoint":
        if (self.value is None) == (self.progress is None):
            refuse([Objection("checkpoint", "a checkpoint has a value or a progress, and not both", None)])
        return self


class ExpectedShares(Model):
    """Status by the parts of the expected progress from which a key result is on track, or merely behind."""

    on_track: Number
    behind: Number

    @model_validator(mode="after")
    def _ordered(self) -> "ExpectedShares":
        if not 0 <= self.behind <= self.on_track <= 2:
            refuse([Objection("preset", "0 <= behind <= on_track <= 2 is expected", "behind")])
        return self


class ExpectedPoints(Model):
    """Status by the percentage points below the expected progress from which a key result is behind (`on_track_points`)
    or at risk (`behind_points`); less than that is on track, or merely behind."""

    on_track_points: Number
    behind_points: Number

    @model_validator(mode="after")
    def _ordered(self) -> "ExpectedPoints":
        if not 0 <= self.on_track_points <= self.behind_points <= 100:
            refuse([Objection("preset", "0 <= on_track_points <= behind_points <= 100 is expected", "behind_points")])
        return self


PresetSpec: TypeAlias = Annotated[
    Annotated[Name, Tag("<word>")]
    | Annotated[ExpectedShares, Tag("<on_track>")]
    | Annotated[ExpectedPoints, Tag("<on_track_points>")],
    one_of(
        {"<word>": str, "<on_track>": ExpectedShares, "<on_track_points>": ExpectedPoints},
        "a preset is default, points, zones, one of the organisation's, {on_track: 0.95, behind: 0.85} or "
        "{on_track_points: 10, behind_points: 25}",
    ),
]
"""How status is told from progress and expectation."""

Curve = Literal["linear", "early", "late", "s_curve"]
Steps = Literal["week", "month", "quarter"]


class KeyResultSpec(Model):
    """From a baseline to a target by the end of the objective's cycle.

    The expected progress follows `curve`, or `checkpoints`, and stands still between `steps` where the metric moves
    only at those local edges. `paused` and `dropped` hold the reason; what is paused or dropped does not weigh.
    """

    title: Title | None = None
    metric: MetricOrReference
    baseline: Baseline | None = None
    target: Target
    kind: Literal["committed", "aspirational"] = "committed"
    weight: Number = Decimal(1)
    owner: Title | None = None
    fresh_within: Span | None = None
    guardrails: tuple[GuardrailSpec, ...] = ()
    preset: PresetSpec | None = None
    curve: Curve | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    steps: Steps | None = None
    paused: Text | None = None
    dropped: Text | None = None
    renamed_from: Name | None = None
    silence: Silences = Field(default_factory=dict)

    @model_validator(mode="after")
    def _meaningful(self) -> "KeyResultSpec":
        found: list[Objection] = []
        if self.weight < 0:
            found.append(Objection("weight", "a weight is not negative", "weight"))
        if isinstance(self.metric, MetricSpec) and self.metric.form not in ("records", "duration", "ratio"):
            message = "only records, duration and ratio are written inside a key result; give this metric a name"
            found.append(Objection("inline_metric", message, "metric"))
        if not isinstance(self.target, Maintain) and self.baseline is None:
            message = "a baseline is expected: a number, or {measure: 2026-Q3}"
            found.append(Objection("missing", message, "baseline"))
        if self.curve is not None and self.checkpoints:
            found.append(Objection("checkpoints", "a key result has a curve or checkpoints, and not both", "curve"))
        days = [point.on for point in self.checkpoints]
        if any(later <= earlier for earlier, later in pairwise(days)):
            found.append(Objection("checkpoints", "checkpoints follow each other in time", "checkpoints"))
        if self.paused is not None and self.dropped is not None:
            found.append(Objection("lifecycle", "a key result is paused or dropped, and not both", "paused"))
        if self._target_is_baseline():
            message = "baseline and target are equal: there is nothing to reach"
            found.append(Objection("baseline_is_target", message, "target"))
        refuse(found)
        return self

    def _target_is_baseline(self) -> bool:
        if isinstance(self.target, Change):
            is_relative, change = self.target.change.endswith("%"), Decimal(self.target.change.rstrip("%"))
            return change == 0 or (is_relative and self.baseline == 0)
        return isinstance(self.baseline, Decimal) and self.baseline == self.target


class Contribution(Model):
    """An objective of another level that this one weighs in."""

    objective: Reference
    weight: Number = Decimal(1)

    @model_validator(mode="after")
    def _weighs(self) -> "Contribution":
        if self.weight < 0:
            refuse([Objection("weight", "a weight is not negative", "weight")])
        return self


ContributionSpec: TypeAlias = Annotated[
    Annotated[Reference, Tag("<word>")] | Annotated[Contribution, Tag("<objective>")],
    one_of(
        {"<word>": str, "<objective>": Contribution},
        "an objective is expected as team/name, or {objective: team/name, weight: 2}",
    ),
]


class ObjectiveSpec(Model):
    """What the team wants in a cycle, with 2–4 key results.

    `supports` is shown and never added up; `contributes_to` weighs in those objectives' progress, unless they are said
    to `stand_alone`: then contributions to them are shown beside their own key results.
    """

    title: Title
    description: Text | None = None
    cycle: CycleName
    focus: Name | None = None
    owner: Title | None = None
    supports: tuple[Reference, ...] = ()
    contributes_to: tuple[ContributionSpec, ...] = ()
    stand_alone: bool = False
    preset: PresetSpec | None = None
    paused: Text | None = None
    dropped: Text | None = None
    renamed_from: Name | None = None
    silence: Silences = Field(default_factory=dict)
    key_results: dict[Name, KeyResultSpec] = Field(default_factory=dict)

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """`contributes_to`, each with its weight."""
        return tuple(Contribution(objective=item) if isinstance(item, str) else item for item in self.contributes_to)
