"""What becomes of a cell or a column: a number, an unknown with its reason, or a failure named by its remedy."""

import contextlib
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Window
from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.sheet.connector import browse, check, discover
from connectors.sheet.models import SheetConfig, SheetQuery
from connectors.sheet.places import Place, by_address, crossing, folded_label
from connectors.spreadsheet.cells import Cell, Sheet, letters
from tests.connectors.sheet.asked import NOW, TOKEN, URL, measured, session, workbook

BUDGET = """Budget 2026,,
,,
Item,Plan,Actual
Overhead,"1,000.00","€ 1,200.50"
Licences,300,63 %
Travel,,tbd
Total,1300,#REF!
"""
CROSSING = {"row": "Overhead", "column": "Actual"}


async def test_a_cell_and_the_same_by_what_it_is_called() -> None:
    by_name = await measured(BUDGET, CROSSING)
    assert (by_name.value, by_name.observed_at, by_name.link) == (Decimal("1200.50"), NOW, URL)
    assert by_name.query == f"GET {URL} → “Overhead” × “Actual” in C4"
    by_place = await measured(BUDGET, {"cell": "c4"})
    assert (by_place.value, by_place.query) == (Decimal("1200.50"), f"GET {URL} → C4")
    assert by_name.digest == by_place.digest
    assert (by_name.digest or "").startswith("sha256:")


async def test_a_row_that_is_inserted_moves_the_cell_and_not_the_names() -> None:
    longer = BUDGET.replace("Overhead", "Rent,5,7\noverHEAD ")
    assert (await measured(longer, {"cell": "C4"})).value == 7
    assert (await measured(longer, CROSSING)).value == Decimal("1200.50")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"cell": "B6"}, "B6 is empty"),
        ({"cell": "ZZ900"}, "ZZ900 is empty"),
        ({"cell": "C6"}, "C6 says “tbd”"),
        ({"cell": "C7"}, "C7: the sheet itself has an error here: #REF!"),
        ({"row": "Travel", "column": "Plan"}, "B6 is empty"),
        ({"column": "Actual", "aggregate": "sum"}, "C7: the sheet itself has an error here: #REF!"),
    ],
)
async def test_nothing_is_unknown_and_not_zero(query: dict[str, Any], reason: str) -> None:
    found = await measured(BUDGET, query)
    assert (found.value, found.reason) == (None, reason)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"cell": "A4"}, "“Overhead” in A4 is not a number"),
        ({"row": "Rent", "column": "Actual"}, "No row below “Actual” is called “Rent”"),
        ({"row": "Budget 2026", "column": "Actual"}, "No row below"),
        ({"row": "Overhead", "column": "Spent"}, "No column is called “Spent”; there are “Item”, “Plan”, “Actual”"),
        ({"cell": "B4", "sheet": "Q4"}, "only a workbook has sheets"),
    ],
)
async def test_a_place_that_is_not_there_is_an_error_that_says_so(query: dict[str, Any], said: str) -> None:
    with pytest.raises(QueryError, match=said):
        await measured(BUDGET, query)


async def test_a_name_that_is_there_twice_is_no_place() -> None:
    sheet = "Item,Plan,Plan\nRent,1,2\nRent,3,4\nFood,5,Rent\n"
    with pytest.raises(QueryError, match="B1 and C1 both say “Plan”"):
        await measured(sheet, {"column": "Plan", "aggregate": "sum"})
    with pytest.raises(QueryError, match="A2 and A3 both say “Rent”"):
        await measured(sheet.replace("Plan,Plan", "Plan,Spent"), {"row": "Rent", "column": "Plan"})


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [
        ("1.234,56", None, "1234.56"),
        ("1,234.56", None, "1234.56"),
        ("1.234", ",", "1234"),
        ("1.234", ".", "1.234"),
        ("63 %", None, "63"),
        ("€ 1.200,00", None, "1200.00"),
        ("$1.2M", None, "1200000"),
        ("(3,000)", ".", "-3000"),
        ("−5", None, "-5"),
        ("12 Tage", None, "12"),
        ("1'234.50", None, "1234.50"),
        ("0,5", None, "0.5"),
    ],
)
async def test_numbers_as_people_write_them(text: str, decimal: str | None, expected: str) -> None:
    found = await measured(f'"x"\n"{text}"\n', {"cell": "A2"}, **({"decimal": decimal} if decimal else {}))
    assert found.value == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.234", 'can be read in two ways.* say decimal: "." or "," at the connection'),
        (">= 99.9", "is a bound and not a number"),
        ("5 or 6", "is not a number"),
        ("2026-11-01", "is not a number"),
        ("(3", "has a bracket that is not closed"),
    ],
)
async def test_what_can_not_be_read_is_refused_at_its_place(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=rf"in A2 {said}"):
        await measured(f'"x"\n"{text}"\n', {"cell": "A2"})


