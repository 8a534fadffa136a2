"""A team's OKR sheet as a team file. Nothing is asked and nothing is written here: bytes in, text and remarks out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath

from app.domain.document import read_yaml
from app.domain.scalars import CYCLE_PATTERN
from app.services.spreadsheet.drafts import Drafter, slug
from app.services.spreadsheet.layout import find_layout
from app.services.spreadsheet.measures import MeasureReader
from app.services.spreadsheet.reading import read_sheet
from app.services.spreadsheet.remarks import Remark, Remarks
from app.services.spreadsheet.written import NamedObjective, named, team_file
from app.services.team_file import check_team_file
from connectors.contract import Connector
from connectors.spreadsheet.cells import SheetError
from connectors.spreadsheet.dates import DateOrder
from connectors.spreadsheet.numbers import DecimalMark

__all__ = ["CurrentValue", "Imported", "Options", "Remark", "SheetError", "import_sheet"]

_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Options:
    """What the sheet does not say: the `team` (of several: which), the `cycle` of rows without one, the workbook's
    `sheet`, and how numbers (`decimal`) and days (`dates`) are to be read."""

    team: str | None = None
    cycle: str | None = None
    sheet: str | None = None
    decimal: DecimalMark | None = None
    dates: DateOrder | None = None


@dataclass(frozen=True, slots=True)
class CurrentValue:
    """A current value of the sheet: the metric it is of, and its 0-based row."""

    metric: str
    value: Decimal
    row: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The team file's text, what was remarked in the order of the sheet, and the current values. Rows with a problem
    are not in the text."""

    team: str
    text: str
    remarks: Sequence[Remark]
    values: Sequence[CurrentValue]
    objectives: int
    key_results: int

    @property
    def has_problems(self) -> bool:
        return any(remark.severity == "problem" for remark in self.remarks)


def import_sheet(data: bytes, name: str, options: Options, connectors: Mapping[str, Connector]) -> Imported:
    """Read a sheet (CSV or .xlsx, by `name` and content). Raises SheetError where it is none, or where nothing of it
    can be taken as it is asked for."""
    if options.cycle is not None and not re.fullmatch(CYCLE_PATTERN, options.cycle):
        raise SheetError("a cycle is a year, half, quarter or month: 2026, 2026-H1, 2026-Q4 or 2026-11")
    remarks = Remarks()
    sheet = read_sheet(data, name, sheet=options.sheet)
    layout = find_layout(sheet, remarks)
    reader = MeasureReader(sheet, layout, remarks)
    reader.settle(options.decimal)
    drafter = Drafter(sheet, layout, remarks, reader, options.cycle, options.dates)
    title, team = _team(list(drafter.teams()), name, options.team)
    drafter.team = title
    objectives = named(drafter.drafts())
    shown = title if title is not None and len(title) <= _LONGEST_TITLE else None
    text = team_file(team, shown, objectives, PurePath(name).name, connectors)
    _check(text, objectives, connectors, remarks)
    key_results = [one for objective in objectives for one in objective.key_results]
    return Imported(
        team=team,
        text=text,
        remarks=remarks.sorted(),
        values=[
            CurrentValue(one.name, one.draft.measure.current, one.draft.row)
            for one in key_results
            if one.draft.measure.current is not None
        ],
        objectives=len(objectives),
        key_results=len(key_results),
    )


def _team(found: list[str], name: str, wanted: str | None) -> tuple[str | None, str]:
    """The team's title in the sheet (None: it has none) and its name: the one that is asked for, the only one of the
    sheet, or one made of the file's name."""
    if wanted is not None:
        team = slug(wanted, 63)
        title = next((title for title in found if slug(title, 63) == team), None)
        if not team or (found and title is None):
            raise SheetError(
                f"there is no such team in the sheet; there are {', '.join(found)}" if found else "this is no name"
            )
        return title, team
    if len({slug(title, 63) for title in found}) > 1:
        raise SheetError(f"the sheet has several teams: say --team with one of {', '.join(found)}")
    title = found[0] if found else None
    team = slug(title or PurePath(name).stem, 63)
    if not team:
        raise SheetError("neither sheet nor file name a team: say --team NAME")
    return title, team


def _check(
    text: str, objectives: Sequence[NamedObjective], connectors: Mapping[str, Connector], remarks: Remarks
) -> None:
    """What the team file's own check finds, said at the row that it comes from."""
    rows = {one.name: one.draft.row for objective in objectives for one in objective.key_results}
    rows |= {objective.name: objective.draft.row for objective in objectives if objective.name not in rows}
    checked = check_team_file(read_yaml(text.encode()).value, connectors=connectors)
    for problem in checked.problems:
        row = next((rows[step] for step in reversed(problem.path) if isinstance(step, str) and step in rows), 0)
        remarks.problem(row, None, problem.message)
