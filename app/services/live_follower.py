"""Finds what changed: new samples and audit entries, what the clock moved, connections that do better or worse.

What is told of a key result are the bytes that the shelf keeps of it, which lists are made of too: it is judged once,
whoever reads and listens.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel

from app.services.context import Services
from app.services.live_parents import Parents
from app.services.read import Fragment, Shelf
from app.services.sources import connection_health
from app.store import backfills, changes
from app.store.changes import NewEntry, NewSample, Place
from app.store.database import Session

#: How many new rows of a kind one look takes on.
MOST_AT_ONCE = 2_000
#: How many key results one resume judges.
MOST_RESUMED = 500
#: On PostgreSQL, how many of the ids before the newest may still be on their way when following begins.
LOOK_BACK = 200
#: How long an id that was passed over is asked for: no transaction of ours takes that long.
LATE_BY = timedelta(minutes=2)
_MOST_MISSING = 2_000
#: What may move many key results at once: their standing is compared, as once a minute.
_BROAD = frozenset({"team", "organisation", "cycle", "connection", "dataset"})


class TooMuch(Exception):
    """It is too much, or too long ago, to be told."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, but for the blank line that ends it. `team` is whose it is."""

    team: str
    data: bytes


@dataclass(slots=True)
class News:
    """What one look found."""

    events: list[Event] = field(default_factory=list)
    changes_access: bool = False
    has_more: bool = False


class Ids:
    """The ids of a growing table that were seen: the newest, and which below it may still come (PostgreSQL gives them
    out before the transaction ends)."""

    def __init__(self, *, come_late: bool) -> None:
        self.newest = 0
        self._come_late = come_late
        self._missing: dict[int, datetime] = {}

    def missing(self) -> Collection[int]:
        """The ids to ask for again."""
        return self._missing.keys()

    @property
    def settled(self) -> int:
        """The id up to which nothing more can come."""
        return next(iter(self._missing), self.newest + 1) - 1

    def pass_over(self, newest: int, ids: Collection[int], now: datetime) -> None:
        """Take everything up to the newest as seen, but for what is not among the last LOOK_BACK `ids` (ascending)."""
        if not self._come_late:
            self.newest = newest
            return
        first = max(newest - LOOK_BACK, 0)
        # An id that has been missing keeps its age: one that was rolled back is not waited for again and again.
        self._missing = {late: since for late, since in self._missing.items() if first < late < newest}
        self.newest = first if newest < self.newest else max(self.newest, first)
        self.take(ids, now)

    def take(self, ids: Collection[int], now: datetime) -> None:
        """Note ids that were read, in ascending order."""
        for number in ids:
            self._missing.pop(number, None)
            if number > self.newest:
                if self._come_late:
                    for late in range(max(self.newest + 1, number - _MOST_MISSING), number):
                        self._missing[late] = now
                self.newest = number
        for late in list(self._missing):  # by the moment they were passed over, the oldest first
            if len(self._missing) <= _MOST_MISSING and now - self._missing[late] <= LATE_BY:
                break
            del self._missing[late]


