"""Milestones: ticking a step of a metric that is made of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import StrictBool

from app.api.access import Asserter
from app.api.answers import result
from app.api.body import JsonBody, raw_body, validated
from app.api.context import Context
from app.api.examples import SAMPLE
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import ObjectName, TeamName
from app.domain.language import Model
from app.domain.scalars import StepName, Text
from app.services.tick_milestone import tick_milestone
from app.services.views import SampleView

router = APIRouter(prefix="/metrics", tags=["metrics"])

StepPath = Annotated[StepName, Path(description="The step's name, percent-encoded.", examples=["go-live"])]


class Tick(Model):
    """Whether a step is done from now on, and what there is to say about it."""

    done: StrictBool
    note: Text | None = None


@router.post(
    "/{team}/{name}/milestones/{step}",
    summary="Tick a milestone",
    response_model=SampleView,
    responses={200: shows({**SAMPLE, "progress": None}), **errors(404, 409, body=True)},
    openapi_extra={
        **request_body(Tick, {"done": True, "note": "Signed off by the auditors"}),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def post_tick(
    request: Request,
    context: Context,
    principal: Asserter,
    team: TeamName,
    name: ObjectName,
    step: StepPath,
    body: JsonBody,
) -> Response:
    """Says from now on whether a step is done; the answer is the metric's value. What was said before is kept, and the
    same word again changes nothing. Steps that a query decides are refused. Needs `write` or `ingest`."""
    tick = validated(Tick, body)

    async def act() -> Response:
        return result(
            await tick_milestone(
                context.services, team, name, step, is_done=tick.done, note=tick.note, actor=principal.actor
            )
        )

    return await once(context, request, principal, await raw_body(request), act)
