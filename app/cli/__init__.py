"""The `krsync` command. Exit codes: 0 done, 1 the input is wrong, 2 the call is wrong, 3 the service is out of reach.

Every module here holds the commands of one purpose. What they need is imported when they run, so that
`krsync validate` does not wait for a web framework.
"""

import os
import sys
from typing import Annotated

import typer

from app.cli import (
    backfill,
    checks,
    demo,
    doctor,
    explaining,
    importing,
    judging,
    mcp,
    notify,
    reading,
    running,
    team_files,
    templates,
    tokens,
    trying,
)
from app.cli.doctor import show_version
from app.cli.output import CommandError, complain

app = typer.Typer(
    name="krsync",
    help="Keeps every OKR key result at its true value, and says where each number came from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=lambda given: show_version() if given else None, is_eager=True)
    ] = False,
) -> None:
    """Only here for --version, which ends the command."""


running.add_to(app)
team_files.add_to(app)
importing.add_to(app)
reading.add_to(app)
explaining.add_to(app)
trying.add_to(app)
judging.add_to(app)
backfill.add_to(app)
app.add_typer(templates.app, name="template", help="Ready-made key results to start from.")
app.add_typer(tokens.app, name="token", help="Create, list and revoke API tokens.")
app.add_typer(demo.app, name="demo", help="The example organisation of `up --demo`.")
app.add_typer(notify.app, name="notify", help="What teams are told: a preview, and what became of it.")
mcp.add_to(app)
doctor.add_to(app)
checks.add_to(app)


def main() -> None:
    """Run the command line and exit."""
    try:
        app(prog_name="krsync")
    except CommandError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`krsync status | head`). Nothing may be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


__all__ = ["app", "main"]
