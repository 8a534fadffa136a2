"""The work that was logged on a dataset's issues, as records.

Everything is read by the issues: a bulk of them holds the first twenty worklogs of each, and an issue with more is
asked for all of them. What changed is read by the site's list of worklogs that did, in the order of their moments, and
narrowed to the dataset's issues; those that were deleted have a list of their own.
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-worklogs/
"""

import hashlib
import re
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Literal, NamedTuple

import msgspec

from connectors.concurrency import together
from connectors.contract import Absence, Cursor, JsonValue, Page, RecordChange
from connectors.errors import QueryError, UnexpectedResponseError
from connectors.jira.absence import tell_apart
from connectors.jira.fields import FieldPlan
from connectors.jira.jql import in_stable_order, narrowed
from connectors.jira.models import JiraDataset
from connectors.jira.payloads import Issue, from_milliseconds, microseconds, milliseconds, moment, rfc3339
from connectors.jira.scope import scope_jql
from connectors.jira.session import JiraSession

#: How far a read of what changed looks back behind the last one. Jira keeps back what changed within the last minute;
#: clocks differ, and its index, which on one's own servers says what the query takes, lags behind by seconds.
OVERLAP = timedelta(minutes=10)
#: Limits of `GET /rest/api/3/worklog/updated` and `/deleted`, and of `POST /rest/api/3/worklog/list`.
CHANGED_A_PAGE = 1_000
WORKLOGS_A_CALL = 1_000

#: What a record has beside what every record has.
NAMES = ("issue", "project", "author", "started", "time_spent", "created", "updated")

# Their worklogs are most of what such issues are: an answer of twice as many might be too large.
_ISSUES_A_BULK = 50
_AT_A_TIME = 4
# So many are asked for and made to records at a time.
_BATCH = 500
_ENTITY = re.compile(r"worklog/([0-9]{1,18})")
_PLAN = FieldPlan((("worklog", "worklog", None),))
_KEY_PLAN = FieldPlan((("project", "project", None),))


class _Author(msgspec.Struct, frozen=True):
    """`accountId` on Jira Cloud; one's own servers have `key`, and long ago only `name`."""

    accountId: str | None = None
    key: str | None = None
    name: str | None = None


class Worklog(msgspec.Struct, frozen=True):
    id: str
    issueId: str
    started: str
    timeSpentSeconds: int
    created: str
    updated: str
    author: _Author | None = None


class _WorklogPage(msgspec.Struct, frozen=True):
    worklogs: list[Worklog]
    total: int


class _Changed(msgspec.Struct, frozen=True):
    worklogId: int
    updatedTime: int


class _ChangedPage(msgspec.Struct, frozen=True):
    """Cloud says `lastPage`; some of one's own servers say `isLastPage`."""

    values: list[_Changed] = []
    lastPage: bool | None = None
    isLastPage: bool | None = None

    @property
    def is_last(self) -> bool:
        said = self.isLastPage if self.lastPage is None else self.lastPage
        return len(self.values) < CHANGED_A_PAGE if said is None else said


class ChangedIds(NamedTuple):
    """Ids of worklogs, each once. `is_whole` is False where more changed at one moment than Jira gives of it."""

    ids: list[int]
    is_whole: bool


async def changed_since(session: JiraSession, what: Literal["updated", "deleted"], since: int) -> ChangedIds:
    """The worklogs of the whole site that were updated, or deleted, since a moment in epoch milliseconds.

    Worklogs of equal moments may lie on both sides of a page's edge, so each page begins a millisecond before the last
    one's end.
    """
    seen: dict[int, None] = {}
    is_whole = True
    while True:
        path = session.with_query(f"{session.api}/worklog/{what}", {"since": since})
        page = await session.get(path, _ChangedPage, f"{what} worklogs")
        seen.update(dict.fromkeys(one.worklogId for one in page.values))
        if page.is_last:
            return ChangedIds(list(seen), is_whole)
        if not page.values:
            raise UnexpectedResponseError(f"Jira says that more worklogs were {what} and sends none.")
        last = max(one.updatedTime for one in page.values)
        if last - 1 > since:
            since = last - 1
        else:  # a page of one moment: what else was changed then can not be asked for
            is_whole = False
            since = max(since, last) + 1


# --- reading ----------------------------------------------------------------------------------------------------------


