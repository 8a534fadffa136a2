"""The durable write behind a webhook's 202: concurrent deliveries share one commit, and memory is bounded.

One batch is in flight at a time; what arrives meanwhile forms the next. Where a commit takes its time (a disk's), those
that were answered by the last one are waited for before the next one begins, as they come again at once under load:
else half of them would wait while the other half is written, and a commit would carry half as many. An answer is given
after the commit, never before. The queue to the workers has no part in it: it is rung once a commit.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from app.store.database import Database, is_unavailable, why_unavailable
from app.store.deliveries import NewDelivery, Stored
from app.store.delivery_log import delivery_log

log = structlog.get_logger(__name__)

#: Deliveries that may wait for a commit at once; beyond it the door answers 503 with Retry-After.
MAX_WAITING = 2_000
#: Bytes of bodies that may.
MAX_WAITING_BYTES = 64 * 1024 * 1024
#: Rows in one multi-row INSERT.
MAX_BATCH = 128
#: Seconds after which a commit that fails has kept those in line waiting long enough.
SLOW = 1.0
#: The part of the time that the last commit took which is waited for company, and the seconds, at the most.
_LINGER, _LONGEST = 0.3, 0.01
#: Seconds below which a commit, or each of its rows, is too short for that: it is not the disk that takes the time.
_SHORT, _SHORT_ROW = 0.001, 0.0001


class StoreBusyError(Exception):
    """Too many deliveries wait already: the sender is to try again in a moment."""


class StoreAwayError(Exception):
    """The database is away, full or restarting: nothing was stored."""


#: Called once with what became of a delivery, never before its commit.
Answer: TypeAlias = Callable[[Stored | Exception], None]


@dataclass(slots=True)
class _Waiting:
    delivery: NewDelivery
    answer: Answer


async def _silence() -> None:
    return


class DeliveryWriter:
    """Stores deliveries durably by group commit. One per process, on that process's event loop.

    `bell` is rung after each commit that stored something new.
    """

    def __init__(
        self,
        database: Database,
        *,
        max_waiting: int = MAX_WAITING,
        max_bytes: int = MAX_WAITING_BYTES,
        bell: Callable[[], Awaitable[None]] = _silence,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = delivery_log(database)
        self._timer = timer
        self._bell = bell
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None
        self._closed = False
        self._hangs = False
        self._took = self._took_each = self._ended = 0.0
        self._expected = 0
        self._is_company = asyncio.Event()

    def submit(self, delivery: NewDelivery, answer: Answer) -> None:
        """Put `delivery` in line. `answer` is called with what was stored once it is committed, or with the error:
        StoreAwayError where the commit failed for want of a store. Raises StoreBusyError at the bound, StoreAwayError
        while a store that hangs is waited for."""
        size = len(delivery.body)
        if self._closed or len(self._waiting) >= self._max_waiting or self._bytes + size > self._max_bytes:
            raise StoreBusyError
        if self._hangs and self._flushing is not None and not self._flushing.done():
            raise StoreAwayError  # one batch at a time asks whether it goes on
        self._waiting.append(_Waiting(delivery, answer))
        self._bytes += size
        if len(self._waiting) == self._expected:
            self._is_company.set()
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def store(self, delivery: NewDelivery) -> Stored:
        """Return once `delivery` is committed; raises what `submit` raises or answers."""
        stored: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()

        def answer(outcome: Stored | Exception) -> None:
            if stored.done():  # whoever asked has gone
                return
            if isinstance(outcome, Exception):
                stored.set_exception(outcome)
            else:
                stored.set_result(outcome)

        self.submit(delivery, answer)
        return await stored

    async def close(self) -> None:
        """Commit what waits and take no more."""
        self._closed = True
        self._is_company.set()
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
        await self._log.close()

    async def _flush(self) -> None:
        while self._waiting:
            await self._company()
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            # In one order whoever writes, so that two processes never wait for each other's keys.
            batch.sort(key=lambda waiting: (waiting.delivery.connection_id, waiting.delivery.dedupe_key))
            began = self._timer()
            error = await self._store(batch)
            self._ended = self._timer()
            self._took = self._ended - began
            self._took_each = self._took / len(batch)
            self._hangs = error is not None and is_unavailable(error) and self._took > SLOW
            # Whom it answered comes again, beside those who wait already.
            self._expected = len(batch) + len(self._waiting) if error is None else 0
            if error is None:
                continue
            if self._hangs:
                # Batch after batch would wait as long; the senders are told now, and try again.
                batch, self._waiting = batch + self._waiting, []
            if len(batch) > 1 and not is_unavailable(error):
                # The database refuses one of them (its connection was just deleted): the others are not to blame.
                for waiting in batch:
                    alone = await self._store([waiting])
                    self._fail([waiting], alone)
            else:
                self._fail(batch, error)

    async def _company(self) -> None:
        """Wait until as many are there as are expected after the last commit, but no longer than it is worth."""
        expected, self._expected = min(self._expected, MAX_BATCH), 0
        is_over = self._timer() - self._ended > self._took  # whoever comes again does so at once
        is_short = self._took < _SHORT or self._took_each < _SHORT_ROW
        if is_over or is_short or expected < 2 or len(self._waiting) >= expected or self._closed:
            return
        self._expected = expected
        self._is_company.clear()
        try:
            async with asyncio.timeout(min(self._took * _LINGER, _LONGEST)):
                await self._is_company.wait()
        except TimeoutError:
            pass
        finally:
            self._expected = 0

    async def _store(self, batch: list[_Waiting]) -> Exception | None:
        """Commit a batch and answer it; the error where nothing of it was stored."""
        try:
            stored = await self._log.append([waiting.delivery for waiting in batch])
        except Exception as error:
            return error
        self._answer(batch, stored)
        if any(outcome.is_new for outcome in stored):
            await self._ring()
        return None

    def _fail(self, batch: list[_Waiting], error: Exception | None) -> None:
        if error is None:
            return
        if is_unavailable(error):
            log.warning("delivery.store_away", deliveries=len(batch), reason=why_unavailable(error))
            error = StoreAwayError()
        self._answer(batch, [error] * len(batch))

    def _answer(self, batch: list[_Waiting], outcomes: Sequence[Stored | Exception]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            self._bytes -= len(waiting.delivery.body)
            try:
                waiting.answer(outcome)
            except Exception as error:  # the others are to be answered all the same
                log.error("delivery.not_answered", exc_info=error)

    async def _ring(self) -> None:
        try:
            await self._bell()
        except Exception as error:  # they are stored; a sweep finds them without the bell
            log.warning("hook.bell_failed", error=type(error).__name__)
