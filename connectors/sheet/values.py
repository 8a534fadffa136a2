"""Cells as values: exact numbers, moments and texts, in the way that a sheet writes them. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.aggregates import Aggregate, aggregate
from connectors.answer import Answer
from connectors.contract import JsonValue
from connectors.errors import QueryError
from connectors.sheet.models import SheetConfig
from connectors.sheet.places import Place
from connectors.spreadsheet.cells import Cell, Sheet, quoted
from connectors.spreadsheet.dates import AmbiguousDateError, DateError, DateOrder, date_order, read_moment
from connectors.spreadsheet.numbers import (
    AmbiguousNumberError,
    DecimalMark,
    NumberError,
    Quantity,
    decimal_mark,
    read_quantity,
)
from connectors.spreadsheet.units import NOTHING, SYMBOLS, UNITS, folded

_SEPARATED = re.compile(r"\d[.,]\d")
_KNOWN_UNITS = frozenset((*UNITS.values(), *SYMBOLS.values()))
# What is written so is a name of something, and no number that could be added up.
_LEADING_ZERO = re.compile(r"0\d")
_YEARS = range(1901, 2200)
_DECIMAL = 'say decimal: "." or "," at the connection'
_DATES = "say dates: dmy or mdy at the connection"


@dataclass(frozen=True, slots=True)
class Style:
    """How a sheet writes its numbers and days (None: that can not be told), and where its days begin."""

    mark: DecimalMark | None
    order: DateOrder | None
    zone: ZoneInfo


def style_of(sheet: Sheet, config: SheetConfig) -> Style:
    """As the connection says, else by the numbers and days that can be read in one way only."""
    texts = [cell.text for row in sheet.rows for cell in row if cell.number is None and cell.day is None and cell.text]
    return Style(config.decimal or _mark(texts), config.dates or date_order(_days(texts)), ZoneInfo(config.timezone))


def _mark(texts: Iterable[str]) -> DecimalMark | None:
    try:
        return decimal_mark(text for text in texts if _SEPARATED.search(text) and _is_number(text))
    except NumberError:
        return None  # written in both ways: what can be read in two is then refused where it stands


def _is_number(text: str) -> bool:
    try:
        read_quantity(text, ".")
    except NumberError:
        return False
    return True


def _days(texts: Iterable[str]) -> Iterator[str]:
    """The texts that begin with digits, without a time behind them."""
    return (text.split()[0].rstrip(",") for text in texts if text[0].isdigit())


# --- numbers ---------------------------------------------------------------------------------------------------------


def answer_at(sheet: Sheet, place: Place, style: Style) -> Answer:
    """The number at a place; unknown for an empty cell, a word that stands for nothing and an error of the sheet's own.
    QueryError for anything else that is no number."""
    cell = sheet.cell(place.row, place.column)
    reason = _nothing(cell, place)
    return Answer(None, reason) if reason else Answer(_number(cell, place, style))


def aggregate_of(sheet: Sheet, places: Sequence[Place], how: Aggregate, style: Style) -> Answer:
    """The numbers at places as one; empty cells are left out. Unknown where one is an error of the sheet's own, and
    where nothing is left of what can not be added up."""
    numbers: list[Decimal] = []
    for place in places:
        cell = sheet.cell(place.row, place.column)
        if cell.fault is not None:
            return Answer(None, f"{place}: {cell.fault}")
        if not cell.is_repeated and _nothing(cell, place) is None:
            numbers.append(Decimal(0) if how == "count" else _number(cell, place, style))
    value = aggregate(how, numbers)
    return Answer(value, None if value is not None else "the column has no number")


def _nothing(cell: Cell, place: Place) -> str | None:
    """Why a cell has no value, where it has none."""
    if cell.fault is not None:
        return f"{place}: {cell.fault}"
    if cell.is_blank:
        return f"{place} is empty"
    says_nothing = folded(cell.text) in NOTHING and not re.search(r"[%€$£\d]", cell.text)
    return f"{place} says {quoted(cell.text)}" if says_nothing else None


def _number(cell: Cell, place: Place, style: Style) -> Decimal:
    if cell.number is not None:
        return cell.number
    if cell.day is not None:
        raise QueryError(f"{place} is the day {cell.day} and no number (sheets make 1.5 the 1st of May).")
    try:
        found = read_quantity(cell.text, style.mark)
    except AmbiguousNumberError as error:
        raise QueryError(f"{quoted(cell.text)} in {place} {error}: {_DECIMAL}.") from None
    except NumberError as error:
        raise QueryError(f"{quoted(cell.text)} in {place} {error}.") from None
    if found.bound is not None:
        raise QueryError(f"{quoted(cell.text)} in {place} is a bound and not a number.")
    return found.value


# --- fields of records -----------------------------------------------------------------------------------------------


def field_of(cell: Cell, style: Style) -> tuple[JsonValue, str | None]:
    """What a record has of a cell: an exact number, a moment as text, any other text, null; and what is to be said of
    it. A number may have a unit that is known beside it."""
    if cell.fault is not None:
        return None, cell.fault
    if cell.is_blank:
        return None, None
    if cell.number is not None:
        return _plain(cell.number), None
    if cell.day is not None:
        return _moment(cell.day, cell.clock, style.zone) or cell.text, None
    return _of_text(cell.text, style)


def _of_text(text: str, style: Style) -> tuple[JsonValue, str | None]:
    if not any(character.isdigit() for character in text):
        return text, None
    try:
        found = read_quantity(text, style.mark)
        return (_plain(found.value), None) if _is_plain(found, text) else (text, None)
    except AmbiguousNumberError as error:
        return text, f"{quoted(text)} {error}: {_DECIMAL}"
    except NumberError:
        pass
    try:
        return _moment(*read_moment(text, style.order), style.zone) or text, None
    except AmbiguousDateError as error:
        return text, f"{quoted(text)} {error}: {_DATES}"
    except DateError:
        return text, None


def _is_plain(found: Quantity, text: str) -> bool:
    is_known = found.unit is None or found.unit in _KNOWN_UNITS
    return is_known and found.bound is None and not _LEADING_ZERO.match(text)


def _plain(number: Decimal) -> int | Decimal:
    return int(number) if number == number.to_integral_value() and abs(number) < 10**15 else number


def _moment(day: date, clock: time | None, zone: ZoneInfo) -> str | None:
    """A day's beginning, or its time, in UTC; None for a day that nothing of today can have happened on."""
    if day.year not in _YEARS:
        return None
    local = datetime.combine(day, clock or time(), tzinfo=zone)
    return local.astimezone(UTC).isoformat().replace("+00:00", "Z")
