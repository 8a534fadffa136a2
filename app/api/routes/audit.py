"""The audit log: who changed what, when, from what to what, and why."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.access import Admin, narrowed
from app.api.answers import Items, answer, answer_bytes
from app.api.context import Context
from app.api.openapi import errors, shows
from app.api.parameters import Moment, TeamPageQuery, Words
from app.services.audit import AuditFilter, export_audit, list_audit
from app.services.views import AuditView

router = APIRouter(prefix="/audit", tags=["audit"])

CSV = "text/csv; charset=utf-8"
_ENTRY = {
    "id": 311,
    "at": "2026-11-22T09:30:00Z",
    "actor": "token:dana",
    "action": "update",
    "kind": "metric",
    "object": "operations/onboarding_days",
    "before": {"min_samples": 3},
    "after": {"min_samples": 5},
    "reason": "Three samples jump too much",
}
_Word = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]


class AuditQuery(TeamPageQuery):
    """Filters of the audit log; all that are given hold."""

    kind: Annotated[_Word | None, Field(description="What was changed: `metric`, `key_result`, `token`, …")] = None
    object: Annotated[Words | None, Field(description="The object's id: `team/name`, or a team.")] = None
    actor: Annotated[Words | None, Field(description="Who: `token:dana`.")] = None
    action: Annotated[_Word | None, Field(description="`create`, `update`, `delete`, `assert`, `check_in`, …")] = None
    since: Annotated[Moment | None, Field(description="From this moment on.")] = None
    until: Annotated[Moment | None, Field(description="Until just before this moment.")] = None
    format: Annotated[
        Literal["json", "csv"],
        Field(description="`csv` gives all that matches at once, the newest 20 000 entries at most."),
    ] = "json"


@router.get(
    "",
    summary="Read who changed what, and why",
    response_model=Items[AuditView],
    responses={
        200: {
            "description": "As asked.",
            "content": {
                **shows({"items": [_ENTRY], "next": None})["content"],
                "text/csv": {"example": "id,at,actor,action,kind,object,before,after,reason\r\n"},
            },
        },
        304: {"description": "Unchanged."},
        **errors(),
    },
)
async def get_audit(
    request: Request, context: Context, principal: Admin, query: Annotated[AuditQuery, Query()]
) -> Response:
    """Newest first. The reason is what the change was sent with: `X-KRSync-Reason`, or the note of the operation
    itself. Needs `admin`; a team's admin sees its team's entries."""
    wanted = AuditFilter(
        team=narrowed(principal, query.team),
        kind=query.kind,
        object_id=query.object,
        actor=query.actor,
        action=query.action,
        since=query.since,
        until=query.until,
    )
    if query.format == "csv":
        content = await export_audit(context.services.database, wanted, after=query.after)
        response = answer_bytes(request, content, media_type=CSV)
        response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
        return response
    items, following = await list_audit(context.services.database, wanted, after=query.after, limit=query.limit)
    return answer(request, Items[AuditView](items=items, next=following))
