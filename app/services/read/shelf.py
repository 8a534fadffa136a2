"""The key results that readers ask for now, each judged once and kept as ready bytes.

Judgements have a resolution of a minute: all are made for its start, and where somebody is reading, before it begins:
nobody waits for thousands of them. Within a minute only what was touched (`app.store.touches`) is judged again, whoever
touched it, and a list is bytes that are joined. What is told of a key result whose cycle has ended is computed from
facts, which leave no word: it is judged again whenever anything was written.
"""

import asyncio
import bisect
import hashlib
import re
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import is_

import structlog

from app.services.context import Services
from app.services.definitions import team_cycle
from app.services.read.judged import Judged
from app.services.read.judging import judge_rows
from app.services.read.key_results import Facets, KeyResultQuery, facets_of, is_match, start_of_minute
from app.services.read.outlook import with_outlook
from app.store import organisation, touches
from app.store.data_version import DataVersion, Version
from app.store.database import Session
from app.store.organisation import KeyResultFilter
from app.store.touch_triggers import ACCESS, ALL

log = structlog.get_logger(__name__)

Place = tuple[str, str, str]
References = dict[str, set[str]]

#: How many are judged without a pause: others are served meanwhile.
_CHUNK = 50
#: So many touched key results are as well found by asking for all.
_MANY = 1_000
#: Seconds after which everything is judged again, whatever the clock of the judgements says.
_OLDEST = touches.KEPT / 4
_MINUTE = timedelta(minutes=1)
#: Seconds before a minute at which preparing it may begin, and for which nobody has read once nobody is reading.
_EARLIEST, _FORGOTTEN = 50.0, 90.0
_GLANCE = 5.0
#: What moves with the clock alone, and not with what is known: left out of the (weak) entity tag.
_AGE = re.compile(rb'"age_seconds":\d+')
_EXPECTED = re.compile(rb'("expected_progress":-?\d+\.\d{3})\d*')


@dataclass(frozen=True, slots=True)
class Fragment:
    """A key result as it is told for the rest of the minute. `place` orders lists: (team, name, cycle)."""

    id: int
    place: Place
    facets: Facets
    body: bytes
    digest: bytes
    standing: tuple[object, ...]
    has_ended: bool

    @property
    def team(self) -> str:
        return self.place[0]

    @property
    def objective(self) -> str:
        return f"{self.facets.team}/{self.facets.objective}"


@dataclass(frozen=True, slots=True)
class Page:
    """Fragments of a list and where the next page starts (None: this was the last)."""

    fragments: Sequence[Fragment]
    following: Place | None

    def is_like(self, other: "Page") -> bool:
        """Whether it is of the very same fragments."""
        mine, others = self.fragments, other.fragments
        return self.following == other.following and len(mine) == len(others) and all(map(is_, mine, others))

    def body(self, following: str | None) -> bytes:
        """The page as JSON; `following` is the cursor."""
        rest = b"null" if following is None else b'"%s"' % following.encode()
        parts = [one.body for one in self.fragments] or [b""]
        parts[0] = b'{"items":[' + parts[0]
        parts[-1] += b'],"next":%s}' % rest
        return b",".join(parts)

    def digest(self, following: str | None) -> str:
        """Another one where what is told is another thing; ages alone make no difference."""
        found = hashlib.sha256(b"".join([one.digest for one in self.fragments]))
        found.update(repr(following).encode())
        return found.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Ahead:
    """Everything as it is judged for the start of a minute that is to come, and where to go on from."""

    minute: int
    place: str
    began: float
    made: Sequence[Fragment]


