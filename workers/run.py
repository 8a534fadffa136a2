"""Starting a worker: the one place outside `workers.main` that knows what runs it."""

import asyncio
import os
import time
from typing import Any, cast

import structlog
from arq.typing import WorkerSettingsBase
from arq.worker import Worker, get_kwargs

from app.queue import QUEUE_ERRORS, redis_settings
from app.settings import Settings
from workers.main import WorkerSettings

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 1


def run(settings: Settings | None = None) -> None:
    """Work until SIGTERM or SIGINT. Redis away is waited for: what there is to do is in the database."""
    settings = settings or Settings.from_environment(os.environ)
    chosen = cast("dict[str, Any]", get_kwargs(cast("type[WorkerSettingsBase]", WorkerSettings)))
    while True:
        worker = PatientWorker(
            **chosen,
            redis_settings=redis_settings(settings.redis_url),
            ctx={"settings": settings},
            handle_signals=True,
        )
        try:
            worker.run()
        except QUEUE_ERRORS as error:  # it was not there to begin with
            log.warning("worker.queue_away", error=type(error).__name__)
            time.sleep(_PAUSE_SECONDS)
            continue
        return


class PatientWorker(Worker):
    """arq's worker, made to outlive its Redis.

    By itself it ends with the first command that fails, after all that it was doing: a pull from a slow tool would keep
    every delivery waiting. This one goes on with what it does and asks the queue again.
    """

    async def _poll_iteration(self) -> None:
        try:
            await super()._poll_iteration()
        except QUEUE_ERRORS as error:
            log.warning("worker.queue_away", error=type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)
            self._give_back_slots()

    def _give_back_slots(self) -> None:
        """A job that could not be started has taken a slot of `max_jobs`, which arq frees at the end of a job only."""
        at_work = sum(not task.done() for task in self.tasks.values())
        for _ in range(self.job_counter - at_work):
            self._release_sem_dec_counter_on_complete()

    async def close(self) -> None:
        """As arq's: what is open is closed, whatever became of the jobs and of Redis."""
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self.tasks.clear()  # arq would raise what they raised, and close nothing
        try:
            await super().close()
        except QUEUE_ERRORS as error:
            log.warning("worker.queue_away", error=type(error).__name__)
            if self.on_shutdown is not None:
                await self.on_shutdown(self.ctx)
