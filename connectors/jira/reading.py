"""Reading a dataset: ids first, then the issues and their histories in bulk, side by side.

Pages of a search can only be asked for one after the other, but pages of bare ids are fifty times as long, and what is
known by id can be read in any order. It is also read from Jira itself and not from the index of its search, which lags
behind. At most `_IN_FLIGHT` batches wait while one is made to records, whatever the dataset's size.
"""

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import datetime, timedelta
from typing import NamedTuple, TypeGuard, TypeVar

from connectors.contract import Absence, Cursor, JsonValue, Page, RecordChange, Transition
from connectors.errors import QueryError
from connectors.jira.absence import tell_apart
from connectors.jira.fields import moment_of
from connectors.jira.histories import status_transitions
from connectors.jira.jql import in_stable_order, updated_since
from connectors.jira.knowledge import SiteKnowledge, learn, recall
from connectors.jira.models import JiraDataset
from connectors.jira.payloads import Issue, from_milliseconds, microseconds, milliseconds
from connectors.jira.scope import scope_jql
from connectors.jira.session import Histories, JiraSession

#: How far an incremental read looks back behind the last one: Jira's index lags behind its issues, mostly by seconds.
OVERLAP = timedelta(minutes=10)
#: Once in a while it looks back further, for an index that was rebuilt or stuck.
DEEP_OVERLAP = timedelta(hours=13)
DEEP_EVERY = timedelta(hours=1)

_ID = re.compile(r"[0-9]{1,18}")
_BATCH = 500
_IN_FLIGHT = 8
_AT_ONCE = 100

ItemT = TypeVar("ItemT")


class _Reader:
    """Makes records of issues, with what is known of the site."""

    def __init__(self, session: JiraSession, knowledge: SiteKnowledge) -> None:
        self.session = session
        self.knowledge = knowledge
        self.unmapped: Counter[str] = Counter()
        self.moves: Counter[str] = Counter()
        self._home = session.config.home
        self._learning = asyncio.Lock()

    async def all(self, jql: str) -> AsyncGenerator[Page, None]:
        """The records of everything that a query takes."""
        if self.session.reads_by_id:
            async with aclosing(Ahead(self.session.ids(jql))) as ids, aclosing(self.pages(ids)) as pages:
                async for page in pages:
                    yield page
            return
        async with aclosing(self.session.pages(jql, self.knowledge.plan)) as batches:
            async for issues, histories in batches:
                yield Page(await self.records(issues, histories))

    async def pages(self, ids: AsyncIterator[list[str]]) -> AsyncGenerator[Page, None]:
        """The records of all these issues, in the order of their ids; while some are made others are on their way."""
        pending: deque[asyncio.Task[tuple[list[Issue], Histories]]] = deque()
        try:
            async with aclosing(_in_batches(ids)) as batches:
                async for batch in batches:
                    pending.append(asyncio.create_task(self.session.with_histories(batch, self.knowledge.plan)))
                    if len(pending) > _IN_FLIGHT or pending[0].done():
                        yield await self._page(pending.popleft())
            while pending:
                yield await self._page(pending.popleft())
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _page(self, fetched: asyncio.Task[tuple[list[Issue], Histories]]) -> Page:
        issues, histories = await fetched
        await asyncio.sleep(0)  # requests that wait for a turn are sent first: making records takes a while
        return Page(await self.records(issues, histories))

    async def records(self, found: Sequence[Issue], histories: Histories) -> list[RecordChange]:
        """The records of issues, each once."""
        # An issue that comes twice is the newer one of the two: it changed while it was being read.
        issues: dict[str, Issue] = {}
        for issue in found:
            held = issues.get(issue.id)
            if held is None or moment_of(held, "updated") <= moment_of(issue, "updated"):
                issues[issue.id] = issue
        if not self.knowledge.is_fresh and not self._knows_all(histories):
            async with self._learning:
                if not self.knowledge.is_fresh:
                    self.knowledge = await learn(self.session, self.knowledge.names)
        made: list[RecordChange] = []
        waiting = list(issues.values())
        for start in range(0, len(waiting), _AT_ONCE):
            part = waiting[start : start + _AT_ONCE]
            logs = [histories.get(issue.id, ()) for issue in part]
            moves = status_transitions(logs, self.knowledge.categories)
            made += [self._record(issue, moved) for issue, moved in zip(part, moves, strict=True)]
            await asyncio.sleep(0)  # what has come meanwhile is taken in, and what may go is sent
        self._note_odd(made)
        return made

    def _note_odd(self, made: Sequence[RecordChange]) -> None:
        renamed = self.knowledge.categories.renamed
        for record in made:
            for move in record.transitions:
                if move.after is None:
                    continue
                if move.after_category is None:
                    self.unmapped[move.after] += 1
                if move.after in renamed:
                    self.moves[move.after] += 1

    def _knows_all(self, histories: Histories) -> bool:
        moves = self.knowledge.categories.moves
        return all(move.is_known for saves in histories.values() for moved in moves(saves) for move in moved)

    def _record(self, issue: Issue, transitions: tuple[Transition, ...]) -> RecordChange:
        fields = self.knowledge.plan.values(issue)
        # An issue that never moved has no transition that would tell its category.
        fields["status_category"] = self.knowledge.categories.of(issue.fields.get("status"))
        return RecordChange(
            entity=issue.id,
            name=issue.key,
            version=microseconds(moment_of(issue, "updated")),
            created=moment_of(issue, "created"),
            fields=fields,
            transitions=transitions,
            link=f"{self._home}/browse/{issue.key}" if self._home else None,
        )

    def warnings(self) -> list[str]:
        """What was odd about the issues read, with counts."""
        renamed = self.knowledge.categories.renamed
        return [
            f"The status {name!r} has no category any more: {count} changes into it are in no category."
            for name, count in self.unmapped.most_common(20)
        ] + [
            f"The status {name!r} is called {renamed[name]!r} by now: {count} changes into it bear its old name."
            for name, count in self.moves.most_common(20)
        ]


