"""Objectives with their roll-up."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.access import Hidden, Reader, Writer, narrowed
from app.api.answers import IF_MATCH, Items, answer, if_match, result
from app.api.body import JsonBody, NoBody
from app.api.context import Context
from app.api.examples import OBJECTIVE, PLAN, page
from app.api.gone import gone
from app.api.openapi import errors, request_body, shows
from app.api.parameters import (
    AsOf,
    CycleText,
    KnownAt,
    NameText,
    ObjectName,
    StrictQuery,
    TeamName,
    TeamPageQuery,
    refuse_future,
)
from app.domain.language import ObjectiveSpec
from app.services.apply import delete_object, put_object
from app.services.objectives import get_objective, list_objectives
from app.services.paging import decode_id, encode_cursor
from app.services.views import ObjectiveView, PlanView

router = APIRouter(prefix="/objectives", tags=["objectives"])

_BODY = {"title": "Scale internal infrastructure", "cycle": "2026-Q4", "focus": "process_efficiency"}
Expand = Annotated[Literal["key_results"] | None, Field(description="Put the key results into the answer.")]


class ListQuery(TeamPageQuery):
    """Which objectives."""

    cycle: CycleText | None = None
    focus: Annotated[NameText | None, Field(description="Those of this focus area, such as `service_levels`.")] = None
    expand: Expand = None
    as_of: AsOf = None
    known_at: KnownAt = None


class OneQuery(StrictQuery):
    """Which instance, and how much of it."""

    cycle: Annotated[CycleText | None, Field(description="That cycle's instance, instead of the current one.")] = None
    expand: Expand = None
    as_of: AsOf = None
    known_at: KnownAt = None


@router.get(
    "",
    summary="List objectives",
    response_model=Items[ObjectiveView],
    responses={200: shows(page(OBJECTIVE)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_list(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[ListQuery, Query()]
) -> Response:
    """Each with its roll-up: the weighted progress, the worst status, and how much of the weight is known."""
    now = context.clock()
    refuse_future(query.as_of, now)
    async with context.services.database.reading() as session:
        items, following = await list_objectives(
            session,
            now=now,
            as_of=query.as_of,
            known_at=query.known_at,
            team=narrowed(principal, query.team),
            cycle=query.cycle,
            focus=query.focus,
            expand=query.expand is not None,
            after=decode_id("objectives", query.after) or 0,
            limit=query.limit,
            hidden=hidden,
        )
    cursor = None if following is None else encode_cursor("objectives", following)
    return answer(request, Items[ObjectiveView](items=items, next=cursor))


@router.get(
    "/{team}/{name}",
    summary="Read an objective",
    response_model=ObjectiveView,
    responses={200: shows(OBJECTIVE), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_one(
    request: Request,
    context: Context,
    principal: Reader,
    hidden: Hidden,
    team: TeamName,
    name: ObjectName,
    query: Annotated[OneQuery, Query()],
) -> Response:
    """One, with its roll-up: the parts of each key result and of each objective that contributes."""
    now = context.clock()
    refuse_future(query.as_of, now)
    async with context.services.database.reading() as session:
        view = await get_objective(
            session,
            team,
            name,
            now=now,
            as_of=query.as_of,
            known_at=query.known_at,
            cycle=query.cycle,
            expand=query.expand is not None,
            hidden=hidden,
        )
    if view is None:
        raise await gone(context, "objective", team, name)
    return answer(request, view, version=view.version)


@router.put(
    "/{team}/{name}",
    summary="Create or replace an objective",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What it changed."), **errors(404, 409, 412, body=True)},
    openapi_extra={**request_body(ObjectiveSpec, _BODY), "parameters": [IF_MATCH]},
)
async def put(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: JsonBody
) -> Response:
    """The team file's object as JSON. Without `key_results` those it has stay. Needs `write`."""
    version = if_match(request)
    return result(
        await put_object(
            context.services,
            team,
            "objective",
            name,
            body,
            actor=principal.actor,
            hidden=principal.hidden,
            if_match=version,
        )
    )


@router.delete(
    "/{team}/{name}",
    summary="Delete an objective",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What it changed."), **errors(404, 409, 412, body=True)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: NoBody
) -> Response:
    """Its key results go with it. Needs `write`."""
    version = if_match(request)
    return result(
        await delete_object(
            context.services, team, "objective", name, actor=principal.actor, hidden=principal.hidden, if_match=version
        )
    )
