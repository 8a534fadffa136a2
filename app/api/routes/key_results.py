"""Key results: the list, one, its history, its explanation, and putting one."""

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.access import Hidden, Reader, Writer, narrowed
from app.api.answers import IF_MATCH, Items, answer, answer_bytes, answer_ready, if_match, result
from app.api.body import JsonBody, NoBody
from app.api.context import Context
from app.api.examples import EXPLANATION, KEY_RESULT, PLAN, SAMPLE, page
from app.api.gone import gone
from app.api.openapi import errors, request_body, shows
from app.api.parameters import (
    AsOf,
    Cursor,
    CycleText,
    KnownAt,
    Limit,
    Moment,
    NameText,
    ObjectName,
    PageQuery,
    ReferenceText,
    Since,
    StrictQuery,
    TeamName,
    Words,
    refuse_future,
)
from app.api.ready_pages import ReadyPage, note_page
from app.api.routes import badges
from app.api.table import key_results_csv
from app.domain.judgement import KeyResultStatus
from app.domain.language import KeyResultSpec
from app.domain.scalars import Name, Span
from app.errors import NotFound
from app.services.apply import delete_object, put_object
from app.services.explain import explain
from app.services.paging import decode_cursor, decode_id, encode_cursor
from app.services.read import (
    KeyResultQuery,
    Shelf,
    get_key_result,
    key_result_history,
    key_result_restatements,
    list_key_results,
)
from app.services.views import ExplainView, KeyResultView, PlanView, RestatementView, SampleView

router = APIRouter(prefix="/key-results", tags=["key results"])
router.include_router(badges.keys)

_CSV = "text/csv; charset=utf-8; header=present"
_BODY = {"objective": "fast_start", "metric": "onboarding_days", "baseline": 15, "target": 5, "kind": "committed"}
OfCycle = Annotated[CycleText | None, Field(description="That cycle's instance, instead of the current one.")]


class KeyResultBody(KeyResultSpec):
    """A key result of the team file, and the objective it belongs to."""

    objective: Name


class ListQuery(StrictQuery):
    """Filters of the list; all that are given hold."""

    team: NameText | None = None
    cycle: CycleText | None = None
    objective: Annotated[ReferenceText | None, Field(description="`team/name`, or a name.")] = None
    status: KeyResultStatus | None = None
    freshness: Literal["fresh", "stale", "no_data", "error"] | None = None
    owner: Words | None = None
    kind: Literal["committed", "aspirational"] | None = None
    metric: Annotated[ReferenceText | None, Field(description="`team/name`, or a name.")] = None
    q: Annotated[Words | None, Field(description="Words of the id or the title.")] = None
    as_of: AsOf = None
    known_at: KnownAt = None
    format: Annotated[
        Literal["json", "csv"], Field(description="CSV for a spreadsheet; its next page is in the header `Link`.")
    ] = "json"
    limit: Limit = 100
    after: Cursor = None


class OneQuery(StrictQuery):
    """Which instance, and as seen when."""

    cycle: OfCycle = None
    as_of: AsOf = None
    known_at: KnownAt = None


class HistoryQuery(PageQuery):
    """A span of history: half-open, by the moment a value was true at."""

    since: Annotated[Moment | None, Field(alias="from", description="From this moment on.")] = None
    until: Annotated[Moment | None, Field(alias="to", description="Until just before this moment.")] = None
    step: Annotated[Span | None, Field(description="Only the last value of each span: 1d, 6h.")] = None
    cycle: OfCycle = None


class ExplainQuery(OneQuery):
    """Which instance, as seen when, since when it changed, and how many records each way."""

    since: Annotated[
        Since | None,
        Field(description="Tell the difference from what was shown at this moment, or from the sample of this id."),
    ] = None
    limit: Limit = 500


class KeyResultHistory(Items[SampleView]):
    """A page of samples, and what sealed values would be now."""

    restatements: list[RestatementView] = Field(default_factory=list)


@router.get(
    "",
    summary="List key results",
    response_model=Items[KeyResultView],
    responses={
        200: {
            "description": "As asked.",
            "content": {
                "application/json": {"example": page(KEY_RESULT)},
                "text/csv": {"schema": {"type": "string"}, "example": "id,title\r\n"},
            },
        },
        304: {"description": "Unchanged."},
        **errors(),
    },
)
async def get_list(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[ListQuery, Query()]
) -> Response:
    """Each with its judgement at this moment, by team and name."""
    place = None if query.after is None else decode_cursor("key_results", query.after, str, str, str)
    given = query.model_dump(exclude={"after", "team", "format"})
    wanted = KeyResultQuery(**given, team=narrowed(principal, query.team), hidden=hidden)
    if place is not None:
        wanted = replace(wanted, after=(str(place[0]), str(place[1]), str(place[2])))
    now = context.clock()
    refuse_future(query.as_of, now)
    if query.format == "json" and query.cycle is None and query.as_of is None and query.known_at is None:
        shelf: Shelf = request.app.state.shelf
        await shelf.refresh()
        note_page(request.scope, wanted)
        found = ReadyPage(shelf.page(wanted))
        return answer_ready(request, found.tag, found.body)
    async with context.services.database.reading() as session:
        items, following = await list_key_results(session, wanted, now=now)
    cursor = _cursor(following)
    if query.format == "csv":
        response = answer_bytes(request, key_results_csv(items).encode(), media_type=_CSV)
        if cursor is not None:
            response.headers["Link"] = f'<{request.url.include_query_params(after=cursor)}>; rel="next"'
        return response
    return answer(request, Items[KeyResultView](items=items, next=cursor))


