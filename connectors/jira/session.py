"""One run's talk with a Jira Cloud site: its requests, its pages, and what is asked once."""

import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import msgspec

from connectors.contract import Toolbox
from connectors.errors import UnavailableError, UnexpectedResponseError
from connectors.jira.failures import failure
from connectors.jira.models import JiraConfig
from connectors.jira.payloads import (
    Account,
    ChangeHistory,
    ChangelogPage,
    Count,
    FieldDetails,
    IssueIdPage,
    IssuePage,
    StatusDetails,
    decode,
)

API = "/rest/api/3"

#: Search gives up to 5,000 rows a page for ids alone, and up to 100 with fields, whatever is asked.
IDS_A_PAGE = 5_000
ISSUES_A_PAGE = 100
#: Limits of `POST /rest/api/3/changelog/bulkfetch`.
ISSUES_A_CHANGELOG_CALL = 1_000
HISTORIES_A_PAGE = 10_000

# A page may be empty and still have a successor; a run of them that long is a tool that lost its way.
_EMPTY_PAGES = 50

ShapeT = TypeVar("ShapeT")
PageT = TypeVar("PageT", IssuePage, IssueIdPage)


class JiraSession:
    """An open connection's requests. Every failure is one of `connectors.errors`; nothing is retried here."""

    def __init__(self, config: JiraConfig, toolbox: Toolbox) -> None:
        self.config = config
        self.toolbox = toolbox
        self._credential = base64.b64encode(f"{config.email}:{config.token.reveal()}".encode()).decode()
        self._zone: ZoneInfo | None = None
        self._tool_time: datetime | None = None

    async def get(self, path: str, shape: type[ShapeT], what: str) -> ShapeT:
        """`GET path` as `shape`; `what` names the answer to people."""
        return decode(await self._send("GET", path), shape, what)

    async def post(self, path: str, body: Mapping[str, object], shape: type[ShapeT], what: str) -> ShapeT:
        """`POST path` with `body` as JSON, the answer as `shape`."""
        return decode(await self._send("POST", path, msgspec.json.encode(body)), shape, what)

    async def _send(self, method: str, path: str, content: bytes | None = None) -> bytes:
        headers = {"Accept": "application/json", "Authorization": f"Basic {self._credential}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = await self.toolbox.http.request(
                method, f"{self.config.url}{path}", content=content, headers=headers, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise UnavailableError(f"Jira could not be reached ({type(error).__name__}).") from error
        self._note_time(response.headers.get("date"))
        body = response.content
        refused = failure(response.status_code, response.headers, body, self.toolbox.now())
        if refused is not None:
            raise refused
        return body

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

    async def zone(self) -> ZoneInfo:
        """The account's time zone, which Jira reads the dates of JQL in. Asked once a session."""
        if self._zone is None:
            account = await self.get(f"{API}/myself", Account, "account")
            if not account.timeZone:
                raise UnexpectedResponseError("Jira does not tell the account's time zone.")
            try:
                self._zone = ZoneInfo(account.timeZone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise UnexpectedResponseError(f"Jira names an unknown zone: {account.timeZone[:60]!r}.") from error
        return self._zone

    async def fields(self) -> list[FieldDetails]:
        """Every field that the account can see."""
        return await self.get(f"{API}/field", list[FieldDetails], "fields")

    async def statuses(self) -> list[StatusDetails]:
        """Every status of an active workflow."""
        return await self.get(f"{API}/status", list[StatusDetails], "statuses")

    async def estimate(self, jql: str) -> int:
        """Jira's estimate of how many issues match."""
        counted = await self.post(f"{API}/search/approximate-count", {"jql": jql}, Count, "count")
        if counted.count < 0:
            raise UnexpectedResponseError("Jira counts fewer than no issues.")
        return counted.count

    async def search(
        self, jql: str, fields: Sequence[str], size: int, shape: type[PageT]
    ) -> AsyncGenerator[PageT, None]:
        """The pages of a search, one after the other: a page's token is in the page before it."""
        request: dict[str, object] = {"jql": jql, "fields": list(fields), "maxResults": size}
        tokens: set[str] = set()
        empty = 0
        while True:
            page = await self.post(f"{API}/search/jql", request, shape, "search results")
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

    async def status_histories(self, issues: Sequence[str]) -> dict[str, list[ChangeHistory]]:
        """The saves that touched the status, by issue id, for at most `ISSUES_A_CHANGELOG_CALL` issues.

        The histories of one issue may lie on several pages, so all pages are read before any is used.
        """
        request: dict[str, object] = {
            "issueIdsOrKeys": list(issues),
            "fieldIds": ["status"],
            "maxResults": HISTORIES_A_PAGE,
        }
        found: dict[str, list[ChangeHistory]] = {}
        tokens: set[str] = set()
        while True:
            page = await self.post(f"{API}/changelog/bulkfetch", request, ChangelogPage, "changelogs")
            for changelog in page.issueChangeLogs:
                found.setdefault(changelog.issueId, []).extend(changelog.changeHistories)
            token = page.nextPageToken
            if token is None:
                return found
            if token in tokens:
                raise UnexpectedResponseError("Jira's changelogs do not end: it repeats a page token.")
            tokens.add(token)
            request["nextPageToken"] = token
