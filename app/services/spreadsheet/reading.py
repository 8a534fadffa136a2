"""Files as sheets of OKRs: none with a text in it that the spreadsheet which opens it would run."""

import re
from dataclasses import replace

from app.services.spreadsheet.words import is_header
from connectors.spreadsheet import reading
from connectors.spreadsheet.cells import Cell, Sheet

# What begins like this is run by the spreadsheet that opens it: https://owasp.org/www-community/attacks/CSV_Injection
_RUN = re.compile(r"'?[=@]|[+-]\s*[A-Za-z_]+\s*[(!|]")
_FORMULA = "this is a formula, and formulas are not computed here: put its value into the cell"


def read_sheet(data: bytes, name: str, *, sheet: str | None = None) -> Sheet:
    """The sheet in a file's bytes, as those of any sheet; a cell with a formula for its text has that for its fault."""
    found = reading.read_sheet(data, name, sheet=sheet, is_header=is_header)
    return Sheet([[_harmless(cell) for cell in row] for row in found.rows], found.delimiter)


def _harmless(cell: Cell) -> Cell:
    return replace(cell, fault=_FORMULA) if cell.number is None and _RUN.match(cell.text) else cell
