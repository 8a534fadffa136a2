"""One run's talk with a Jira site: its requests, its pages, and what is asked once.

`JiraSession` speaks to Jira Cloud; `connectors.jira.data_center` says what is different on one's own servers.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import msgspec

from connectors.concurrency import together
from connectors.contract import Toolbox
from connectors.errors import AccessDeniedError, QueryError, UnavailableError, UnexpectedResponseError
from connectors.jira.failures import failure, short_wait
from connectors.jira.fields import FieldPlan
from connectors.jira.histories import History
from connectors.jira.jql import among
from connectors.jira.models import JiraConfig
from connectors.jira.payloads import (
    Account,
    BulkHistory,
    ChangelogPage,
    Count,
    FetchedIssues,
    FieldDetails,
    Issue,
    IssueIdPage,
    IssuePage,
    ProjectPage,
    StatusDetails,
    decode,
    decoder_of,
)

API = "/rest/api/3"

#: Search gives up to 5,000 rows a page for ids alone, and up to 100 with fields, whatever is asked.
IDS_A_PAGE = 5_000
ISSUES_A_PAGE = 100
#: Limits of `POST /rest/api/3/issue/bulkfetch` and `POST /rest/api/3/changelog/bulkfetch`.
ISSUES_A_FETCH = 100
ISSUES_A_CHANGELOG_CALL = 1_000
HISTORIES_A_PAGE = 10_000
#: So many issues a search looks at anew instead of believing its index (`reconcileIssues`).
RECONCILED = 50

# A page may be empty and still have a successor; a run of them that long is a tool that lost its way.
_EMPTY_PAGES = 50
# Large answers that are under way together.
_ANSWERS_AT_A_TIME = 4
# A run that is told to hold still that often in a row ends, to come back when there is more room.
_MOST_WAITS = 20

ShapeT = TypeVar("ShapeT")
OtherT = TypeVar("OtherT")
PageT = TypeVar("PageT", IssuePage, IssueIdPage)
IssuesT = TypeVar("IssuesT", FetchedIssues, IssuePage)
Histories = Mapping[str, Sequence[History]]


async def beside(one: Coroutine[Any, Any, ShapeT], other: Coroutine[Any, Any, OtherT]) -> tuple[ShapeT, OtherT]:
    """As `together`, of two kinds."""
    found: list[Any] = await together(one, other)
    return found[0], found[1]


class JiraSession:
    """An open connection's requests. Every failure is one of `connectors.errors`; nothing is retried here."""

    api = API
    #: Whether issues are best read by their ids, in bulk; else page by page.
    reads_by_id = True

    def __init__(self, config: JiraConfig, toolbox: Toolbox) -> None:
        self.config = config
        self.toolbox = toolbox
        self._authorization = self._credential()
        self._account: Account | None = None
        self._tool_time: datetime | None = None
        self._calm = asyncio.Event()
        self._calm.set()
        self._waits = 0

    def _credential(self) -> str:
        account = f"{self.config.email}:{self.config.token.reveal()}"
        return f"Basic {base64.b64encode(account.encode()).decode()}"

    # --- requests -------------------------------------------------------------------------------------------------

    @staticmethod
    def with_query(path: str, query: Mapping[str, object]) -> str:
        """The path with a query string."""
        return f"{path}?{urlencode(query, doseq=True)}"

    async def get(self, path: str, shape: type[ShapeT], what: str) -> ShapeT:
        """`GET path` as `shape`; `what` names the answer to people."""
        return decode(await self._send("GET", path) or b"", shape, what)

    async def find(self, path: str, shape: type[ShapeT], what: str) -> ShapeT | None:
        """As `get`; None where there is nothing of the kind, or nothing that the account can see."""
        body = await self._send("GET", path, may_be_missing=True)
        return None if body is None else decode(body, shape, what)

    async def post(self, path: str, body: Mapping[str, object], shape: type[ShapeT], what: str) -> ShapeT:
        """`POST path` with `body` as JSON, the answer as `shape`."""
        return decode(await self._send("POST", path, msgspec.json.encode(body)) or b"", shape, what)

    async def as_stranger(self, path: str) -> bytes | None:
        """The body of `GET path` without a credential; None where there is nothing of the kind."""
        return await self._send("GET", path, may_be_missing=True, is_known=False)

    async def _next(self, path: str, request: Mapping[str, object], shape: type[ShapeT], what: str) -> ShapeT:
        """As `post`, for one page of several: what is refused after the first one is its token, which has run out."""
        try:
            return await self.post(path, request, shape, what)
        except QueryError as error:
            if "nextPageToken" not in request:
                raise
            raise UnavailableError(f"Jira gives no more pages of this read: {error}") from error

    async def _send(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        may_be_missing: bool = False,
        is_known: bool = True,
    ) -> bytes | None:
        """The body of a success; None for a 404 that the caller reckons with."""
        headers = {"Accept": "application/json"} | ({"Authorization": self._authorization} if is_known else {})
        if content is not None:
            headers["Content-Type"] = "application/json"
        while True:
            await self._calm.wait()
            try:
                response = await self.toolbox.http.request(
                    method, f"{self.config.url}{path}", content=content, headers=headers, follow_redirects=False
                )
            except httpx.HTTPError as error:
                raise UnavailableError(f"Jira could not be reached ({type(error).__name__}).") from error
            self._note_time(response.headers.get("date"))
            wait = short_wait(response.status_code, response.headers, self.toolbox.now())
            if wait is None or self._waits >= _MOST_WAITS:
                break
            await self._hold_still(wait.total_seconds())
        if response.is_success:
            self._waits = 0  # it goes on, though slowly: a large read may be told so ever again
        if may_be_missing and response.status_code == HTTPStatus.NOT_FOUND:
            return None
        body = response.content
        refused = failure(response.status_code, response.headers, body, self.toolbox.now())
        if refused is not None:
            raise refused
        return body

    async def _hold_still(self, seconds: float) -> None:
        """Send nothing for a while; requests that are under way and refused too wait for the same while."""
        if not self._calm.is_set():
            return
        self._calm.clear()
        self._waits += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._calm.set()

    # --- what is asked once ---------------------------------------------------------------------------------------

    def _note_time(self, date: str | None) -> None:
        if date is None:
            return
        try:
            parsed = parsedate_to_datetime(date)
        except ValueError:
            return
        self._tool_time = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)

    def tool_time(self) -> datetime:
        """Jira's clock at its last answer, or ours where that is behind: a bound that is never after either."""
        now = self.toolbox.now()
        return now if self._tool_time is None else min(now, self._tool_time)

    async def account(self) -> Account:
        """Who we are to Jira. Asked once a session."""
        if self._account is None:
            self._account = await self.get(f"{self.api}/myself", Account, "account")
        return self._account

    async def zone(self) -> ZoneInfo:
        """The account's time zone, which Jira reads the dates of JQL in."""
        account = await self.account()
        if not account.timeZone:
            raise UnexpectedResponseError("Jira does not tell the account's time zone.")
        try:
            return ZoneInfo(account.timeZone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UnexpectedResponseError(f"Jira names an unknown zone: {account.timeZone[:60]!r}.") from error

    async def fields(self) -> list[FieldDetails]:
        """Every field that the account can see."""
        return await self.get(f"{self.api}/field", list[FieldDetails], "fields")

    async def statuses(self) -> list[StatusDetails]:
        """Every status of an active workflow."""
        return await self.get(f"{self.api}/status", list[StatusDetails], "statuses")

    async def sees_project(self, key: str) -> bool:
        """Whether the account can see the project that has, or had, this key."""
        return await self._send("GET", f"{self.api}/project/{quote(key, safe='')}", may_be_missing=True) is not None

    async def fate_of_project(self, key: str) -> str | None:
        """`archived` or `deleted` for a project that the account can not see and Jira tells it of (administrators
        alone are told); None where it may only be out of sight."""
        query = self.with_query(
            f"{self.api}/project/search", {"keys": key, "status": ["archived", "deleted"], "maxResults": 1}
        )
        try:
            page = await self.find(query, ProjectPage, "projects")
        except (AccessDeniedError, QueryError):
            return None  # it is not for this account to know
        for project in () if page is None else page.values:
            if project.key == key and (project.deleted or project.archived):
                return "deleted" if project.deleted else "archived"
        return None

    async def estimate(self, jql: str) -> int:
        """Jira's estimate of how many issues match."""
        counted = await self.post(f"{self.api}/search/approximate-count", {"jql": jql}, Count, "count")
        if counted.count < 0:
            raise UnexpectedResponseError("Jira counts fewer than no issues.")
        return counted.count

    # --- issues ---------------------------------------------------------------------------------------------------

    async def count(self, jql: str) -> tuple[int, str | None]:
        """How many issues a query in a stable order takes, counted issue by issue, and the digest of their ids."""
        count, digest = 0, hashlib.sha256()
        async with aclosing(self.ids(jql)) as batches:
            async for batch in batches:
                count += len(batch)
                digest.update("".join(f"{one}\n" for one in batch).encode())
        return count, f"sha256:{digest.hexdigest()}"

    async def search(
        self, jql: str, fields: Sequence[str], size: int, shape: type[PageT], *, reconciled: Sequence[str] = ()
    ) -> AsyncGenerator[PageT, None]:
        """The pages of a search, one after the other: a page's token is in the page before it. Of the `reconciled`
        issues Jira looks at what they are, not at what its index has heard of them."""
        request: dict[str, object] = {"jql": jql, "fields": list(fields), "maxResults": size}
        if reconciled:
            request["reconcileIssues"] = [int(one) for one in reconciled]
        tokens: set[str] = set()
        empty = 0
        while True:
            page = await self._next(f"{self.api}/search/jql", request, shape, "search results")
            yield page
            token = page.nextPageToken
            if page.isLast is True or token is None:
                if page.isLast is False:
                    raise UnexpectedResponseError("Jira says that more issues follow and not how to get them.")
                return
            empty = 0 if page.issues else empty + 1
            if token in tokens or empty > _EMPTY_PAGES:
                raise UnexpectedResponseError("Jira's search does not end: it repeats a page token or sends no issues.")
            tokens.add(token)
            request["nextPageToken"] = token

    async def ids(self, jql: str) -> AsyncGenerator[list[str], None]:
        """The ids of all issues that a query in a stable order takes, each once, in batches."""
        seen: set[str] = set()
        async with aclosing(self.search(jql, ["id"], IDS_A_PAGE, IssueIdPage)) as pages:
            async for page in pages:
                new = list(dict.fromkeys(issue.id for issue in page.issues if issue.id not in seen))
                seen.update(new)
                yield new

    async def pages(self, jql: str, plan: FieldPlan) -> AsyncGenerator[tuple[list[Issue], Histories], None]:
        """All issues that a query in a stable order takes, with their histories, one batch after the other."""
        async with aclosing(self.ids(jql)) as batches:
            async for ids in batches:
                for start in range(0, len(ids), ISSUES_A_CHANGELOG_CALL):
                    yield await self.with_histories(ids[start : start + ISSUES_A_CHANGELOG_CALL], plan)

    async def few(self, jql: str, plan: FieldPlan) -> tuple[list[Issue], Histories] | None:
        """The issues of a query with their histories in two requests, or None where a page does not hold them all."""
        request = {"jql": jql, "fields": plan.ids, "maxResults": ISSUES_A_PAGE}
        page = await self._issues("search/jql", request, IssuePage, plan, "search results")
        if page.isLast is False or (page.isLast is None and page.nextPageToken is not None):
            return None
        ids = list(dict.fromkeys(issue.id for issue in page.issues))
        histories = await self._histories_of_seen(ids) if ids else {}
        return (page.issues, histories) if histories is not None else await self.with_histories(ids, plan)

    async def with_histories(self, ids: Sequence[str], plan: FieldPlan) -> tuple[list[Issue], Histories]:
        """The issues with these ids as they are now (not as the index has them), with their changes of status.

        At most `ISSUES_A_CHANGELOG_CALL` ids; issues that are not there, or not to be seen, are left out.
        """
        parts = [ids[start : start + ISSUES_A_FETCH] for start in range(0, len(ids), ISSUES_A_FETCH)]
        fetched, histories = await beside(
            together(*(self._fetch(part, plan) for part in parts)), self._histories_of_seen(ids)
        )
        issues = [issue for part in fetched for issue in part]
        if histories is None:
            histories = await self.status_histories([issue.id for issue in issues]) if issues else {}
        return issues, histories

    async def with_fields(self, ids: Sequence[str], plan: FieldPlan) -> list[Issue]:
        """The issues with these ids as they are now; those that are not there, or not to be seen, are left out."""
        parts = (ids[start : start + ISSUES_A_FETCH] for start in range(0, len(ids), ISSUES_A_FETCH))
        return [issue for part in await together(*(self._fetch(part, plan) for part in parts)) for issue in part]

    async def every_with_fields(self, jql: str, plan: FieldPlan, size: int) -> AsyncGenerator[list[Issue], None]:
        """All issues that a query in a stable order takes, each once, without their histories; `size` in an answer."""
        async with aclosing(self.ids(jql)) as batches:
            async for ids in batches:
                parts = [ids[start : start + size] for start in range(0, len(ids), size)]
                for first in range(0, len(parts), _ANSWERS_AT_A_TIME):
                    some = parts[first : first + _ANSWERS_AT_A_TIME]
                    for issues in await together(*(self._fetch(part, plan) for part in some)):
                        yield issues

    async def _fetch(self, ids: Sequence[str], plan: FieldPlan) -> list[Issue]:
        fetched = await self._fetch_once(ids, plan)
        issues = fetched.issues
        again = [error.id for error in fetched.issueErrors if error.id is not None]
        if fetched.issueErrors:
            # "A retriable error or payload constraint": each is asked for alone before the read is given up.
            if len(again) < len(fetched.issueErrors):
                raise UnavailableError("Jira could not give some issues and does not say which.")
            for one in again:
                alone = await self._fetch_once([one], plan)
                if alone.issueErrors:
                    words = (alone.issueErrors[0].errorMessage or "no reason")[:200]
                    raise UnavailableError(f"Jira could not give the issue {one}: {words}")
                issues.extend(alone.issues)
        return issues

    async def _fetch_once(self, ids: Sequence[str], plan: FieldPlan) -> FetchedIssues:
        request = {"issueIdsOrKeys": list(ids), "fields": plan.ids}
        return await self._issues("issue/bulkfetch", request, FetchedIssues, plan, "issues")

    async def _issues(
        self, resource: str, request: Mapping[str, object], shape: type[IssuesT], plan: FieldPlan, what: str
    ) -> IssuesT:
        body = await self._send("POST", f"{self.api}/{resource}", msgspec.json.encode(request)) or b""
        try:
            found: IssuesT = decoder_of(plan.shape(shape)).decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError, ArithmeticError):
            return decode(body, shape, what)  # of another shape than is usual, or what is wrong is said
        return found

    async def _histories_of_seen(self, ids: Sequence[str]) -> Histories | None:
        """The histories, or None where Jira refuses the request: one of the issues may have gone since."""
        try:
            return await self.status_histories(ids)
        except QueryError:
            return None

    async def in_scope(self, jql: str, issues: Sequence[Issue]) -> set[str]:
        """Which of these issues, all of which exist, the query takes now, whatever the index has heard of them."""
        ids = sorted((issue.id for issue in issues), key=int)
        parts = [ids[start : start + RECONCILED] for start in range(0, len(ids), RECONCILED)]
        return set[str]().union(*await together(*(self._reconciled(jql, part) for part in parts)))

    async def _reconciled(self, jql: str, ids: Sequence[str]) -> set[str]:
        # Page by page: what the first page has no room for is in scope all the same.
        pages = self.search(among(jql, ids), ["id"], IDS_A_PAGE, IssueIdPage, reconciled=ids)
        async with aclosing(pages):
            return {issue.id async for page in pages for issue in page.issues}

    async def status_histories(self, issues: Sequence[str]) -> Histories:
        """The saves that touched the status, by issue id, for at most `ISSUES_A_CHANGELOG_CALL` issues.

        The histories of one issue may lie on several pages, so all pages are read before any is used.
        """
        request: dict[str, object] = {
            "issueIdsOrKeys": list(issues),
            "fieldIds": ["status"],
            "maxResults": HISTORIES_A_PAGE,
        }
        found: dict[str, list[BulkHistory]] = {}
        tokens: set[str] = set()
        while True:
            page = await self.post(f"{self.api}/changelog/bulkfetch", request, ChangelogPage, "changelogs")
            for changelog in page.issueChangeLogs:
                found.setdefault(changelog.issueId, []).extend(changelog.changeHistories)
            token = page.nextPageToken
            if token is None:
                return found
            if token in tokens:
                raise UnexpectedResponseError("Jira's changelogs do not end: it repeats a page token.")
            tokens.add(token)
            request["nextPageToken"] = token
