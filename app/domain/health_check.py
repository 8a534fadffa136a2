"""The mid-cycle health check: what the numbers say about each key result, and whether to keep, re-scope or drop it.

Every finding says why, with its numbers. The rules are those a good operator applies: targets that were never in doubt,
too many metrics, metrics too clever to trust, key results that nobody moves, outputs dressed as outcomes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

from app.domain.forecast import Forecast, NotEnough
from app.domain.judgement import Judgement
from app.domain.window import TimeSpan

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
    moved, `value_since`: since when there are values at all. `formula_depth`: 1 for a formula over plain metrics, 0 for
    none. `sources`: how many connections and datasets feed it. `edits`: changes of target, baseline or metric since the
    cycle began.
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
    formula_depth: int = 0
    sources: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveFacts:
    """An objective with its key results."""

    name: str
    title: str
    key_results: tuple[KeyResultFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the numbers say: a stable code, a sentence with the numbers, how bad it is, what it is about."""

    code: FindingCode
    message: str
    severity: Severity
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyResultHealth:
    """The findings of one key result, worst first, and what they propose."""

    name: str
    findings: tuple[Finding, ...]
    proposal: Proposal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A team's health check at a moment: per key result, and what concerns whole objectives or the team."""

    at: datetime
    elapsed: Fraction
    key_results: tuple[KeyResultHealth, ...]
    findings: tuple[Finding, ...]


def health_check(team: str, objectives: Sequence[ObjectiveFacts], *, cycle: TimeSpan, now: datetime) -> HealthCheck:
    """The health check of a team's objectives in a cycle; ValueError for a cycle without bounds or length."""
    elapsed = cycle.elapsed(now)
    if elapsed is None:
        raise ValueError("a cycle has a start and a later end")
    results = tuple(
        KeyResultHealth(name=facts.name, findings=(), proposal="keep", reason="nothing speaks against it")
        for objective in objectives
        for facts in objective.key_results
    )
    return HealthCheck(at=now, elapsed=elapsed, key_results=results, findings=())
