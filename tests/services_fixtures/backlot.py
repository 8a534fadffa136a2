"""backlot: a program of others that plays Jira, GitHub and Slack over a made-up company, served on loopback."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import httpx
import yaml

from app.embedded.process import tied_to_us

_ENVIRON = {"BACKLOT_TELEMETRY": "false"}


class BacklotError(Exception):
    """It could not be started; the message says why."""


class Backlot:
    """One running backlot. `url` is its root, `admin_token` sees everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 120.0) -> None:
        """Import the company it brings, and serve it; BacklotError where that can not be done."""
        if find_spec("backlot") is None:
            raise BacklotError("backlot is not installed")
        program = [sys.executable, "-m", "backlot"]
        done = subprocess.run(
            [*program, "import", "--bundled", "--data-dir", str(self.folder)],
            env={**os.environ, **_ENVIRON},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BacklotError(f"backlot could not import its company: {done.stderr[-300:]}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        serve = [*program, "serve", "--disable-telemetry", "--port", str(port), "--data-dir", str(self.folder)]
        self._process = subprocess.Popen(
            tied_to_us(serve, signal.SIGKILL),
            env={**os.environ, **_ENVIRON},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < give_up:
            try:
                httpx.get(f"{self.url}/slack/api/api.test", trust_env=False)
            except httpx.TransportError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.1)
            else:
                return
        self.stop()
        raise BacklotError("backlot did not start")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def admin_token(self) -> str:
        """The token that sees everything."""
        return str(self.tokens["admin_token"])

    @property
    def tokens(self) -> dict[str, object]:
        """Every token there is, as its file has them."""
        found: dict[str, object] = yaml.safe_load((self.folder / "tokens.yaml").read_text(encoding="utf-8"))
        return found