class Follower:
    """Where the telling has come to, and the standing of every key result as it was last told."""

    def __init__(self, services: Services, shelf: Shelf) -> None:
        self._services = services
        self._shelf = shelf
        self._come_late = services.database.dialect == "postgresql"
        self._samples = Ids(come_late=self._come_late)
        self._audits = Ids(come_late=self._come_late)
        self._told: dict[int, tuple[object, ...]] = {}
        self._health: dict[str, tuple[str, str | None]] | None = None
        self._minute: int | None = None
        self._skipped_to: tuple[Place, int] | None = None
        self._parents = Parents()

    @property
    def place(self) -> Place:
        """The rows up to which all were told of; of those after it, some may have been."""
        return Place(self._samples.settled, self._audits.settled)

    @property
    def minute(self) -> int:
        """The minute (since 1970) of the last judging of what the clock moves."""
        if self._minute is not None:
            return self._minute
        return 0 if self._skipped_to is None else self._skipped_to[1]

    # --- while nobody listens ----------------------------------------------------------------------------------------

    async def skip(self, is_wanted: Callable[[], bool]) -> bool:
        """Pass over everything there is; not where it turns out not to be wanted any more. True where it was done."""
        now = self._services.clock()
        async with self._services.database.reading() as session:
            place = await changes.newest_place(session)
            samples: list[int] = []
            audits: list[int] = []
            if self._come_late:
                samples = await changes.sample_ids_after(session, max(place.sample - LOOK_BACK, 0))
                audits = await changes.audit_ids_after(session, max(place.audit - LOOK_BACK, 0))
        if self._skipped_to is not None and not is_wanted():
            return False
        self._samples.pass_over(place.sample, samples, now)
        self._audits.pass_over(place.audit, audits, now)
        self._told.clear()
        self._health = self._minute = None
        self._parents = Parents()
        self._skipped_to = (place, _minute_of(now))
        return True

    # --- while somebody does -----------------------------------------------------------------------------------------

    async def look(self) -> News:
        """What is new since the last look, and once a minute what the clock has moved."""
        news = News()
        now = self._services.clock()
        async with self._services.database.reading() as session:
            rows = await changes.samples_after(session, self._samples.newest, MOST_AT_ONCE, self._samples.missing())
            entries = await changes.audits_after(session, self._audits.newest, MOST_AT_ONCE, self._audits.missing())
            touched, events = await self._touched(session, rows, entries)
            health, states = await self._connections(session)
            await self._parents.keep_current(session, {entry.kind for entry in entries})
        # After the session has ended: what the shelf says is no older than what was read in it.
        await self._shelf.refresh(is_exact=True)
        judged = self._fragments(touched)
        for item in judged:
            self._told[item.id] = item.standing
        is_broad = any(entry.kind in _BROAD for entry in entries)
        moved, told, minute = self._moved_by_clock(now, is_due=is_broad)
        # Only what was read to the end counts as told: a look that fails is made again.
        self._samples.take([row.id for row in rows], now)
        self._audits.take([entry.id for entry in entries], now)
        self._told.update(told)
        self._health, self._minute = states, minute
        changed = {item.id: item for item in [*judged, *moved]}
        known = {event.data for event in events}
        news.events += [_key_result(item) for item in changed.values()]
        news.events += [event for event in self._objectives(changed.values()) if event.data not in known]
        news.events += [*events, *health]
        news.changes_access = any(entry.kind in ("token", "team") for entry in entries)
        news.has_more = len(rows) == MOST_AT_ONCE or len(entries) == MOST_AT_ONCE
        return news

    async def since(self, sample: int, audit: int, minute: int) -> list[Event]:
        """What changed after a mark of another process, as it stands now. TooMuch where that is more than a reader is
        told, or where the clock may have moved something meanwhile."""
        now = self._services.clock()
        if sample > self._samples.newest or audit > self._audits.newest or minute != _minute_of(now):
            raise TooMuch
        async with self._services.database.reading() as session:
            rows = await changes.samples_after(session, sample, MOST_AT_ONCE)
            entries = await changes.audits_after(session, audit, MOST_AT_ONCE)
            if len(rows) == MOST_AT_ONCE or len(entries) == MOST_AT_ONCE:
                raise TooMuch
            if any(entry.kind in _BROAD for entry in entries):
                raise TooMuch
            touched, events = await self._touched(session, rows, entries)
            if len(touched) > MOST_RESUMED:
                raise TooMuch
            connections = await changes.connections_with_teams(session)
            await self._parents.keep_current(session, {entry.kind for entry in entries})
        await self._shelf.refresh(is_exact=True)
        judged = self._fragments(touched)
        states = [
            (team, f"{team}/{connection.name}", *connection_health(connection)) for connection, team in connections
        ]
        found = [*map(_key_result, judged), *self._objectives(judged), *events]
        return found + [_connection(team, name, health, reason) for team, name, health, reason in states]

    async def _touched(
        self, session: Session, rows: list[NewSample], entries: list[NewEntry]
    ) -> tuple[set[int], list[Event]]:
        """The ids of key results to be judged, and the events that need no judging."""
        names: dict[str, set[tuple[str, str]]] = {"key_result": set(), "objective": set(), "metric": set()}
        for entry in entries:
            if entry.kind in names and "/" in entry.name:
                names[entry.kind].add(_pair(entry.name))
        metrics = {row.metric_id for row in rows if row.quality != backfills.RECONSTRUCTED}
        rebuilt = {row.metric_id for row in rows} - metrics
        if rebuilt:
            metrics |= rebuilt - await backfills.half_told(session)
        metrics |= await changes.metrics_named(session, names["metric"])
        key_results = await changes.key_results_named(session, names["key_result"])
        objectives = await changes.objectives_named(session, names["objective"])
        touched = await changes.key_results_over(session, metrics) | set(key_results.values())
        touched |= await changes.key_results_of_objectives(session, objectives.values())
        events = [_event(team, "objective", {"id": f"{team}/{name}"}) for team, name in sorted(objectives)]
        gone = sorted(names["key_result"] - key_results.keys())
        events += [_event(team, "removed", {"kind": "key_result", "id": f"{team}/{name}"}) for team, name in gone]
        gone = sorted(names["objective"] - objectives.keys())
        events += [_event(team, "removed", {"kind": "objective", "id": f"{team}/{name}"}) for team, name in gone]
        # A name that changed stands in more places than its own: its team's readers read everything again.
        renamed = sorted({entry.name.partition("/")[0] for entry in entries if entry.action == "rename"})
        return touched, events + [_event(team, "reset", {}) for team in renamed]

    def _objectives(self, moved: Iterable[Fragment]) -> list[Event]:
        """The objectives of key results, and those that they add up to."""
        names = self._parents.with_those_above(dict.fromkeys(item.objective for item in moved))
        return [_event(_pair(name)[0], "objective", {"id": name}) for name in names]

    def _fragments(self, ids: Collection[int]) -> list[Fragment]:
        return [found for identity in sorted(ids) if (found := self._shelf.get(identity)) is not None]

    def _moved_by_clock(
        self, now: datetime, *, is_due: bool
    ) -> tuple[list[Fragment], dict[int, tuple[object, ...]], int]:
        """Once a minute, or when it is due: the key results whose status or freshness is another one, though nothing
        was recorded; with every standing, and the minute."""
        minute = _minute_of(now)
        if minute == self._minute and not is_due:
            return [], {}, minute
        told = {item.id: item.standing for item in self._shelf.all()}
        moved = [item for item in self._shelf.all() if self._told.get(item.id, item.standing) != item.standing]
        return moved, told, minute

    async def _connections(self, session: Session) -> tuple[list[Event], dict[str, tuple[str, str | None]]]:
        """The connections whose health is another one than at the last look, those that came and went among them."""
        found: list[Event] = []
        states: dict[str, tuple[str, str | None]] = {}
        for connection, team in await changes.connections_with_teams(session):
            name = f"{team}/{connection.name}"
            health, reason = states[name] = connection_health(connection)
            if self._health is not None and self._health.get(name) != (health, reason):
                found.append(_connection(team, name, health, reason))
        gone = sorted((self._health or {}).keys() - states.keys())
        found += [_event(_pair(name)[0], "removed", {"kind": "connection", "id": name}) for name in gone]
        return found, states


def _minute_of(now: datetime) -> int:
    return int(now.timestamp()) // 60


def _pair(name: str) -> tuple[str, str]:
    team, _, rest = name.partition("/")
    return team, rest


class _Small(BaseModel):
    id: str | None = None
    kind: str | None = None
    health: str | None = None
    reason: str | None = None


def _key_result(item: Fragment) -> Event:
    return Event(item.team, b"event: key_result\ndata: %s\n" % item.body)


def _connection(team: str, name: str, health: str, reason: str | None) -> Event:
    return _event(team, "connection", {"id": name, "health": health, "reason": reason})


def _event(team: str, kind: str, value: dict[str, str | None]) -> Event:
    text = _Small.model_validate(value).model_dump_json(exclude_unset=True)
    return Event(team, f"event: {kind}\ndata: {text}\n".encode())
