"""What there is to say of a sheet of OKRs, at the places that it is about."""

from dataclasses import dataclass, field
from typing import Literal

from connectors.spreadsheet.cells import letters


@dataclass(frozen=True, slots=True)
class Remark:
    """A problem (the row is left out) or a note (how something was read) at 0-based (row, column)."""

    row: int
    column: int | None
    message: str
    severity: Literal["problem", "note"] = "problem"

    def __str__(self) -> str:
        column = "" if self.column is None else f"{letters(self.column)}:"
        return f"{self.row + 1}:{column} {'note: ' if self.severity == 'note' else ''}{self.message}"


@dataclass(slots=True)
class Remarks:
    """Collects remarks, one of a kind for each place."""

    found: dict[tuple[int, int | None, str], Remark] = field(default_factory=dict)

    def problem(self, row: int, column: int | None, message: str) -> None:
        self.found.setdefault((row, column, message), Remark(row, column, message))

    def note(self, row: int, column: int | None, message: str) -> None:
        self.found.setdefault((row, column, message), Remark(row, column, message, "note"))

    def sorted(self) -> list[Remark]:
        """In the order of the sheet."""
        return sorted(self.found.values(), key=lambda one: (one.row, -1 if one.column is None else one.column))
