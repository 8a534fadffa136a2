"""What teams are told: the outbox, sending again, and what would be told now."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from app.api.access import Hidden, Reader, Writer, narrowed
from app.api.answers import Items, answer, result
from app.api.body import NoBody
from app.api.context import Context
from app.api.examples import page
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, shows
from app.api.parameters import IdPath, NameText, StrictQuery, TeamPageQuery
from app.errors import NotFound
from app.services.notify.notices import notice_views, preview, replay_notice
from app.services.paging import decode_id, encode_cursor
from app.services.views.notices import NoticeView, PreviewView

router = APIRouter(tags=["notifications"])

_NOTICE: dict[str, Any] = {
    "id": 12,
    "message_id": "msg_4be1f0a5c1d94f55a3f9d2a4c8f1c0de",
    "team": "operations",
    "kind": "key_result.changed",
    "subject": "operations/onboarding_time",
    "at": "2026-11-22T09:30:00Z",
    "summary": "Onboarding time: on track → at risk",
    "resolves": None,
    "channels": [
        {
            "channel": "slack",
            "state": "sent",
            "failures": 0,
            "next_attempt_at": None,
            "sent_at": "2026-11-22T09:30:01Z",
            "error_code": None,
            "error": None,
        }
    ],
    "data": {"before": {"word": "on_track", "broken": []}, "after": {"word": "at_risk", "broken": []}},
}
_PREVIEW: dict[str, Any] = {
    "team": "operations",
    "destinations": {"slack": "Slack, the webhook of env:SLACK_WEBHOOK"},
    "quiet_until": None,
    "changes": [
        {
            "key_result": "operations/onboarding_time",
            "summary": "Onboarding time: on track → at risk",
            "lines": ["operations/onboarding_time, since 2026-11-22 10:30 CET."],
            "told_at": "2026-11-22T09:35:00Z",
        }
    ],
    "digest": None,
    "waiting": 0,
}


class NotificationsQuery(TeamPageQuery):
    """Which notices."""

    state: Literal["waiting", "sent", "dead"] | None = None


class PreviewQuery(StrictQuery):
    """Whose preview."""

    team: NameText | None = None


@router.get(
    "/notifications",
    summary="List notifications",
    response_model=Items[NoticeView],
    responses={200: shows(page(_NOTICE)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_notifications(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[NotificationsQuery, Query()]
) -> Response:
    """What teams were told, newest first, and what became of it in each channel; `state=dead` lists what could not be
    sent."""
    async with context.services.database.reading() as session:
        found = await notice_views(
            session,
            team=narrowed(principal, query.team),
            state=query.state,
            before=decode_id("notifications", query.after),
            hidden=hidden,
            limit=query.limit + 1,
        )
    cursor = encode_cursor("notifications", found[query.limit - 1].id) if len(found) > query.limit else None
    return answer(request, Items[NoticeView](items=found[: query.limit], next=cursor))


@router.get(
    "/notifications/preview",
    summary="Preview notifications",
    response_model=Items[PreviewView],
    responses={200: shows(page(_PREVIEW)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_preview(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[PreviewQuery, Query()]
) -> Response:
    """What each team would be told now, when and where, and its next digest in words. Nothing is sent."""
    async with context.services.database.reading() as session:
        items = await preview(session, now=context.clock(), team=narrowed(principal, query.team), hidden=hidden)
    return answer(request, Items[PreviewView](items=items, next=None))


@router.post(
    "/notifications/{id}/replay",
    summary="Send a notification again",
    status_code=202,
    response_model=NoticeView,
    responses={202: shows(_NOTICE, description="It is on its way again."), **errors(404, 409, body=True)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def post_replay(request: Request, context: Context, principal: Writer, id: IdPath, body: NoBody) -> Response:
    """Through every channel that the team is told by now, under the same message id: who has it already takes it no
    second time. Needs `write`."""

    async def act() -> Response:
        async with context.services.database.reading() as session:
            seen = await notice_views(session, team=principal.team, notice_id=id, hidden=principal.hidden, limit=1)
        if not seen:
            raise NotFound
        return result(await replay_notice(context.services, id, actor=principal.actor), status=202)

    return await once(context, request, principal, body, act)