class Shelf:
    """The fragments of one process. Everything that is read of it is as new as its last `refresh`."""

    def __init__(self, services: Services, version: DataVersion) -> None:
        self._services = services
        self._version = version
        self._fragments: dict[int, Fragment] = {}
        self._order: list[Fragment] = []
        self._ended: set[int] = set()
        self._at: tuple[Version, int] | None = None
        self._minute = -1
        self._place = ""
        self._built_at = float("-inf")
        self._ahead: _Ahead | None = None
        self._asked_at = float("-inf")
        self._took = 0.0
        self._refreshing, self._preparing = asyncio.Lock(), asyncio.Lock()
        #: Another number once who may see what may be another thing.
        self.access = 0
        #: Another number once anything that is kept may be another thing.
        self.edition = 0

    @property
    def minute(self) -> int:
        """The minute (since 1970) at whose start everything was judged."""
        return self._minute

    def get(self, key_result_id: int) -> Fragment | None:
        """A current key result's fragment."""
        return self._fragments.get(key_result_id)

    def all(self) -> Sequence[Fragment]:
        """Every current key result, in order."""
        return self._order

    def page(self, query: KeyResultQuery) -> Page:
        """A page of what is current now: `cycle`, `as_of` and `known_at` are not for the shelf."""
        start = 0 if query.after is None else bisect.bisect_right(self._order, query.after, key=_place)
        if not query.is_filtered:
            end = start + query.limit
            page = self._order[start:end]
            return Page(page, page[-1].place if end < len(self._order) else None)
        is_match_of = is_match(query)
        found: list[Fragment] = []
        for fragment in self._order[start:]:
            if not is_match_of(fragment.facets):
                continue
            if len(found) == query.limit:
                return Page(found, found[-1].place)
            found.append(fragment)
        return Page(found, None)

    def is_fresh(self) -> bool:
        """Whether a `refresh` has nothing to do, as far as that is known without waiting."""
        version = self._version.latest()
        return version is not None and self._at == (version, _minute_of(self._services.clock()))

    async def refresh(self, *, is_exact: bool = False) -> None:
        """See to it that everything committed before the call is in (on PostgreSQL: RELIED_ON seconds before it, but
        where it `is_exact`)."""
        self._asked_at = time.monotonic()
        version = (None if is_exact else self._version.latest()) or await self._version.read()
        now = self._services.clock()
        if self._is_at(version, now):
            return
        has_to_wait = self._refreshing.locked()
        async with self._refreshing:
            if self._is_at(version, now):
                return
            if has_to_wait:  # more may have been committed meanwhile: read before anything else is
                version, now = await self._version.read(), self._services.clock()
            async with self._services.database.reading() as session:
                await self._refresh(session, now)
            self._at = None if version is None else (version, _minute_of(now))

    def _is_at(self, version: Version | None, now: datetime) -> bool:
        return version is not None and self._at == (version, _minute_of(now))

    async def prepare(self, start: datetime) -> None:
        """Judge everything for the minute that starts then, as far as it is known now: the first `refresh` in it has
        only what is touched until then to judge."""
        async with self._preparing:
            if self._ahead is not None and self._ahead.minute == _minute_of(start):
                return
            async with self._services.database.reading() as session:
                place, began = await touches.place_now(session), time.monotonic()
                made = await self._judged(session, None, start)
            self._ahead = _Ahead(_minute_of(start), place, began, made)
            self._took = time.monotonic() - began

    async def keep_ahead(self) -> None:
        """Prepare every minute, as late as there is time for it, while somebody reads. Runs until it is cancelled."""
        while True:
            now = self._services.clock()
            start = start_of_minute(now) + _MINUTE
            left = (start - now).total_seconds()
            early = min(_EARLIEST, 2 * self._took + 1)
            if left > early:
                await asyncio.sleep(min(left - early, _GLANCE))  # there may be more to judge by then
                continue
            if time.monotonic() - self._asked_at < _FORGOTTEN:
                try:
                    await self.prepare(start)
                except Exception as error:  # whoever asks first finds the same, and says what it is
                    log.warning("shelf.not_prepared", error=type(error).__name__)
            await asyncio.sleep(max(0.0, (start - self._services.clock()).total_seconds()))

    async def _refresh(self, session: Session, now: datetime) -> None:
        minute = _minute_of(now)
        references: References = {ALL: {"0"}, ACCESS: {"0"}}
        following = ""
        if time.monotonic() - self._built_at <= _OLDEST:
            touched = await touches.touched_since(session, self._place)
            references, following = touched.references, touched.place
        self.access += bool({ALL, ACCESS} & references.keys())
        if minute != self._minute and ALL not in references:
            references = await self._turned(session, minute, references)
        if ALL in references:
            place, began = await touches.place_now(session), time.monotonic()
            made = await self._judged(session, None, now)
            self._minute, self._place, self._built_at = minute, place, began
            self._took = time.monotonic() - began
            self._put(made, {one.id for one in made} | self._fragments.keys())
            return
        wanted = await touches.key_results_touched(session, references) | self._ended
        if wanted:
            everything = len(wanted) > _MANY
            made = await self._judged(session, None if everything else wanted, now)
            wanted = self._fragments.keys() | wanted if everything else wanted
            self._put(made, wanted)
        self._place = following

    async def _turned(self, session: Session, minute: int, references: References) -> References:
        """Put what was prepared for a minute on the shelf; what is still to be judged."""
        async with self._preparing:  # it may be nearly there: two would take twice as long
            ahead, self._ahead = self._ahead, None
        if ahead is None or ahead.minute != minute:
            return {ALL: {"0"}}
        self._minute, self._built_at = minute, ahead.began
        self._put(ahead.made, {one.id for one in ahead.made} | self._fragments.keys())
        # Some of it was touched while the shelf told of the last minute, and judged for that one alone.
        touched = await touches.touched_since(session, ahead.place)
        kinds = references.keys() | touched.references.keys()
        return {kind: references.get(kind, set()) | touched.references.get(kind, set()) for kind in kinds}

    def _put(self, made: Sequence[Fragment], instead_of: Collection[int]) -> None:
        """Put fragments in the place of whatever there was of these ids."""
        self.edition += 1
        before = {identity: self._fragments.pop(identity, None) for identity in instead_of}
        self._ended.difference_update(instead_of)
        for one in made:
            self._fragments[one.id] = one
            if one.has_ended:
                self._ended.add(one.id)
        if all(_place_of(old) == _place_of(self._fragments.get(identity)) for identity, old in before.items()):
            for one in made:
                self._order[bisect.bisect_left(self._order, one.place, key=_place)] = one
        else:
            self._order = sorted(self._fragments.values(), key=_place)

    async def _judged(self, session: Session, ids: Collection[int] | None, now: datetime) -> list[Fragment]:
        start = start_of_minute(now)
        rows = await organisation.key_result_rows(session, KeyResultFilter(ids=ids))
        made: list[Fragment] = []
        for some in _chunks(rows, _CHUNK):
            # What is said beside a judgement looks back to values up to now: some came within the minute.
            judged = await with_outlook(session, await judge_rows(session, some, now=start), now=now)
            made += [_fragment(item, start) for item in judged]
            await asyncio.sleep(0)
        return made


