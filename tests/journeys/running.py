"""A `krsync up` that really runs, as a process of its own, and what a person does beside it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import uvicorn

ROOT = Path(__file__).resolve().parents[2]
#: Seconds. What comes sooner is waited for no longer.
PATIENCE = 300.0
KRSYNC = (sys.executable, "-P", "-m", "app.cli")

_Found = TypeVar("_Found")


class Outcome(NamedTuple):
    """What a command left: its exit code, and what it wrote on both streams."""

    code: int
    out: str


async def eventually(what: str, look: Callable[[], Awaitable[_Found]], *, pause: float = 0.05) -> _Found:
    """What `look` finds once that is something; fails where it never is, on a machine however busy."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = await look()
        if found:
            return found
        await asyncio.sleep(pause)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


class RunningKrsync:
    """One `up` at a time on a data directory. What it says goes to `log`, a file that grows from start to start."""

    #: What `up` is given beside its port, and the command that it is started with.
    arguments: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()

    def __init__(self, folder: Path, **environ: str) -> None:
        self.data = folder / "data"
        self.log = folder / "up.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")}
        self.environ = kept | {"KRSYNC_DATA_DIR": str(self.data)} | environ
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once it says that it is ready."""
        before = len(self.said())
        with self.log.open("ab") as log:
            command = (*self.prefix, *KRSYNC, "up", "--port", "0", *self.arguments)
            self.process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=self.environ, stdout=log, stderr=log
            )

        async def is_ready() -> bool:
            assert self.process is not None
            assert self.process.returncode is None, self.said()
            return "Ctrl-C stops everything" in self.said()[before:]

        await eventually("up is ready", is_ready)

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    async def command(self, *arguments: str) -> Outcome:
        """A `krsync` command at the same machine."""
        process = await asyncio.create_subprocess_exec(
            *KRSYNC,
            *arguments,
            cwd=ROOT,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return Outcome(process.returncode, out.decode())

    # --- over HTTP ------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return (self.data / "url").read_text().strip()

    @property
    def token(self) -> str:
        return (self.data / "admin-token").read_text().strip()

    def client(self) -> httpx.AsyncClient:
        """The administrator's client."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False)

    # --- processes ------------------------------------------------------------------------------------------------

    def family(self) -> dict[str, int]:
        """The process ids of what runs below `up`, by name: `serve`, `worker`, `valkey`."""
        assert self.process is not None
        found = {}
        for pid in _children(self.process.pid):
            words = _read(pid, "cmdline").replace(b"\0", b" ")
            if b"launch.py" in words:  # it has not become the command yet
                continue
            for name, mark in (("serve", b" serve "), ("worker", b" worker "), ("valkey", b"valkey-server")):
                if mark in words:
                    found[name] = pid
        return found

    async def child(self, name: str, *, other_than: int = 0) -> int:
        """The process id of a child, once it is there (again)."""

        async def find() -> int:
            found = self.family().get(name, 0)
            return 0 if found == other_than else found

        return await eventually(f"a {name} runs", find)

    def relatives(self) -> list[int]:
        """Every process that knows of our data directory, wherever it hangs in the tree."""
        mark = str(self.data).encode()
        return [
            pid
            for pid in _all_processes()
            if b"KRSYNC_DATA_DIR=" + mark + b"\0" in _read(pid, "environ") or mark in _read(pid, "cmdline")
        ]


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            yield from map(int, (task / "children").read_text().split())


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


@asynccontextmanager
async def running(folder: Path, **environ: str) -> AsyncIterator[RunningKrsync]:
    """A ready `up`; at the end all of it is gone, or the test fails."""
    krsync = RunningKrsync(folder, **environ)
    try:
        await krsync.start()
        yield krsync
    finally:
        if krsync.process is not None and krsync.process.returncode is None:
            await krsync.stop()
        left = krsync.relatives()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert left == []


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The test's signals are not ours."""
        yield


@asynccontextmanager
async def on_loopback(app: Any, *, http: Any = "auto") -> AsyncIterator[str]:
    """Serve an ASGI application from this process; its URL. `http` is uvicorn's protocol."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=http, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()
