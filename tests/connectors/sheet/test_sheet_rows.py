"""Rows as records: numbers, moments and texts by the names of their columns, and what is said of what is not sound."""

import contextlib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.boundary import check_page
from connectors.contract import Cursor, Page
from connectors.errors import ConnectorError, QueryError, UnexpectedResponseError
from connectors.sheet import SheetDataset
from connectors.sheet.connector import fetch, read, sweep
from tests.connectors.sheet.asked import URL, session, workbook

TICKETS = """Our tickets;;;;
;;;;
Ticket;Opened;Hours;Note;Closed
T-1;1.10.2026;1,5;first;02.10.2026 14:30
T-2;15.10.2026;1.234,25;007;
;;;;
;16.10.2026;3;no key;
T-3;soon;;63 %;n/a
"""


async def pages(
    document: bytes | str, dataset: dict[str, Any], cursor: Cursor | None = None, **config: Any
) -> list[Page]:
    async def call(opened: Any) -> list[Page]:
        asked = SheetDataset.model_validate(dataset)
        return [check_page(page) async for page in read(opened, asked, cursor)]

    found = await session(document, call, **config)
    assert isinstance(found, list)
    return found


async def records(document: bytes | str, dataset: dict[str, Any], **config: Any) -> dict[str, Any]:
    found = [change for page in await pages(document, dataset, **config) for change in page.changes]
    return {change.entity: change for change in found}


async def test_a_row_is_a_record_with_its_columns_as_fields() -> None:
    found = await records(TICKETS, {"id": "ticket", "created": "Opened"}, timezone="Europe/Berlin")
    assert list(found) == ["T-1", "T-2", "T-3"]
    assert found["T-1"].fields == {
        "Ticket": "T-1",
        "Opened": "2026-09-30T22:00:00Z",
        "Hours": Decimal("1.5"),
        "Note": "first",
        "Closed": "2026-10-02T12:30:00Z",
    }
    assert found["T-1"].created == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert found["T-2"].fields["Hours"] == Decimal("1234.25")
    assert (found["T-2"].fields["Note"], found["T-2"].fields["Closed"]) == ("007", None)
    assert (found["T-3"].fields["Note"], found["T-3"].fields["Closed"], found["T-3"].created) == (63, "n/a", None)
    assert (found["T-3"].name, found["T-3"].link) == ("T-3", URL)


async def test_what_is_left_out_is_said_with_its_rows() -> None:
    *_, last = await pages(TICKETS, {"id": "Ticket", "created": "Opened"})
    assert list(last.warnings) == ["rows without “Ticket” are left out (row 7)", "rows have no day in “Opened” (row 8)"]


async def test_the_same_document_is_not_read_again_and_still_says_what_is_wrong() -> None:
    dataset = {"id": "Ticket", "created": "Opened"}
    first = await pages(TICKETS, dataset)
    (again,) = await pages(TICKETS, dataset, first[-1].cursor)
    assert (again.changes, again.cursor, list(again.warnings)) == ((), first[-1].cursor, list(first[-1].warnings))
    for other in (
        await pages(TICKETS.replace("1,5", "2,5"), dataset, first[-1].cursor),
        await pages(TICKETS, {"id": "Ticket"}, first[-1].cursor),
        await pages(TICKETS, dataset, first[-1].cursor, timezone="Asia/Tokyo"),
    ):
        assert sum(len(page.changes) for page in other) == 3


async def test_a_document_that_is_known_is_not_even_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    first = await pages(TICKETS, {"id": "Ticket"})
    monkeypatch.delattr("connectors.sheet.session.read_sheet")
    assert len(await pages(TICKETS, {"id": "Ticket"}, first[-1].cursor)) == 1


async def test_a_long_sheet_comes_in_pages() -> None:
    sheet = "Ticket,Hours\n" + "".join(f"T-{number},{number}\n" for number in range(2_500))
    assert [len(page.changes) for page in await pages(sheet, {"id": "Ticket"})] == [1000, 1000, 500, 0]


async def test_one_document_serves_a_whole_run() -> None:
    async def call(opened: Any) -> Any:
        dataset = SheetDataset(id="Ticket")
        async for _ in read(opened, dataset, None):
            pass
        keys = [key async for batch in sweep(opened, dataset) for key in batch]
        (page,) = [page async for page in fetch(opened, dataset, {"T-2": "", "T-9": "T-9"}, None)]
        return keys, page, opened.toolbox.calls()

    keys, page, calls = await session(TICKETS, call)
    assert keys == ["T-1", "T-2", "T-3"]
    assert [change.entity for change in page.changes] == ["T-2"]
    assert (dict(page.absent), calls) == ({"T-9": "deleted"}, 1)


