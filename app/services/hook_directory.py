"""Which webhook connections there are, in memory: a delivery is verified without a query.

An entry is looked up again when it is a few seconds old, so that a rotated secret or a deleted connection counts soon.
Look-ups of names that are not there are few a second, whoever asks for how many: beyond that they are not there.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.services.connect import bound_config
from app.services.context import Services
from app.store import organisation
from app.store.database import is_unavailable
from connectors.contract import Connector

#: Seconds that an entry, or its absence, is relied on.
LIFETIME = 3.0
#: Seconds after which one that is asked for is looked up again meanwhile, and between two such attempts.
_EARLY = LIFETIME / 2
#: Seconds that a caller waits for a look-up before it relies on what was known, and that a look-up may take.
PATIENCE, LONGEST = 1.0, 10.0
#: Look-ups of unknown names: so many at once, and so many a second.
BURST, RATE = 50.0, 20.0
_MOST_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Hook:
    """A connection that takes webhooks, its secrets bound."""

    connection_id: int
    connector: Connector
    config: Any


@dataclass(slots=True)
class _Entry:
    hook: Hook | None
    read_at: float
    asked_at: float


class HookDirectory:
    """Finds the connection behind `/v1/hooks/{team}/{connection}`."""

    def __init__(self, services: Services, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._timer = timer
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._reading: dict[tuple[str, str], asyncio.Task[Hook | None]] = {}
        self._allowance = BURST
        self._allowed_at = timer()

    def known(self, team: str, connection: str) -> Hook | None:
        """The connection, where it is known by now; whoever goes on asking is never told to look it up."""
        key = (team, connection)
        entry = self._entries.get(key)
        if entry is None or entry.hook is None:
            return None
        now = self._timer()
        if now - entry.read_at >= LIFETIME:
            return None
        if now - entry.asked_at >= _EARLY and key not in self._reading:
            entry.asked_at = now
            self._read_soon(key)
        return entry.hook

    async def find(self, team: str, connection: str) -> Hook | None:
        """The connection, or None where there is none that takes webhooks.

        Raises what the store raises where it is away and the connection was never seen.
        """
        key = (team, connection)
        entry = self._entries.get(key)
        if entry is not None and self._timer() - entry.read_at < LIFETIME:
            return entry.hook
        if (entry is None or entry.hook is None) and key not in self._reading and not self._is_allowed():
            return None
        task = self._reading.get(key)
        if task is None:
            task = self._read_soon(key)
        known = entry is not None and entry.hook is not None
        try:
            # Shielded: one caller that leaves must not take the answer from the others.
            async with asyncio.timeout(PATIENCE if known else None):
                return await asyncio.shield(task)
        except Exception as error:
            if entry is not None and known and is_unavailable(error):
                entry.read_at = self._timer()  # a store that hangs is not waited for by each delivery
                return entry.hook  # the write that follows says whether the store is back
            raise

    def _is_allowed(self) -> bool:
        now = self._timer()
        self._allowance = min(BURST, self._allowance + (now - self._allowed_at) * RATE)
        self._allowed_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _read_soon(self, key: tuple[str, str]) -> "asyncio.Task[Hook | None]":
        task = self._reading[key] = asyncio.create_task(self._read(key))
        task.add_done_callback(lambda task: self._have_read(key, task))
        return task

    def _have_read(self, key: tuple[str, str], task: "asyncio.Task[Hook | None]") -> None:
        self._reading.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever asked has it, or went on without

    async def _read(self, key: tuple[str, str]) -> Hook | None:
        async with asyncio.timeout(LONGEST):
            hook = await self._look_up(*key)
        now = self._timer()
        self._entries[key] = _Entry(hook, now, now)
        self._entries.move_to_end(key)
        while len(self._entries) > _MOST_ENTRIES:
            self._entries.popitem(last=False)
        return hook

    async def _look_up(self, team: str, name: str) -> Hook | None:
        async with self._services.database.reading() as session:
            found = await organisation.get_connection(session, team, name)
        if found is None:
            return None
        connection, owner = found
        connector = self._services.connectors.get(connection.connector)
        if connector is None or connector.verify is None:
            return None
        try:
            config = await bound_config(self._services, connector, connection, owner)
        except ValidationError:  # stored under an older version of the connector
            return None
        return Hook(connection.id, connector, config)
