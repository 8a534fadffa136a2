"""What the command prints: tables for a terminal, plain tab-separated lines for a pipe, JSON where it is asked for."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.shown import whole_percent

INPUT_IS_WRONG = 1
CALL_IS_WRONG = 2
OUT_OF_REACH = 3

# Names and titles come from others: an escape sequence in one must not reach the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

console = Console(highlight=False, soft_wrap=True)


class CommandError(Exception):
    """A command can not go on; its message is for the user, `exit_code` for the shell."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def complain(message: str) -> None:
    """A line on standard error."""
    print(f"krsync: {message}", file=sys.stderr)


def say(message: str = "") -> None:
    """A line on standard output, without any markup, in one write: other processes may share the stream."""
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """A JSON value, indented, on standard output."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def clean(value: object) -> str:
    """One line of text that is safe to show; None is a dash."""
    return "–" if value is None else _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value))


def cell(value: object, style: str = "") -> Text:
    """A table's cell: `value` cleaned, in a style that only a terminal sees."""
    return Text(clean(value), style=style)


def table(columns: Sequence[str], rows: Iterable[Sequence[Text]], *, right: Sequence[str] = ()) -> Table:
    """A table for a terminal; the columns named in `right` are aligned to the right."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        result.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        result.add_row(*row)
    return result


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Text]], *, right: Sequence[str] = ()) -> None:
    """Print a table, or tab-separated lines with the columns' names first when standard output is no terminal."""
    if console.is_terminal:
        console.print(table(columns, rows, right=right), soft_wrap=False)
        return
    say("\t".join(columns))
    for row in rows:
        say("\t".join(text.plain for text in row))


def percent(ratio: object) -> str:
    """A fraction as people read it: 0.634 is `63 %`; a dash where it is not a number."""
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)):
        return "–"
    return f"{whole_percent(ratio)} %"


def age(seconds: object) -> str:
    """A span in its largest whole unit: `5 min`, `3 h`, `2 d`."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return "–"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
