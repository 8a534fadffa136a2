"""The service itself: liveness, readiness, telemetry and its documents."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.api.access import Reader
from app.api.answers import answer_bytes
from app.api.context import Context
from app.api.docs import documentation
from app.api.gauges import key_result_gauges
from app.api.openapi import document_bytes, errors, problem, shows
from app.api.routes import badges
from app.errors import Forbidden, StoreUnavailable
from app.store.ready import is_ready
from app.telemetry import OPENMETRICS, Telemetry

router = APIRouter(tags=["service"])
router.include_router(badges.router)

HTML = "text/html; charset=utf-8"


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Is the process alive?", responses={200: shows({"status": "ok"})})
async def healthz() -> Health:
    """Open to everybody. It asks nothing of the database: a process need not be restarted for that."""
    return Health()


@router.get("/readyz", summary="Can requests be served?", responses={200: shows({"status": "ok"}), 503: problem(503)})
async def readyz(context: Context) -> Health:
    """Open to everybody. 503 while the database is away or not migrated. Redis is not asked: nothing waits for it."""
    if not await is_ready(context.services.database):
        raise StoreUnavailable("The database is away, or not migrated yet.")
    return Health()


@router.get(
    "/metrics",
    summary="Telemetry and key results for Prometheus",
    response_class=Response,
    responses={
        200: shows(
            'krsync_key_result_progress{team="operations",name="onboarding_time",cycle="2026-Q4"} 0.63\n# EOF\n',
            description="OpenMetrics text.",
            media_type="application/openmetrics-text",
        ),
        **errors(),
    },
)
async def metrics(request: Request, context: Context, principal: Reader) -> Response:
    """Needs `read` for every team: what is counted here is not told apart by team. Give Prometheus the token as a
    bearer credential."""
    if principal.team is not None:
        raise Forbidden("It needs a token for every team.")
    telemetry: Telemetry = request.app.state.telemetry
    gauges = await key_result_gauges(context, principal.hidden)
    return Response(gauges + telemetry.exposition(), media_type=OPENMETRICS, headers={"Cache-Control": "no-store"})


@router.get("/openapi.json", include_in_schema=False)
async def openapi_document(request: Request) -> Response:
    """The OpenAPI document."""
    return answer_bytes(request, document_bytes(request.app))


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The OpenAPI document as a page of its own: no script, nothing from elsewhere."""
    return answer_bytes(request, documentation(request.app.openapi()), media_type=HTML)
