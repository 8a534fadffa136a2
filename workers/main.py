"""The worker: arq runs these jobs; the database says what there is to do. `workers.run` starts it."""

import os
import socket
import uuid
from typing import Any

import structlog
from arq.cron import cron
from arq.typing import WorkerCoroutine
from arq.worker import func

from app.collector import settle
from app.queue import JOB_BUILD, JOB_DELIVERIES, JOB_PULL, QUEUE, decode_job, encode_job
from app.runtime import open_runtime
from app.settings import Settings
from app.telemetry import configure_logs
from workers.build import build_revisions
from workers.deliveries import apply_deliveries
from workers.pull import pull
from workers.retention import drop_old_deliveries
from workers.schedule import Errands, tick

log = structlog.get_logger(__name__)

#: Longer than the longest run: arq's own timeout must never be what ends one.
JOB_TIMEOUT_SECONDS = 2_000


async def startup(context: dict[str, Any]) -> None:
    """Open what the jobs need, once per process."""
    settings: Settings = context["settings"]
    configure_logs(settings.log_format)
    runtime = open_runtime(settings)
    context["services"] = (await runtime.__aenter__()).services
    context["close"] = runtime.__aexit__
    context["owner"] = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    context["errands"] = Errands()
    settle()
    log.info("worker.started", owner=context["owner"])


async def shutdown(context: dict[str, Any]) -> None:
    """Close it, once."""
    if close := context.pop("close", None):
        await close(None, None, None)
        log.info("worker.stopped")


def _job(coroutine: Any) -> WorkerCoroutine:
    """arq's type for a job names its parameters otherwise than ours do."""
    job: WorkerCoroutine = coroutine
    return job


class WorkerSettings:
    """arq reads these. The database retries, not arq: a job that fails is found again by the tick."""

    functions = (
        func(_job(apply_deliveries), name=JOB_DELIVERIES),
        func(_job(pull), name=JOB_PULL),
        func(_job(build_revisions), name=JOB_BUILD),
    )
    cron_jobs = (
        # UTC only; every second, because a tick that finds nothing due costs four indexed look-ups.
        cron(_job(tick), name="tick", second=set(range(60)), run_at_startup=True, keep_result=0, max_tries=1),
        cron(_job(drop_old_deliveries), name="retention", minute={7, 27, 47}, second=0, keep_result=0, max_tries=1),
    )
    queue_name = QUEUE
    on_startup = startup
    on_shutdown = shutdown
    job_serializer = encode_job
    job_deserializer = decode_job
    keep_result = 0
    poll_delay = 0.05
    max_jobs = 50
    max_tries = 1
    retry_jobs = False
    job_timeout = JOB_TIMEOUT_SECONDS
    health_check_interval = 30
