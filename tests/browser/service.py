"""A `krsync up` to look at in a browser."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
#: For a machine that is busy with other things: what is ready sooner is waited for no longer.
PATIENCE = 240.0


class Service:
    """A running `up` on a data folder of its own."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.data = folder / "data"
        self._log = folder / "up.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")}
        self.environ = kept | {"KRSYNC_DATA_DIR": str(self.data)} | environ
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "app.cli", "up", "--port", "0"],
                cwd=ROOT,
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Return once it says that it is ready."""
        deadline = time.monotonic() + PATIENCE
        while "Ctrl-C" not in self._log.read_text():
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline, self._log.read_text()
            else:
                raise AssertionError(self._log.read_text())

    @property
    def url(self) -> str:
        return (self.data / "url").read_text().strip()

    @property
    def token(self) -> str:
        """The first administrator's."""
        return (self.data / "admin-token").read_text().strip()

    def client(self) -> httpx.Client:
        """The administrator's client."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False)

    def run(self, *arguments: str) -> str:
        """What a `krsync` command beside it prints; it has to succeed."""
        command = [sys.executable, "-P", "-m", "app.cli", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill_api(self) -> None:
        """End the API's process without a word; `up` starts another one."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
        (serve,) = (pid for pid in children if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(int(serve), signal.SIGKILL)

    def end(self) -> None:
        """Stop all of it."""
        self.process.terminate()
        self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, **environ: str) -> Iterator[Service]:
    """A ready service, for the length of the block."""
    service = Service(folder, **environ)
    try:
        service.wait()
        yield service
    finally:
        service.end()
