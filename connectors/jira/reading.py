"""Reading a dataset: issues page by page, their histories in bulk beside it, records in between.

Search pages can only be asked for one after the other, changelogs need not be: while the next pages are searched, the
histories of the last ones are on their way. At most `_IN_FLIGHT` batches exist at a time, whatever the dataset's size.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.contract import Cursor, Page, RecordChange
from connectors.jira.fields import FieldPlan, moment_of, plan_fields
from connectors.jira.jql import in_stable_order, updated_since
from connectors.jira.models import JiraDataset
from connectors.jira.payloads import (
    Issue,
    IssuePage,
    StatusCategories,
    from_milliseconds,
    microseconds,
    milliseconds,
    status_transitions,
)
from connectors.jira.session import ISSUES_A_PAGE, JiraSession

#: How far an incremental read looks back behind the last one: Jira's index lags behind its issues.
OVERLAP = timedelta(minutes=10)

_BATCH = 500
_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class _Reader:
    session: JiraSession
    plan: FieldPlan
    categories: StatusCategories
    unmapped: Counter[str]

    async def batches(self, jql: str) -> AsyncGenerator[list[Issue], None]:
        batch: list[Issue] = []
        async with aclosing(self.session.search(jql, self.plan.ids, ISSUES_A_PAGE, IssuePage)) as pages:
            async for page in pages:
                batch.extend(page.issues)
                if len(batch) >= _BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def page(self, batch: list[Issue]) -> Page:
        # An issue that comes twice is the newer one of the two: it changed while it was being read.
        issues: dict[str, Issue] = {}
        for issue in batch:
            held = issues.get(issue.id)
            if held is None or moment_of(held, "updated") <= moment_of(issue, "updated"):
                issues[issue.id] = issue
        histories = await self.session.status_histories(list(issues))
        changes = []
        for issue in issues.values():
            transitions = status_transitions(histories.get(issue.id, ()), self.categories)
            for transition in transitions:
                if transition.after is not None and transition.after_category is None:
                    self.unmapped[transition.after] += 1
            changes.append(
                RecordChange(
                    entity=issue.id,
                    name=issue.key,
                    version=microseconds(moment_of(issue, "updated")),
                    created=moment_of(issue, "created"),
                    fields=self.plan.values(issue) | {"status_category": self.category(issue)},
                    transitions=transitions,
                    link=f"{self.session.config.url}/browse/{issue.key}",
                )
            )
        return Page(changes)

    def category(self, issue: Issue) -> str | None:
        """The category of the status an issue is in: an issue that never moved has no transition that would tell it."""
        status = issue.fields.get("status")
        if not isinstance(status, dict):
            return None
        return self.categories.category(status.get("id"), status.get("name"))


async def read_issues(session: JiraSession, dataset: JiraDataset, cursor: Cursor | None) -> AsyncGenerator[Page, None]:
    """Every issue of the dataset, or what changed since `cursor`, and at the end an empty page with the next cursor.

    A cursor of another query or other fields is of no use: everything is read again.
    """
    zone = await session.zone()
    started = session.tool_time()
    plan = plan_fields(dataset.fields, await session.fields())
    fingerprint = plan.fingerprint(dataset.jql)
    watermark, warnings = _watermark(cursor, fingerprint)
    jql = in_stable_order(dataset.jql) if watermark is None else updated_since(dataset.jql, watermark - OVERLAP, zone)
    reader = _Reader(session, plan, StatusCategories(await session.statuses()), Counter())
    pending: deque[asyncio.Task[Page]] = deque()
    try:
        async with aclosing(reader.batches(jql)) as batches:
            async for batch in batches:
                pending.append(asyncio.create_task(reader.page(batch)))
                while pending and (len(pending) >= _IN_FLIGHT or pending[0].done()):
                    yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    warnings += [
        f"The status {name!r} has no category any more: {count} changes into it are in no category."
        for name, count in reader.unmapped.most_common(20)
    ]
    # The mark is Jira's clock when the read began: what changed while it ran is read by the next one.
    mark = started if watermark is None else max(started, watermark)
    yield Page((), {"watermark": milliseconds(mark), "fields": fingerprint}, warnings)


def _watermark(cursor: Cursor | None, fingerprint: str) -> tuple[datetime | None, list[str]]:
    if cursor is None:
        return None, []
    watermark = cursor.get("watermark")
    if not isinstance(watermark, int) or isinstance(watermark, bool) or cursor.get("fields") != fingerprint:
        return None, ["The dataset's query or fields changed: all issues were read again."]
    return from_milliseconds(watermark), []
