"""Files as sheets: CSV in the encodings and with the delimiters that spreadsheets write, and .xlsx."""

import csv
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from connectors.spreadsheet.cells import BLANK, Cell, NoSuchSheetError, Sheet, SheetError

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

MAX_BYTES = 10 * 1024 * 1024
MAX_UNPACKED = 64 * 1024 * 1024
MAX_TEXT = 4_000

_ERRORS = re.compile(r"#(?:REF!|DIV/0!|N/A|NAME\?|NULL!|NUM!|VALUE!|SPILL!|BEZUG!|WERT!|ZAHL!|NV)")
_DECLARED = re.compile(r"\Asep=(.)\r?\n")
_SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sheet may have at most."""

    rows: int = 2_000
    columns: int = 100


def _is_no_header(text: str) -> bool:
    return False


def read_sheet(
    data: bytes,
    name: str,
    *,
    sheet: str | None = None,
    limits: Limits = Limits(),
    is_header: Callable[[str], bool] = _is_no_header,
) -> Sheet:
    """The sheet in a file's bytes, by the ending of its name; of a workbook the one called `sheet`, or the first that
    shows. `is_header` knows headers, by which a CSV's delimiter is told.

    Raises SheetError for what is neither CSV nor .xlsx and for what is larger than `limits` and MAX_BYTES."""
    if len(data) > MAX_BYTES:
        raise SheetError(f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")
    if data.startswith(b"PK\x03\x04"):
        return _xlsx(data, sheet, limits)
    if name.lower().endswith((".xlsx", ".xlsm", ".xls", ".ods", ".numbers")) or data.startswith(b"\xd0\xcf\x11\xe0"):
        raise SheetError("this is no .xlsx file: save it as .xlsx or .csv")
    if sheet is not None:
        raise NoSuchSheetError("only a workbook has sheets to choose from")
    return _csv(data, limits, is_header)


# --- CSV -------------------------------------------------------------------------------------------------------------


def _csv(data: bytes, limits: Limits, is_header: Callable[[str], bool]) -> Sheet:
    text = _decoded(data)
    delimiter = _delimiter(text, is_header)
    text = _DECLARED.sub("", text)  # which spreadsheets do not show as a row
    rows: list[list[Cell]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if len(rows) == limits.rows:
                raise SheetError(f"there are more than {limits.rows} rows")
            if len(row) > limits.columns:
                raise SheetError(f"row {len(rows) + 1} has more than {limits.columns} columns")
            rows.append([_text_cell(value) for value in row])
    except csv.Error as error:
        raise SheetError(f"row {len(rows) + 1} is not CSV: {error}") from None
    return Sheet(rows, delimiter)


def _decoded(data: bytes) -> str:
    """Text in UTF-8 or UTF-16 by its mark, else UTF-8, else what Windows writes in Western Europe."""
    is_wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if is_wide else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            break
        return text
    raise SheetError("the file is not text in UTF-8, UTF-16 or Windows-1252")


def _delimiter(text: str, is_header: Callable[[str], bool]) -> str:
    """The delimiter by which one of the first rows is one of headers, or most of them have as many columns."""
    declared = _DECLARED.match(text)
    if declared:
        return declared[1]
    best, most = ",", 0
    for delimiter in (",", ";", "\t", "|"):
        try:
            rows = list(islice(csv.reader(io.StringIO(text), delimiter=delimiter), 30))
        except csv.Error:
            continue
        widths = [len(row) for row in rows]
        headers = max((sum(map(is_header, row)) for row in rows), default=0)
        usual = max(set(widths), key=lambda width: (widths.count(width) * (width > 1), width), default=1)
        score = headers * (headers > 1) * 10_000 + widths.count(usual) * (usual > 1) * 100 + usual
        if score > most:
            best, most = delimiter, score
    return best


def _text_cell(raw: str, indent: int = 0) -> Cell:
    if not raw:
        return BLANK
    text = raw.strip().strip("\ufeff").strip()
    if len(text) > MAX_TEXT:
        return Cell(text[:MAX_TEXT], fault=f"there are more than {MAX_TEXT} characters here")
    if _ERRORS.fullmatch(text):
        return Cell(text, fault=f"the sheet itself has an error here: {text}")
    leading = len(raw) - len(raw.lstrip(" \t\u00a0"))
    return Cell(text.removeprefix("'"), indent=indent or leading)


# --- .xlsx -----------------------------------------------------------------------------------------------------------


def _xlsx(data: bytes, name: str | None, limits: Limits) -> Sheet:
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAX_UNPACKED:
                raise SheetError(f"the workbook unpacks to more than {MAX_UNPACKED // 1024 // 1024} MiB")
        values = load_workbook(io.BytesIO(data), data_only=True, keep_links=False)
        formulas = load_workbook(io.BytesIO(data), data_only=False, keep_links=False)
    except SheetError:
        raise
    except Exception as error:  # openpyxl raises whatever its parsers do
        raise SheetError(f"the workbook can not be read ({type(error).__name__})") from None
    shown = [sheet for sheet in values.worksheets if sheet.sheet_state == "visible"] or values.worksheets
    titles = [sheet.title for sheet in shown]
    if name is not None and name not in titles:
        raise NoSuchSheetError(f"there is no sheet of that name; there are {', '.join(titles)}")
    if not shown:
        raise SheetError("the workbook has no sheet")
    chosen = shown[0] if name is None else values[name]
    if chosen.max_row > limits.rows or chosen.max_column > limits.columns:
        raise SheetError(f"there are more than {limits.rows} rows or {limits.columns} columns")
    return Sheet(_rows(chosen, formulas[chosen.title]))


def _rows(values: "Worksheet", formulas: "Worksheet") -> list[list[Cell]]:
    rows = [
        [
            _xlsx_cell(value, is_formula=formula.data_type == "f")
            for value, formula in zip(value_row, formula_row, strict=True)
        ]
        for value_row, formula_row in zip(values.iter_rows(), formulas.iter_rows(), strict=True)
    ]
    for area in values.merged_cells.ranges:
        first = rows[area.min_row - 1][area.min_col - 1]
        for row in range(area.min_row, area.max_row):
            rows[row][area.min_col - 1] = Cell(
                first.text, first.number, first.unit, first.day, first.clock, first.indent, True, first.fault
            )
    return rows


def _xlsx_cell(cell: Any, *, is_formula: bool) -> Cell:
    value = cell.value
    if value is None:
        return Cell(fault="this formula has no stored value: open and save the workbook once") if is_formula else Cell()
    indent = int(cell.alignment.indent or 0)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", indent=indent)
    if isinstance(value, (int, float)):
        return _number_cell(value, str(cell.number_format or ""), indent)
    if isinstance(value, datetime):
        return Cell(value.date().isoformat(), day=value.date(), clock=value.time(), indent=indent)
    if isinstance(value, date):
        return Cell(value.isoformat(), day=value, indent=indent)
    if is_formula and isinstance(value, str):
        # The stored result of a formula is text like any other.
        return _text_cell(value, indent)
    if not isinstance(value, str):
        return Cell(str(value), fault="a time of day or a span is no value here: write a number with its unit")
    return _text_cell(value, indent)


def _number_cell(value: int | float, number_format: str, indent: int) -> Cell:
    # A sheet keeps doubles and shows 15 digits of them: https://support.microsoft.com/office/1672b34d-7043-467e-8e27
    number = Decimal(value) if isinstance(value, int) else Decimal(format(value, ".15g"))
    if not number.is_finite():
        return Cell(str(value), fault="this is no finite number")
    unit = None
    shown = re.sub(r"\[(?!\$)[^\]]*\]", "", number_format)
    if "%" in shown:
        number, unit = number * 100, "percent"
    else:
        code = re.search(r"\[\$([A-Z]{3}|[€$£])|\"\s*([A-Z]{3}|[€$£])\s*\"|([€$£])", shown)
        if code:
            found = code[1] or code[2] or code[3]
            unit = _SYMBOLS.get(found, found)
    number = number.normalize()
    text = format(number, "f")
    return Cell(
        text + {"percent": " %", None: ""}.get(unit, f" {unit}"), number=Decimal(text), unit=unit, indent=indent
    )