@pytest.mark.parametrize(
    ("other", "expected"), [("2,5", "1234"), ("2.5", "1.234"), ("1.5.2026", None), ("a 1,5 b", None)]
)
async def test_the_rest_of_the_sheet_decides_what_can_be_read_in_two_ways(other: str, expected: str | None) -> None:
    sheet = f'"1.234"\n"{other}"\n'
    if expected is None:  # a day and a sentence say nothing of how numbers are written
        with pytest.raises(QueryError, match="two ways"):
            await measured(sheet, {"cell": "A1"})
    else:
        assert (await measured(sheet, {"cell": "A1"})).value == Decimal(expected)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("sum", "7.5"), ("count", "3"), ("avg", "2.5"), ("median", "2"), ("min", "1.5"), ("max", "4")],
)
async def test_a_column_as_one_number(how: str, expected: str) -> None:
    sheet = "Ticket;Hours\nT-1;1,5\nT-2;\nT-3;4\nT-4;n/a\nT-5;2\n"
    found = await measured(sheet, {"column": "hours", "aggregate": how})
    assert found.value == Decimal(expected)
    assert found.query == f"GET {URL} → {how} of “hours” below B1"


@pytest.mark.parametrize(("how", "expected"), [("sum", Decimal(0)), ("count", Decimal(0)), ("max", None)])
async def test_a_column_of_nothing(how: str, expected: Decimal | None) -> None:
    found = await measured("Ticket,Hours\n", {"column": "Hours", "aggregate": how})
    assert (found.value, found.reason) == (expected, None if expected is not None else "the column has no number")


async def test_a_text_in_a_column_is_an_error_and_not_left_out() -> None:
    with pytest.raises(QueryError, match="“lots” in B3 is not a number"):
        await measured("Ticket,Hours\nT-1,1\nT-2,lots\n", {"column": "Hours", "aggregate": "sum"})


async def test_a_workbook_has_exact_cells_and_several_sheets() -> None:
    book = workbook(Notes=[["nothing"]], Q4=[["Item", "Share", "Since"], ["Rent", 0.1, date(2026, 5, 1)]])
    assert (await measured(book, {"sheet": "Q4", "row": "Rent", "column": "Share"})).value == Decimal("0.1")
    found = await measured(book, {"sheet": "Q4", "cell": "B2"})
    assert found.query == f"GET {URL} → “Q4”: B2"
    with pytest.raises(QueryError, match="C2 is the day 2026-05-01 and no number"):
        await measured(book, {"sheet": "Q4", "cell": "C2"})
    with pytest.raises(QueryError, match="there is no sheet of that name; there are Notes, Q4"):
        await measured(book, {"sheet": "Q3", "cell": "B2"})


async def test_the_line_that_names_the_delimiter_is_no_row() -> None:
    assert (await measured("sep=|\r\nItem|Plan\r\nRent|7\r\n", {"cell": "B2"})).value == 7


@pytest.mark.parametrize("window", [Window(NOW - timedelta(days=9), NOW), Window(None, NOW - timedelta(days=1))])
async def test_a_sheet_tells_of_now_only(window: Window) -> None:
    with pytest.raises(QueryError, match="A sheet tells of now"):
        await measured(BUDGET, CROSSING, window)


# --- the server ------------------------------------------------------------------------------------------------------


def moved(request: httpx.Request) -> httpx.Response:
    """A server that keeps the content at another one, and tells no other its token."""
    if request.url.host == "files.acme.example":
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        if request.url.path == "/budget.csv":
            return httpx.Response(307, headers={"location": "/moved"})
        return httpx.Response(302, headers={"location": "https://store.example/b?sig=1"})
    assert "authorization" not in request.headers
    return httpx.Response(200, text=BUDGET, headers={"content-type": "text/csv; charset=utf-8"})


