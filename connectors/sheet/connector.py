"""The connector for spreadsheets: its hooks, and the value that names them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from connectors.answer import digest_of
from connectors.contract import Checked, Connector, Cursor, Discovered, Measurement, Page, Toolbox, Window
from connectors.errors import QueryError
from connectors.sheet.models import SheetConfig, SheetDataset, SheetQuery
from connectors.sheet.places import Place, by_address, crossing, head_of, headers
from connectors.sheet.session import Opened, SheetSession
from connectors.sheet.values import aggregate_of, answer_at
from connectors.spreadsheet.cells import letters, quoted
from connectors.windows import is_past

_ROWS_A_PAGE = 1_000


@asynccontextmanager
async def open_sheet(config: SheetConfig, toolbox: Toolbox) -> AsyncIterator[SheetSession]:
    """A session of one run. It asks nothing by itself; AuthenticationError where a secret is not available."""
    yield SheetSession(config, toolbox)


async def check(session: SheetSession) -> Checked:
    """What the document's first sheet has; raises what `connectors.errors` says otherwise."""
    sheet = (await session.open(None)).sheet
    columns = max((len(row) for row in sheet.rows), default=0)
    return Checked(
        f"The sheet has {len(sheet.rows)} rows and {columns} columns.",
        {"url": session.config.url, "content": session.address},
    )


async def discover(session: SheetSession) -> Sequence[Discovered]:
    """The columns of the document's first sheet, by the first row that names them."""
    sheet = (await session.open(None)).sheet
    return [
        Discovered("column", letters(place.column), sheet.cell(place.row, place.column).text, f"{place}")
        for place in headers(sheet)
    ]


async def measure(session: SheetSession, query: SheetQuery, window: Window) -> Measurement:
    """The number that the sheet has now. Unknown where nothing is there.

    QueryError for a place that is not there or has no number, and for a window: a sheet tells of now.
    """
    now = session.toolbox.now()
    if window.start is not None or is_past(window, now):
        raise QueryError("A sheet tells of now: leave the window out, or keep its rows as a dataset.")
    opened = await session.open(query.sheet)
    sheet, style = opened.sheet, opened.style
    if query.aggregate is not None and query.column is not None:
        head = head_of(sheet, query.column)
        places = [Place(row, head.column) for row in range(head.row + 1, len(sheet.rows))]
        answer = aggregate_of(sheet, places, query.aggregate, style)
        said = f"{query.aggregate} of {quoted(query.column)} below {head}"
    else:
        place = _place(opened, query)
        answer = answer_at(sheet, place, style)
        said = f"{place}" if query.cell else f"{quoted(query.row or '')} × {quoted(query.column or '')} in {place}"
    return Measurement(
        value=answer.value,
        observed_at=now,
        query=f"GET {session.address} → {f'{quoted(query.sheet)}: ' if query.sheet else ''}{said}",
        link=session.config.url,
        reason=answer.reason,
        digest=await session.digest(),
    )


def _place(opened: Opened, query: SheetQuery) -> Place:
    if query.cell is not None:
        return by_address(query.cell)
    return crossing(opened.sheet, query.row or "", query.column or "")


async def read(session: SheetSession, dataset: SheetDataset, cursor: Cursor | None) -> AsyncIterator[Page]:
    """Every row as a record; none where the document and how it is read are what they were at the cursor."""
    how = session.config.model_dump(mode="json", include={"decimal", "dates", "timezone"})
    digest = digest_of([await session.digest(), how, dataset.model_dump(mode="json")])
    if cursor is not None and cursor.get("digest") == digest:
        said = cursor.get("warnings")
        yield Page((), cursor=cursor, warnings=[str(one) for one in said] if isinstance(said, list) else ())
        return
    rows = await session.rows(dataset)
    for start in range(0, len(rows.changes), _ROWS_A_PAGE):
        yield Page(rows.changes[start : start + _ROWS_A_PAGE])
    yield Page((), cursor={"digest": digest, "warnings": list(rows.warnings)}, warnings=rows.warnings)


async def fetch(
    session: SheetSession, dataset: SheetDataset, known: Mapping[str, str], cursor: Cursor | None
) -> AsyncIterator[Page]:
    """The rows with these ids; one that is not there is deleted."""
    found = [change for change in (await session.rows(dataset)).changes if change.entity in known]
    gone = known.keys() - {change.entity for change in found}
    yield Page(found, absent=dict.fromkeys(gone, "deleted"))


async def sweep(session: SheetSession, dataset: SheetDataset) -> AsyncIterator[Sequence[str]]:
    """The ids of all rows."""
    yield [change.entity for change in (await session.rows(dataset)).changes]


def browse(config: SheetConfig, scope: SheetQuery | SheetDataset) -> str:
    """Where a person sees the sheet."""
    return config.url


SHEET = Connector(
    key="sheet",
    title="Spreadsheet",
    config=SheetConfig,
    query=SheetQuery,
    dataset=SheetDataset,
    min_interval=timedelta(minutes=1),
    open=open_sheet,
    check=check,
    discover=discover,
    measure=measure,
    read=read,
    fetch=fetch,
    sweep=sweep,
    browse=browse,
)
