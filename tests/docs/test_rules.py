"""The worked numbers of `docs/concepts/rules.md`, computed anew by what the service computes with."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import TypeAdapter

from app.domain.aggregate import aggregate, ratio
from app.domain.calendar import business_calendar
from app.domain.language import CalendarSpec, Change, WindowSpec
from app.domain.pace import on_curve
from app.domain.progress import compliance, progress, projected_value, resolve_target
from app.domain.status import DEFAULT_PRESET
from app.domain.window import TimeSpan, resolve
from tests.docs.snippets import ROOT

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 16, 13, 0, tzinfo=BERLIN)
QUARTER = TimeSpan(datetime(2026, 10, 1, tzinfo=BERLIN), datetime(2027, 1, 1, tzinfo=BERLIN))
FIVE = [Decimal(text) for text in ("1", "2", "3", "4", "10")]
Row = dict[str, str]


def tables() -> list[tuple[tuple[str, ...], list[Row]]]:
    """The page's tables: their heads, and their rows by them."""
    found = []
    lines = (ROOT / "docs" / "concepts" / "rules.md").read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.fullmatch(r"\|(---\|)+", line):
            head = cells(lines[number - 1])
            rows = []
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(dict(zip(head, cells(row), strict=True)))
            found.append((head, rows))
    return found


def cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip("|").split("|"))


def shown(number: Decimal | Fraction | None, like: str) -> str:
    """A number with as many places as the page gives it; `unknown` for none."""
    if number is None:
        return "unknown"
    places = len(like.partition(".")[2])
    exact = Fraction(number)
    rounded = Decimal(round(exact * 10**places)).scaleb(-places)
    # Without those the page would round away what it does not say.
    assert places == 2 or Fraction(rounded) == exact, f"{exact} is not {like}"
    return format(rounded, "f")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def _progress(row: Row) -> Row:
    value, baseline, target = (Decimal(row[name]) for name in ("value", "baseline", "target"))
    return row | {"progress": shown(progress(value, baseline, target), row["progress"])}


def _change(row: Row) -> Row:
    reached = resolve_target(Change(change=row["target"]), Decimal(row["baseline"]))
    return row | {"reached at": shown(reached, row["reached at"])}


def _bound(row: Row) -> Row:
    kept = compliance(row["bound, in percent"], Decimal(row["value"]), is_percent=True)
    left = shown(kept.remaining_budget, row["allowance left"])
    return row | {"holds": "yes" if kept.holds else "no", "allowance left": left}


def _window(row: Row) -> Row:
    spec: WindowSpec = TypeAdapter(WindowSpec).validate_python(yaml.safe_load(row["window"]))
    span = resolve(spec, at=NOW, zone=BERLIN, cycle=QUARTER)
    assert span.start is not None
    assert span.end is not None
    told = {name: edge.astimezone(BERLIN) for name, edge in (("from", span.start), ("to", span.end))}
    return row | {name: edge.replace(tzinfo=None).isoformat(timespec="minutes") for name, edge in told.items()}


def _many(row: Row) -> Row:
    how = row["aggregate of 1, 2, 3, 4, 10"]
    return row | {"is": shown(aggregate(how, FIVE), row["is"])}


def _none(row: Row) -> Row:
    return row | {"is": shown(aggregate(row["aggregate of nothing"], []), row["is"])}


def _ratio(row: Row) -> Row:
    found = ratio(Decimal(row["good"]), Decimal(row["total"]), percent=True)
    return row | {"percent": shown(found, row["percent"])}


def _business(row: Row) -> Row:
    calendar = business_calendar(CalendarSpec(holidays="DE-BE"), BERLIN)
    seconds = calendar.seconds_between(moment(row["from"]), moment(row["to"]))
    hours, days = Fraction(seconds) / 3600, Fraction(seconds) / calendar.nominal_day
    return row | {
        "business hours": shown(hours, row["business hours"]),
        "business days": shown(days, row["business days"]),
    }


def _share(row: Row) -> Row:
    good, bad = Decimal(row["good, minutes"]), Decimal(row["bad, minutes"])
    return row | {"percent": shown(ratio(good, good + bad, percent=True), row["percent"])}


def _projected(row: Row) -> Row:
    start = datetime(2026, 10, 1, tzinfo=UTC)
    part = Decimal(row["part of the window that has passed"])
    at = start + timedelta(days=float(part * 100))
    found = projected_value(Decimal(row["value"]), TimeSpan(start, start + timedelta(days=100)), at)
    return row | {"heading for": shown(found, row["heading for"])}


def _expected(row: Row) -> Row:
    part = Fraction(row["part of the cycle"])
    curves = {name: on_curve(name, part) for name in ("linear", "early", "late", "s_curve")}
    return row | {name: shown(found, row[name]) for name, found in curves.items()}


def _status(row: Row) -> Row:
    return row | {"status": DEFAULT_PRESET.band(Fraction(row["progress"]), Fraction(row["expected"]))}


COMPUTED: dict[tuple[str, ...], Callable[[Row], Row]] = {
    ("baseline", "target", "value", "progress"): _progress,
    ("baseline", "target", "reached at"): _change,
    ("bound, in percent", "value", "holds", "allowance left"): _bound,
    ("window", "from", "to"): _window,
    ("aggregate of 1, 2, 3, 4, 10", "is"): _many,
    ("aggregate of nothing", "is"): _none,
    ("good", "total", "percent"): _ratio,
    ("from", "to", "business hours", "business days"): _business,
    ("good, minutes", "bad, minutes", "excluded, minutes", "percent"): _share,
    ("value", "part of the window that has passed", "heading for"): _projected,
    ("part of the cycle", "linear", "early", "late", "s_curve"): _expected,
    ("expected", "progress", "status"): _status,
}
ROWS = [pytest.param(head, row, id=f"{head[0]}-{'-'.join(row.values())}") for head, rows in tables() for row in rows]


def test_every_table_of_the_page_is_computed() -> None:
    assert {head for head, _ in tables()} == set(COMPUTED)


@pytest.mark.parametrize(("head", "row"), ROWS)
def test_a_worked_number_is_what_the_service_computes(head: tuple[str, ...], row: Row) -> None:
    assert COMPUTED[head](row) == row
