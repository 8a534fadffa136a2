"""Which column holds what: the row of headers, found and understood."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.services.spreadsheet.dates import find_cycle, read_day
from app.services.spreadsheet.remarks import Remarks
from app.services.spreadsheet.words import GERMAN_HEADERS, HEADERS, KINDS, LEVELS
from app.services.suggest import closest
from connectors.spreadsheet.cells import Cell, Sheet, SheetError, quoted
from connectors.spreadsheet.dates import DateError
from connectors.spreadsheet.units import folded, known_unit

_SPELLINGS = {spelling: role for role, spellings in HEADERS.items() for spelling in spellings}
_SEARCHED_ROWS = 25
_NO_HEADERS = (
    "no row of headers was found: columns such as Objective, Key Result, Baseline, Target, Unit and Owner are expected"
)
_TITLES = ("objective", "key_result", "item", "metric")
_LIKE_A_DAY = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{2,4}")
_CYCLE_WORDS = re.compile(r"\b(?:[qh][1-4]|[1-4] ?(?:quartal|quarter)|(?:fy|gj)? ?20\d\d|(?:fy|gj)\d\d)\b")


@dataclass(frozen=True, slots=True)
class Layout:
    """The 0-based row of headers and the column of each role. `units` are those that headers name, by role; `cycle` is
    one that a header names."""

    header: int
    columns: dict[str, int]
    units: dict[str, str] = field(default_factory=dict)
    cycle: str | None = None
    is_german: bool = False


@dataclass(frozen=True, slots=True)
class _Header:
    role: str
    spelling: str
    unit: str | None
    cycle: str | None
    was_misspelt: bool


def find_layout(sheet: Sheet, remarks: Remarks) -> Layout:
    """The layout of a sheet by its headers, and by what is below them where a header can mean two things."""
    best, most = None, 0
    for row in range(min(len(sheet.rows), _SEARCHED_ROWS)):
        headers = {column: found for column, cell in enumerate(sheet.rows[row]) if (found := _understood(cell.text))}
        roles = {header.role for header in headers.values()} - {"ignored"}
        if len(roles) > max(most, 1) and roles & set(_TITLES):
            best, most = (row, headers), len(roles)
    if best is None:
        raise SheetError(_NO_HEADERS)
    row, headers = best
    headers = {column: _by_content(sheet, row, column, header) for column, header in headers.items()}
    layout = _chosen(sheet, row, headers, remarks)
    if "item" not in layout.columns and not {"objective", "key_result"} <= layout.columns.keys():
        raise SheetError(_NO_HEADERS)
    for column, cell in enumerate(sheet.rows[row]):
        if column not in headers and not cell.is_blank:
            remarks.note(row, column, f"the column {quoted(cell.text)} is not understood and left out")
    return layout


def _understood(text: str) -> _Header | None:
    if not text or len(text) > 80:
        return None
    inside = " ".join(re.findall(r"[(\[]([^)\]]*)[)\]]", text))
    outside = re.sub(r"[(\[][^)\]]*[)\]]?", " ", text)
    spelling = folded(outside)
    bare = " ".join(_CYCLE_WORDS.sub(" ", spelling).split())
    try:
        cycle = find_cycle(inside) or (find_cycle(outside) if bare != spelling else None)
    except DateError:
        cycle = None
    for candidate in (spelling, bare, folded(text)):
        if candidate in _SPELLINGS:
            unit = known_unit(inside) or ("percent" if "%" in text else None)
            return _Header(_SPELLINGS[candidate], candidate, unit, cycle, False)
    near = closest(bare, _SPELLINGS) if 5 <= len(bare) <= 40 else None
    if near is None or len(near) < 5:
        return None
    return _Header(_SPELLINGS[near], near, known_unit(inside), cycle, True)


def _by_content(sheet: Sheet, row: int, column: int, header: _Header) -> _Header:
    """`Start` over days is when it starts, `Ziel` over numbers the target: what is below decides."""
    below = [cell for line in sheet.rows[row + 1 :] if column < len(line) and not (cell := line[column]).is_blank]
    role = header.role
    if not below:
        return header
    if role in ("baseline", "target", "starts", "ends"):
        is_start = role in ("baseline", "starts")
        if _most(below, _is_day):
            role = "starts" if is_start else "ends"
        elif _most(below, _has_number) and not _most(below, _is_dated):
            role = "baseline" if is_start else "target"
    elif role == "objective" and _most(below, _is_short_number):
        role = "target"
    elif role == "type" and _most(below, lambda cell: folded(cell.text) in KINDS):
        role = "kind"
    elif role == "kind" and _most(below, lambda cell: folded(cell.text) in LEVELS):
        role = "type"
    return replace(header, role=role)


def _most(cells: list[Cell], holds: Callable[[Cell], bool]) -> bool:
    return 2 * sum(map(holds, cells)) > len(cells)


def _is_day(cell: Cell) -> bool:
    if cell.day is not None:
        return True
    try:
        read_day(cell.text, "dmy")
    except DateError:
        return False
    return True


def _is_cycle(cell: Cell) -> bool:
    try:
        return find_cycle(cell.text, 2000) is not None and re.search(r"[A-Za-z-]", cell.text) is not None
    except DateError:
        return False


def _is_dated(cell: Cell) -> bool:
    """A cycle, a day, or what is written like one and is none: 30.02.2026 is no number either."""
    return _is_cycle(cell) or _is_day(cell) or _LIKE_A_DAY.fullmatch(cell.text.strip()) is not None


def _has_number(cell: Cell) -> bool:
    return cell.number is not None or re.search(r"\d", cell.text) is not None


def _is_short_number(cell: Cell) -> bool:
    return cell.number is not None or re.fullmatch(r"\D{0,4}\d[\d.,' ]*\s?\S{0,12}", cell.text) is not None


def _chosen(sheet: Sheet, row: int, headers: dict[int, _Header], remarks: Remarks) -> Layout:
    columns: dict[str, int] = {}
    for column, header in sorted(headers.items(), key=lambda one: (one[1].was_misspelt, one[0])):
        if header.role == "ignored":
            continue
        if header.role in columns:
            message = f"two columns can be the {_said(header.role)}; this one is left out"
            remarks.note(row, column, message)
            continue
        columns[header.role] = column
        if header.was_misspelt:
            remarks.note(row, column, f"{quoted(sheet.rows[row][column].text)} is read as {_said(header.role)}")
    _settle_titles(columns)
    kept = {column: headers[column] for column in columns.values()}
    cycles = {header.cycle for header in kept.values() if header.cycle}
    return Layout(
        header=row,
        columns=columns,
        units={role: unit for role, column in columns.items() if (unit := kept[column].unit)},
        cycle=next(iter(cycles)) if len(cycles) == 1 else None,
        is_german=any(set(header.spelling.split()) & GERMAN_HEADERS for header in kept.values()),
    )


def _settle_titles(columns: dict[str, int]) -> None:
    """Objective and key result in two columns, or both in one (`item`)."""
    if "key_result" not in columns and "item" not in columns and "metric" in columns:
        columns["key_result"] = columns.pop("metric")
    if "item" in columns and "key_result" in columns:
        item = columns.pop("item")
        columns.setdefault("objective", item)
    elif "item" in columns and "objective" in columns:
        columns["key_result"] = columns.pop("item")
    elif "objective" in columns and "key_result" not in columns:
        columns["item"] = columns.pop("objective")
    if "key_result" in columns and "objective" not in columns:
        # The one column of titles is both: a header that says `Key result` does not keep objectives out of it.
        columns["item"] = columns.pop("key_result")


def _said(role: str) -> str:
    return {"item": "objective or key result", "starts": "start date", "ends": "due date"}.get(
        role, role.replace("_", " ")
    )
