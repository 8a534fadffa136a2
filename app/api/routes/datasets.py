"""Datasets and what they hold."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from app.api.access import Hidden, Reader, Writer, narrowed
from app.api.answers import IF_MATCH, Items, answer, if_match, result
from app.api.body import JsonBody, NoBody
from app.api.context import Context
from app.api.examples import DATASET, PLAN, RECORD, page
from app.api.gone import gone
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import AsOf, KnownAt, ObjectName, PageQuery, TeamName, TeamPageQuery, refuse_future
from app.domain.language import DatasetSpec
from app.errors import NotFound
from app.services.apply import delete_object, put_object
from app.services.inventory import list_datasets, list_records
from app.services.paging import decode_id, encode_cursor
from app.services.pull import confirm_drop
from app.services.views import DatasetView, PlanView, RecordView


class HeldDrop(BaseModel):
    """How many records were held back (0: none are)."""

    held: int


router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.get(
    "",
    summary="List datasets",
    response_model=Items[DatasetView],
    responses={200: shows(page(DATASET)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_list(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[TeamPageQuery, Query()]
) -> Response:
    """Each with how many records it holds."""
    async with context.services.database.reading() as session:
        items, following = await list_datasets(
            session,
            team=narrowed(principal, query.team),
            after=decode_id("datasets", query.after) or 0,
            limit=query.limit,
            hidden=hidden,
        )
    cursor = None if following is None else encode_cursor("datasets", following)
    return answer(request, Items[DatasetView](items=items, next=cursor))


@router.get(
    "/{team}/{name}",
    summary="Read a dataset",
    response_model=DatasetView,
    responses={200: shows(DATASET), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_one(request: Request, context: Context, principal: Reader, team: TeamName, name: ObjectName) -> Response:
    """Its definition and how many records it holds."""
    async with context.services.database.reading() as session:
        found, _ = await list_datasets(session, team=team, name=name, limit=1)
    if not found:
        raise await gone(context, "dataset", team, name)
    return answer(request, found[0], version=found[0].version)


class RecordsQuery(PageQuery):
    """A page, as seen when."""

    as_of: AsOf = None
    known_at: KnownAt = None


@router.get(
    "/{team}/{name}/records",
    summary="Read what a dataset holds",
    response_model=Items[RecordView],
    responses={200: shows(page(RECORD)), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_records(
    request: Request,
    context: Context,
    principal: Reader,
    team: TeamName,
    name: ObjectName,
    query: Annotated[RecordsQuery, Query()],
) -> Response:
    """Events, or the newest version of each entity, in the order they came to be known. Of events also those of a past
    moment."""
    refuse_future(query.as_of, context.clock())
    async with context.services.database.reading() as session:
        found = await list_records(
            session,
            team,
            name,
            as_of=query.as_of,
            known_at=query.known_at,
            after=decode_id("records", query.after) or 0,
            limit=query.limit,
        )
    if found is None:
        raise NotFound
    items, following = found
    cursor = None if following is None else encode_cursor("records", following)
    return answer(request, Items[RecordView](items=items, next=cursor))


@router.post(
    "/{team}/{name}/confirm-drop",
    summary="Confirm that many records are gone",
    status_code=202,
    response_model=HeldDrop,
    responses={
        202: shows({"held": 312}, description="The next sweep, due now, drops them."),
        **errors(404, 409, body=True),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def confirm(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: NoBody
) -> Response:
    """Where more than a tenth of a dataset is gone at once nothing is dropped until somebody says that it is right: it
    may as well be a permission that was taken. A warning of the connection says so. Needs `write`."""

    async def act() -> Response:
        held = await confirm_drop(context.services, team, name, principal.actor)
        return result(HeldDrop(held=held), status=202)

    return await once(context, request, principal, body, act)


@router.put(
    "/{team}/{name}",
    summary="Create or replace a dataset",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What it changed."), **errors(404, 409, 412, body=True)},
    openapi_extra={**request_body(DatasetSpec, DATASET["definition"]), "parameters": [IF_MATCH]},
)
async def put(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: JsonBody
) -> Response:
    """The team file's object as JSON. Needs `write`."""
    version = if_match(request)
    return result(
        await put_object(
            context.services,
            team,
            "dataset",
            name,
            body,
            actor=principal.actor,
            hidden=principal.hidden,
            if_match=version,
        )
    )


@router.delete(
    "/{team}/{name}",
    summary="Delete a dataset",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What it changed."), **errors(404, 409, 412, body=True)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: NoBody
) -> Response:
    """Refused while a metric reads it. Its records go with it. Needs `write`."""
    version = if_match(request)
    return result(
        await delete_object(
            context.services, team, "dataset", name, actor=principal.actor, hidden=principal.hidden, if_match=version
        )
    )
