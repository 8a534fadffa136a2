"""What the door did not take, by connection: counted in memory, and written when the store is there to write to.

A sender that never retries (GitHub) has lost such a delivery until it is sent again: the connection says which, and
when. A crash loses the counts since the last write, never a delivery.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import structlog

from app.store.database import Database
from app.store.delivery_summary import Refused, add_refusals

log = structlog.get_logger(__name__)

#: Seconds between two writes.
PAUSE = 5.0
_MOST = 1_000
_LAST_WRITE = 1.0


class Refusals:
    """Counts refused requests and writes the counts every few seconds. One per process."""

    def __init__(self, database: Database, clock: Callable[[], datetime], *, pause: float = PAUSE) -> None:
        self._database = database
        self._clock = clock
        self._pause = pause
        self._counted: dict[tuple[int, str], Refused] = {}
        self._writing: asyncio.Task[None] | None = None
        self._closed = False

    def note(self, connection_id: int, code: str) -> None:
        """A request of a connection was refused for this reason."""
        now = self._clock()
        kept = self._counted.get((connection_id, code))
        if kept is None and len(self._counted) >= _MOST:
            return
        first = now if kept is None else kept.first_at
        self._counted[connection_id, code] = Refused(1 if kept is None else kept.count + 1, first, now)
        if not self._closed and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_later())

    async def write(self) -> bool:
        """Write what was counted; whether that went well, or is to be tried again."""
        counted, self._counted = self._counted, {}
        if not counted:
            return True
        try:
            async with self._database.writing() as session:
                await add_refusals(session, counted)
        except Exception as error:
            log.warning("refusals.not_written", error=type(error).__name__)
            for key, item in counted.items():
                later = self._counted.get(key)
                self._counted[key] = (
                    item if later is None else Refused(item.count + later.count, item.first_at, later.last_at)
                )
            return False
        return True

    async def close(self) -> None:
        """Write the rest, once."""
        self._closed = True
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITE):
                await self.write()

    async def _write_later(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            if await self.write() and not self._counted:
                return
