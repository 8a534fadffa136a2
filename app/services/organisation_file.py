"""What holds for every team: fiscal year, named cycles, presets, the default timezone, the tree of teams.

Teams carry a copy of what they inherit, so that nothing else has to look it up; a change here is applied to every team
in the same transaction, as if each had applied its own file again.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import structlog

from app.domain.language import OrganisationFile
from app.domain.records import JsonValue
from app.errors import VersionConflict
from app.services.apply import reapply_within
from app.services.context import Services
from app.services.definitions import KEPT_CYCLES, dump, team_cycle
from app.services.inheritance import inherited_settings
from app.services.kept_cycles import cycles_of, keep_cycles
from app.services.team_file.organisation import check_organisation_file
from app.services.team_file.problems import InvalidTeamFile, Problem, pointer
from app.services.views.organisation import MovedCycleView, OrganisationPlanView, OrganisationView
from app.store import audit
from app.store import organisation_settings as store
from app.store.database import Session
from app.store.tables import Organisation, Team

log = structlog.get_logger(__name__)


_UNNAMED = "(unnamed)"


class _RolledBack(Exception):
    """Ends a plan's transaction without keeping anything of it."""


async def get_organisation(session: Session, *, hidden: Collection[str] = ()) -> OrganisationView:
    """The settings; before any were made, those that hold without. `hidden` teams are not in the tree."""
    view = _view(await store.get_organisation(session))
    seen = {team: None if parent in hidden else parent for team, parent in view.teams.items() if team not in hidden}
    return view.model_copy(update={"teams": seen})


async def apply_organisation(
    services: Services, value: JsonValue, *, actor: str, reason: str | None = None, if_match: int | None = None
) -> OrganisationPlanView:
    """Make these the organisation's settings and every team's, all or nothing. Raises InvalidTeamFile."""
    async with services.database.writing() as session:
        outcome = await _apply(session, services, value, actor, reason, if_match)
    await services.queue.build()
    log.info("organisation.applied", actor=actor, teams=len(outcome.teams))
    return outcome.model_copy(update={"is_applied": True})


async def plan_organisation(services: Services, value: JsonValue, *, actor: str) -> OrganisationPlanView:
    """What applying these settings would change; nothing is kept."""
    outcome: OrganisationPlanView | None = None
    try:
        async with services.database.writing() as session:
            outcome = await _apply(session, services, value, actor, None, None)
            raise _RolledBack
    except _RolledBack:
        assert outcome is not None
        return outcome


async def _apply(
    session: Session, services: Services, value: JsonValue, actor: str, reason: str | None, if_match: int | None
) -> OrganisationPlanView:
    checked = check_organisation_file(value)
    if checked.file is None:
        raise InvalidTeamFile(checked.problems)
    now = services.clock()
    before = await store.lock_organisation(session)
    if if_match is not None and if_match != (0 if before is None else before.version):
        raise VersionConflict
    old, spec = {} if before is None else before.spec, dump(checked.file)
    row = await store.save_organisation(session, spec, actor=actor, now=now)
    fields = sorted(key for key in old.keys() | spec.keys() if old.get(key) != spec.get(key))
    if fields:
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="create" if before is None else "update",
            object_kind="organisation",
            object_id="organisation",
            before=old or None,
            after=spec,
            reason=reason,
        )
    changed: list[str] = []
    moved: list[MovedCycleView] = []
    for team in await store.lock_teams(session):
        inherited = inherited_settings(checked.file, team.name)
        if {key: value for key, value in team.inherited.items() if key != KEPT_CYCLES} == inherited:
            continue
        cycles = await cycles_of(session, team)
        team.inherited = inherited
        await keep_cycles(session, team, cycles)
        await session.flush()
        for name, cycle in cycles.items():
            after = team_cycle(team, name)
            if after != cycle:
                moved.append(_moved(team, name, cycle.start, cycle.end, after.start, after.end))
        changed.append(team.name)
        try:
            await reapply_within(session, services, team.name, actor=actor)
        except InvalidTeamFile as error:
            raise InvalidTeamFile([_of_team(problem, team.name) for problem in error.problems]) from error
    return OrganisationPlanView(is_applied=False, fields=fields, teams=changed, cycles=moved, version=row.version)


def _of_team(problem: Problem, team: str) -> Problem:
    """What a team's file could not live with, said of the organisation's."""
    message = f"the team {team} could not go on with this: {pointer(problem.path)}: {problem.message}"
    return Problem((), problem.code, message, problem.suggestion)


def _moved(
    team: Team, name: str, start: datetime, end: datetime, new_start: datetime, new_end: datetime
) -> MovedCycleView:
    return MovedCycleView(
        id=f"{team.name}/{name}", start_before=start, end_before=end, start_after=new_start, end_after=new_end
    )


def _view(row: Organisation | None) -> OrganisationView:
    spec: dict[str, Any] = {"version": 1, "name": _UNNAMED} if row is None else row.spec
    file = OrganisationFile.model_validate(spec)
    whole = file.model_dump(mode="json")
    return OrganisationView(
        name=None if row is None else file.name,
        fiscal_year_start=file.fiscal_year_start,
        cycles=whole["cycles"],
        teams=whole["teams"],
        timezone=file.timezone,
        presets=whole["presets"],
        preset=whole["preset"],
        version=0 if row is None else row.version,
        updated_at=None if row is None else row.updated_at,
        updated_by=None if row is None else row.updated_by,
    )
