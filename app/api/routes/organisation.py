"""The organisation: what holds for every team."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.api.access import Admin, Hidden, Reader
from app.api.answers import IF_MATCH, answer, if_match, result
from app.api.body import YAML_TYPES, DocumentBody, raw_body
from app.api.context import Context
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.domain.language import OrganisationFile
from app.errors import Forbidden
from app.services.organisation_file import apply_organisation, get_organisation, plan_organisation
from app.services.tokens import Principal
from app.services.views.organisation import OrganisationPlanView, OrganisationView

router = APIRouter(prefix="/organisation", tags=["organisation"])

_MEDIA = ("application/json", YAML_TYPES[0])
_FILE: dict[str, Any] = {
    "version": 1,
    "name": "Acme",
    "fiscal_year_start": 4,
    "timezone": "Europe/Berlin",
    "cycles": {"migration": {"start": "2026-09-01", "end": "2026-12-01"}},
    "teams": {"company": None, "operations": "company"},
    "presets": {"strict": {"on_track": 1, "behind": "0.9"}},
    "preset": "default",
}
_ORGANISATION: dict[str, Any] = {key: value for key, value in _FILE.items() if key != "version"} | {
    "version": 3,
    "updated_at": "2026-11-22T09:30:00Z",
    "updated_by": "token:dana",
}
_PLAN: dict[str, Any] = {
    "is_applied": False,
    "fields": ["fiscal_year_start"],
    "teams": ["operations"],
    "cycles": [
        {
            "id": "operations/2026-Q4",
            "start_before": "2026-09-30T22:00:00Z",
            "end_before": "2026-12-31T23:00:00Z",
            "start_after": "2026-12-31T23:00:00Z",
            "end_after": "2027-03-31T22:00:00Z",
        }
    ],
    "version": 4,
}


@router.get(
    "",
    summary="Read the organisation's settings",
    response_model=OrganisationView,
    responses={200: shows(_ORGANISATION), 304: {"description": "Unchanged."}, **errors()},
)
async def get(request: Request, context: Context, principal: Reader, hidden: Hidden) -> Response:
    """Fiscal year, named cycles, the tree of teams, default timezone and presets; version 0 before any were set."""
    async with context.services.database.reading() as session:
        view = await get_organisation(session, hidden=hidden)
    return answer(request, view, version=view.version or None)


@router.put(
    "",
    summary="Set what holds for every team",
    response_model=OrganisationPlanView,
    responses={
        200: shows(_PLAN | {"is_applied": True}, description="What it changed."),
        **errors(409, 412, body=True),
    },
    openapi_extra={**request_body(OrganisationFile, _FILE, media_types=_MEDIA), "parameters": [IF_MATCH]},
)
async def put(request: Request, context: Context, principal: Admin, body: DocumentBody) -> Response:
    """`organisation.yaml`, whole. Every team takes it over in the same transaction; cycles that are closed stay where
    they are. Needs `admin`."""
    _everywhere(principal)
    version = if_match(request)
    return result(await apply_organisation(context.services, body, actor=principal.actor, if_match=version))


@router.post(
    "/plan",
    summary="See what the organisation's file would change",
    response_model=OrganisationPlanView,
    responses={200: shows(_PLAN, description="What setting it would do."), **errors(409, body=True)},
    openapi_extra={
        **request_body(OrganisationFile, _FILE, media_types=_MEDIA),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def plan(request: Request, context: Context, principal: Admin, body: DocumentBody) -> Response:
    """Fields, teams and cycles that move. Nothing is kept. Needs `admin`."""
    _everywhere(principal)

    async def act() -> Response:
        return result(await plan_organisation(context.services, body, actor=principal.actor))

    return await once(context, request, principal, await raw_body(request), act)


def _everywhere(principal: Principal) -> None:
    if principal.team is not None:
        raise Forbidden("It needs a token for every team.")
