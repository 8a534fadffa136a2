"""Health checks: made at mid-cycle by the workers, at any moment by whoever asks, and kept as they were made."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import structlog

from app.domain.cycle import Cycle
from app.domain.health_check import Finding, HealthCheck, KeyResultFacts, KeyResultHealth, ObjectiveFacts, health_check
from app.errors import NotFound
from app.services.context import Services
from app.services.definitions import team_cycle, team_zone
from app.services.health_facts import facts_of
from app.services.read import Judged, cycle_view, judge_rows, number, with_outlook
from app.services.read.key_results import start_of_minute
from app.services.views import FindingView, HealthCheckView, KeyResultHealthView
from app.store import audit, closes, organisation
from app.store import health_checks as store
from app.store.database import Session, is_unavailable
from app.store.organisation import KeyResultFilter
from app.store.tables import HealthCheck as Row
from app.store.tables import Objective, Team

log = structlog.get_logger(__name__)

#: Who makes the health checks of mid-cycle.
AUTOMATIC = "krsync"
#: How often the workers look whether a cycle has come to its middle.
LOOK_EVERY = timedelta(minutes=5)
_looked_at: WeakKeyDictionary[object, datetime] = WeakKeyDictionary()


async def read_health_check(
    session: Session, team: str, *, now: datetime, cycle: str | None = None
) -> HealthCheckView | None:
    """The newest stored health check of a team's cycle, or one made now for reading where there is none; None where
    the team, or such a cycle of it, is not there. Without a cycle: the running one that most objectives are in."""
    found = await organisation.get_team(session, team)
    if found is None:
        return None
    objectives = await _objectives(session, found, cycle, now)
    if not objectives:
        return None
    stored = await store.latest_health_check(session, found.id, objectives[0].cycle)
    if stored is not None:
        return _stored_view(stored)
    return await _make(session, found, objectives, now=now, by=AUTOMATIC)


async def make_health_check(services: Services, team: str, *, actor: str, cycle: str | None = None) -> HealthCheckView:
    """Make a health check now and keep it. NotFound where the team, or such a cycle of it, is not there."""
    async with services.database.writing() as session:
        now = services.clock()
        found = await organisation.lock_team(session, team)
        objectives = [] if found is None else await _objectives(session, found, cycle, now)
        if found is None or not objectives:
            raise NotFound
        return await _keep(session, found, objectives, now=now, by=actor)


async def make_due_health_checks(services: Services) -> int:
    """Make those of the cycles that have come to their middle, once for each team and cycle; returns how many."""
    now, engine = services.clock(), services.database.engine
    last = _looked_at.get(engine)
    if last is not None and last <= now < last + LOOK_EVERY:
        return 0
    async with services.database.reading() as session:
        due = await _due(session, now)
    _looked_at[engine] = now
    made = 0
    for team, cycle in due:
        try:
            made += await _make_due(services, team.name, cycle, now)
        except Exception as error:
            if is_unavailable(error):
                raise
            # It holds up no other team's, and is tried again at the next look.
            log.exception("health_check.failed", team=team.name, cycle=cycle)
    return made


async def _make_due(services: Services, team: str, cycle: str, now: datetime) -> bool:
    async with services.database.writing() as session:
        found = await organisation.lock_team(session, team)
        # Whoever held the team before may have made it meanwhile.
        if found is None or (found.id, cycle) in await store.checked_cycles(session, AUTOMATIC, [found.id]):
            return False
        objectives = await _objectives(session, found, cycle, now)
        if not objectives:
            return False
        await _keep(session, found, objectives, now=now, by=AUTOMATIC)
        return True


async def _due(session: Session, now: datetime) -> list[tuple[Team, str]]:
    found = [item for item in await closes.team_cycles(session, limit=100_000) if item.is_current]
    waiting = [
        (item.team, item.cycle)
        for item in found
        if (span := team_cycle(item.team, item.cycle)).start + (span.end - span.start) / 2 <= now < span.end
    ]
    checked = await store.checked_cycles(session, AUTOMATIC, {team.id for team, _ in waiting}) if waiting else set()
    return [(team, cycle) for team, cycle in waiting if (team.id, cycle) not in checked]


async def _objectives(session: Session, team: Team, cycle: str | None, now: datetime) -> list[Objective]:
    """The team's objectives of one cycle."""
    found = await organisation.list_objectives(
        session, team=team.name, cycle=cycle, limit=10_000, current_only=cycle is None
    )
    by_cycle: dict[str, list[Objective]] = defaultdict(list)
    for objective, _ in found:
        by_cycle[objective.cycle].append(objective)
    if not by_cycle:
        return []

    def rank(name: str) -> tuple[bool, int, datetime]:
        span = team_cycle(team, name)
        return not span.start <= now < span.end, -len(by_cycle[name]), span.end

    return sorted(by_cycle[min(by_cycle, key=rank)], key=lambda objective: objective.position)


