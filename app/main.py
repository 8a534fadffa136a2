"""The API's root: `uvicorn --factory app.main:create_app`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from app.api.application import Api
from app.api.context import ApiContext
from app.runtime import open_runtime
from app.settings import Settings
from app.telemetry import configure_logs
from app.web.router import install as install_pages

log = structlog.get_logger(__name__)

#: Seconds that a request waits for one answer of the database. Workers wait for as long as their statements take.
PATIENCE = 15.0


def create_app(settings: Settings | None = None) -> Api:
    """The application over `settings` (None: the environment). It opens nothing before its lifespan begins."""
    chosen = settings or Settings.from_environment(os.environ)
    configure_logs(chosen.log_format)
    for warning in chosen.warnings:
        log.warning("settings.ignored", detail=warning)

    @asynccontextmanager
    async def open_context() -> AsyncIterator[ApiContext]:
        async with open_runtime(chosen, patience=PATIENCE) as runtime:
            yield ApiContext(services=runtime.services, seal=runtime.seal)

    return Api(open_context, install_pages)
