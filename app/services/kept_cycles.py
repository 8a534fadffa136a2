"""Cycles under other settings: what was sealed stays where it was, and so does what the settings know no more.

A team file, or the organisation's, may say another timezone or fiscal year, or leave a named cycle out once its
objectives have gone on to the next. What was measured in a cycle is still there, and is read by its span.
"""

from collections.abc import Mapping
from typing import Any

from app.domain.cycle import Cycle
from app.errors import Conflict
from app.services.definitions import KEPT_CYCLES, cycle_span, team_cycle
from app.store import closes, configuration
from app.store.database import Session
from app.store.tables import Team


async def cycles_of(session: Session, team: Team) -> dict[str, Cycle]:
    """The cycles that the team has objectives in, and those that its baselines are measured over, by name, as its
    settings have them now."""
    lived = {one.cycle for one in await closes.team_cycles(session, team=team.name)}
    names = lived | await configuration.measured_periods(session, team.id)
    return {name: team_cycle(team, name) for name in sorted(names) if cycle_span(team, name) is not None}


async def refuse_other_days(session: Session, team: Team, dated: Mapping[str, Any]) -> None:
    """Conflict where the team's file dates one of its closed cycles anew: its days are part of what was sealed."""
    for name in sorted(await closes.closed_cycles(session, team.id)):
        before, after = team.spec.get("cycles", {}).get(name), dated.get(name)
        if before is not None and after is not None and before != after:
            message = f"The cycle {name} is closed: leave its days as they were, or reopen it."
            raise Conflict(message, code="cycle_closed")


async def keep_cycles(session: Session, team: Team, before: Mapping[str, Cycle]) -> None:
    """Once a team's settings are others, keep the cycles where they were that are closed, or not known any more."""
    closed = await closes.closed_cycles(session, team.id)
    team.inherited = {key: value for key, value in team.inherited.items() if key != KEPT_CYCLES}
    kept = {}
    for name, cycle in before.items():
        span = cycle_span(team, name)
        if span is None or (name in closed and span != cycle.span):
            kept[name] = {"start": cycle.start.isoformat(), "end": cycle.end.isoformat()}
    if kept:
        team.inherited = team.inherited | {KEPT_CYCLES: kept}


def release_cycle(team: Team, name: str) -> None:
    """Let a cycle be where the settings of today put it, if they know it."""
    before = team.inherited
    kept = {other: span for other, span in before.get(KEPT_CYCLES, {}).items() if other != name}
    if kept == before.get(KEPT_CYCLES, {}):
        return
    team.inherited = before | {KEPT_CYCLES: kept}
    if cycle_span(team, name) is None:
        team.inherited = before
