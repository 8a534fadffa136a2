"""Pull requests and issues as pages of records: all of them at first, then what was updated since.

Both lists are read newest first. What is updated meanwhile moves to the front, so that rows move towards the pages yet
to come and none is passed over; what was moved is read again the next time, for the watermark is never later than the
beginning of the read.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.concurrency import together
from connectors.contract import Cursor, Page, RecordChange
from connectors.errors import UnexpectedResponseError
from connectors.github.models import GitHubDataset
from connectors.github.payloads import (
    NAMES,
    approvals_of,
    is_pull_request,
    moment_of,
    number_of,
    record_of,
)
from connectors.github.session import GitHubSession

#: Read again beyond the watermark: clocks differ, and lists come from replicas.
OVERLAP = timedelta(minutes=10)
#: Reviews are asked for one pull request each; so many at a time.
_AT_A_TIME = 4
_PATHS = {"pull_requests": "pulls", "issues": "issues"}


async def read(session: GitHubSession, dataset: GitHubDataset, cursor: Cursor | None) -> AsyncIterator[Page]:
    """Everything in scope where there is no cursor, else what was updated since; the last page has the next cursor."""
    began, watermark = session.toolbox.now(), _watermark(cursor)
    newest, seen = watermark, set[int]()
    order = "created" if watermark is None else "updated"
    parameters = {"state": "all", "sort": order, "direction": "desc"}
    if watermark is not None and dataset.stream == "issues":
        parameters["since"] = _text(watermark - OVERLAP)
    path = f"/repos/{dataset.repository}/{_PATHS[dataset.stream]}"
    pages = session.pages(path, parameters, about=f"repository {dataset.repository}")
    async for rows in pages:
        fresh = []
        for row in rows:
            updated, number = moment_of(row, "updated_at"), number_of(row)
            newest = updated if newest is None else max(newest, updated)
            is_wanted = watermark is None or updated >= watermark - OVERLAP
            if is_wanted and number not in seen and _is_in_scope(row, dataset):
                fresh.append(row)
            seen.add(number)
        yield Page(await _records(session, dataset, fresh))
        if rows and _is_the_rest_older(rows[-1], dataset, watermark):
            break
    # What was updated while this was read may not have been seen: the next read begins before it.
    until = began if newest is None else min(newest, began)
    yield Page((), cursor={"since": _text(until)}, warnings=_warnings(dataset))


def _watermark(cursor: Cursor | None) -> datetime | None:
    if cursor is None:
        return None
    since = cursor.get("since")
    try:
        return datetime.fromisoformat(since if isinstance(since, str) else "").astimezone(UTC)
    except ValueError:
        raise UnexpectedResponseError("The cursor of this dataset is none of GitHub's.") from None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _is_in_scope(row: dict[str, Any], dataset: GitHubDataset) -> bool:
    if dataset.stream == "issues" and is_pull_request(row):
        return False
    return dataset.since is None or moment_of(row, "created_at").date() >= dataset.since


def _is_the_rest_older(row: dict[str, Any], dataset: GitHubDataset, watermark: datetime | None) -> bool:
    """Whether nothing after a row, in the order of the read, can be of interest."""
    if watermark is not None:
        return moment_of(row, "updated_at") < watermark - OVERLAP
    return dataset.since is not None and moment_of(row, "created_at").date() < dataset.since


async def _records(
    session: GitHubSession, dataset: GitHubDataset, rows: Sequence[dict[str, Any]]
) -> list[RecordChange]:
    if dataset.stream != "pull_requests" or "approvals" not in dataset.fields:
        return [record_of(row, dataset.stream, None) for row in rows]
    counts: list[int] = []
    for start in range(0, len(rows), _AT_A_TIME):
        some = rows[start : start + _AT_A_TIME]
        counts += await together(*(_approvals(session, dataset, number_of(row)) for row in some))
    return [record_of(row, dataset.stream, count) for row, count in zip(rows, counts, strict=True)]


async def _approvals(session: GitHubSession, dataset: GitHubDataset, number: int) -> int:
    path = f"/repos/{dataset.repository}/pulls/{number}/reviews"
    about = f"pull request #{number} of {dataset.repository}"
    reviews = [row async for page in session.pages(path, {}, about=about) for row in page]
    return approvals_of(reviews)


def _warnings(dataset: GitHubDataset) -> Sequence[str]:
    unknown = [name for name in dataset.fields if name not in (*NAMES[dataset.stream], *_ALWAYS)]
    what = dataset.stream.replace("_", " ")
    return [f"GitHub's {what} have no field {name!r}: it is always null." for name in unknown]


#: What every record has, whatever its fields.
_ALWAYS = ("id", "entity", "at", "link", "created", "updated")
