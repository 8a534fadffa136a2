"""The queue is a doorbell: job names and typed `ring`s. The database owns what there is to do and when.

A ring that can not be delivered is logged and dropped: the workers' sweep finds the work in the database.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

QUEUE = "krsync"
JOB_DELIVERIES = "apply_deliveries"
JOB_PULL = "pull"
JOB_BUILD = "build_revisions"
CHANGES = "krsync:changes"

#: What can go wrong between us and Redis, and is never worth failing a request for.
QUEUE_ERRORS = (RedisError, ConnectionError, OSError, asyncio.TimeoutError)

_LINGER_OF_CHANGES = 0.005


def encode_job(job: dict[str, Any]) -> bytes:
    """arq's job as JSON: its default, pickle, would run whatever lies in Redis."""
    return msgspec.json.encode(job)


def decode_job(data: bytes) -> dict[str, Any]:
    job: dict[str, Any] = msgspec.json.decode(data)
    return job


def redis_settings(url: str) -> RedisSettings:
    """arq's settings for a `redis://`, `rediss://` or `unix://` URL."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 2
    settings.conn_retries = 1
    settings.conn_retry_delay = 0
    settings.retry_on_error = [ConnectionError, OSError]
    settings.retry_on_timeout = True
    return settings


class Doorbell:
    """Rings the workers. Connects on first use and again after a loss.

    Rings for deliveries are coalesced: the first one after a quiet while goes out after `linger_seconds`, and while
    deliveries keep coming there is one in `gap_seconds`: a ring costs as much as storing dozens of them.
    """

    def __init__(self, redis_url: str, *, linger_seconds: float = 0.02, gap_seconds: float = 0.1) -> None:
        self._url = redis_url
        self._linger = linger_seconds
        self._gap = gap_seconds
        self._rung_at = -gap_seconds
        self._pool: ArqRedis | None = None
        self._connecting = asyncio.Lock()
        self._ringing: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    async def deliveries(self) -> None:
        """Stored deliveries wait: one ring a moment, however many requests ask for it."""
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring_soon(JOB_DELIVERIES))

    async def pull(self, plan_id: int, fence: int) -> None:
        """A claimed plan is to be pulled under that fencing token."""
        await self._ring(JOB_PULL, plan_id, fence)

    async def build(self) -> None:
        """New metric revisions are to be built."""
        await self._ring(JOB_BUILD)

    async def changed(self) -> None:
        """Something that readers see has changed: whoever listens looks into the database. Coalesced."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def changes(self) -> AsyncIterator[None]:
        """An item for each bell that says so, for ever; one also after every loss of Redis, when some may be missed."""
        while True:
            try:
                pool = await self._connected()
                async with pool.pubsub(ignore_subscribe_messages=True) as listening:
                    await listening.subscribe(CHANGES)
                    yield
                    while True:
                        if await listening.get_message(timeout=30) is not None:
                            yield
            except QUEUE_ERRORS as error:
                log.warning("queue.deaf", error=type(error).__name__)
                await asyncio.sleep(1)

    async def _tell(self) -> None:
        await asyncio.sleep(_LINGER_OF_CHANGES)
        try:
            async with asyncio.timeout(2):
                pool = await self._connected()
                await pool.publish(CHANGES, b"")
        except QUEUE_ERRORS as error:
            log.warning("queue.unreachable", job="changed", error=type(error).__name__)

    async def close(self) -> None:
        waiting = [task for task in (self._ringing, self._telling) if task is not None]
        await asyncio.gather(*waiting, return_exceptions=True)
        if self._pool is not None:
            await self._pool.aclose()

    async def _ring_soon(self, job: str) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(self._linger, self._rung_at + self._gap - loop.time()))
        self._rung_at = loop.time()
        await self._ring(job)

    async def _ring(self, job: str, *arguments: int) -> None:
        try:
            async with asyncio.timeout(2):
                pool = await self._connected()
                await pool.enqueue_job(job, *arguments, _queue_name=QUEUE)
        except QUEUE_ERRORS as error:
            log.warning("queue.unreachable", job=job, error=type(error).__name__)

    async def _connected(self) -> ArqRedis:
        async with self._connecting:
            if self._pool is None:
                self._pool = await create_pool(
                    redis_settings(self._url), job_serializer=encode_job, job_deserializer=decode_job
                )
            return self._pool