def _cursor(following: tuple[str, str, str] | None) -> str | None:
    return None if following is None else encode_cursor("key_results", *following)


@router.get(
    "/{team}/{name}",
    summary="Read a key result",
    response_model=KeyResultView,
    responses={200: shows(KEY_RESULT), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_one(
    request: Request,
    context: Context,
    principal: Reader,
    team: TeamName,
    name: ObjectName,
    query: Annotated[OneQuery, Query()],
) -> Response:
    """One, with its judgement at this moment, or at `as_of` as known at `known_at`."""
    now = context.clock()
    refuse_future(query.as_of, now)
    async with context.services.database.reading() as session:
        view = await get_key_result(
            session,
            team,
            name,
            now=now,
            cycle=query.cycle,
            as_of=query.as_of,
            known_at=query.known_at,
        )
    if view is None:
        raise await gone(context, "key_result", team, name)
    return answer(request, view, version=view.version)


@router.get(
    "/{team}/{name}/history",
    summary="Read a key result's samples",
    response_model=KeyResultHistory,
    responses={200: shows(page(SAMPLE) | {"restatements": []}), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_history(
    request: Request,
    context: Context,
    principal: Reader,
    team: TeamName,
    name: ObjectName,
    query: Annotated[HistoryQuery, Query()],
) -> Response:
    """Every stored value in the order it was recorded, restatements among them, with the progress it meant under the
    terms of its time. `cycle=all` goes through all cycles; what would be others of sealed values is in
    `restatements`."""
    async with context.services.database.reading() as session:
        found = await key_result_history(
            session,
            team,
            name,
            now=context.clock(),
            cycle=query.cycle,
            since=query.since,
            until=query.until,
            step=query.step,
            after=decode_id("samples", query.after) or 0,
            limit=query.limit + 1,
        )
        restated = await key_result_restatements(session, team, name, cycle=query.cycle)
    if found is None:
        raise NotFound
    samples = samples_page(found, query.limit)
    return answer(request, KeyResultHistory(items=samples.items, next=samples.next, restatements=restated))


@router.get(
    "/{team}/{name}/explain",
    summary="Take a key result's number apart",
    response_model=ExplainView,
    responses={200: shows(EXPLANATION), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_explanation(
    request: Request,
    context: Context,
    principal: Reader,
    team: TeamName,
    name: ObjectName,
    query: Annotated[ExplainQuery, Query()],
) -> Response:
    """The formula with its numbers, the window, the revision and its author, and the records in and out with the
    reason for each. The counts are whole, whatever `limit` says."""
    now = context.clock()
    refuse_future(query.as_of, now)
    async with context.services.database.reading() as session:
        view = await explain(
            session,
            team,
            name,
            now=now,
            as_of=query.as_of,
            known_at=query.known_at,
            cycle=query.cycle,
            since=query.since,
            limit=query.limit,
        )
    if view is None:
        raise NotFound
    return answer(request, view)


@router.put(
    "/{team}/{name}",
    summary="Create or replace a key result",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What it changed."), **errors(404, 409, 412, body=True)},
    openapi_extra={**request_body(KeyResultBody, _BODY), "parameters": [IF_MATCH]},
)
async def put(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: JsonBody
) -> Response:
    """The team file's object as JSON, with the objective it belongs to. Needs `write`."""
    version = if_match(request)
    return result(
        await put_object(
            context.services,
            team,
            "key_result",
            name,
            body,
            actor=principal.actor,
            hidden=principal.hidden,
            if_match=version,
        )
    )


@router.delete(
    "/{team}/{name}",
    summary="Delete a key result",
    response_model=PlanView,
    responses={200: shows(PLAN, description="What it changed."), **errors(404, 409, 412, body=True)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: NoBody
) -> Response:
    """Needs `write`."""
    version = if_match(request)
    return result(
        await delete_object(
            context.services, team, "key_result", name, actor=principal.actor, hidden=principal.hidden, if_match=version
        )
    )


def samples_page(found: list[SampleView], limit: int) -> Items[SampleView]:
    """A page of samples, of which one more than `limit` was asked for."""
    following = encode_cursor("samples", found[limit - 1].id) if len(found) > limit else None
    return Items[SampleView](items=found[:limit], next=following)
