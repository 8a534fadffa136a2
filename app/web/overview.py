"""The organisation and its teams: every objective with its key results, and the fragments that keep them current."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.errors import NotFound
from app.services import inventory
from app.services.objectives import list_objectives
from app.services.organisation_file import get_organisation
from app.services.read import get_key_result
from app.services.tokens import Principal
from app.services.views import KeyResultView, ObjectiveView, TeamView
from app.store.database import Session
from app.web.attention import needs
from app.web.format import of_cycle
from app.web.render import page
from app.web.session import Visitor, World

router = APIRouter(include_in_schema=False)

_MANY = 1000
_NEEDS = 7
#: What needs a look first.
_ORDER = (
    "error",
    "stale",
    "no_data",
    "void",
    "missed",
    "at_risk",
    "behind",
    "unknown",
    "on_track",
    "met",
    "not_started",
    "paused",
    "dropped",
)
Show = Annotated[str | None, Query(max_length=20)]
OfCycle = Annotated[str | None, Query(max_length=70)]


@dataclass(frozen=True, slots=True)
class _CycleNow:
    name: str
    day: int
    days: int


@router.get("/")
async def overview(request: Request, services: World, visitor: Visitor, show: Show = None) -> Response:
    """Every team that the visitor reaches."""
    now = services.clock()
    async with services.database.reading() as session:
        teams = await _teams(session, visitor)
        objectives = await _objectives(session, now, visitor)
        organisation = await get_organisation(session, hidden=visitor.hidden)
    title = organisation.name or "Overview"
    return _listed(request, title, teams, objectives, now=now, visitor=visitor, show=show)


@router.get("/teams/{team}")
async def team_page(
    request: Request, services: World, visitor: Visitor, team: str, show: Show = None, cycle: OfCycle = None
) -> Response:
    """One team, in the cycles that are current or in the one that is asked for."""
    now = services.clock()
    async with services.database.reading() as session:
        found = await inventory.get_team(session, team) if visitor.may_see(team) else None
        if found is None:
            raise NotFound
        objectives = await _objectives(session, now, visitor, team=team, cycle=cycle)
    if cycle is not None and not objectives:
        raise NotFound
    return _listed(request, found.title, [found], objectives, now=now, visitor=visitor, show=show, asked=cycle)


@router.get("/fragments/key-results/{team}/{name}")
async def key_result_fragment(
    request: Request, services: World, visitor: Visitor, team: str, name: str, cycle: OfCycle = None
) -> Response:
    """One row of a list, as it stands now."""
    now = services.clock()
    async with services.database.reading() as session:
        view = await get_key_result(session, team, name, now=now, cycle=cycle) if visitor.may_see(team) else None
    if view is None:
        raise NotFound
    return page(request, "fragment_key_result.html", now=now, principal=visitor, view=view, asked=cycle)


async def _teams(session: Session, visitor: Principal) -> list[TeamView]:
    if visitor.team is not None:
        found = await inventory.get_team(session, visitor.team)
        return [] if found is None else [found]
    teams, _ = await inventory.list_teams(session, limit=_MANY, hidden=visitor.hidden)
    return _by_tree(teams)


def _by_tree(teams: Sequence[TeamView]) -> list[TeamView]:
    """Parents before their children, each by title; a circle of parents loses nobody."""
    known = {team.id for team in teams}
    children: dict[str | None, list[TeamView]] = {}
    for team in sorted(teams, key=lambda team: team.title.casefold()):
        children.setdefault(team.parent if team.parent in known else None, []).append(team)
    ordered: dict[str, TeamView] = {}
    waiting = list(reversed(children.get(None, [])))
    while waiting:
        team = waiting.pop()
        if team.id not in ordered:
            ordered[team.id] = team
            waiting.extend(reversed(children.get(team.id, [])))
    return [*ordered.values(), *(team for team in teams if team.id not in ordered)]


async def _objectives(
    session: Session, now: datetime, visitor: Principal, *, team: str | None = None, cycle: str | None = None
) -> list[ObjectiveView]:
    found, _ = await list_objectives(
        session,
        now=now,
        team=team or visitor.team,
        cycle=cycle,
        expand=True,
        limit=_MANY,
        hidden=visitor.hidden,
    )
    return found


def _listed(
    request: Request,
    title: str,
    teams: Sequence[TeamView],
    objectives: Sequence[ObjectiveView],
    *,
    now: datetime,
    visitor: Principal,
    show: str | None,
    asked: str | None = None,
) -> Response:
    views = [view for objective in objectives for view in objective.key_results or ()]
    counts = Counter((view.headline.word, view.headline.tone) for view in views)
    summary = sorted(
        ((word, tone, count) for (word, tone), count in counts.items()),
        key=lambda entry: _ORDER.index(entry[0]) if entry[0] in _ORDER else len(_ORDER),
    )
    chosen = show if show in _ORDER else None
    shown = objectives if chosen is None else [_only(objective, chosen) for objective in objectives]
    grouped = [
        (team, [item for item in shown if item.team == team.id and (chosen is None or item.key_results)])
        for team in teams
    ]
    needed = needs(views) if chosen is None else []
    return page(
        request,
        "overview.html",
        now=now,
        principal=visitor,
        title=title,
        total=len(views),
        cycle=_cycle(views, now),
        summary=summary,
        needs=needed[:_NEEDS],
        more_needs=len(needed[_NEEDS:]),
        is_asked_for=bool(views) and chosen is None and any(view.cycle.state != "closed" for view in views),
        show=chosen,
        teams=grouped,
        titles={team.id: team.title for team in teams},
        asked=asked,
    )


def _only(objective: ObjectiveView, word: str) -> ObjectiveView:
    kept = [view for view in objective.key_results or () if view.headline.word == word]
    return objective.model_copy(update={"key_results": kept})


def _cycle(views: Sequence[KeyResultView], now: datetime) -> _CycleNow | None:
    """The cycle that most key results are in."""
    if not views:
        return None
    (name, _), *_ = Counter(view.cycle.name for view in views).most_common(1)
    cycle = next(view.cycle for view in views if view.cycle.name == name)
    day, days = of_cycle(cycle.start, cycle.end, now.date())
    return _CycleNow(name, day, days)
