"""All pages, and what stands in for them when something is wrong."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from app.errors import AppError
from app.web import alignment, assets, audit, cycles, deliveries, key_results, overview, sources, team_files
from app.web.render import HEADERS, page
from app.web.session import SignInNeeded

_HEADINGS = {
    403: ("Not allowed", "The token that is signed in may not do this."),
    404: ("Not here", "There is nothing under this address, or it belongs to a team that this token does not reach."),
    405: ("Not here", "This address does not take such a request."),
    409: ("Changed meanwhile", "Somebody else changed it. Look again, then repeat what you did."),
    422: ("Not understood", "Something in this request is not what the page expects."),
    503: ("Back in a moment", "The database is away. Nothing that was delivered is lost; try again shortly."),
}
_OTHER = ("Something went wrong", "It was noted. Try again, and look into the service's log if it stays.")
_Handler = Callable[[Request, Exception], Awaitable[Response]]


def install(app: FastAPI) -> None:
    """Put the dashboard's pages into the application, and pages in the place of problems for those who read pages."""
    pages = APIRouter()
    for module in (assets, overview, alignment, cycles, team_files, key_results, sources, deliveries, audit):
        pages.include_router(module.router)
    app.include_router(pages)

    @app.exception_handler(SignInNeeded)
    async def _sign_in(request: Request, error: SignInNeeded) -> Response:
        if request.headers.get("hx-request") == "true":
            return Response(status_code=401, headers={"HX-Redirect": error.location, **HEADERS})
        return RedirectResponse(error.location, status_code=303, headers=dict(HEADERS))

    for kind in (AppError, HTTPException):
        app.add_exception_handler(kind, _as_page(app.exception_handlers[kind]))  # type: ignore[arg-type]


def _as_page(otherwise: _Handler) -> _Handler:
    async def shown(request: Request, error: Exception) -> Response:
        if request.url.path.startswith("/v1/") or "text/html" not in request.headers.get("accept", ""):
            return await otherwise(request, error)
        status = error.status if isinstance(error, AppError) else getattr(error, "status_code", 500)
        heading, detail = _HEADINGS.get(status, _OTHER)
        if isinstance(error, AppError) and error.detail and status < 500:
            detail = error.detail
        notes = [found.detail for found in error.errors] if isinstance(error, AppError) and status < 500 else []
        now = request.app.state.context.services.clock()
        return page(request, "problem.html", now=now, status=status, heading=heading, detail=detail, notes=notes)

    return shown
