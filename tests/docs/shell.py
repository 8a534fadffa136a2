"""A page's commands, run by a real shell in a terminal, in their order, at one real `krsync up`."""

import os
import pty
import re
import selectors
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.docs.snippets import ROOT, Snippet

#: When the documentation plays: a Monday, half-way through the quarter of its examples.
TODAY = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
_SEPARATOR = "\x1e"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: Seconds without a word after which a command is taken to hang.
_SILENCE = 300
#: Secrets that pages take as given, in the service's environment and in their reader's.
GIVEN = {"NUMBERS_TOKEN": "a-long-random-token"}
#: What pages call the service, for it listens on a free port here.
ADDRESS = "http://127.0.0.1:8000"


def offset() -> float:
    """Seconds from now to the documentation's today."""
    return (TODAY - datetime.now(UTC)).total_seconds()


def installed(folder: Path, socket: Path, by: float) -> Path:
    """A folder for the PATH: `krsync`, and a `date` that tells the documentation's day."""
    folder.mkdir()
    programs = {
        "python3": f'exec {sys.executable} "$@"',
        "krsync": f'exec {sys.executable} -I {ROOT / "tests" / "docs" / "forked.py"} {socket} "$@"',
        "date": f'now=$(/bin/date +%s)\nexec /bin/date -d "@$((now + {int(by)}))" "$@"',
    }
    for name, text in programs.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return folder


def environment_of(snippets: Sequence[Snippet]) -> dict[str, str]:
    """What pages put before `krsync up`: the variables that the service is started with."""
    found = dict(GIVEN)
    for snippet in snippets:
        if snippet.language == "sh":
            for line in snippet.text.splitlines():
                match = re.match(r"((?:[A-Z_]+=\S+ )+)(?:\./)?krsync up\b", line)
                for pair in match[1].split() if match else ():
                    name, value = pair.split("=", 1)
                    assert found.setdefault(name, value) == value, f"{snippet}: {name} is another one elsewhere"
    return found


def run(page: Sequence[Snippet], folder: Path, environ: dict[str, str]) -> list[str]:
    """Run the page's blocks in `folder`; what each of them printed, in the order of `page`.

    A block that is a file is written where it stands. AssertionError with all that was said where a command fails.
    """
    parts = ["set -e"]
    for number, snippet in enumerate(page):
        parts.append(f"printf '{_SEPARATOR}'")
        if snippet.mark == "file":
            end = f"END_OF_SNIPPET_{number}"
            parts.append(f"mkdir -p \"$(dirname '{snippet.note}')\"")
            parts.append(f"cat > '{snippet.note}' <<'{end}'\n{snippet.text}{end}")
        elif snippet.language == "sh" and snippet.mark is None:
            parts.append(snippet.text.replace(ADDRESS, environ["KRSYNC_URL"]))
    code, said = _in_a_terminal("\n".join(parts) + "\n", folder, environ)
    clean = _ANSI.sub("", said).replace("\r\n", "\n").replace("\r", "\n")
    outputs = clean.split(_SEPARATOR)[1:]
    last = page[min(len(outputs), len(page)) - 1]
    assert code == 0, f"{last}: a command ended with {code}:\n{clean}"
    return outputs


def _in_a_terminal(script: str, folder: Path, environ: dict[str, str]) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["sh", "-c", script], cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(ours, selectors.EVENT_READ)
            while True:
                if not selector.select(_SILENCE):
                    process.kill()
                    raise AssertionError(f"silence after {said.decode(errors='replace')}")
                try:
                    read = os.read(ours, 65536)
                except OSError:  # Linux says so at the end of a terminal
                    break
                if not read:
                    break
                said += read
        os.close(ours)
        return process.wait(_SILENCE), said.decode(errors="replace")


def missing_line(shown: str, said: str) -> str | None:
    """The first line of what a page shows that was not said, in that order; blanks do not matter, `…` is anything."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    at = 0
    for line in shown.splitlines():
        words = " ".join(line.split())
        if not words or words == "…":
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in words.split("…")))
        found = next((number for number in range(at, len(lines)) if pattern.fullmatch(lines[number])), None)
        if found is None:
            return line
        at = found + 1
    return None
