"""Which row is an objective and which a key result, and what belongs to what."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from app.services.spreadsheet.layout import Layout
from app.services.spreadsheet.remarks import Remarks
from app.services.spreadsheet.words import LEVELS
from connectors.spreadsheet.cells import Cell, Sheet, printable, quoted
from connectors.spreadsheet.units import NOTHING, folded

Level = Literal["objective", "key_result"]

_MARK = r"(?:[:)]\s*|[.\-–—|]\s+)"
_OBJECTIVE = re.compile(rf"^(?:objective|obj|goal|ziel|o)\s*[#.]?\s*\d*(?:\.\d+)*\s*{_MARK}|^O\s?\d+\s+", re.IGNORECASE)
_KEY_RESULT = re.compile(
    r"^(?:O\s?\d+[\s./-]*)?(?:(?:key[\s-]?result|kr|schl(?:ü|ue)sselergebnis)\s*[#.]?\s*\d*(?:\.\d+)*\s*"
    rf"{_MARK}|KR\s?\d+(?:\.\d+)*\s+)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^[-–—•*‣◦▪·]\s+")
# `2 new offices` begins with a count, `2. New offices` and `2.1 New offices` with a number of the list.
_OUTLINE = re.compile(r"^(?:(\d+(?:\.\d+)+)[.)]?|(\d+)[.)])\s+(?=\D)")
_TOTALS = frozenset({"total", "totals", "sum", "average", "summe", "gesamt", "durchschnitt", "mittelwert", "overall"})
_LONGEST = 200
_MEASURES = ("range", "target", "baseline")


@dataclass(frozen=True, slots=True)
class Line:
    """A row with its title, and the title of the objective that it is or belongs to (as it is written; None: none came
    before). `is_new`: the objective is named in this row."""

    level: Level
    row: int
    title: str
    objective: str | None
    is_new: bool = False


def read_lines(sheet: Sheet, layout: Layout, remarks: Remarks) -> Iterator[Line]:
    """Every row below the headers that is an objective or a key result, from the top."""
    in_one = "item" in layout.columns
    headers = [cell.text for cell in sheet.rows[layout.header]]
    objective: str | None = None
    depth = 0
    for row in range(layout.header + 1, len(sheet.rows)):
        cells = sheet.rows[row]
        if all(cell.is_blank for cell in cells) or [cell.text for cell in cells] == headers:
            continue
        if in_one:
            cell = sheet.cell(row, layout.columns["item"])
            if not _is_title(cell, row, layout.columns["item"], sheet, layout, remarks):
                continue
            level = _level(sheet, layout, row, cell, objective, depth)
            title = _bare(cell.text)
            if level == "objective":
                objective, depth = title, cell.indent
            yield Line(level, row, title, objective, level == "objective")
            continue
        first = sheet.cell(row, layout.columns["objective"])
        second = sheet.cell(row, layout.columns["key_result"])
        is_new = not first.is_blank and not first.is_repeated
        if is_new and folded(first.text) in _TOTALS:
            continue
        objection = _objection(first) if is_new else None
        if objection is not None:
            remarks.problem(row, layout.columns["objective"], objection)
            objective = None
            continue
        if not first.is_blank:
            objective = _bare(first.text)
        if second.is_repeated or (is_new and second.is_blank):
            if is_new and objective is not None:
                if _has_measure(sheet, layout, row):
                    message = "there are values and no key result in this row"
                    remarks.problem(row, layout.columns["key_result"], message)
                yield Line("objective", row, objective, objective, True)
            continue
        if _is_title(second, row, layout.columns["key_result"], sheet, layout, remarks):
            yield Line("key_result", row, _bare(second.text), objective, is_new)


def _is_title(cell: Cell, row: int, column: int, sheet: Sheet, layout: Layout, remarks: Remarks) -> bool:
    """Whether a cell is a key result's title; where it is not and should be, that is said."""
    if cell.is_blank:
        if _has_measure(sheet, layout, row):
            remarks.problem(row, column, "there are values and no title in this row")
        return False
    if cell.fault is None and folded(cell.text) in _TOTALS:
        return False
    objection = _objection(cell)
    if objection is not None:
        remarks.problem(row, column, objection)
    return objection is None


def _objection(cell: Cell) -> str | None:
    if cell.fault is not None:
        return cell.fault
    title = _bare(cell.text)
    if not folded(title):
        return f"{quoted(cell.text)} is no title"
    return f"a title has at most {_LONGEST} characters" if len(title) > _LONGEST else None


def _level(sheet: Sheet, layout: Layout, row: int, cell: Cell, objective: str | None, depth: int) -> Level:
    said = folded(sheet.cell(row, layout.columns.get("type")).text)
    kinds = {**LEVELS, **{f"{word}s": level for word, level in LEVELS.items()}}
    if said in kinds:
        return "objective" if kinds[said] == "objective" else "key_result"
    number = sheet.cell(row, layout.columns.get("id")).text
    if re.fullmatch(r"\d+", number):
        number += "."
    for text in (cell.text, f"{number} {cell.text}"):
        if _KEY_RESULT.match(text):
            return "key_result"
        if _OBJECTIVE.match(text):
            return "objective"
        outline = _OUTLINE.match(text)
        if outline and (outline[1] or not _has_measure(sheet, layout, row)):
            return "key_result" if outline[1] else "objective"
    if _BULLET.match(cell.text) or (objective is not None and cell.indent > depth):
        return "key_result"
    return "key_result" if _has_measure(sheet, layout, row) else "objective"


def _has_measure(sheet: Sheet, layout: Layout, row: int) -> bool:
    for role in _MEASURES:
        cell = sheet.cell(row, layout.columns.get(role))
        if not cell.is_repeated and not cell.is_blank and (cell.fault or folded(cell.text) not in NOTHING):
            return True
    return False


def _bare(text: str) -> str:
    """A title in one line, without its number and bullet."""
    line = _BULLET.sub("", printable(text))
    for pattern in (_KEY_RESULT, _OBJECTIVE, _OUTLINE):
        shorter = pattern.sub("", line, count=1)
        if shorter != line and shorter.strip():
            return shorter.strip()
    return line.strip()
