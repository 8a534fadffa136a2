"""How values are shown to readers."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.domain.cycle import Cycle
from app.domain.judgement import Judgement, headline
from app.domain.language import Change, Maintain
from app.services.definitions import dump, team_zone
from app.services.evaluate import Computed
from app.services.views import (
    ComplianceView,
    CycleState,
    CycleView,
    FreshnessView,
    HeadlineView,
)
from app.store.tables import Sample, Team

_HALF_A_DAY = timedelta(hours=12)


def coverage_of(value: Sample | Computed | None) -> float | None:
    return None if value is None or value.coverage is None else float(value.coverage)


def compliance_view(judgement: Judgement) -> ComplianceView | None:
    kept = judgement.compliance
    return None if kept is None else ComplianceView(bound=kept.bound, holds=kept.holds, remaining=kept.margin)


def title_of(name: str) -> str:
    return name.replace("_", " ").capitalize()


def number(share: Fraction | None) -> float | None:
    """A ratio as JSON carries it: the nearest double of the exact fraction, made only after every decision."""
    return None if share is None else share.numerator / share.denominator


def cycle_view(cycle: Cycle, team: Team, now: datetime | None = None) -> CycleView:
    """A cycle in the team's local days; with `now`, whether it is to come, running or over."""
    zone = team_zone(team)
    # The nearest midnight: a cycle that is kept from another timezone begins and ends some hours beside one.
    start, end = ((moment + _HALF_A_DAY).astimezone(zone).date() for moment in (cycle.start, cycle.end))
    return CycleView(
        name=cycle.name,
        start=start,
        end=end,
        state=None if now is None else cycle_state(cycle, now),
    )


def cycle_state(cycle: Cycle, now: datetime) -> CycleState:
    """Where a cycle that is not closed stands."""
    if now < cycle.start:
        return "upcoming"
    return "running" if now < cycle.end else "ended"


def target_rule(target: Decimal | Change | Maintain) -> dict[str, Any]:
    """The target as it was defined."""
    return {"value": format(target, "f")} if isinstance(target, Decimal) else dump(target)


def freshness_view(freshness: Any) -> FreshnessView:
    return FreshnessView(
        level=freshness.level,
        age_seconds=freshness.age_seconds,
        fresh_within_seconds=freshness.fresh_within_seconds,
        reason=freshness.reason,
    )


def headline_view(judgement: Judgement) -> HeadlineView:
    """The one word where only one is shown."""
    found = headline(judgement)
    return HeadlineView(word=found.word, tone=found.tone)
