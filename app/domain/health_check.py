"""The mid-cycle health check: what the numbers say about each key result, and whether to keep, re-scope or drop it.

Every finding says why, with its numbers. The rules are those a good operator applies: targets that were never in doubt,
too many metrics, metrics too clever to trust, key results that nobody moves, outputs dressed as outcomes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from app.domain.health_detectors import BY_DESIGN, DETECTORS, standing_in_words
from app.domain.health_facts import (
    Clock,
    EarlierCycle,
    FindingCode,
    KeyResultFacts,
    ObjectiveFacts,
    Observation,
    Proposal,
    Severity,
)
from app.domain.window import TimeSpan

__all__ = [
    "EarlierCycle",
    "Finding",
    "FindingCode",
    "HealthCheck",
    "KeyResultFacts",
    "KeyResultHealth",
    "ObjectiveFacts",
    "Proposal",
    "Severity",
    "health_check",
]

_WORST_FIRST: tuple[Severity, ...] = ("problem", "warning", "info")


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


MOST_KEY_RESULTS = 4
MOST_OBJECTIVES = 5
"""Three to five objectives with about three key results each is what Google teaches:
https://rework.withgoogle.com/guides/set-goals-with-okrs/steps/introduction/"""


def health_check(team: str, objectives: Sequence[ObjectiveFacts], *, cycle: TimeSpan, now: datetime) -> HealthCheck:
    """The health check of a team's objectives in a cycle; ValueError for a cycle without bounds or length."""
    elapsed = cycle.elapsed(now)
    if elapsed is None or cycle.start is None or cycle.end is None:
        raise ValueError("a cycle has a start and a later end")
    clock = Clock(start=cycle.start, end=cycle.end, now=now, elapsed=elapsed)
    return HealthCheck(
        at=now,
        elapsed=elapsed,
        key_results=tuple(_health(facts, clock) for objective in objectives for facts in objective.key_results),
        findings=tuple(_overload(team, objectives)),
    )


def _health(facts: KeyResultFacts, clock: Clock) -> KeyResultHealth:
    if facts.judgement.lifecycle == "dropped":
        return KeyResultHealth(
            name=facts.name, findings=(), proposal="drop", reason=facts.judgement.reason or "dropped"
        )
    # Who has paused knows that it stands still: only what is wrong with the key result itself is still worth saying.
    is_paused = facts.judgement.lifecycle == "paused"
    observed = [found for detect in (BY_DESIGN if is_paused else DETECTORS) for found in detect(facts, clock)]
    if is_paused:
        observed.append(Observation("paused", facts.judgement.reason or "paused", "info", "keep"))
    observed.sort(key=lambda item: _WORST_FIRST.index(item.severity))
    findings = tuple(
        Finding(code=item.code, message=item.message, severity=item.severity, subject=facts.name) for item in observed
    )
    for proposal in ("drop", "re_scope"):
        reasons = [item.message for item in observed if item.proposal == proposal]
        if reasons:
            return KeyResultHealth(name=facts.name, findings=findings, proposal=proposal, reason="; ".join(reasons))
    return KeyResultHealth(name=facts.name, findings=findings, proposal="keep", reason=standing_in_words(facts))


def _overload(team: str, objectives: Sequence[ObjectiveFacts]) -> Iterator[Finding]:
    for objective in objectives:
        count = sum(facts.judgement.lifecycle != "dropped" for facts in objective.key_results)
        if count > MOST_KEY_RESULTS:
            message = f"{count} key results: more than {MOST_KEY_RESULTS} say that none of them matters most"
            yield Finding(code="metric_overload", message=message, severity="warning", subject=objective.name)
    if len(objectives) > MOST_OBJECTIVES:
        message = f"{len(objectives)} objectives in one cycle: more than {MOST_OBJECTIVES} are not a focus"
        yield Finding(code="objective_overload", message=message, severity="warning", subject=team)
