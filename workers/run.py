"""Starting a worker: the one place outside `workers.main` that knows what runs it."""

import os
import time
from typing import cast

import structlog
from arq.typing import WorkerSettingsBase
from arq.worker import run_worker

from app.queue import QUEUE_ERRORS, redis_settings
from app.settings import Settings
from workers.main import WorkerSettings

log = structlog.get_logger(__name__)


def run(settings: Settings | None = None) -> None:
    """Work until SIGTERM or SIGINT. Redis away is waited for: what there is to do is in the database."""
    settings = settings or Settings.from_environment(os.environ)
    while True:
        try:
            run_worker(
                cast("type[WorkerSettingsBase]", WorkerSettings),
                redis_settings=redis_settings(settings.redis_url),
                ctx={"settings": settings},
                handle_signals=True,
            )
        except QUEUE_ERRORS as error:
            log.warning("worker.queue_away", error=type(error).__name__)
            time.sleep(1)
            continue
        return
