"""What changes, told to everyone who listens: one log for all, read by each at its own pace.

The hub learns of changes from the database: a bell says when to look, a second without one is the longest that it
waits. It judges the key results that are touched once, whoever listens, and appends each as ready bytes. A listener
holds nothing but its place in the log; what it missed while it was slow comes as one piece, and where the log has moved
on without it, it is told to read everything again (`reset`).

An event's id names the newest sample and audit entry that it tells of, so that any process can go on where another
left off.
"""

import asyncio
import contextlib
import itertools
import re
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pydantic import BaseModel

from app.services.context import Services
from app.services.read import Judged, judge_rows, with_outlook
from app.services.sources import connection_health
from app.store import changes, organisation
from app.store.changes import Place
from app.store.database import Session, is_unavailable
from app.store.organisation import KeyResultFilter

log = structlog.get_logger(__name__)

#: How many events the log holds: a listener that is further behind reads everything again.
LOG_LENGTH = 4_096
#: How many key results one look takes on; a resume that would need more is a reset.
MOST_AT_ONCE = 1_000
#: How far back a look goes for rows that appeared late (see `app.store.changes`).
LOOK_BACK = 200
_LONGEST_WAIT = 1.0
_ID = re.compile(r"([0-9]{1,15})\.([0-9]{1,15})")

MaySee = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, ready to be sent. `team` is whose it is."""

    number: int
    team: str
    data: bytes


class Expired(Exception):
    """The log has moved on: what a listener missed is no longer in it."""


class Listener:
    """One who reads the log: woken by news, by a sign of life to give, or because it has to go."""

    __slots__ = ("_waiter", "is_due", "is_over")

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None
        self.is_over = False
        self.is_due = False

    def wake(self) -> None:
        """End its wait."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self) -> None:
        """Tell it to go."""
        self.is_over = True
        self.wake()

    def beat(self) -> None:
        """Tell it to give a sign of life."""
        self.is_due = True
        self.wake()

    async def wait(self) -> None:
        """Return at the next call, or at once where there was one since it was last looked at."""
        self._waiter = asyncio.get_running_loop().create_future()
        if not (self.is_over or self.is_due):
            await self._waiter


