"""A team's cycles, what they ended with, and its health checks."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from app.errors import NotFound
from app.services.cycles import get_cycle, list_cycles
from app.services.health_check import make_health_check, read_health_check
from app.services.inventory import get_team
from app.web.render import HEADERS, page
from app.web.session import Editor, Visitor, World, form_fields

router = APIRouter(include_in_schema=False)

_MANY = 200
OfCycle = Annotated[str | None, Query(max_length=70)]


@router.get("/teams/{team}/cycles")
async def cycles_page(request: Request, services: World, visitor: Visitor, team: str) -> Response:
    """The cycles that a team has objectives in, the newest first."""
    now = services.clock()
    if not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        owner = await get_team(session, team)
        if owner is None:
            raise NotFound
        found, _ = await list_cycles(session, now=now, team=team, limit=_MANY)
    found.sort(key=lambda cycle: (cycle.start, cycle.name), reverse=True)
    return page(request, "cycles.html", now=now, principal=visitor, team=owner, cycles=found)


@router.get("/teams/{team}/cycles/{cycle}")
async def cycle_page(request: Request, services: World, visitor: Visitor, team: str, cycle: str) -> Response:
    """One cycle: of a closed one its grades, and what became of its values since."""
    now = services.clock()
    if not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        owner = await get_team(session, team)
        view = await get_cycle(session, team, cycle, now=now)
        if owner is None or view is None:
            raise NotFound
    return page(request, "cycle.html", now=now, principal=visitor, team=owner, view=view)


@router.get("/teams/{team}/health-check")
async def health_check_page(
    request: Request, services: World, visitor: Visitor, team: str, cycle: OfCycle = None
) -> Response:
    """What the numbers say of each key result, and what is proposed."""
    now = services.clock()
    if not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        owner = await get_team(session, team)
        if owner is None:
            raise NotFound
        view = await read_health_check(session, team, now=now, cycle=cycle)
        found, _ = await list_cycles(session, now=now, team=team, limit=_MANY)
    if view is None and cycle is not None:
        raise NotFound
    running = [other.name for other in found if other.state == "running"]
    return page(request, "health_check.html", now=now, principal=visitor, team=owner, view=view, running=running)


@router.post("/teams/{team}/health-check")
async def make_one(request: Request, services: World, editor: Editor, team: str, cycle: OfCycle = None) -> Response:
    """Make a health check now and keep it."""
    await form_fields(request)
    if not editor.may_see(team):
        raise NotFound
    made = await make_health_check(services, team, actor=editor.actor, cycle=cycle)
    of = "" if cycle is None else f"?cycle={quote(made.cycle.name, safe='')}"
    return RedirectResponse(f"/teams/{team}/health-check{of}", status_code=303, headers=dict(HEADERS))