async def _keep(
    session: Session, team: Team, objectives: Sequence[Objective], *, now: datetime, by: str
) -> HealthCheckView:
    view = await _make(session, team, objectives, now=now, by=by)
    row = Row(team_id=team.id, cycle=view.cycle.name, made_at=now, made_by=by, report=view.model_dump(mode="json"))
    await store.append_health_check(session, row)
    await audit.append_audit(
        session,
        at=now,
        actor=by,
        action="create",
        object_kind="health_check",
        object_id=f"{team.name}/{view.cycle.name}",
        after={"proposals": dict(view.proposals)},
    )
    return _stored_view(row)


def _stored_view(row: Row) -> HealthCheckView:
    return HealthCheckView.model_validate({**row.report, "id": row.id, "is_stored": True})


async def _make(
    session: Session, team: Team, objectives: Sequence[Objective], *, now: datetime, by: str
) -> HealthCheckView:
    cycle = team_cycle(team, objectives[0].cycle)
    rows = await organisation.key_result_rows(
        session, KeyResultFilter(objective_ids=[objective.id for objective in objectives], current_only=False)
    )
    judged = await with_outlook(session, await judge_rows(session, rows, now=start_of_minute(now)), now=now)
    judged.sort(key=lambda item: item.row.key_result.position)
    facts = await facts_of(session, team, cycle, judged, now=now)
    report = health_check(
        team.name,
        [_objective(team, objective, judged, facts) for objective in objectives],
        cycle=cycle.span,
        now=min(now, cycle.end),
    )
    report = replace(report, findings=(*report.findings, *await _left_behind(session, team, now)))
    return _view(team, cycle, report, judged, facts, now=now, by=by)


async def _left_behind(session: Session, team: Team, now: datetime) -> list[Finding]:
    """The objectives whose cycle is over and that the team's file names no next one for."""
    found = []
    for objective, _ in await organisation.list_objectives(session, team=team.name, limit=10_000):
        end = team_cycle(team, objective.cycle).end
        if now >= end and not objective.spec.get("dropped"):
            message = (
                f"its cycle {objective.cycle} ended on {end.astimezone(team_zone(team)):%Y-%m-%d} and no next one is "
                "named: close it, then give the objective its next cycle, or drop it with the reason"
            )
            name = f"{team.name}/{objective.name}"
            found.append(Finding(code="cycle_ended", message=message, severity="warning", subject=name))
    return found


def _objective(
    team: Team, objective: Objective, judged: Sequence[Judged], facts: dict[int, KeyResultFacts]
) -> ObjectiveFacts:
    mine = [item.row.key_result.id for item in judged if item.row.objective.id == objective.id]
    return ObjectiveFacts(
        name=f"{team.name}/{objective.name}",
        title=objective.spec["title"],
        key_results=tuple(facts[identity] for identity in mine),
    )


def _view(
    team: Team,
    cycle: Cycle,
    report: HealthCheck,
    judged: Sequence[Judged],
    facts: dict[int, KeyResultFacts],
    *,
    now: datetime,
    by: str,
) -> HealthCheckView:
    by_name = {item.view.id: item for item in judged}
    return HealthCheckView(
        id=None,
        team=team.name,
        cycle=cycle_view(cycle, team, now),
        made_at=now,
        made_by=by,
        is_stored=False,
        elapsed=number(report.elapsed) or 0.0,
        proposals={
            "keep": 0,
            "re_scope": 0,
            "drop": 0,
            **Counter(health.proposal for health in report.key_results),
        },
        key_results=[
            _key_result(health, by_name[health.name], facts[by_name[health.name].row.key_result.id].edits)
            for health in report.key_results
        ],
        findings=[_finding(found) for found in report.findings],
    )


def _key_result(health: KeyResultHealth, item: Judged, edits: int) -> KeyResultHealthView:
    view = item.view
    return KeyResultHealthView(
        id=view.id,
        title=view.title,
        objective=view.objective,
        kind=view.kind,
        lifecycle=view.lifecycle,
        unit=view.metric.unit,
        value=view.value,
        progress=view.progress,
        expected_progress=view.expected_progress,
        status=view.status,
        freshness=view.freshness,
        forecast=view.forecast,
        forecast_reason=view.forecast_reason,
        guardrails=view.guardrails,
        edits=edits,
        check_in=view.check_in,
        findings=[_finding(found) for found in health.findings],
        proposal=health.proposal,
        reason=health.reason,
    )


def _finding(found: Finding) -> FindingView:
    return FindingView(code=found.code, message=found.message, severity=found.severity, subject=found.subject)
