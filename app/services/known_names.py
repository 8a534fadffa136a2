"""What a team's file may name of other teams: nothing that a private one keeps from whoever applies it."""

from collections.abc import Collection

from app.services.alignment import edges_of
from app.services.team_file import KnownNames
from app.services.views import PlanView
from app.store import inputs, organisation, organisation_settings
from app.store.database import Session

_NEEDED_BY = "needed by "


async def known_names(session: Session, team: str, hidden: Collection[str] = ()) -> KnownNames:
    """What a team's file may refer to of other teams. Of `hidden` teams it is what the team names already: somebody who
    sees them let it, and its file can still be applied by those who do not."""
    hidden = frozenset(hidden) - {team}
    teams = await organisation.list_teams(session, limit=100_000)
    objectives = await organisation.list_objectives(session, limit=100_000)
    formulas = await inputs.live_formulas(session)
    settings = await organisation_settings.get_organisation(session)
    inherited = {} if settings is None else settings.spec
    metrics = await inputs.named_metrics(session)
    named = await inputs.wanted_by(session, team) if hidden else set()
    named |= {read for name in formulas if _team(name) == team for read in formulas[name]}
    return KnownNames(
        teams=frozenset(known.name for known in teams if known.name not in hidden),
        objectives=frozenset(
            f"{owner.name}/{objective.name}" for objective, owner in objectives if owner.name not in hidden
        ),
        metrics={name: unit for name, unit in metrics.items() if name in named or _team(name) not in hidden},
        formulas={name: read for name, read in formulas.items() if _team(name) != team},
        edges=[edge for objective, owner in objectives for edge in edges_of(objective, owner)],
        cycles=frozenset(inherited.get("cycles", {})),
        presets=frozenset(inherited.get("presets", {})),
        fiscal_year_start=inherited.get("fiscal_year_start", 1),
    )


def discreet(plan: PlanView, hidden: Collection[str]) -> PlanView:
    """A team's plan as those are told of it who do not see the other `hidden` teams."""
    hidden = frozenset(hidden) - {plan.team}
    if not hidden:
        return plan
    changes = []
    for change in plan.changes:
        if _team(change.id) in hidden:
            continue
        reason = change.reason
        if reason is not None and reason.startswith(_NEEDED_BY):
            users = reason.removeprefix(_NEEDED_BY).split(", ")
            told = dict.fromkeys("a private team" if _team(user) in hidden else user for user in users)
            reason = _NEEDED_BY + ", ".join(told)
        changes.append(change.model_copy(update={"reason": reason}))
    records = [
        effect.model_copy(update={"key_results": [one for one in effect.key_results if _team(one) not in hidden]})
        for effect in plan.records
        if _team(effect.metric) not in hidden
    ]
    return plan.model_copy(update={"changes": changes, "records": records})


def _team(name: str) -> str:
    return name.partition("/")[0]
