"""Rows of a sheet as records. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.contract import JsonValue, RecordChange
from connectors.errors import UnexpectedResponseError
from connectors.sheet.models import SheetDataset
from connectors.sheet.places import Place, folded_label, head_of
from connectors.sheet.values import Style, field_of
from connectors.spreadsheet.cells import Sheet, letters, quoted

_LONGEST_NAME = 1_000
_MOST_REMARKS = 10


@dataclass(frozen=True, slots=True)
class Rows:
    """The records of a sheet, and what is to be said of them."""

    changes: Sequence[RecordChange]
    warnings: Sequence[str]


def rows_of(sheet: Sheet, dataset: SheetDataset, style: Style, link: str) -> Rows:
    """Every row that has an id, below the head of the ids' column. QueryError where a column is missing;
    UnexpectedResponseError where two rows have the same id: which of them counts is nobody's to guess."""
    ids = head_of(sheet, dataset.id)
    names = _names(sheet, ids.row)
    created = None if dataset.created is None else names.get(head_of(sheet, dataset.created).column)
    others = {column: name for column, name in names.items() if column != ids.column}
    remarks = _Remarks()
    changes = []
    for entity, row in _entities(sheet, ids, names, remarks).items():
        fields = {names[ids.column]: entity} | _fields(sheet, row, others, style, remarks)
        at = None if created is None else _moment(fields[created])
        if created is not None and at is None:
            remarks.add(f"rows have no day in {quoted(created)}", row)
        changes.append(RecordChange(entity=entity, name=entity, version=0, created=at, fields=fields, link=link))
    return Rows(changes, remarks.said())


def _names(sheet: Sheet, row: int) -> Mapping[int, str]:
    """What the columns are called, by their number; of two with one name the second has its letter behind it."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for column, cell in enumerate(sheet.rows[row]):
        name = " ".join(cell.text.split())[:_LONGEST_NAME]
        if name:
            names[column] = name if folded_label(name) not in taken else f"{name} ({letters(column)})"
            taken.add(folded_label(name))
    return names


def _entities(sheet: Sheet, ids: Place, names: Mapping[int, str], remarks: "_Remarks") -> Mapping[str, int]:
    """The rows by their ids. Empty ones are left out, those that have all but an id with a remark."""
    found: dict[str, int] = {}
    for row in range(ids.row + 1, len(sheet.rows)):
        entity = sheet.cell(row, ids.column).text[:_LONGEST_NAME]
        if entity in found:
            both, name = f"Rows {found[entity] + 1} and {row + 1}", quoted(names[ids.column])
            raise UnexpectedResponseError(f"{both} have the same {name}: it has to tell rows apart.")
        if entity:
            found[entity] = row
        elif any(not sheet.cell(row, column).is_blank for column in names):
            remarks.add(f"rows without {quoted(names[ids.column])} are left out", row)
    return found


def _fields(
    sheet: Sheet, row: int, names: Mapping[int, str], style: Style, remarks: "_Remarks"
) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {}
    for column, name in names.items():
        fields[name], remark = field_of(sheet.cell(row, column), style)
        if remark is not None:
            remarks.add(f"{quoted(name)}: {remark}", row)
    return fields


def _moment(value: JsonValue) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


class _Remarks:
    """What there is to say of rows, once for all that it is said of."""

    def __init__(self) -> None:
        self._rows: dict[str, list[int]] = {}

    def add(self, remark: str, row: int) -> None:
        self._rows.setdefault(remark, []).append(row + 1)

    def said(self) -> list[str]:
        """A sentence each, with the first rows that it is about."""
        return [
            f"{remark} (row {', '.join(map(str, rows[:_MOST_REMARKS]))}{', …' if len(rows) > _MOST_REMARKS else ''})"
            for remark, rows in list(self._rows.items())[:_MOST_REMARKS]
        ]