def standing(item: Judged) -> tuple[object, ...]:
    """What a reader would notice without a new value."""
    view = item.view
    guards = tuple(guard.holds for guard in view.guardrails)
    return (view.status, view.freshness.level, view.headline.word, guards, view.forecast is None)


def _fragment(item: Judged, now: datetime) -> Fragment:
    row = item.row
    body = item.view.model_dump_json().encode()
    return Fragment(
        id=row.key_result.id,
        place=(row.team.name, row.key_result.name, row.key_result.cycle),
        facets=facets_of(item),
        body=body,
        digest=hashlib.blake2b(stable(body), digest_size=16).digest(),
        standing=standing(item),
        has_ended=item.view.sealed is None and now >= team_cycle(row.team, row.key_result.cycle).end,
    )


def stable(body: bytes) -> bytes:
    """JSON without what moves with the clock alone, and not with what is known: what an entity tag is made of."""
    return _EXPECTED.sub(rb"\1", _AGE.sub(b"", body))


def _place(fragment: Fragment) -> Place:
    return fragment.place


def _place_of(fragment: Fragment | None) -> Place | None:
    return None if fragment is None else fragment.place


def _minute_of(now: datetime) -> int:
    return int(now.timestamp()) // 60


def _chunks(items: Sequence, size: int) -> Iterable[Sequence]:  # type: ignore[type-arg]
    return (items[start : start + size] for start in range(0, len(items), size))
