"""Metrics: their values, samples and definitions, refreshes, and asserted values."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, StrictBool, StringConstraints

from app.api.access import Asserter, Hidden, Reader, Writer, narrowed
from app.api.answers import IF_MATCH, Items, answer, if_match, result
from app.api.body import JsonBody, NoBody, validated
from app.api.context import Context
from app.api.examples import EXPLANATION, METRIC, PLAN, SAMPLE, page
from app.api.gone import gone
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import AsOf, DayPath, KnownAt, ObjectName, StrictQuery, TeamName, TeamPageQuery, refuse_future
from app.api.routes.key_results import ExplainQuery, HistoryQuery, samples_page
from app.domain.language import MetricSpec, Model
from app.domain.scalars import Number, Text
from app.errors import NotFound
from app.services.apply import delete_object, put_object
from app.services.assert_value import assert_value
from app.services.explain import explain_metric
from app.services.paging import decode_id, encode_cursor
from app.services.pull import request_refresh
from app.services.read import get_metric, list_metrics, metric_history
from app.services.views import ExplainView, MetricView, PlanView, SampleView

router = APIRouter(prefix="/metrics", tags=["metrics"])


class AssertedBody(Model):
    """A value that a person or a script vouches for, at the end of a local day."""

    value: Number
    note: Text | None = None
    link: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,1990}$")] | None = None
    override: StrictBool = False


class Refresh(BaseModel):
    """The plans that are due now. Their runs show in `GET /v1/runs`."""

    plans: list[int]


class MomentQuery(StrictQuery):
    """As seen when."""

    as_of: AsOf = None
    known_at: KnownAt = None


class ListQuery(TeamPageQuery):
    """Which metrics, as seen when."""

    as_of: AsOf = None
    known_at: KnownAt = None


@router.get(
    "",
    summary="List metrics",
    response_model=Items[MetricView],
    responses={200: shows(page(METRIC)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_list(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[ListQuery, Query()]
) -> Response:
    """Named metrics with their values; those written into a key result are not among them."""
    now = context.clock()
    refuse_future(query.as_of, now)
    async with context.services.database.reading() as session:
        items, following = await list_metrics(
            session,
            now=now,
            as_of=query.as_of,
            known_at=query.known_at,
            team=narrowed(principal, query.team),
            after=decode_id("metrics", query.after) or 0,
            limit=query.limit,
            hidden=hidden,
        )
    cursor = None if following is None else encode_cursor("metrics", following)
    return answer(request, Items[MetricView](items=items, next=cursor))


@router.get(
    "/{team}/{name}",
    summary="Read a metric",
    response_model=MetricView,
    responses={200: shows(METRIC), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_one(
    request: Request,
    context: Context,
    principal: Reader,
    team: TeamName,
    name: ObjectName,
    query: Annotated[MomentQuery, Query()],
) -> Response:
    """Its definition, revision and value."""
    now = context.clock()
    refuse_future(query.as_of, now)
    async with context.services.database.reading() as session:
        view = await get_metric(session, team, name, now=now, as_of=query.as_of, known_at=query.known_at)
    if view is None:
        raise await gone(context, "metric", team, name)
    return answer(request, view, version=view.version)


@router.get(
    "/{team}/{name}/history",
    summary="Read a metric's samples",
    response_model=Items[SampleView],
    responses={200: shows(page({**SAMPLE, "progress": None})), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_history(
    request: Request,
    context: Context,
    principal: Reader,
    team: TeamName,
    name: ObjectName,
    query: Annotated[HistoryQuery, Query()],
) -> Response:
    """Every stored value in the order it was recorded. A metric over the cycle's window needs `cycle`."""
    async with context.services.database.reading() as session:
        found = await metric_history(
            session,
            team,
            name,
            cycle=query.cycle or "",
            since=query.since,
            until=query.until,
            step=query.step,
            after=decode_id("samples", query.after) or 0,
            limit=query.limit + 1,
        )
    if found is None:
        raise NotFound
    return answer(request, samples_page(found, query.limit))


@router.get(
    "/{team}/{name}/explain",
    summary="Take a metric's number apart",
    response_model=ExplainView,
    responses={
        200: shows({**EXPLANATION, "id": METRIC["id"], "progress": None, "status": None, "baseline": None}),
        304: {"description": "Unchanged."},
        **errors(404),
    },
)
async def get_explanation(
    request: Request,
    context: Context,
    principal: Reader,
    team: TeamName,
    name: ObjectName,
    query: Annotated[ExplainQuery, Query()],
) -> Response:
    """What a key result's explanation has, for a metric by itself: a formula's inputs lead here."""
    refuse_future(query.as_of, context.clock())
    async with context.services.database.reading() as session:
        view = await explain_metric(
            session,
            team,
            name,
            now=context.clock(),
            as_of=query.as_of,
            known_at=query.known_at,
            cycle=query.cycle,
            since=query.since,
            limit=query.limit,
        )
    if view is None:
        raise NotFound
    return answer(request, view)


@router.post(
    "/{team}/{name}/refresh",
    summary="Ask for a metric to be read again",
    status_code=202,
    response_model=Refresh,
    responses={202: shows({"plans": [3]}, description="It will be read soon."), **errors(404, 409, body=True)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def refresh(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: NoBody
) -> Response:
    """Makes what the metric reads due now; nothing is read within the request. Needs `write`."""

    async def act() -> Response:
        plans = await request_refresh(context.services, team, name, principal.actor)
        return result(Refresh(plans=plans), status=202)

    return await once(context, request, principal, body, act)


@router.put(
    "/{team}/{name}/values/{date}",
    summary="Assert a manual metric's value",
    response_model=SampleView,
    responses={200: shows({**SAMPLE, "progress": None}), **errors(404, body=True)},
    openapi_extra=request_body(AssertedBody, {"value": "8.2", "note": "Survey of November"}),
)
async def put_value(
    context: Context,
    principal: Asserter,
    team: TeamName,
    name: ObjectName,
    date: DayPath,
    body: JsonBody,
) -> Response:
    """At the end of that local day, idempotent: the newest word for a day counts. With `override` and a note, today's
    value of a metric that is not manual: shown as such until the automated value changes. Needs `write` or `ingest`."""
    asserted = validated(AssertedBody, body)
    return result(
        await assert_value(
            context.services,
            team,
            name,
            date,
            asserted.value,
            note=asserted.note,
            link=asserted.link,
            override=asserted.override,
            actor=principal.actor,
        )
    )


@router.put(
    "/{team}/{name}",
    summary="Create or replace a metric",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What it changed."), **errors(404, 409, 412, body=True)},
    openapi_extra={**request_body(MetricSpec, METRIC["definition"]), "parameters": [IF_MATCH]},
)
async def put(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: JsonBody
) -> Response:
    """The team file's object as JSON. Another definition makes another revision. Needs `write`."""
    version = if_match(request)
    return result(
        await put_object(
            context.services,
            team,
            "metric",
            name,
            body,
            actor=principal.actor,
            hidden=principal.hidden,
            if_match=version,
        )
    )


@router.delete(
    "/{team}/{name}",
    summary="Delete a metric",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What it changed."), **errors(404, 409, 412, body=True)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: NoBody
) -> Response:
    """Refused while a key result uses it. Needs `write`."""
    version = if_match(request)
    return result(
        await delete_object(
            context.services, team, "metric", name, actor=principal.actor, hidden=principal.hidden, if_match=version
        )
    )
