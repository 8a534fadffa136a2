"""How long a caller waits for a database that keeps its connections open and says nothing."""

import asyncio
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

_OPTION = "krsync_patience"


class Patience:
    """A block that ends with TimeoutError where one answer of the database takes longer than `seconds` (None: never).

    What is done between the answers, and however many are asked for, counts for nothing. A connection that is left
    without an answer is closed, so a statement may have been carried out.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        if self._seconds is not None:
            await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seconds is not None:
            await self._limit.__aexit__(kind, error, trace)

    def wait(self) -> None:
        """From now on the database is to answer."""
        if self._seconds is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)

    def answered(self) -> None:
        """It has."""
        if self._seconds is not None and not self._limit.expired():
            self._limit.reschedule(None)

    async def connect(self, session: AsyncSession, **options: Any) -> None:
        """Get the session its connection, with execution options; each of its statements is waited for so long."""
        self.wait()
        await session.connection(execution_options={_OPTION: self, **options})
        self.answered()


def keep_patience(engine: AsyncEngine) -> None:
    """Let the statements of this engine's sessions say when they are sent and when they are answered."""

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _sent(connection: Connection, *_: object) -> None:
        patience = connection.get_execution_options().get(_OPTION)
        if patience is not None:
            patience.wait()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def _answered(connection: Connection, *_: object) -> None:
        patience = connection.get_execution_options().get(_OPTION)
        if patience is not None:
            patience.answered()

    @event.listens_for(engine.sync_engine, "handle_error")
    def _refused(context: ExceptionContext) -> None:
        if context.connection is not None:
            _answered(context.connection)
