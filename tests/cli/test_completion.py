"""What a shell is told when somebody presses the tabulator key, and that it can be told so (docs/command-line.md)."""

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import Krsync
from tests.conftest import ROOT


def completed(shell: str, **words: str) -> str:
    """What the command says to a shell, in a process of its own as the shell calls it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")}
    code = "import sys; sys.argv = ['krsync']; from app.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environ | {"_KRSYNC_COMPLETE": shell} | words,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [("krsync st", ["status"]), ("krsync status --wa", ["--watch"]), ("krsync demo ", ["reset"])],
)
def test_bash_is_told_commands_and_options(line: str, expected: list[str]) -> None:
    count = len(line.split(" ")) - 1
    assert completed("complete_bash", COMP_WORDS=line, COMP_CWORD=str(count)).split() == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script(shell: str) -> None:
    assert "_KRSYNC_COMPLETE" in completed(f"source_{shell}")


def test_help_says_how_completion_is_installed(krsync: Krsync) -> None:
    outcome = krsync("--help")
    assert "--install-completion" in outcome.out


def test_a_command_starts_without_what_only_others_need() -> None:
    """Help and offline checks wait for no client, no server and no database."""
    probe = (
        "import sys, app.cli, app.cli.findings; "
        "heavy = ('aiohttp', 'fastapi', 'sqlalchemy', 'arq', 'uvicorn', 'requests'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
