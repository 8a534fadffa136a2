"""What changes, told to everyone who listens: one log for all, read by each at its own pace.

A listener holds nothing but its place in the log; what it missed while it was slow comes as one piece, which those who
may see the same share, and one that is far behind is told to read everything again (`reset`). The hub follows the
database (`app.services.live_follower`): a bell says when to look, a second without one is the longest that it waits.
While nobody listens it hears no bell, and passes over what changed once a second.

A mark ends each piece: the sample and the audit entry up to which all were told, the minute of judging, and the place
in this process's log. With it a reader goes on where it was: from the log, or in another process from the database.
"""

import asyncio
import contextlib
import itertools
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.errors import StoreUnavailable
from app.services.context import Services
from app.services.live_follower import Event, Follower, TooMuch
from app.services.read import Shelf
from app.store.database import is_unavailable

log = structlog.get_logger(__name__)

#: How many events the log holds.
LOG_LENGTH = 4_096
#: A listener that is further behind than that reads everything again: the list costs less than all the events.
MOST_BEHIND = 1_000
#: The longest that the hub does not look, in seconds, though no bell rings.
LONGEST_WAIT = 1.0
#: Seconds that a reader waits for the first look.
_FIRST_LOOK = 15.0
_MARK = re.compile(r"([0-9]{1,15})\.([0-9]{1,15})\.([0-9]{1,12})\.([0-9]{1,15})\.([0-9a-f]{1,40})")

MaySee = Callable[[str], bool]
#: Who may see the same: the team of a token (None: every team) and the teams hidden from it.
Sight = tuple[str | None, frozenset[str]]


class Expired(Exception):
    """The log has moved on: what a listener missed can not be told."""


class Listener(Protocol):
    """One who reads the log."""

    def tell(self) -> None:
        """There is news: it reads on from its place, now or when it can."""

    def end(self) -> None:
        """It has to go."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a listener stands as it begins: the number of the next event, and the mark that says so."""

    number: int
    mark: bytes


class LiveHub:
    """The log and its listeners. `run` keeps it current for as long as it is not cancelled."""

    def __init__(self, services: Services, shelf: Shelf) -> None:
        self._services = services
        self._follower = Follower(services, shelf)
        self._log: deque[Event] = deque(maxlen=LOG_LENGTH)
        self._next = 0
        self._listeners: set[Listener] = set()
        self._process = secrets.token_hex(6)
        self._spell = 0
        self._pieces: dict[tuple[int, Sight], bytes] = {}
        self._resumed: dict[tuple[str, int], asyncio.Task[list[Event]]] = {}
        self._bell = asyncio.Event()
        #: Set while every change up to the last look is in the log.
        self._is_current = asyncio.Event()
        self._times_alone = 0
        #: Set when a token or a team changed: who may see what may be another thing.
        self.access_changed = asyncio.Event()

    # --- for listeners -----------------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """The number that the next event will have."""
        return self._next

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def mark(self) -> bytes:
        """What a piece ends with that tells everything there is in the log by now."""
        place, minute = self._follower.place, self._follower.minute
        return f"id: {place.sample}.{place.audit}.{minute}.{self._next}.{self._epoch}\n\n".encode()

    async def join(self, listener: Listener) -> None:
        """One listener more, until it leaves (which it does whatever this raises). The first one waits for a look, so
        that nothing from before it came is told as news; StoreUnavailable where the database can not be seen."""
        self._listeners.add(listener)
        if self._is_current.is_set():
            return
        self._bell.set()
        try:
            async with asyncio.timeout(_FIRST_LOOK):
                await self._is_current.wait()
        except TimeoutError:
            raise StoreUnavailable from None

    def leave(self, listener: Listener) -> None:
        """It listens no more."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._times_alone += 1
            self._is_current.clear()

    def piece(self, number: int, sight: Sight, may_see: MaySee) -> bytes:
        """The events from a number on that somebody may see, with the mark; empty where there are none. Expired where
        that is too many."""
        if number == self._next:
            return b""
        key = (number, sight)
        found = self._pieces.get(key)
        if found is None:
            data = [event.data for event in self._since(number) if may_see(event.team)]
            found = self._pieces[key] = self.joined(data) if data else b""
        return found

    def joined(self, data: Iterable[bytes]) -> bytes:
        """Events as they are sent, the mark in the last one."""
        return b"\n".join(data) + self.mark

    async def missed(self, last_id: str, start: Start) -> list[Event]:
        """What changed after an event's id and before `start`, as it stands now. Expired where that is too much or too
        long ago to be told, or the id is none of ours."""
        match = _MARK.fullmatch(last_id)
        if match is None:
            raise Expired
        sample, audit, minute, number = map(int, match.groups()[:4])
        if match[5] == self._epoch and number <= start.number:
            return list(self._since(number, start.number))
        key = (f"{sample}.{audit}.{minute}", start.number)
        task = self._resumed.get(key)
        if task is None:
            # Many come back at once, from the same place, when a process was restarted: they share the answer.
            self._resumed.clear()
            task = self._resumed[key] = asyncio.create_task(self._follower.since(sample, audit, minute))
        try:
            return await asyncio.shield(task)
        except TooMuch:
            raise Expired from None

    def _since(self, number: int, end: int | None = None) -> list[Event]:
        first = self._next - len(self._log)
        stop = self._next if end is None else end
        if stop - number > MOST_BEHIND or number < first:
            raise Expired
        return list(itertools.islice(self._log, number - first, stop - first))

    @property
    def _epoch(self) -> str:
        """Within it, the log has every change."""
        return f"{self._process}{self._spell:x}"

    # --- keeping current ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the database until cancelled."""
        ringing = asyncio.create_task(self._follow_bell())
        try:
            while True:
                try:
                    await self._look()
                except Exception as error:
                    if not is_unavailable(error):
                        log.exception("live.look_failed")
                    await asyncio.sleep(LONGEST_WAIT)
                with contextlib.suppress(TimeoutError):
                    # Not wait_for: that of Python 3.11 can swallow the word to stop.
                    async with asyncio.timeout(LONGEST_WAIT):
                        await self._bell.wait()
                self._bell.clear()
        finally:
            ringing.cancel()
            self.end_all()

    def end_all(self) -> None:
        """Tell every listener to go."""
        for listener in list(self._listeners):
            listener.end()

    async def _follow_bell(self) -> None:
        while True:
            try:
                async for _ in self._services.queue.changes():
                    if self._listeners:
                        self._bell.set()
            except Exception:
                log.exception("live.bell_failed")
            await asyncio.sleep(LONGEST_WAIT)

    async def _look(self) -> None:
        times_alone = self._times_alone
        if self.listeners == 0:
            skipped = await self._follower.skip(lambda: self.listeners == 0)
            if skipped:
                # Changes passed by untold: places in the log from before mean nothing any more.
                self._spell += 1
                self._resumed.clear()
            return
        news = await self._follower.look()
        if news.changes_access:
            self.access_changed.set()
        if news.events:
            self._append(news.events)
        if news.has_more:
            self._bell.set()
        elif times_alone == self._times_alone:
            self._is_current.set()

    def _append(self, events: list[Event]) -> None:
        self._log.extend(events)
        self._next += len(events)
        self._pieces.clear()
        for listener in list(self._listeners):
            listener.tell()
