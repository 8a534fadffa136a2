"""Teams and their files: plan, apply, export."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.access import Hidden, Reader, Writer
from app.api.answers import Items, answer, answer_bytes, result
from app.api.body import YAML_TYPES, DocumentBody, NoBody, raw_body
from app.api.context import Context
from app.api.examples import HEALTH_CHECK, PLAN, TEAM, TEAM_FILE, page
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import CycleText, Flag, PageQuery, StrictQuery, TeamName
from app.domain.language import TeamFile
from app.errors import NotFound
from app.services.apply import apply_team_file, plan_team_file
from app.services.export import export_team
from app.services.health_check import make_health_check, read_health_check
from app.services.inventory import get_team, list_teams
from app.services.paging import decode_cursor, encode_cursor
from app.services.views import HealthCheckView, PlanView, TeamView

router = APIRouter(prefix="/teams", tags=["teams"])

_MEDIA = ("application/json", YAML_TYPES[0])


class ApplyQuery(StrictQuery):
    """How far an apply goes."""

    prune: Annotated[Flag, Field(description="Delete what a file made earlier and does not name any more.")] = False


class HealthCheckQuery(StrictQuery):
    """Of which cycle."""

    cycle: Annotated[CycleText | None, Field(description="Instead of the running one with most objectives.")] = None


@router.get(
    "",
    summary="List teams",
    response_model=Items[TeamView],
    responses={200: shows(page(TEAM)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_list(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[PageQuery, Query()]
) -> Response:
    """By name. A token for one team sees that team."""
    place = "" if query.after is None else str(decode_cursor("teams", query.after, str)[0])
    async with context.services.database.reading() as session:
        if principal.team is not None:
            own = await get_team(session, principal.team)
            return answer(request, Items[TeamView](items=[own] if own is not None and own.id > place else []))
        items, following = await list_teams(session, after=place, limit=query.limit, hidden=hidden)
    cursor = None if following is None else encode_cursor("teams", following)
    return answer(request, Items[TeamView](items=items, next=cursor))


@router.get(
    "/{team}",
    summary="Read a team",
    response_model=TeamView,
    responses={200: shows(TEAM), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_one(request: Request, context: Context, principal: Reader, team: TeamName) -> Response:
    """Its title, parent, timezone and calendar."""
    async with context.services.database.reading() as session:
        view = await get_team(session, team)
    if view is None:
        raise NotFound
    return answer(request, view, version=view.version)


@router.get(
    "/{team}/health-check",
    summary="Read a team's health check",
    response_model=HealthCheckView,
    responses={200: shows(HEALTH_CHECK), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_health_check(
    request: Request, context: Context, principal: Reader, team: TeamName, query: Annotated[HealthCheckQuery, Query()]
) -> Response:
    """The newest one that is kept (the workers make one at mid-cycle), else one made for this answer alone: each key
    result's numbers, findings with their numbers, and the proposal to keep, re-scope or drop it."""
    async with context.services.database.reading() as session:
        view = await read_health_check(session, team, now=context.clock(), cycle=query.cycle)
    if view is None:
        raise NotFound
    return answer(request, view)


@router.post(
    "/{team}/health-check",
    summary="Make a health check now",
    status_code=201,
    response_model=HealthCheckView,
    responses={201: shows(HEALTH_CHECK, description="It is kept."), **errors(404, 409, body=True)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def post_health_check(
    request: Request,
    context: Context,
    principal: Writer,
    team: TeamName,
    query: Annotated[HealthCheckQuery, Query()],
    body: NoBody,
) -> Response:
    """Makes one and keeps it. Needs `write`."""

    async def act() -> Response:
        view = await make_health_check(context.services, team, actor=principal.actor, cycle=query.cycle)
        return result(view, status=201)

    return await once(context, request, principal, body, act)


@router.post(
    "/{team}/plan",
    summary="See what a team file would change",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What an apply would do, in numbers."), **errors(409, body=True)},
    openapi_extra={**request_body(TeamFile, TEAM_FILE, media_types=_MEDIA), "parameters": [IDEMPOTENCY_KEY]},
)
async def plan(
    request: Request,
    context: Context,
    principal: Writer,
    team: TeamName,
    query: Annotated[ApplyQuery, Query()],
    body: DocumentBody,
) -> Response:
    """Objects and key results before and after, on stored records. Nothing is kept. Needs `write`."""

    async def act() -> Response:
        return result(
            await plan_team_file(
                context.services, body, team=team, actor=principal.actor, hidden=principal.hidden, prune=query.prune
            )
        )

    return await once(context, request, principal, await raw_body(request), act)


@router.post(
    "/{team}/apply",
    summary="Apply a team file",
    response_model=PlanView,
    responses={200: shows({**PLAN, "is_applied": True}, description="What it changed."), **errors(409, body=True)},
    openapi_extra={**request_body(TeamFile, TEAM_FILE, media_types=_MEDIA), "parameters": [IDEMPOTENCY_KEY]},
)
async def apply(
    request: Request,
    context: Context,
    principal: Writer,
    team: TeamName,
    query: Annotated[ApplyQuery, Query()],
    body: DocumentBody,
) -> Response:
    """All of it, or nothing. The first apply creates the team. Needs `write`."""

    async def act() -> Response:
        return result(
            await apply_team_file(
                context.services, body, team=team, actor=principal.actor, hidden=principal.hidden, prune=query.prune
            )
        )

    return await once(context, request, principal, await raw_body(request), act)


@router.get(
    "/{team}/export",
    summary="Write the team file back",
    response_class=Response,
    responses={
        200: shows("version: 1\nteam: operations\n", description="The team file.", media_type="application/yaml"),
        304: {"description": "Unchanged."},
        **errors(404),
    },
)
async def export(request: Request, context: Context, principal: Reader, team: TeamName) -> Response:
    """YAML from the database; applying it changes nothing."""
    async with context.services.database.reading() as session:
        text = await export_team(session, team)
    if text is None:
        raise NotFound
    return answer_bytes(request, text, media_type="application/yaml")
