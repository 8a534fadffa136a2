"""What is for a clone only: `krsync test`, the same check everywhere, and `krsync docs`, the documentation site."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import CALL_IS_WRONG, CommandError, say
from app.cli.peers import BROWSER, SERVERS, install

_MOST_PROCESSES = 4
_CLONE = Path(__file__).resolve().parents[2]

# What it is called, and the interpreter's arguments. import-linter has no module to run, only this function.
CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("format", ("-m", "ruff", "format", "--check", "--quiet", ".")),
    ("lint", ("-m", "ruff", "check", "--quiet", ".")),
    ("types", ("-m", "mypy")),
    ("imports", ("-c", "from importlinter.cli import lint_imports_command as run; run()")),
)


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command(
        name="test",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(check)
    app.command(name="docs")(docs)


def check(
    context: typer.Context,
    is_long: Annotated[bool, typer.Option("--long", help="Also the slow runs: faults and soaks.")] = False,
    is_browser: Annotated[
        bool,
        typer.Option("--browser", help="Only the journeys in a real browser; installs Debian's chromium where it may."),
    ] = False,
) -> None:
    """Check a clone: format, lint, types, import contracts, then every test. More arguments go to pytest.

    The journeys in a real browser are among the tests where there is a chromium, those with Prometheus and Alertmanager
    where these are; in CI they are installed where that needs no question.
    """
    _refuse_without("tests")
    environment = _environment()
    wanted = {"browser": BROWSER} if is_browser else {"browser": BROWSER, "servers": SERVERS}
    for what, packages in wanted.items() if is_browser or os.environ.get("CI") else ():
        in_the_way = install(packages)
        if in_the_way is not None:
            say(f"{what:<8} skipped: {in_the_way}")
    if is_browser:
        raise typer.Exit(_pytest([*context.args, "tests/browser"], environment))
    failed = [name for name, command in CHECKS if not _passes(name, command, environment)]
    arguments = [*(["--long"] if is_long else []), *context.args]
    if _pytest(arguments, environment) != 0 or failed:
        raise typer.Exit(1)


def docs(
    is_served: Annotated[bool, typer.Option("--serve", help="Show it while you write, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of --serve.")] = 8008,
    out: Annotated[Path | None, typer.Option(help="Folder for the site.", show_default=False)] = None,
) -> None:
    """Build the documentation site of a clone, strictly: into `site`, readable without a server."""
    _refuse_without("handbook")
    folder = _CLONE / "site" if out is None else out.absolute()
    how = ["serve", "--dev-addr", f"127.0.0.1:{port}"] if is_served else ["build", "--site-dir", str(folder)]
    command = [sys.executable, "-P", "-m", "handbook", *how]
    code = subprocess.run(command, cwd=_CLONE, env=_environment(), check=False).returncode
    if code == 0 and not is_served:
        say(f"{folder / 'index.html'}")
    raise typer.Exit(min(code, 1))


def _refuse_without(folder: str) -> None:
    if not (_CLONE / folder).is_dir():
        raise CommandError(
            f"{folder} is in a clone of the repository only; this is an installed krsync.", CALL_IS_WRONG
        )


def _pytest(arguments: list[str], environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", *_side_by_side(arguments), *arguments]
    return subprocess.run(command, cwd=_CLONE, env=environment, check=False).returncode


def _side_by_side(arguments: Sequence[str]) -> list[str]:
    """A process a core, each with servers of its own, a file of tests never split; one where a person wants to look."""
    if any(argument.startswith(("-n", "-s", "--pdb", "--capture", "-x")) for argument in arguments):
        return []
    # In the order of tests/conftest.py, the longest first.
    return ["-n", str(min(os.cpu_count() or 1, _MOST_PROCESSES)), "--dist", "loadfile", "--no-loadscope-reorder"]


def _environment() -> dict[str, str]:
    """Ours without the settings of whatever service this shell talks to."""
    kept = ("KRSYNC_TEST_POSTGRES", "KRSYNC_SHARED_DATA")
    return {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_") or name in kept}


def _passes(name: str, command: tuple[str, ...], environment: dict[str, str]) -> bool:
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, *command],
        cwd=_CLONE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    verdict = "ok" if result.returncode == 0 else "FAILED"
    say(f"{name:<8} {verdict} ({time.monotonic() - started:.1f} s)")
    if result.returncode != 0:
        say(result.stdout.rstrip())
    return result.returncode == 0
