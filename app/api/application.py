"""The API as one ASGI application: webhooks first, routes second, both ending in problem+json."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from app.api import openapi
from app.api.access import authenticated
from app.api.body import field_errors
from app.api.context import ApiContext
from app.api.fast_reads import FastReads
from app.api.front import Front
from app.api.hook_delivery import PREFIX
from app.api.hooks import HookDoor, Hooks
from app.api.live import PATH as LIVE_PATH
from app.api.live import Live, LiveDoor
from app.api.parameters import strict_query
from app.api.problem import MEDIA_TYPE, plain_error, problem_body
from app.api.reason import take_reason
from app.api.routes import (
    alignment,
    audit,
    backfill,
    check_ins,
    connections,
    cycles,
    datasets,
    deliveries,
    key_results,
    metrics,
    milestones,
    notifications,
    objectives,
    organisation,
    service,
    slack,
    teams,
    tokens,
)
from app.errors import AppError, FieldError, InvalidInput
from app.services.apply import InvalidTeamFile
from app.services.hook_directory import HookDirectory
from app.services.ingest import DeliveryWriter
from app.services.live import LiveHub
from app.services.read import Shelf
from app.services.refusals import Refusals
from app.services.team_file import pointer
from app.store.data_version import data_version
from app.telemetry import Telemetry

_DESCRIPTION = """One source of truth for key results: each with its value, its judgement, and the reason for both.

Measured quantities are decimal strings, exact; ratios are JSON numbers; moments are RFC 3339 in UTC. Errors are
`application/problem+json` with a stable `code` and pointers. Lists are pages: give `next` as `after`. Reads carry an
`ETag`; send it as `If-None-Match` to be spared what you have, and as `If-Match` to change what you have seen."""

OpenContext = Callable[[], AbstractAsyncContextManager[ApiContext]]


class Api:
    """The whole application. `routes` is the part that FastAPI serves; `install_pages` puts the dashboard into it."""

    def __init__(self, open_context: OpenContext, install_pages: Callable[[FastAPI], None] | None = None) -> None:
        self.telemetry = Telemetry()
        self.hooks = Hooks(self.telemetry)
        self.live = Live(self.telemetry)
        self.routes = self._routes(open_context)
        self.reads = FastReads(self.routes, self.telemetry)
        if install_pages is not None:
            install_pages(self.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self.hooks(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == LIVE_PATH:
            await self.live(scope, receive, send)
        else:
            await self.reads(scope, receive, send)

    def lifespan(self) -> AbstractAsyncContextManager[object]:
        """What a server does around serving: for tests, which have no server."""
        return self.routes.router.lifespan_context(self.routes)

    def _routes(self, open_context: OpenContext) -> FastAPI:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with open_context() as context:
                writer = DeliveryWriter(context.services.database, bell=context.services.queue.deliveries)
                app.state.context = context
                version = data_version(context.services.database)
                shelf = app.state.shelf = self.reads.pages.shelf = Shelf(context.services, version)
                hub = LiveHub(context.services, shelf)
                self.live.door = LiveDoor(context.services.database, hub)
                following = [asyncio.create_task(work) for work in (hub.run(), self.live.watch(), shelf.keep_ahead())]
                self.reads.clock, self.reads.version = context.services.clock, version
                refusals = Refusals(context.services.database, context.services.clock)
                self.hooks.door = HookDoor(context.services, HookDirectory(context.services), writer, refusals)
                try:
                    yield
                finally:
                    self.hooks.door = None
                    self.live.door = None
                    self.reads.version = self.reads.pages.shelf = None
                    for task in following:
                        task.cancel()
                    await asyncio.gather(*following, return_exceptions=True)
                    await writer.close()
                    await refusals.close()
                    await version.close()

        app = FastAPI(
            title="KRSync",
            version="1",
            summary="Key results at their true value.",
            description=_DESCRIPTION,
            lifespan=lifespan,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        app.state.telemetry = self.telemetry
        # Within the framework's own last resort, which would answer a crash before we see it.
        app.add_middleware(Front, telemetry=self.telemetry)
        guards = [Depends(authenticated), Depends(strict_query), Depends(take_reason)]
        v1 = APIRouter(prefix="/v1", dependencies=guards)
        for module in (
            key_results,
            check_ins,
            objectives,
            alignment,
            cycles,
            organisation,
            teams,
            backfill,
            metrics,
            milestones,
            datasets,
            connections,
            deliveries,
            notifications,
            tokens,
            audit,
        ):
            v1.include_router(module.router)
        app.include_router(v1)
        app.include_router(service.router, dependencies=[Depends(strict_query)])
        app.include_router(slack.router, dependencies=[Depends(strict_query)])
        openapi.install(app)
        _install_errors(app)
        return app


def _install_errors(app: FastAPI) -> None:
    @app.exception_handler(AppError)
    async def _known(request: Request, error: AppError) -> Response:
        return _problem(request, error)

    @app.exception_handler(InvalidTeamFile)
    async def _team_file(request: Request, error: InvalidTeamFile) -> Response:
        errors = [
            FieldError(
                pointer(problem.path),
                problem.code,
                problem.message if problem.suggestion is None else f"{problem.message} ({problem.suggestion})",
            )
            for problem in error.problems
        ]
        return _problem(request, InvalidInput(code="invalid_team_file", errors=errors))

    @app.exception_handler(RequestValidationError)
    async def _parameters(request: Request, error: RequestValidationError) -> Response:
        return _problem(request, InvalidInput(errors=[_parameter_error(item) for item in error.errors()]))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            return _problem(request, plain_error(405, Allow=_allowed(app, request.url.path)))
        return _problem(request, plain_error(error.status_code))


def _problem(request: Request, error: AppError) -> Response:
    body = problem_body(error, request.state.request_id)
    headers = {"Cache-Control": "no-store", **error.headers}
    return Response(body, status_code=error.status, media_type=MEDIA_TYPE, headers=headers)


def _parameter_error(item: dict[str, object]) -> FieldError:
    location = item["loc"]
    part, *rest = location if isinstance(location, tuple) else ("body",)
    (error,) = field_errors([{**item, "loc": tuple(rest)}])
    known = {"path": "path", "query": "query", "header": "header"}.get(str(part), "body")
    return FieldError(error.pointer, error.code, error.detail, known)  # type: ignore[arg-type]


def _allowed(app: FastAPI, path: str) -> str:
    """Every method of a path: the router alone would name those of one of its routes."""
    methods: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].fullmatch(path):
            methods |= {method.upper() for method in operations}
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))
