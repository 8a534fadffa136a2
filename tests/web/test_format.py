"""Numbers, moments and texts as pages show them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.web import format as formats

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        ("8.7", "business_days", "8.7 business days"),
        ("1", "business_days", "1 business day"),
        ("1", "hours", "1 hour"),
        ("63", "percent", "63_%"),
        ("99.949", "percent", "99.95_%"),
        ("1240000", "EUR", "€_1.24 M"),
        ("268123456789.12", "EUR", "€_268.1 bn"),
        ("999999", "USD", "$_999_999"),
        ("-1500", "GBP", "£_−1_500"),
        ("0.000123456", "number", "0.0001235"),
        ("0", None, "0"),
        ("1234567890123", "tickets", "1_234_567_890_123 tickets"),
        ("5", "EUR/people", "5 EUR/people"),
        (None, "EUR", "—"),
    ],
)
def test_quantities(value: str | None, unit: str | None, shown: str) -> None:
    found = formats.quantity(value, unit)
    assert found.replace(formats.THIN, "_").replace(formats.SPACE, " ") == shown


@pytest.mark.parametrize(
    ("text", "unit", "shown"),
    [
        (">= 99.9", "percent", "≥ 99.9_%"),
        ("<= 250000", "EUR", "≤ €_250_000"),
        ("> 3", None, "> 3"),
        (">= 97% of baseline", None, "≥ 97% of baseline"),
        ("between 5 and 10", "score", "between 5 and 10"),
    ],
)
def test_bounds(text: str, unit: str | None, shown: str) -> None:
    assert formats.bound(text, unit).replace(formats.THIN, "_").replace(formats.SPACE, " ") == shown


@pytest.mark.parametrize(
    ("gone", "shown"),
    [(3, "just now"), (59, "59 s ago"), (300, "5 min ago"), (7200, "2 h ago"), (86400, "1 day ago"), (-7300, "in 2 h")],
)
def test_ages(gone: int, shown: str) -> None:
    assert formats.ago(NOW - timedelta(seconds=gone), NOW).replace(formats.SPACE, " ") == shown


def test_other_texts() -> None:
    assert formats.ago(None, NOW) == "never"
    assert formats.percent(0.625) == f"62{formats.THIN}%"
    assert formats.percent(-0.1) == f"−10{formats.THIN}%"
    assert formats.day(date(2026, 10, 1)).replace(formats.SPACE, " ") == "1 Oct 2026"
    assert formats.last_day(date(2027, 1, 1)).replace(formats.SPACE, " ") == "31 Dec 2026"
    assert formats.clock(NOW).replace(formats.SPACE, " ") == "22 Nov 2026 09:30"
    assert formats.difference("0.4") == "+0.4"
    assert formats.difference("-3") == "−3"
    assert formats.difference(None) == "—"
    assert formats.from_of("15", "business_days") == "15"
    assert formats.from_of("15", "EUR") == f"€{formats.THIN}15"
    assert formats.room(Decimal("-0.3"), "percent") == f"0.3{formats.THIN}% beyond"
    assert formats.exact(Decimal("1E+3")) == "1000"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Short", ("Short", "")),
        ("New colleagues are productive soon", ("New colleagues are", "productive soon")),
        ("每一项服务都像自来水一样可靠", ("每一项服务都像自来水", "一样可靠")),
        ("x" * 50, ("x" * 20, "x" * 20 + "…")),
    ],
)
def test_titles_break_into_two_lines(text: str, lines: tuple[str, str]) -> None:
    assert formats.two_lines(text, 20) == lines


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://", "ftp://x", "http://[x", None]
)
def test_what_is_no_link(link: str | None) -> None:
    assert formats.safe_link(link) is None


def test_what_is_a_link() -> None:
    assert formats.safe_link("https://acme.atlassian.net/browse/X-1") == "https://acme.atlassian.net/browse/X-1"