async def test_two_rows_with_one_id_are_nobodys_to_guess() -> None:
    with pytest.raises(UnexpectedResponseError, match="Rows 4 and 8 have the same “Ticket”"):
        await pages(TICKETS.replace("T-3", "T-1"), {"id": "Ticket"})


@pytest.mark.parametrize("dataset", [{"id": "Number"}, {"id": "Ticket", "created": "Born"}])
async def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(dataset: dict[str, Any]) -> None:
    with pytest.raises(QueryError, match=r"No column is called .* there are “Ticket”, “Opened”"):
        await pages(TICKETS, dataset)


async def test_columns_of_one_name_are_told_apart_and_those_without_are_left_out() -> None:
    found = await records("Ticket,Hours,,hours\nT-1,1,2,3\n", {"id": "Ticket"})
    assert found["T-1"].fields == {"Ticket": "T-1", "Hours": 1, "hours (D)": 3}


async def test_a_workbook_keeps_its_numbers_days_and_times() -> None:
    opened = datetime.combine(date(2026, 10, 1), time(14, 30))  # a workbook knows no zone
    rows = [["Ticket", "Opened", "Due", "Share"], [7, opened, date(2026, 12, 24), 0.1]]
    found = await records(workbook(A=[["x"]], B=rows), {"sheet": "B", "id": "Ticket"}, timezone="America/New_York")
    assert found["7"].fields == {
        "Ticket": "7",
        "Opened": "2026-10-01T18:30:00Z",
        "Due": "2026-12-24T05:00:00Z",
        "Share": Decimal("0.1"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10/13/2026 2:30:05 PM", "2026-10-13T14:30:05Z"),
        ("10/13/2026 12:05 am", "2026-10-13T00:05:00Z"),
        ("2026-10-13T14:30:05.123", "2026-10-13T14:30:05Z"),
        ("13 October 2026", "2026-10-13T00:00:00Z"),
        ("Oct 13, 2026, 9:05", "2026-10-13T09:05:00Z"),
        ("31.02.2026", "31.02.2026"),
        ("0001-01-01", "0001-01-01"),
        ("1.10.2026 25:00", "1.10.2026 25:00"),
        ("12 May", "12 May"),
        ("5 Main Street", "5 Main Street"),
        ("14:30", "14:30"),
        (">= 5", ">= 5"),
        ("4h", 4),
        ("$1.50", Decimal("1.50")),
        ("1e5", "1e5"),
        ("+49 30 1234567", "+49 30 1234567"),
        ("@dana", "@dana"),
        ("#N/A", None),
    ],
)
async def test_a_text_becomes_what_it_is_for_people(text: str, expected: object) -> None:
    found = await records(f'Ticket,Value\nT-1,"{text}"\n', {"id": "Ticket"})
    assert found["T-1"].fields["Value"] == expected


async def test_what_can_be_read_in_two_ways_stays_a_text_and_is_said() -> None:
    sheet = 'Ticket,Day,Cost\nT-1,3/4/2026,"1.234"\n'
    *_, last = await pages(sheet, {"id": "Ticket"})
    assert [warning.partition(": ")[0] for warning in last.warnings] == ["“Day”", "“Cost”"]
    assert "say dates: dmy or mdy" in last.warnings[0]
    assert (await records(sheet, {"id": "Ticket"}))["T-1"].fields["Day"] == "3/4/2026"
    said = await records(sheet, {"id": "Ticket"}, dates="mdy", decimal=",")
    assert said["T-1"].fields == {"Ticket": "T-1", "Day": "2026-03-04T00:00:00Z", "Cost": 1234}
    told = await records(sheet + 'T-2,3/13/2026,"2,5"\n', {"id": "Ticket"})
    assert told["T-1"].fields == said["T-1"].fields


CELLS = st.one_of(
    st.text("T1234567890.,:/- €%#@=\"';\nÄpmAM", max_size=12),
    st.sampled_from(["Ticket", "Day", "1.234", "3/4/2026", "31.12.9999 23:59", "0001-01-01", "1" * 40, "#REF!"]),
)


@given(grid=st.lists(st.lists(CELLS, max_size=4), max_size=6), zone=st.sampled_from(["UTC", "Asia/Tokyo"]))
async def test_whatever_rows_hold_can_be_stored_or_is_a_failure(grid: list[list[str]], zone: str) -> None:
    lines = [["Ticket", "Day"], *grid]
    document = "\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in lines)
    with contextlib.suppress(ConnectorError):
        for page in await pages(document, {"id": "Ticket", "created": "Day"}, timezone=zone):
            assert all(change.entity for change in page.changes)