class LiveHub:
    """The log and its listeners. `run` keeps it current for as long as it is not cancelled."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._log: deque[Entry] = deque(maxlen=LOG_LENGTH)
        self._next = 0
        self._listeners: set[Listener] = set()
        self._place: Place | None = None
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._told: dict[int, tuple[object, ...]] = {}
        self._health: dict[str, object] = {}
        self._minute: datetime | None = None
        self._bell = asyncio.Event()
        self._is_known = asyncio.Event()

    # --- for listeners -----------------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """The number that the next event will have."""
        return self._next

    def since(self, number: int) -> Iterable[Entry]:
        """The events from a number on; Expired where some of them are gone."""
        missed = self._next - number
        if missed <= 0:
            return ()
        if missed > len(self._log):
            raise Expired
        return itertools.islice(self._log, len(self._log) - missed, None)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def place(self) -> Place:
        """The newest place that the log tells of; waits for the first look."""
        await self._is_known.wait()
        assert self._place is not None
        return self._place

    async def missed(self, last_id: str) -> list[tuple[str, bytes]]:
        """(team, event) of what changed after an event's id, as it stands now; Expired where that is too much or too
        long ago to be told, or the id is none."""
        match = _ID.fullmatch(last_id)
        if match is None:
            raise Expired
        after = Place(int(match[1]), int(match[2]))
        if after > await self.place():
            raise Expired
        async with self._services.database.reading() as session:
            rows = await changes.samples_after(session, after.sample, MOST_AT_ONCE + 1)
            entries = await changes.audits_after(session, after.audit, MOST_AT_ONCE + 1)
            if len(rows) > MOST_AT_ONCE or len(entries) > MOST_AT_ONCE:
                raise Expired
            touched = await self._touched(session, rows, entries)
            judged = await self._judged(session, touched)
        return [(item.row.team.name, self._key_result(item)) for item in judged]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """For the length of the block there is one listener more."""
        listener = Listener()
        self._listeners.add(listener)
        if len(self._listeners) == 1:
            self._bell.set()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

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
                    await asyncio.sleep(_LONGEST_WAIT)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._bell.wait(), _LONGEST_WAIT)
                self._bell.clear()
        finally:
            ringing.cancel()
            for listener in self._listeners:
                listener.end()

    async def _follow_bell(self) -> None:
        async for _ in self._services.queue.changes():
            self._bell.set()

    async def _look(self) -> None:
        """One look into the database: what is new since the last one, and once a minute what the clock has moved."""
        if self._place is not None and self.listeners == 0:
            self._told.clear()
            self._minute = None
        async with self._services.database.reading() as session:
            if self._place is None or self.listeners == 0:
                self._place = await changes.newest_place(session)
                self._is_known.set()
                return
            rows = await changes.samples_after(session, max(self._place.sample - LOOK_BACK, 0), MOST_AT_ONCE)
            entries = await changes.audits_after(session, max(self._place.audit - LOOK_BACK, 0), MOST_AT_ONCE)
            rows = [row for row in rows if self._is_new("sample", row[0], self._place.sample)]
            entries = [entry for entry in entries if self._is_new("audit", entry[0], self._place.audit)]
            touched = await self._touched(session, rows, entries)
            judged = await self._judged(session, touched)
            moved = await self._moved_by_clock(session)
            health = await self._connections(session)
        self._place = Place(
            max([self._place.sample, *(row[0] for row in rows)]),
            max([self._place.audit, *(entry[0] for entry in entries)]),
        )
        for item in judged:
            self._told[item.row.key_result.id] = _standing(item)
        objectives = {item.view.objective: item.row.team.name for item in [*judged, *moved]}
        found = [(item.row.team.name, self._key_result(item)) for item in [*judged, *moved]]
        found += [(team, self._event("objective", {"id": name})) for name, team in objectives.items()]
        found += health
        if found:
            self._append(found)
        if len(rows) == MOST_AT_ONCE or len(entries) == MOST_AT_ONCE:
            self._bell.set()  # there is more

    def _is_new(self, kind: str, number: int, known: int) -> bool:
        """Whether a row was not told yet; those at or below the known place are taken once, as late ones."""
        key = (kind, number)
        if key in self._seen:
            return False
        self._seen[key] = None
        while len(self._seen) > 8 * MOST_AT_ONCE:
            self._seen.popitem(last=False)
        return number > known or self._minute is not None

    async def _touched(
        self, session: Session, rows: list[tuple[int, int]], entries: list[tuple[int, str, str]]
    ) -> set[int]:
        touched = await changes.key_results_over(session, {metric for _, metric in rows})
        named = {_pair(name) for _, kind, name in entries if kind in ("key_result", "check_in") and "/" in name}
        return touched | await changes.key_results_named(session, named)

    async def _judged(self, session: Session, ids: set[int]) -> list[Judged]:
        if not ids:
            return []
        rows = await organisation.key_result_rows(session, KeyResultFilter(ids=sorted(ids)))
        now = self._services.clock()
        return await with_outlook(session, await judge_rows(session, rows, now=now), now=now)

    async def _moved_by_clock(self, session: Session) -> list[Judged]:
        """Once a minute: the key results whose status or freshness is another one, though nothing was recorded."""
        now = self._services.clock()
        minute = now.replace(second=0, microsecond=0)
        if self._minute is not None and minute - self._minute < timedelta(minutes=1):
            return []
        is_first = self._minute is None
        self._minute = minute
        rows = await organisation.key_result_rows(session, KeyResultFilter())
        moved = []
        for start in range(0, len(rows), 100):
            for item in await judge_rows(session, rows[start : start + 100], now=now):
                standing = _standing(item)
                if self._told.get(item.row.key_result.id, standing) != standing and not is_first:
                    moved.append(item)
                self._told[item.row.key_result.id] = standing
            await asyncio.sleep(0)  # others are served meanwhile
        return await with_outlook(session, moved, now=now)

    async def _connections(self, session: Session) -> list[tuple[str, bytes]]:
        """The connections whose health is another one than at the last look."""
        found = []
        for connection, team in await changes.connections_with_teams(session):
            health, reason = connection_health(connection)
            name, state = f"{team}/{connection.name}", (health, reason)
            if self._health.get(name, state) != state:
                found.append((team, self._event("connection", {"id": name, "health": health, "reason": reason})))
            self._health[name] = state
        return found

    # --- the log -----------------------------------------------------------------------------------------------------

    def _key_result(self, item: Judged) -> bytes:
        return self._event("key_result", item.view)

    def _event(self, kind: str, value: BaseModel | dict[str, str | None]) -> bytes:
        """An event in the stream's form, without its id: that is known once all of a look are."""
        text = value.model_dump_json() if isinstance(value, BaseModel) else _json(value)
        return f"event: {kind}\ndata: {text}\n".encode()

    def _append(self, found: list[tuple[str, bytes]]) -> None:
        place = self._place
        assert place is not None
        mark = f"id: {place.sample}.{place.audit}\n\n".encode()
        for team, data in found:
            self._log.append(Entry(self._next, team, data + mark))
            self._next += 1
        for listener in self._listeners:
            listener.wake()


def _standing(item: Judged) -> tuple[object, ...]:
    """What a reader would notice without a new value."""
    view = item.view
    return (view.status, view.freshness.level, view.headline.word, tuple(guard.holds for guard in view.guardrails))


def _pair(name: str) -> tuple[str, str]:
    team, _, rest = name.partition("/")
    return team, rest


class _Small(BaseModel):
    id: str
    health: str | None = None
    reason: str | None = None


def _json(value: dict[str, str | None]) -> str:
    return _Small.model_validate(value).model_dump_json(exclude_unset=True)