async def test_a_redirect_is_followed_and_the_token_stays_behind() -> None:
    assert (await measured(moved, CROSSING, token={"env": "FILES"})).value == Decimal("1200.50")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://files.acme.example/b", UnexpectedResponseError),
        ("https://169.254.169.254/latest/meta-data/", AccessDeniedError),
        ("https://127.0.0.1/b", AccessDeniedError),
        ("https://[::1]/b", AccessDeniedError),
        (URL, UnexpectedResponseError),
    ],
)
async def test_a_redirect_to_where_nobody_may_go_is_not_followed(location: str, expected: type[ConnectorError]) -> None:
    asked: list[httpx.Request] = []

    def site(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"location": location})

    with pytest.raises(expected):
        await measured(site, CROSSING)
    assert {request.url.host for request in asked} == {"files.acme.example"}
    assert len(asked) <= 6


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html; charset=utf-8", b"<!DOCTYPE html><title>Sign in</title>"),
        ("text/html", b"anything"),
        ("text/csv", b"\xef\xbb\xbf\n <html>"),
        ("", b"<?xml version='1.0'?>"),
    ],
)
async def test_a_login_page_is_told_from_a_sheet(kind: str, body: bytes) -> None:
    def site(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"content-type": kind})

    with pytest.raises(UnexpectedResponseError, match=r"a web page .*: the sheet is not public"):
        await measured(site, CROSSING)


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (httpx.Response(401), AuthenticationError, "the sheet is not public"),
        (httpx.Response(403), AccessDeniedError, "the sheet is not public"),
        (httpx.Response(404), QueryError, "HTTP 404"),
        (httpx.Response(429, headers={"retry-after": "9"}), RateLimitedError, "HTTP 429"),
        (httpx.Response(500), UnavailableError, "HTTP 500"),
        (httpx.Response(200, json={"error": 1}), UnexpectedResponseError, "application/json where CSV"),
        (httpx.Response(200, headers={"content-type": "application/pdf"}), UnexpectedResponseError, "pdf where CSV"),
        (httpx.Response(200, content=b" \r\n "), UnexpectedResponseError, "nothing where a sheet"),
        (httpx.Response(200, content=b"a\x00b"), UnexpectedResponseError, "is not text"),
        (httpx.Response(200, content=b"PK\x03\x04 no zip"), UnexpectedResponseError, "the workbook can not be read"),
        (httpx.Response(200, content=b"\xd0\xcf\x11\xe0"), UnexpectedResponseError, "save it as .xlsx or .csv"),
        (httpx.Response(200, content=b"a\n" * 20_001), UnexpectedResponseError, "more than 20000 rows"),
        (httpx.Response(200, content=b"a" * (11 * 1024 * 1024)), UnexpectedResponseError, "larger than 10 MiB"),
    ],
)  # fmt: skip
async def test_a_bad_day_is_named_by_its_remedy(
    answer: httpx.Response, expected: type[ConnectorError], said: str
) -> None:
    with pytest.raises(expected, match=said):
        await measured(lambda request: answer, CROSSING)


async def test_what_a_connection_shows() -> None:
    checked = await session(BUDGET, check)
    assert checked.summary == "The sheet has 7 rows and 3 columns."
    found = await session(BUDGET, discover)
    assert [(one.kind, one.id, one.name, one.detail) for one in found] == [
        ("column", "A", "Item", "A3"),
        ("column", "B", "Plan", "B3"),
        ("column", "C", "Actual", "C3"),
    ]
    page = "https://docs.google.com/spreadsheets/d/1aBc/edit?gid=7#gid=7"
    assert browse(SheetConfig(url=page), SheetQuery(cell="C7")) == page


# --- whatever a sheet holds ------------------------------------------------------------------------------------------


@given(row=st.integers(0, 99_999), column=st.integers(0, 17_000))
def test_an_address_is_read_as_it_is_shown(row: int, column: int) -> None:
    place = Place(row, column)
    assert str(place) == f"{letters(column)}{row + 1}"
    assert by_address(str(place)) == place


LABELS = st.lists(st.text("abcß É", min_size=1).filter(str.strip), min_size=1, max_size=5, unique_by=folded_label)


@given(rows=LABELS, columns=LABELS, data=st.data())
def test_names_lead_to_where_they_cross(rows: list[str], columns: list[str], data: st.DataObject) -> None:
    head = [Cell(), *(Cell(name.strip()) for name in columns)]
    body = [[Cell(f"row {name}"), *(Cell("1") for _ in columns)] for name in rows]
    row, column = data.draw(st.sampled_from(rows)), data.draw(st.sampled_from(columns))
    place = crossing(Sheet([[], head, *body]), f"ROW  {row}", column.upper())
    assert place == Place(rows.index(row) + 2, columns.index(column) + 1)


@given(content=st.binary(max_size=200) | st.text("0123456789.,;\"'\n -%€aA", max_size=200).map(str.encode))
async def test_any_document_is_a_number_an_unknown_or_a_failure(content: bytes) -> None:
    for query in ({"cell": "A1"}, {"row": "a", "column": "A"}, {"column": "a", "aggregate": "sum"}):
        with contextlib.suppress(ConnectorError):
            found = await measured(content, query)
            assert (found.value is None) != (found.reason is None)
            assert found.value is None or found.value.is_finite()


@given(
    number=st.decimals(min_value=-(10**9), max_value=10**9, places=2),
    style=st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", "."), ("", ","), ("", ".")]),
    sign=st.sampled_from(["{}", "€ {}", "{} €", "{} %", "{}"]),
)
async def test_a_number_is_read_as_it_was_written(number: Decimal, style: tuple[str, str], sign: str) -> None:
    group, mark = style
    written = sign.format(f"{number:,.2f}".translate(str.maketrans({",": group, ".": mark})))
    assert (await measured(f'"x"\n"{written}"\n', {"cell": "A2"})).value == number
