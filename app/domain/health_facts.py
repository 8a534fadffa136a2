"""What the health check looks at, key result by key result."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

from app.domain.forecast import Forecast, NotEnough
from app.domain.judgement import Judgement

Proposal: TypeAlias = Literal["keep", "re_scope", "drop"]
Severity: TypeAlias = Literal["info", "warning", "problem"]
FindingCode: TypeAlias = Literal[
    "sandbagging",
    "metric_overload",
    "objective_overload",
    "over_engineering",
    "dead",
    "output_as_outcome",
    "stale_data",
    "failing_data",
    "no_data",
    "guardrail_breached",
    "off_pace",
    "no_check_in",
    "edited",
    "paused",
    "cycle_ended",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierCycle:
    """How the key result, or its metric, ended an earlier cycle: the value at its end, in the metric's unit."""

    name: str
    value: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyResultFacts:
    """What the health check knows of a key result.

    `first_met_at`: when its value first reached today's target in this cycle. `last_changed_at`: when its value last
    moved, `value_since`: since when there are values at all. `moves_every`: the steps of a metric that moves only then.
    `formula_depth`: 1 for a formula over plain metrics, 0 for none. `sources`: how many connections and datasets feed
    it. `edits`: changes of target, baseline or metric since the cycle began.
    """

    name: str
    title: str
    unit: str
    form: str
    kind: Literal["committed", "aspirational"]
    judgement: Judgement
    value: Decimal | None = None
    baseline: Decimal | None = None
    forecast: Forecast | NotEnough | None = None
    first_met_at: datetime | None = None
    value_since: datetime | None = None
    last_changed_at: datetime | None = None
    last_check_in_at: datetime | None = None
    edits: int = 0
    earlier: tuple[EarlierCycle, ...] = ()
    aggregate: str | None = None
    moves_every: timedelta | None = None
    formula_depth: int = 0
    sources: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveFacts:
    """An objective with its key results."""

    name: str
    title: str
    key_results: tuple[KeyResultFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The cycle, the moment of the check, and the part of the cycle that has passed."""

    start: datetime
    end: datetime
    now: datetime
    elapsed: Fraction


@dataclass(frozen=True, slots=True)
class Observation:
    """What one detector says of a key result, and what that proposes."""

    code: FindingCode
    message: str
    severity: Severity
    proposal: Proposal
