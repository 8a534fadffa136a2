"""Cycles: which there are, closing and reopening one, and grading what it ended with."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field, StrictBool

from app.api.access import Admin, Hidden, Reader, Writer, narrowed
from app.api.answers import Items, answer, result
from app.api.body import JsonBody, raw_body, validated
from app.api.context import Context
from app.api.examples import page
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import CycleText, ObjectName, TeamName, TeamPageQuery
from app.domain.grade import Outcome
from app.domain.language import Model
from app.domain.scalars import Number, Text
from app.errors import NotFound
from app.services.close import close_cycle, override_grade, reopen_cycle
from app.services.cycles import get_cycle, list_cycles
from app.services.paging import decode_cursor, encode_cursor
from app.services.views import GradeView, TeamCycleView

router = APIRouter(prefix="/cycles", tags=["cycles"])

CyclePath = Annotated[CycleText, Path(description="The cycle's name.", examples=["2026-Q4"])]
_CYCLE: dict[str, Any] = {
    "id": "operations/2026-Q3",
    "team": "operations",
    "name": "2026-Q3",
    "start": "2026-07-01",
    "end": "2026-10-01",
    "state": "closed",
    "objectives": 1,
    "key_results": 1,
    "is_current": False,
    "closed_at": "2026-10-02T08:00:00Z",
    "closed_by": "token:dana",
    "note": None,
    "digest": "sha256:9f2c",
    "reopened_at": None,
    "reopened_by": None,
    "reopened_because": None,
    "sealed_objectives": None,
    "sealed_key_results": None,
}
_RECOMMENDED: dict[str, Any] = {"outcome": "scored", "score": "0.63", "is_good": False, "reason": None, "breaches": []}
_GRADE: dict[str, Any] = {
    "outcome": "scored",
    "score": "0.70",
    "recommended": _RECOMMENDED,
    "override": {
        "outcome": "scored",
        "score": "0.70",
        "note": "Two of the late ones were ours to wait for",
        "by": "token:dana",
        "at": "2026-10-02T09:00:00Z",
    },
}
_GRADED: dict[str, Any] = {
    "id": "operations/onboarding_time",
    "objective": "operations/fast_start",
    "title": "Onboarding time",
    "value": "8.7",
    "progress": 0.63,
    "status": "missed",
    "grade": _GRADE,
    "restatements": [
        {
            "cycle": "2026-Q3",
            "at": "2026-10-05T07:00:00Z",
            "value_before": "8.7",
            "value_now": "8.8",
            "reason": "late data: 1 record entered",
        }
    ],
}
_SEALED: dict[str, Any] = _CYCLE | {
    "sealed_objectives": [
        {
            "id": "operations/fast_start",
            "title": "Scale internal infrastructure",
            "progress": 0.63,
            "status": "missed",
            "coverage": 1.0,
            "score": "0.63",
        }
    ],
    "sealed_key_results": [_GRADED],
}


class CyclesQuery(TeamPageQuery):
    """A page of cycles: of one team, of one name."""

    cycle: CycleText | None = None


class Closing(Model):
    """How a cycle is closed. `early`: before its end, which needs the reason."""

    early: StrictBool = False
    reason: Text | None = None


class Reopening(Model):
    """Why a closed cycle is opened again."""

    reason: Text


class Grading(Model):
    """A grade in a person's judgement: 0.0 to 1.0, and why it differs from what the data says."""

    score: Annotated[Number, Field(ge=0, le=1)]
    note: Text
    outcome: Outcome = "scored"


@router.get(
    "",
    summary="List cycles",
    response_model=Items[TeamCycleView],
    responses={200: shows(page(_CYCLE)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_list(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[CyclesQuery, Query()]
) -> Response:
    """Every cycle that a team has objectives in, by team and name, and where it stands."""
    place = None if query.after is None else decode_cursor("cycles", query.after, str, str)
    async with context.services.database.reading() as session:
        items, following = await list_cycles(
            session,
            now=context.clock(),
            team=narrowed(principal, query.team),
            cycle=query.cycle,
            after=None if place is None else (str(place[0]), str(place[1])),
            limit=query.limit,
            hidden=hidden,
        )
    cursor = None if following is None else encode_cursor("cycles", *following)
    return answer(request, Items[TeamCycleView](items=items, next=cursor))


@router.get(
    "/{team}/{cycle}",
    summary="Read a cycle",
    response_model=TeamCycleView,
    responses={200: shows(_SEALED), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_one(request: Request, context: Context, principal: Reader, team: TeamName, cycle: CyclePath) -> Response:
    """A closed one has its sealed objectives, and its key results with their grades and restatements."""
    async with context.services.database.reading() as session:
        view = await get_cycle(session, team, cycle, now=context.clock())
    if view is None:
        raise NotFound
    return answer(request, view)


@router.post(
    "/{team}/{cycle}/close",
    summary="Close a cycle",
    response_model=TeamCycleView,
    responses={200: shows(_SEALED, description="It is closed."), **errors(404, 409, body=True)},
    openapi_extra={**request_body(Closing, {}), "parameters": [IDEMPOTENCY_KEY]},
)
async def close(
    request: Request, context: Context, principal: Writer, team: TeamName, cycle: CyclePath, body: JsonBody
) -> Response:
    """Seals every key result's value, evidence and recommended grade under one digest; later changes are shown as
    restatements. Refused before the cycle's end without `early` and a reason. A closed one stays as it is. Needs
    `write`."""
    given = validated(Closing, body)

    async def act() -> Response:
        await close_cycle(context.services, team, cycle, actor=principal.actor, note=given.reason, early=given.early)
        return await _shown(context, team, cycle)

    return await once(context, request, principal, await raw_body(request), act)


@router.post(
    "/{team}/{cycle}/reopen",
    summary="Reopen a closed cycle",
    response_model=TeamCycleView,
    responses={
        200: shows(_CYCLE | {"state": "reopened"}, description="Its values move again."),
        **errors(404, 409, body=True),
    },
    openapi_extra={**request_body(Reopening, {"reason": "Two invoices were missing"}), "parameters": [IDEMPOTENCY_KEY]},
)
async def reopen(
    request: Request, context: Context, principal: Admin, team: TeamName, cycle: CyclePath, body: JsonBody
) -> Response:
    """An audited act. What was sealed is kept, and a later close seals anew. Needs `admin`."""
    given = validated(Reopening, body)

    async def act() -> Response:
        await reopen_cycle(context.services, team, cycle, actor=principal.actor, reason=given.reason)
        return await _shown(context, team, cycle)

    return await once(context, request, principal, await raw_body(request), act)


@router.put(
    "/{team}/{cycle}/grades/{name}",
    summary="Grade a key result of a closed cycle",
    response_model=GradeView,
    responses={200: shows(_GRADE), **errors(404, 409, body=True)},
    openapi_extra=request_body(Grading, {"score": "0.7", "note": "Two of the late ones were ours to wait for"}),
)
async def grade(
    context: Context,
    principal: Writer,
    team: TeamName,
    cycle: CyclePath,
    name: ObjectName,
    body: JsonBody,
) -> Response:
    """Beside the recommended grade, which is kept. Needs `write`."""
    given = validated(Grading, body)
    return result(
        await override_grade(
            context.services,
            team,
            cycle,
            name,
            score=given.score,
            outcome=given.outcome,
            note=given.note,
            actor=principal.actor,
        )
    )


async def _shown(context: Context, team: str, cycle: str) -> Response:
    async with context.services.database.reading() as session:
        view = await get_cycle(session, team, cycle, now=context.clock())
    if view is None:
        raise NotFound
    return result(view)