async def read_worklogs(
    session: JiraSession, dataset: JiraDataset, cursor: Cursor | None
) -> AsyncGenerator[Page, None]:
    """Every worklog of the dataset's issues, or what changed since `cursor`, and at the end an empty page with the next
    cursor."""
    began = session.toolbox.now()
    jql = await scope_jql(session, dataset)
    scope = hashlib.sha256(jql.encode()).hexdigest()[:16]
    since, warnings = _since(cursor, scope)
    updated = deleted = None
    if since is None:
        await session.account()  # a stranger's view of a site is empty and not an error
    else:
        updated = await changed_since(session, "updated", since - OVERLAP // timedelta(milliseconds=1))
    # By the earlier of two clocks, and before anything else is read: what changes meanwhile is read by the next.
    started = milliseconds(min(began, session.tool_time()))
    if since is not None:
        started = max(started, since)
        deleted = await changed_since(session, "deleted", since - OVERLAP // timedelta(milliseconds=1))
    if updated is not None and updated.is_whole:
        for start in range(0, len(updated.ids), _BATCH):
            found = await _listed(session, updated.ids[start : start + _BATCH])
            records, _ = await _taken(session, jql, found)
            yield Page(records)
    else:
        async with aclosing(_every(session, jql)) as batches:
            async for records in batches:
                yield Page(records)
    gone = [f"worklog/{one}" for one in deleted.ids] if deleted is not None else []
    yield Page((), {"watermark": started, "scope": scope}, [*warnings, *_unknown(dataset)], deleted=gone)


def _since(cursor: Cursor | None, scope: str) -> tuple[int | None, list[str]]:
    """Up to when the last read knew the dataset, in epoch milliseconds; None where all has to be read."""
    if cursor is None:
        return None, []
    watermark = cursor.get("watermark")
    if type(watermark) is not int or not 0 <= watermark < 10**14 or cursor.get("scope") != scope:
        return None, ["The dataset's query changed: all worklogs were read again."]
    return max(watermark, milliseconds(from_milliseconds(0) + OVERLAP)), []


def _unknown(dataset: JiraDataset) -> list[str]:
    always = (*NAMES, "id", "entity", "at", "link")
    return [
        f"Jira's worklogs have no field {name!r}: it is always null." for name in dataset.fields if name not in always
    ]


async def sweep_worklogs(session: JiraSession, dataset: JiraDataset) -> AsyncGenerator[Sequence[str], None]:
    """The ids of all worklogs of the dataset's issues."""
    jql = await scope_jql(session, dataset)
    async with aclosing(_every(session, jql)) as batches:
        async for records in batches:
            yield [record.entity for record in records]


async def _every(session: JiraSession, jql: str) -> AsyncGenerator[list[RecordChange], None]:
    """The worklogs of all issues that a query takes: of those that time was spent on, for others have none."""
    sought = in_stable_order(narrowed(jql, "timespent IS NOT EMPTY"))
    async with aclosing(session.every_with_fields(sought, _PLAN, _ISSUES_A_BULK)) as batches:
        async for issues in batches:
            made: dict[str, RecordChange] = {}
            for issue, worklogs in zip(issues, await _worklogs_of(session, issues), strict=True):
                made.update((one.id, _record(session, one, issue.key)) for one in worklogs)
            yield list(made.values())


async def _worklogs_of(session: JiraSession, issues: Sequence[Issue]) -> list[Sequence[Worklog]]:
    found = [_inline(issue) for issue in issues]
    short = [number for number, worklogs in enumerate(found) if worklogs is None]
    for start in range(0, len(short), _AT_A_TIME):
        some = short[start : start + _AT_A_TIME]
        answers = await together(*(_asked(session, issues[number].id) for number in some))
        for number, worklogs in zip(some, answers, strict=True):
            found[number] = worklogs
    return [worklogs or () for worklogs in found]


def _inline(issue: Issue) -> Sequence[Worklog] | None:
    """The worklogs that came with an issue; None where those are not all."""
    try:
        page = msgspec.convert(issue.fields.get("worklog"), _WorklogPage)
    except msgspec.ValidationError:
        return None
    return page.worklogs if page.total <= len(page.worklogs) else None


async def _asked(session: JiraSession, issue: str) -> Sequence[Worklog] | None:
    found: dict[str, Worklog] = {}
    start = 0
    while True:
        query = {"startAt": start, "maxResults": WORKLOGS_A_CALL}
        path = session.with_query(f"{session.api}/issue/{issue}/worklog", query)
        page = await session.find(path, _WorklogPage, "worklogs")
        if page is None:
            return None  # the issue went in between: the next sweep says so
        found.update((one.id, one) for one in page.worklogs)
        start += len(page.worklogs)
        if start >= page.total or not page.worklogs:
            return list(found.values())


# --- by id ------------------------------------------------------------------------------------------------------------


async def fetch_worklogs(
    session: JiraSession, dataset: JiraDataset, known: Mapping[str, str], cursor: Cursor | None
) -> AsyncGenerator[Page, None]:
    """The worklogs with these ids (`known`: their names so far) whose issues the dataset's query takes, and what became
    of the others. One that can not be found is deleted, unless the account can not see its project any more."""
    ids = {int(found[1]): one for one in known if (found := _ENTITY.fullmatch(one))}
    strangers: dict[str, Absence] = dict.fromkeys(known.keys() - ids.values(), "out_of_scope")
    if strangers:  # kept when the dataset had another stream
        yield Page((), absent=strangers)
    if not ids:
        return
    jql, numbers = await scope_jql(session, dataset), list(ids)
    for start in range(0, len(numbers), _BATCH):
        some = numbers[start : start + _BATCH]
        records, there = await _taken(session, jql, await _listed(session, some))
        taken = {record.entity for record in records}
        absent: dict[str, Absence] = dict.fromkeys(there - taken, "out_of_scope")
        missing = {ids[one]: known[ids[one]].partition(" ")[0] for one in some if ids[one] not in there}
        gone, warnings = await tell_apart(session, missing)
        yield Page(records, absent=absent | gone, warnings=warnings)


async def _listed(session: JiraSession, ids: Collection[int]) -> list[Worklog]:
    """The worklogs with these ids as they are now, each once; those that are not there, or not to be seen, are left
    out. At most `WORKLOGS_A_CALL`."""
    if not ids:
        return []
    found = await session.post(f"{session.api}/worklog/list", {"ids": list(ids)}, list[Worklog], "worklogs")
    return list({one.id: one for one in found}.values())


async def _taken(session: JiraSession, jql: str, worklogs: Sequence[Worklog]) -> tuple[list[RecordChange], set[str]]:
    """The records of those worklogs whose issues the query takes, and the entities of all whose issues are there."""
    ids = list(dict.fromkeys(one.issueId for one in worklogs))
    for attempt in range(3):
        issues = await _issues(session, ids)
        try:
            taken = await session.in_scope(jql, list(issues.values())) if issues else set()
        except QueryError:
            # An issue that went in between makes the query wrong; one that is wrong by itself stays so.
            if attempt == 2:
                raise
            continue
        break
    records = [_record(session, one, issues[one.issueId].key) for one in worklogs if one.issueId in taken]
    return records, {f"worklog/{one.id}" for one in worklogs if one.issueId in issues}


async def _issues(session: JiraSession, ids: Sequence[str]) -> dict[str, Issue]:
    return {issue.id: issue for issue in await session.with_fields(ids, _KEY_PLAN)}


def _record(session: JiraSession, worklog: Worklog, key: str) -> RecordChange:
    """A worklog as the newest version of its record. Whose it is, is said by the account's id: nobody's name is kept,
    and nothing of the comment."""
    author = worklog.author
    updated, created = moment(worklog.updated), moment(worklog.created)
    fields: dict[str, JsonValue] = {
        "issue": key,
        "project": key.rpartition("-")[0],
        "author": None if author is None else author.accountId or author.key or author.name,
        "started": rfc3339(moment(worklog.started)),
        "time_spent": worklog.timeSpentSeconds,
        "created": rfc3339(created),
        "updated": rfc3339(updated),
    }
    home = session.config.home
    return RecordChange(
        entity=f"worklog/{worklog.id}",
        name=f"{key} #{worklog.id}",
        version=microseconds(updated),
        created=created,
        fields=fields,
        link=f"{home}/browse/{key}?focusedWorklogId={worklog.id}" if home else None,
    )


def names_worklog(entity: str) -> bool:
    """Whether an entity of a webhook's is a worklog."""
    return _ENTITY.fullmatch(entity) is not None