async def _in_batches(ids: AsyncIterator[list[str]]) -> AsyncGenerator[list[str], None]:
    waiting: list[str] = []
    async for found in ids:
        waiting += found
        while len(waiting) >= _BATCH:
            yield waiting[:_BATCH]
            del waiting[:_BATCH]
    if waiting:
        yield waiting


class Ahead(AsyncIterator[ItemT]):
    """The items of a generator, the next one on its way while one is used, the first from now on."""

    def __init__(self, items: AsyncGenerator[ItemT, None]) -> None:
        self._items = items
        self._next = self._ask()

    def _ask(self) -> asyncio.Task[list[ItemT]]:
        return asyncio.create_task(self._take())

    async def _take(self) -> list[ItemT]:
        async for item in self._items:
            return [item]
        return []

    async def __anext__(self) -> ItemT:
        found = await self._next
        if not found:
            raise StopAsyncIteration
        self._next = self._ask()
        return found[0]

    async def aclose(self) -> None:
        """Ask for nothing more."""
        self._next.cancel()
        await asyncio.gather(self._next, return_exceptions=True)
        await self._items.aclose()


async def read_issues(session: JiraSession, dataset: JiraDataset, cursor: Cursor | None) -> AsyncGenerator[Page, None]:
    """Every issue of the dataset, or what changed since `cursor`, and at the end an empty page with the next cursor.

    A cursor of another query or other fields is of no use: everything is read again.
    """
    began = session.toolbox.now()
    jql = await scope_jql(session, dataset)
    async with AsyncExitStack() as stack:
        ids = None
        if cursor is None and session.reads_by_id:  # everything will be asked for, whatever is learned of the site
            ids = await stack.enter_async_context(aclosing(Ahead(session.ids(in_stable_order(jql)))))
        knowledge = recall(cursor, dataset.fields, began) or await learn(session, dataset.fields)
        reader = _Reader(session, knowledge)
        fingerprint = knowledge.plan.fingerprint(jql)
        marks, warnings = _marks(cursor, fingerprint)
        is_deep = marks is None or not timedelta(0) <= began - marks.deep < DEEP_EVERY
        few = None
        if marks is None:
            sought = in_stable_order(jql)
        else:
            sought = updated_since(jql, milliseconds(marks.watermark - (DEEP_OVERLAP if is_deep else OVERLAP)))
            few = await session.few(sought, knowledge.plan)
        # The mark is when the read began, by the earlier of two clocks: what changed while it ran is read by the next.
        started = min(began, session.tool_time())
        if few is not None:
            yield Page(await reader.records(*few))
        else:
            pages = reader.all(sought) if ids is None else reader.pages(ids)
            async for page in await stack.enter_async_context(aclosing(pages)):
                yield page
    if marks is not None:
        started = max(started, marks.watermark)
    mark: Cursor = {
        "watermark": milliseconds(started),
        "deep": milliseconds(began if marks is None or is_deep else marks.deep),
        "fields": fingerprint,
        "site": reader.knowledge.remembered(),
    }
    yield Page((), mark, warnings + reader.warnings())


