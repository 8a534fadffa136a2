"""`import`: a team's OKR sheet becomes a team file. A dry run unless --write is said."""

import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from app.cli.client import ProblemError, connect
from app.cli.output import CALL_IS_WRONG, INPUT_IS_WRONG, CommandError, clean, say

if TYPE_CHECKING:
    from app.services.spreadsheet import Imported


class Mark(StrEnum):
    """How decimals are written."""

    POINT = "."
    COMMA = ","


class Order(StrEnum):
    """Which comes first in 03/04/2026."""

    DAY = "dmy"
    MONTH = "mdy"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("import")(import_)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The sheet: .csv or .xlsx.")],
    team: Annotated[str | None, typer.Option(help="The team's name; of several in the sheet: which.")] = None,
    out: Annotated[Path | None, typer.Option(help="The team file; TEAM.yaml where this is not said.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the team file.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Write it without the rows that have a problem.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    cycle: Annotated[str | None, typer.Option(help="The cycle of rows that say none, such as 2026-Q4.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The workbook's sheet; the first where this is not said.")] = None,
    decimal: Annotated[Mark | None, typer.Option(help="How the sheet writes decimals.")] = None,
    dates: Annotated[Order | None, typer.Option(help="Whether 3/4/2026 is in April (dmy) or March (mdy).")] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Send the current values to the service, once the file is applied.")
    ] = False,
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day of the current values.")] = None,
) -> None:
    """Turn an OKR sheet into a team file. Prints the file and, on standard error, what is wrong: FILE:ROW:COLUMN."""
    from app.services.spreadsheet import Options, SheetError, import_sheet
    from connectors.registry import connectors

    if (partial or force) and not write:
        raise CommandError("--partial and --force go with --write.", CALL_IS_WRONG)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} can not be read: {error.strerror}.", CALL_IS_WRONG) from None
    options = Options(
        team, cycle, sheet, None if decimal is None else decimal.value, None if dates is None else dates.value
    )
    try:
        imported = import_sheet(data, file.name, options, connectors())
    except SheetError as error:
        raise CommandError(f"{file}: {clean(error)}.", INPUT_IS_WRONG) from None
    for remark in imported.remarks:
        _tell(f"{file}:{remark}")
    if write:
        _write(imported, out or Path(f"{imported.team}.yaml"), is_partial=partial, is_forced=force)
    elif not values:
        say(imported.text.rstrip("\n"))
        _tell(f"{_summary(imported)}; nothing is written without --write")
    if values:
        _send_values(imported, file, datetime.now(UTC).date() if on is None else on.date())
    if imported.has_problems and not (write and partial):
        raise typer.Exit(INPUT_IS_WRONG)


def _summary(imported: "Imported") -> str:
    problems = sum(remark.severity == "problem" for remark in imported.remarks)
    return (
        f"team {imported.team}: objectives {imported.objectives}, key results {imported.key_results}, "
        f"current values {len(imported.values)}, problems {problems}"
    )


def _write(imported: "Imported", out: Path, *, is_partial: bool, is_forced: bool) -> None:
    if imported.has_problems and not is_partial:
        _tell(f"{_summary(imported)}; nothing is written: mend the sheet, or say --partial")
        raise typer.Exit(INPUT_IS_WRONG)
    if not imported.key_results:
        raise CommandError("there is no key result to write.", INPUT_IS_WRONG)
    try:
        with out.open("w" if is_forced else "x", encoding="utf-8", newline="\n") as target:
            target.write(imported.text)
    except FileExistsError:
        raise CommandError(f"{out} is there already: say --force, or --out with another name.", CALL_IS_WRONG) from None
    except OSError as error:
        raise CommandError(f"{out} can not be written: {error.strerror}.", CALL_IS_WRONG) from None
    _tell(f"{_summary(imported)}; {out} is written: krsync plan {out}")
    if imported.values:
        _tell("once it is applied, `krsync import … --values` sends the current values")


def _send_values(imported: "Imported", file: Path, day: date) -> None:
    """Assert each current value; what the service refuses is said for its row, and the others are sent all the same."""
    refused = 0
    with connect() as service:
        for one in imported.values:
            path = f"/v1/metrics/{quote(imported.team, safe='')}/{quote(one.metric, safe='')}/values/{day}"
            body = {"value": format(one.value, "f"), "note": f"From {clean(file.name)}, row {one.row + 1}"}
            try:
                service.request("PUT", path, json=body)
            except ProblemError as error:
                if error.status in (401, 403):
                    raise
                refused += 1
                what = "is not there: apply the team file first" if error.status == 404 else str(error)
                _tell(f"{file}:{one.row + 1}: {imported.team}/{one.metric} {what}")
    _tell(f"{len(imported.values) - refused} of {len(imported.values)} current values are sent, for {day}")
    if refused:
        raise typer.Exit(INPUT_IS_WRONG)


def _tell(line: str) -> None:
    """A line on standard error: the file alone is on standard output."""
    print(clean(line), file=sys.stderr)
