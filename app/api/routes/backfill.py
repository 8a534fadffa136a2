"""Backfill: history from before there were samples, asked for and followed."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.api.access import Reader, Writer
from app.api.answers import answer, result
from app.api.body import JsonBody, raw_body, validated
from app.api.context import Context
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import IdPath, TeamName
from app.domain.language import Model
from app.domain.scalars import LocalDate, Name
from app.errors import NotFound
from app.services.backfill_requests import get_backfill, request_backfill
from app.services.views.backfill import BackfillView

router = APIRouter(prefix="/teams", tags=["teams"])

_JOB: dict[str, Any] = {
    "id": 4,
    "team": "operations",
    "since": "2026-01-01",
    "state": "running",
    "done": 140,
    "total": 650,
    "samples": 132,
    "notes": ["operations/open_p1: no history before 2026-10-05: the tool tells of operations/open_p1 as it is today"],
    "created_at": "2026-11-22T09:30:00Z",
    "created_by": "token:dana",
    "finished_at": None,
}


class Backfill(Model):
    """Since which local day, and of which metric alone where it is not all of the team."""

    since: LocalDate
    metric: Name | None = None


@router.post(
    "/{team}/backfill",
    summary="Build history from what is kept",
    status_code=202,
    response_model=BackfillView,
    responses={202: shows(_JOB | {"state": "waiting"}, description="It will be done."), **errors(404, 409, body=True)},
    openapi_extra={
        **request_body(Backfill, {"since": "2026-01-01", "metric": "onboarding_days"}),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def post(request: Request, context: Context, principal: Writer, team: TeamName, body: JsonBody) -> Response:
    """A sample for the end of every local day, marked `reconstructed`, from the records' transitions and the stored
    deliveries; what was measured stays. The same request again is the same job while that is open. Needs `write`."""
    given = validated(Backfill, body)

    async def act() -> Response:
        job = await request_backfill(context.services, team, given.since, metric=given.metric, actor=principal.actor)
        return result(job, status=202, headers={"Location": f"/v1/teams/{team}/backfill/{job.id}"})

    return await once(context, request, principal, await raw_body(request), act)


@router.get(
    "/{team}/backfill/{id}",
    summary="Follow a backfill",
    response_model=BackfillView,
    responses={200: shows(_JOB), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get(request: Request, context: Context, principal: Reader, team: TeamName, id: IdPath) -> Response:
    """How far it has come, and what could not be told."""
    async with context.services.database.reading() as session:
        view = await get_backfill(session, team, id)
    if view is None:
        raise NotFound
    return answer(request, view)