class _Marks(NamedTuple):
    watermark: datetime
    deep: datetime


def _marks(cursor: Cursor | None, fingerprint: str) -> tuple[_Marks | None, list[str]]:
    """Up to when the last read knew the dataset, and when it last looked back far."""
    if cursor is None:
        return None, []
    watermark, deep = cursor.get("watermark"), cursor.get("deep", 0)
    if not _is_milliseconds(watermark) or not _is_milliseconds(deep) or cursor.get("fields") != fingerprint:
        return None, ["The dataset's query or fields changed: all issues were read again."]
    return _Marks(from_milliseconds(watermark), from_milliseconds(deep)), []


def _is_milliseconds(value: JsonValue) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**14


# --- by id ------------------------------------------------------------------------------------------------------------


async def fetch_issues(
    session: JiraSession, dataset: JiraDataset, known: Mapping[str, str], cursor: Cursor | None
) -> AsyncGenerator[Page, None]:
    """The issues with these ids (`known`: their keys so far) that the dataset's query takes, and what became of the
    others. An issue that can not be found is deleted, unless the account can not see its project any more."""
    ids = [one for one in known if _ID.fullmatch(one)]
    if len(ids) < len(known):  # kept when the dataset had another stream
        yield Page((), absent=dict.fromkeys(known.keys() - set(ids), "out_of_scope"))
    if not ids:
        return
    jql = await scope_jql(session, dataset)
    knowledge = recall(cursor, dataset.fields, session.toolbox.now()) or await learn(session, dataset.fields)
    reader = _Reader(session, knowledge)
    for start in range(0, len(ids), _BATCH):
        yield await _fetched(reader, jql, {one: known[one] for one in ids[start : start + _BATCH]})
    yield Page((), warnings=reader.warnings())


async def _fetched(reader: _Reader, jql: str, known: Mapping[str, str]) -> Page:
    session = reader.session
    for attempt in range(3):
        issues, histories = await session.with_histories(list(known), reader.knowledge.plan)
        found = {issue.id for issue in issues}
        try:
            taken = await session.in_scope(jql, issues) if issues else set()
        except QueryError:
            # An id that went in between makes the query wrong; one that is wrong by itself stays so.
            if attempt == 2:
                raise
            continue
        break
    absent: dict[str, Absence] = dict.fromkeys(found - taken, "out_of_scope")
    gone, warnings = await tell_apart(session, {one: key for one, key in known.items() if one not in found})
    records = await reader.records([issue for issue in issues if issue.id in taken], histories)
    return Page(records, absent=absent | gone, warnings=warnings)


async def sweep_issues(session: JiraSession, dataset: JiraDataset) -> AsyncGenerator[Sequence[str], None]:
    """The ids of all issues that the dataset's query takes."""
    jql = await scope_jql(session, dataset)
    async with aclosing(session.ids(in_stable_order(jql))) as batches:
        async for batch in batches:
            yield batch
