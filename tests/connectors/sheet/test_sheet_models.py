"""What a team may write for a spreadsheet, what is said of what it may not, and where its content is."""

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.errors import UnexpectedResponseError
from connectors.sheet import SheetConfig, SheetDataset, SheetQuery
from connectors.sheet.addresses import content_of, redirected

URL = "https://files.acme.example/budget.csv"


@pytest.mark.parametrize(
    "given",
    [
        {"url": URL},
        {"url": f"{URL}?v=2", "decimal": ",", "dates": "dmy", "timezone": "Europe/Berlin"},
        {"url": "http://files/budget.xlsx"},
        {"url": URL, "token": {"env": "FILES"}},
        {"url": URL, "username": "okr", "password": {"file": "/run/secrets/files"}},
        {"url": "https://docs.google.com/spreadsheets/d/1aBc/edit?gid=7#gid=7"},
    ],
)
def test_a_connection(given: dict[str, Any]) -> None:
    assert SheetConfig.model_validate(given).url == given["url"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "budget.csv"}, "an address such as https://docs.google.com"),
        ({"url": "ftp://files.acme.example/budget.csv"}, "an address such as"),
        ({"url": "https://[files/budget.csv"}, "not a URL"),
        ({"url": f"{URL} "}, "an address such as"),
        ({"url": "https://okr:secret@files.acme.example/budget.csv"}, "they go beside it"),
        ({"url": URL, "token": "literal"}, "a secret is a reference"),
        ({"url": "http://files/budget.csv", "token": {"env": "FILES"}}, "over https:// only"),
        ({"url": URL, "username": "okr"}, "go together"),
        ({"url": URL, "decimal": ";"}, "decimal"),
        ({"url": URL, "timezone": "Mars/Phobos"}, "a timezone such as Europe/Berlin"),
        ({"url": URL, "timezone": "../../etc/passwd"}, "a timezone such as Europe/Berlin"),
    ],
)
def test_what_is_no_connection(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SheetConfig.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"cell": "C7"},
        {"cell": "aa120", "sheet": "Q4"},
        {"row": "Overhead", "column": "Actual"},
        {"column": "Hours", "aggregate": "sum"},
    ],
)
def test_a_query_is_one_number(given: dict[str, Any]) -> None:
    assert not SheetQuery.model_validate(given).windowed()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"cell": "7"},
        {"cell": "C0"},
        {"cell": "C7:C9"},
        {"cell": "C7", "row": "Overhead"},
        {"row": "Overhead"},
        {"column": "Hours"},
        {"row": "Overhead", "column": "Actual", "aggregate": "sum"},
        {"column": "Hours", "aggregate": "last"},
        {"row": "", "column": "Actual"},
    ],
)
def test_what_is_no_query(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SheetQuery.model_validate(given)


def test_a_dataset_needs_what_tells_its_rows_apart() -> None:
    assert SheetDataset.model_validate({"id": "Ticket", "created": "Opened"}).sheet is None
    with pytest.raises(ValidationError, match="id"):
        SheetDataset.model_validate({"created": "Opened"})


GOOGLE = "https://docs.google.com/spreadsheets"


@pytest.mark.parametrize(
    ("page", "content"),
    [
        (f"{GOOGLE}/d/1aB-c_/edit?gid=7#gid=7", f"{GOOGLE}/d/1aB-c_/export?format=csv&gid=7"),
        (f"{GOOGLE}/d/1aBc/edit#gid=7", f"{GOOGLE}/d/1aBc/export?format=csv&gid=7"),
        (f"{GOOGLE}/d/1aBc/edit?usp=sharing", f"{GOOGLE}/d/1aBc/export?format=csv"),
        (f"{GOOGLE}/u/1/d/1aBc/view", f"{GOOGLE}/u/1/d/1aBc/export?format=csv"),
        (f"{GOOGLE}/d/1aBc", f"{GOOGLE}/d/1aBc/export?format=csv"),
        (f"{GOOGLE}/d/1aBc/export?format=xlsx", f"{GOOGLE}/d/1aBc/export?format=xlsx"),
        (f"{GOOGLE}/d/1aBc/gviz/tq?tqx=out:csv&sheet=Q4", f"{GOOGLE}/d/1aBc/gviz/tq?tqx=out:csv&sheet=Q4"),
        (f"{GOOGLE}/d/e/2PACX-1v/pubhtml", f"{GOOGLE}/d/e/2PACX-1v/pub?output=csv"),
        (f"{GOOGLE}/d/e/2PACX-1v/pubhtml?gid=7&single=true", f"{GOOGLE}/d/e/2PACX-1v/pub?gid=7&single=true&output=csv"),
        (f"{GOOGLE}/d/e/2PACX-1v/pub?gid=7&output=csv", f"{GOOGLE}/d/e/2PACX-1v/pub?gid=7&output=csv"),
        ("https://acme.sharepoint.com/:x:/s/ops/Eab?e=4x", "https://acme.sharepoint.com/:x:/s/ops/Eab?e=4x&download=1"),
        ("https://acme.sharepoint.com/sites/ops/budget.xlsx", "https://acme.sharepoint.com/sites/ops/budget.xlsx"),
        (f"{URL}?v=2#top", f"{URL}?v=2"),
        ("https://docs.google.com.evil.example/spreadsheets/d/1/edit", "https://docs.google.com.evil.example/spreadsheets/d/1/edit"),
    ],
)  # fmt: skip
def test_the_page_that_a_browser_shows_leads_to_its_content(page: str, content: str) -> None:
    assert content_of(page) == content


def test_where_a_redirect_leads() -> None:
    assert redirected(URL, "/other.csv?a=1") == "https://files.acme.example/other.csv?a=1"
    assert redirected(URL, "https://cdn.example/x") == "https://cdn.example/x"
    assert redirected("http://files/a", "http://files/b") == "http://files/b"


@pytest.mark.parametrize(
    "location", [None, "", "http://files.acme.example/", "ftp://a/b", "file:///etc/passwd", "//[x"]
)
def test_where_no_redirect_leads(location: str | None) -> None:
    with pytest.raises(UnexpectedResponseError, match=r"files\.acme\.example answered with a redirect"):
        redirected(URL, location)
