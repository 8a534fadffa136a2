"""What is different on one's own servers: Jira Data Center from 8.14 on, with a personal access token.

It has REST API version 2, pages by number instead of tokens, an exact total, histories inside the search, and no bulk
resources. https://docs.atlassian.com/software/jira/docs/api/REST/8.20.8/
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from connectors.concurrency import together
from connectors.errors import UnexpectedResponseError
from connectors.jira.fields import FieldPlan
from connectors.jira.jql import narrowed
from connectors.jira.payloads import ChangeHistory, Issue, decode
from connectors.jira.session import Histories, JiraSession

#: Issues a page, as far as the administrator allows (`jira.search.views.default.max`).
_PAGE = 500
_IDS_PAGE = 1_000
#: A row that leaves the result moves all after it to lower numbers, so each page begins with rows of the last one.
_SHARED_ROWS = 10
_FEW = 100
#: Requests for single issues at a time; the limit of a server is a bucket for each account.
_AT_A_TIME = 4
# A browser's and a proxy's longest address is some 8,000 characters; beyond this one the search is posted.
_LONGEST_ADDRESS = 4_000


class _History(msgspec.Struct, frozen=True):
    histories: list[ChangeHistory]
    total: int | None = None


class _Issue(msgspec.Struct, frozen=True):
    id: str
    key: str
    fields: dict[str, Any] = {}
    changelog: _History | None = None


class _Page(msgspec.Struct, frozen=True):
    issues: list[_Issue]
    total: int


class _HistoryPage(msgspec.Struct, frozen=True):
    values: list[ChangeHistory]
    total: int


class DataCenterSession(JiraSession):
    """As `JiraSession`, for Data Center."""

    api = "/rest/api/2"
    reads_by_id = False

    def _credential(self) -> str:
        return f"Bearer {self.config.token.reveal()}"

    async def count(self, jql: str) -> tuple[int, str | None]:
        """How many issues match: the server knows, and says no more."""
        page = await self._page(jql, ["key"], 0, 0)
        return page.total, None

    async def fate_of_project(self, key: str) -> str | None:
        """Nothing: no resource of version 2 tells of projects that are gone."""
        return None

    async def estimate(self, jql: str) -> int:
        """As `count`: there is no need to guess."""
        return (await self.count(jql))[0]

    # --- issues ---------------------------------------------------------------------------------------------------

    async def ids(self, jql: str) -> AsyncGenerator[list[str], None]:
        """The ids of all issues that a query in a stable order takes, each once, in batches."""
        async with aclosing(self._rows(jql, ["key"], _IDS_PAGE)) as pages:
            async for issues in pages:
                yield [issue.id for issue in issues]

    async def pages(self, jql: str, plan: FieldPlan) -> AsyncGenerator[tuple[list[Issue], Histories], None]:
        """All issues that a query in a stable order takes, each once, with their histories, page by page."""
        async with aclosing(self._rows(jql, plan.ids, _PAGE, with_changelog=True)) as pages:
            async for issues in pages:
                yield await self._completed(issues)

    async def few(self, jql: str, plan: FieldPlan) -> tuple[list[Issue], Histories] | None:
        """The issues of a query with their histories in one request, or None where a page does not hold them all."""
        page = await self._page(jql, plan.ids, 0, _FEW, with_changelog=True)
        return None if page.total > len(page.issues) else await self._completed(page.issues)

    async def with_histories(self, ids: Sequence[str], plan: FieldPlan) -> tuple[list[Issue], Histories]:
        """The issues with these ids, each asked for by itself; those that are not there are left out."""
        return await self._completed(await self._found(ids, plan.ids, with_changelog=True))

    async def with_fields(self, ids: Sequence[str], plan: FieldPlan) -> list[Issue]:
        """The issues with these ids, each asked for by itself; those that are not there are left out."""
        return [Issue(one.id, one.key, one.fields) for one in await self._found(ids, plan.ids)]

    async def every_with_fields(self, jql: str, plan: FieldPlan, size: int) -> AsyncGenerator[list[Issue], None]:
        """All issues that a query in a stable order takes, each once, without their histories, page by page."""
        async with aclosing(self._rows(jql, plan.ids, size)) as pages:
            async for issues in pages:
                yield [Issue(one.id, one.key, one.fields) for one in issues]

    async def in_scope(self, jql: str, issues: Sequence[Issue]) -> set[str]:
        """Which of these issues the query takes."""
        found: set[str] = set()
        for first in range(0, len(issues), _FEW):
            keys = ", ".join(issue.key for issue in issues[first : first + _FEW])
            start, total = 0, 1
            while start < total:  # a page may hold fewer than are asked for: as many as the administrator allows
                page = await self._page(narrowed(jql, f"key in ({keys})"), ["key"], start, _FEW)
                found.update(issue.id for issue in page.issues)
                start, total = start + len(page.issues), page.total if page.issues else 0
        return found & {issue.id for issue in issues}

    # --- requests -------------------------------------------------------------------------------------------------

    async def _rows(
        self, jql: str, fields: Sequence[str], size: int, *, with_changelog: bool = False
    ) -> AsyncGenerator[list[_Issue], None]:
        seen: set[str] = set()
        start, shared, back = 0, _SHARED_ROWS, 0
        while True:
            page = await self._page(jql, fields, start, size, with_changelog=with_changelog)
            rows = page.issues
            if start and not any(issue.id in seen for issue in rows[: shared + 1]):
                # More rows left than two pages share: what moved up is found by going back.
                back += 1
                if back > 1_000:
                    raise UnexpectedResponseError("Jira's search does not hold still: too many issues leave it.")
                shared *= 2
                start = max(0, start - shared)
                continue
            new = [issue for issue in rows if issue.id not in seen]
            unique = {issue.id: issue for issue in new}
            seen.update(unique)
            yield list(unique.values())
            if start + len(rows) >= page.total:
                return
            if not rows or (start and not new and len(rows) <= shared):
                raise UnexpectedResponseError("Jira says that more issues follow and sends none.")
            shared = min(_SHARED_ROWS, len(rows) // 2)
            start += len(rows) - shared

    async def _page(
        self, jql: str, fields: Sequence[str], start: int, size: int, *, with_changelog: bool = False
    ) -> _Page:
        query: dict[str, object] = {"jql": jql, "fields": ",".join(fields), "startAt": start, "maxResults": size}
        if with_changelog:
            query["expand"] = "changelog"
        address = self.with_query(f"{self.api}/search", query)
        if len(address) <= _LONGEST_ADDRESS:
            return await self.get(address, _Page, "search results")
        body = {**query, "fields": list(fields)} | ({"expand": ["changelog"]} if with_changelog else {})
        return await self.post(f"{self.api}/search", body, _Page, "search results")

    async def _found(self, ids: Sequence[str], fields: Sequence[str], *, with_changelog: bool = False) -> list[_Issue]:
        found: list[_Issue] = []
        for start in range(0, len(ids), _AT_A_TIME):
            some = ids[start : start + _AT_A_TIME]
            answers = await together(*(self._one(one, fields, with_changelog=with_changelog) for one in some))
            found += [issue for issue in answers if issue is not None]
        return found

    async def _one(self, issue: str, fields: Sequence[str], *, with_changelog: bool = True) -> _Issue | None:
        query = {"fields": ",".join(fields)} | ({"expand": "changelog"} if with_changelog else {})
        path = self.with_query(f"{self.api}/issue/{issue}", query)
        body = await self._send("GET", path, may_be_missing=True)
        return None if body is None else decode(body, _Issue, "issue")

    async def _completed(self, found: Sequence[_Issue]) -> tuple[list[Issue], Histories]:
        """The issues with whole histories: what a search cuts or leaves out is asked for by the issue."""
        histories: dict[str, list[ChangeHistory]] = {}
        short: list[_Issue] = []
        for issue in found:
            log = issue.changelog
            if log is None or (log.total is not None and log.total > len(log.histories)):
                short.append(issue)
            else:
                histories[issue.id] = log.histories
        for start in range(0, len(short), _AT_A_TIME):
            part = short[start : start + _AT_A_TIME]
            for issue, saves in zip(part, await together(*map(self._history, part)), strict=True):
                histories[issue.id] = saves
        return [Issue(issue.id, issue.key, issue.fields) for issue in found], histories

    async def _history(self, issue: _Issue) -> list[ChangeHistory]:
        alone = await self._one(issue.id, ["key"]) or await self._one(issue.key, ["key"])
        log = None if alone is None else alone.changelog
        if alone is None:
            return []  # it went in between: the next sweep says so
        if log is not None and (log.total is None or log.total <= len(log.histories)):
            return log.histories
        saves: list[ChangeHistory] = []
        while True:
            path = self.with_query(f"{self.api}/issue/{issue.id}/changelog", {"startAt": len(saves), "maxResults": 100})
            page = await self.get(path, _HistoryPage, "changelog")
            saves += page.values
            if len(saves) >= page.total:
                return saves
            if not page.values:
                raise UnexpectedResponseError(f"Jira cuts the history of {issue.key[:60]} and does not give the rest.")
