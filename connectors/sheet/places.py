"""Where in a sheet something is: by its address, or by what its row and its column are called. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.errors import QueryError
from connectors.spreadsheet.cells import Cell, Sheet, letters, quoted

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A cell's 0-based row and column; `str` is its address, such as C7."""

    row: int
    column: int

    def __str__(self) -> str:
        return f"{letters(self.column)}{self.row + 1}"


def by_address(address: str) -> Place:
    """The place of an address such as C7."""
    name = re.match(r"[A-Z]+", address.upper())
    assert name is not None
    column = 0
    for letter in name[0]:
        column = column * 26 + ord(letter) - 64
    return Place(int(address[name.end() :]) - 1, column - 1)


def head_of(sheet: Sheet, label: str) -> Place:
    """The uppermost cell that says `label`, which is what its column is called. QueryError where there is none, or two
    in one row."""
    wanted = folded_label(label)
    for row in range(len(sheet.rows)):
        found = [place for place, cell in _cells(sheet, row) if _is(cell, wanted)]
        if len(found) > 1:
            raise QueryError(f"{_listed(found)} both say {quoted(label)}: a column's name has to be its own.")
        if found:
            return found[0]
    names = ", ".join(quoted(sheet.cell(place.row, place.column).text) for place in headers(sheet)[:_MOST_NAMED])
    raise QueryError(f"No column is called {quoted(label)}; there are {names or 'none at all'}.")


def crossing(sheet: Sheet, row: str, column: str) -> Place:
    """Where the row and the column of these names meet. Rows are called by the leftmost column that has the name below
    the column's head. QueryError where there is none, or another one of that name."""
    head, wanted = head_of(sheet, column), folded_label(row)
    below = [
        place
        for number in range(head.row + 1, len(sheet.rows))
        for place, cell in _cells(sheet, number)
        if place.column != head.column and _is(cell, wanted)
    ]
    leftmost = min((place.column for place in below), default=None)
    found = [place for place in below if place.column == leftmost]
    if not found:
        raise QueryError(f"No row below {quoted(column)} is called {quoted(row)}.")
    if len(found) > 1:
        raise QueryError(f"{_listed(found)} both say {quoted(row)}: a row's name has to be its own.")
    return Place(found[0].row, head.column)


def headers(sheet: Sheet) -> list[Place]:
    """The heads of the columns: the cells of the first row that has two of them, else of the first that has one."""
    rows = [[place for place, cell in _cells(sheet, row) if not cell.is_blank] for row in range(len(sheet.rows))]
    return next((row for row in rows if len(row) > 1), next((row for row in rows if row), []))


def folded_label(text: str) -> str:
    """A label as labels are compared: whatever its case and its spaces."""
    return " ".join(text.split()).casefold()


def _cells(sheet: Sheet, row: int) -> Iterator[tuple[Place, Cell]]:
    return ((Place(row, column), cell) for column, cell in enumerate(sheet.rows[row]))


def _is(cell: Cell, wanted: str) -> bool:
    return bool(cell.text) and not cell.is_repeated and folded_label(cell.text) == wanted


def _listed(places: list[Place]) -> str:
    return f"{', '.join(map(str, places[:-1]))} and {places[-1]}"
