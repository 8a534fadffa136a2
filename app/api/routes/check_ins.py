"""Check-ins: what people say of a key result."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.access import Asserter, Reader
from app.api.answers import Items, answer, result
from app.api.body import JsonBody, raw_body, validated
from app.api.context import Context
from app.api.examples import CHECK_IN, page
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import CycleText, ObjectName, PageQuery, TeamName
from app.domain.language import Model
from app.domain.scalars import Number, Text
from app.errors import NotFound
from app.services.check_ins import check_in, list_check_ins
from app.services.paging import decode_id, encode_cursor
from app.services.views import CheckInView

router = APIRouter(prefix="/key-results", tags=["key results"])

OfCycle = Annotated[CycleText | None, Field(description="That cycle's instance, instead of the current one.")]


class CheckInsQuery(PageQuery):
    """Of which instance."""

    cycle: OfCycle = None


class CheckInBody(Model):
    """What a person says of a key result. A value is for manual metrics."""

    note: Text | None = None
    confidence: Annotated[Number, Field(ge=0, le=1)] | None = None
    blockers: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    value: Number | None = None


@router.get(
    "/{team}/{name}/check-ins",
    summary="Read what people said of a key result",
    response_model=Items[CheckInView],
    responses={200: shows(page(CHECK_IN)), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_check_ins(
    request: Request,
    context: Context,
    principal: Reader,
    team: TeamName,
    name: ObjectName,
    query: Annotated[CheckInsQuery, Query()],
) -> Response:
    """Check-ins, newest first."""
    async with context.services.database.reading() as session:
        found = await list_check_ins(
            session, team, name, cycle=query.cycle, before=decode_id("check_ins", query.after), limit=query.limit
        )
    if found is None:
        raise NotFound
    items, following = found
    cursor = None if following is None else encode_cursor("check_ins", following)
    return answer(request, Items[CheckInView](items=items, next=cursor))


@router.post(
    "/{team}/{name}/check-ins",
    summary="Check in on a key result",
    status_code=201,
    response_model=CheckInView,
    responses={201: shows(CHECK_IN, description="What was said."), **errors(404, 409, body=True)},
    openapi_extra={
        **request_body(CheckInBody, {"note": "Two laptops came late", "confidence": 0.6, "blockers": ["Supplier"]}),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def post_check_in(
    request: Request, context: Context, principal: Asserter, team: TeamName, name: ObjectName, body: JsonBody
) -> Response:
    """A note, how confident you are (0 to 1), what blocks it; at least one of them. `value` is for manual metrics of
    the team: it becomes the asserted value of today. Needs `write` or `ingest`."""
    said = validated(CheckInBody, body)

    async def act() -> Response:
        view = await check_in(
            context.services,
            team,
            name,
            note=said.note,
            confidence=said.confidence,
            blockers=said.blockers,
            value=said.value,
            actor=principal.actor,
        )
        return result(view, status=201)

    return await once(context, request, principal, await raw_body(request), act)
