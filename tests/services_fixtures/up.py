"""A running `krsync up` as a test sees it: its output line by line, its processes, its end."""

import os
import select
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0

#: The supervisor with fake children, and the whole thing.
WITH_FAKES = (sys.executable, "-m", "tests.fakes.up")
FOR_REAL = (sys.executable, "-P", "-m", "app.cli", "up", "--port", "0", "--data")


class Up:
    """A running `up`, in an environment without our variables but those given."""

    def __init__(self, command: Sequence[str], data: Path, *arguments: str, **environ: str) -> None:
        self.data = data
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")}
        self.process = subprocess.Popen(
            [*command, str(data), *arguments],
            cwd=ROOT,
            env=kept | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.said: list[str] = []
        self._unread = b""

    def wait_for(self, beginning: str) -> str:
        """The next line that begins so; fails where the process ends or falls silent without it."""
        while not (line := self._line()).startswith(beginning):
            pass
        return line

    def wait_for_word(self, word: str) -> str:
        """The next line that holds the word, whatever a logger put before it."""
        while word not in (line := self._line()):
            pass
        return line

    def _line(self) -> str:
        assert self.process.stdout is not None
        while b"\n" not in self._unread:
            if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
                pytest.fail(f"silence after {self.said}")
            read = os.read(self.process.stdout.fileno(), 65536)
            if not read:
                pytest.fail(f"the end after {self.said}")
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        self.said.append(line.decode())
        return self.said[-1]

    def ready(self) -> "Up":
        """Returns once it says so and both children run, in whatever order that comes."""
        for beginning in ("Ctrl-C", "serve ", "worker "):
            if not any(line.startswith(beginning) for line in self.said):
                self.wait_for(beginning)
        return self

    def close(self) -> None:
        """End it where it still runs."""
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def end(self, number: signal.Signals) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    @property
    def children(self) -> dict[str, int]:
        """The newest process id of each child."""
        lines = (self.data / "children").read_text().splitlines()
        return {name: int(number) for name, number in (line.split() for line in lines)}

    def family(self) -> list[int]:
        """The process ids of everything below `up`, Valkey included."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def ask(self) -> int:
        """The process id of the API that answers."""
        with urllib.request.urlopen((self.data / "url").read_text().strip() + "/healthz", timeout=PATIENCE) as answer:
            return int(answer.read())


def have_ended(pids: list[int], within: float = PATIENCE) -> bool:
    """Whether every one of the processes ends in time: waits for each by its pidfd."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([descriptor], [], [], within)[0]:
                return False
        finally:
            os.close(descriptor)
    return True
