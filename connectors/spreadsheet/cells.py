"""A sheet as values: cells with their exact numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal

_LONGEST = 60


class SheetError(ValueError):
    """The file can not be read as a sheet at all; the message is for the user."""


class NoSuchSheetError(SheetError):
    """The file has no sheet of that name; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell. A cell with a number or a day of its own has it exactly, and no text has to be read.

    `unit` is what the number's format says (`percent`, or a currency of ISO 4217; percent counts in hundredths).
    `clock` is the time of a day that has one. `indent` is how far the text is set in. `is_repeated`: only here because
    it is merged with the one above.
    """

    text: str = ""
    number: Decimal | None = None
    unit: str | None = None
    day: date | None = None
    clock: time | None = None
    indent: int = 0
    is_repeated: bool = False
    fault: str | None = None

    @property
    def is_blank(self) -> bool:
        return not self.text and self.fault is None


BLANK = Cell()


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of cells; the first row is row 1 of the sheet. `delimiter` is that of a CSV."""

    rows: Sequence[Sequence[Cell]]
    delimiter: str | None = None

    def cell(self, row: int, column: int | None) -> Cell:
        """The cell at 0-based (row, column); a blank one beyond the edge."""
        if column is None or row >= len(self.rows) or column >= len(self.rows[row]):
            return BLANK
        return self.rows[row][column]


def letters(column: int) -> str:
    """The name of a 0-based column: A, B, …, Z, AA."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def quoted(text: str) -> str:
    """A cell's text in quotes for a message: one line, cut, nothing that moves a cursor."""
    line = printable(text)
    return f"“{line if len(line) <= _LONGEST else line[: _LONGEST - 1] + '…'}”"


def printable(text: str) -> str:
    """One line without control characters and without what turns the direction of writing."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
