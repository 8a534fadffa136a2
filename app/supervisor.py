"""`krsync up`: embedded Valkey, migrations, API and worker in one process tree that starts, heals and ends together."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.embedded.lock import DataDirectoryLock
from app.embedded.process import tied_to_us
from app.embedded.valkey import EmbeddedValkey
from app.settings import Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")

#: Seconds that children get to end before they are killed: uvicorn's own grace is three.
_GRACE = 4.0
_READY_WITHIN = 60.0
_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 10.0
_STABLE_AFTER = 30.0

TOKEN_FILE = "admin-token"  # noqa: S105  the name of a file
URL_FILE = "url"


class UpError(Exception):
    """`up` can not go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """Where `up` keeps its data, and where it listens. Port 0 takes a free one."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What `up` does besides running processes, handed in by the root: this module knows no database."""

    migrate: Callable[[str], None]  # blocking; takes the database URL
    ensure_admin_token: Callable[[str, Path], Awaitable[None]]  # the same URL, and the file for a first token
    say: Callable[[str], None]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    # -P: a folder named `app` where the user happens to stand must not be taken for ours.
    command: Sequence[str] = (sys.executable, "-P", "-m", "app.cli")  # `serve` and `worker` are added to it
    #: A command that is run beside them once the API is ready; one that ends by itself is left alone.
    companion: Sequence[str] = ()


async def up(options: UpOptions, steps: Steps) -> None:
    """Run everything until SIGINT or SIGTERM; every child has ended when it returns.

    Raises UpError, DataDirectoryInUseError, ValkeyError or SettingsError where it can not start. Run it in the main
    thread: children end with the thread that started them.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    directory = options.data_dir.absolute()
    if "?" in str(directory):
        raise UpError(f"The data directory {directory} has a `?` in its path, which a database URL can not hold.")
    with DataDirectoryLock(directory), contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(options.host, options.port))
        environment = _environment(directory, options.host, steps.environ)
        valkey = None
        if "KRSYNC_REDIS_URL" not in environment:
            steps.say("Starting Valkey")
            valkey = EmbeddedValkey(directory)
            stack.callback(valkey.stop)
            valkey.start()
            environment["KRSYNC_REDIS_URL"] = valkey.url
        settings = Settings.from_environment(environment)
        steps.say("Migrating the database")
        await asyncio.to_thread(steps.migrate, settings.database_url)
        token_file = directory / TOKEN_FILE
        await steps.ensure_admin_token(settings.database_url, token_file)
        url = _url(options.host, listener)
        url_file = directory / URL_FILE
        url_file.write_text(f"{url}\n")
        stack.callback(url_file.unlink, missing_ok=True)
        if stopping.is_set():
            return
        steps.say("Starting the API and the worker")
        await _run_children(listener, environment, valkey, url, token_file, steps, stopping)


async def _run_children(
    listener: socket.socket,
    environment: Mapping[str, str],
    valkey: EmbeddedValkey | None,
    url: str,
    token_file: Path,
    steps: Steps,
    stopping: asyncio.Event,
) -> None:
    # The children share our listening socket: requests wait in its backlog while the API is started again.
    descriptor = listener.fileno()
    serve = [*steps.command, "serve", "--descriptor", str(descriptor)]
    api = Child("API", serve, environment, (descriptor,), steps.say)
    worker = Child("worker", [*steps.command, "worker"], environment, (), steps.say)
    ending = asyncio.Event()
    running = [asyncio.create_task(child.run(ending)) for child in (api, worker)]
    ready = asyncio.create_task(_wait_until_ready(listener))
    stopped = asyncio.create_task(stopping.wait())
    watching = asyncio.create_task(_keep_alive(valkey, ending, steps.say)) if valkey else stopped
    try:
        await _first_of(ready, stopped, api.has_ended, *running)
        if not stopped.done():
            if not ready.done():
                raise UpError("The API ended before it was ready; what it said is above.")
            ready.result()
            steps.say(_welcome(url, token_file))
            if steps.companion:
                companion = Child(
                    "companion", [*steps.command, *steps.companion], environment, (), steps.say, is_healed=False
                )
                running.append(asyncio.create_task(companion.run(ending)))
            await _first_of(stopped, watching, *running)
        steps.say("Stopping")
    finally:
        ending.set()
        ready.cancel()
        stopped.cancel()
        api.has_ended.cancel()
        results: list[Any] = await asyncio.gather(*running, return_exceptions=True)
        if watching is not stopped:
            watching.cancel()
        results += await asyncio.gather(watching, return_exceptions=True)
        await asyncio.gather(ready, stopped, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


def _welcome(url: str, token_file: Path) -> str:
    place = f"The first admin token is in {token_file}"
    if not token_file.exists():
        place = (
            f"The first admin token was in {token_file}, which is gone; make another with `krsync token create`, or, "
            "where no token is left, with `krsync migrate --another-admin-token FILE` on the database"
        )
    return f"KRSync is at {url}\n{place}\nCtrl-C stops everything"


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def _keep_alive(valkey: EmbeddedValkey, ending: asyncio.Event, say: Callable[[str], None]) -> None:
    """Start Valkey again whenever it ends before we do; its append-only file holds what it knew."""
    while True:
        code = await asyncio.to_thread(valkey.wait)
        if ending.is_set():
            return
        say(f"Valkey ended ({_reason(code)}); starting it again")
        await asyncio.sleep(_FIRST_BACKOFF)
        valkey.start()  # here, in the main thread: it is to end with it


class Child:
    """One of our own processes, started again with a growing pause whenever it ends (unless it is not to be healed).

    `has_ended` is done once it has ended by itself for the first time.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        descriptors: tuple[int, ...],
        say: Callable[[str], None],
        *,
        is_healed: bool = True,
    ) -> None:
        self._name = name
        self._is_healed = is_healed
        self._command = tied_to_us(command, signal.SIGKILL)
        self._environment = dict(environment)
        self._descriptors = descriptors
        self._say = say
        self.has_ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, ending: asyncio.Event) -> None:
        """Keep the process running until `ending` is set, then end it; it is gone when this returns."""
        loop = asyncio.get_running_loop()
        backoff = _FIRST_BACKOFF
        told = asyncio.create_task(ending.wait())
        while not ending.is_set():
            started = loop.time()
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                pass_fds=self._descriptors,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C is ours to pass on
            )
            ended = asyncio.create_task(process.wait())
            await _first_of(ended, told)
            if not ended.done():
                await _end(process)
                break
            if not self.has_ended.done():
                self.has_ended.set_result(None)
            if not self._is_healed:
                break
            backoff = _FIRST_BACKOFF if loop.time() - started > _STABLE_AFTER else min(backoff * 2, _LONGEST_BACKOFF)
            self._say(f"The {self._name} ended ({_reason(ended.result())}); starting it again")
            await asyncio.wait({told}, timeout=backoff)
        await told


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL where that is not enough in time."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GRACE)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise UpError(f"{host} is not an address of this machine.") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise UpError(
            f"Port {port} on {host} can not be used ({error.strerror}). Choose another with --port."
        ) from None
    return listener


def _url(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _environment(directory: Path, host: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The children's environment: what was given wins, so a part can be replaced by a server of one's own."""
    own = {
        "KRSYNC_DATABASE_URL": f"sqlite+aiosqlite:///{directory / 'krsync.db'}",
        "KRSYNC_DATA_DIR": str(directory),
        "KRSYNC_LOG": "console",
        # On loopback who runs `up` and who writes team files are one; the service never gives out KRSYNC_* itself.
        "KRSYNC_SECRETS_ALLOW": "*=*" if host in LOOPBACK else "",
    }
    if not (environ.get("KRSYNC_SECRET_KEY") or environ.get("KRSYNC_SECRET_KEY_FILE")):
        own["KRSYNC_SECRET_KEY_FILE"] = str(_secret_key_file(directory))
    return own | {name: value for name, value in environ.items() if value or not name.startswith("KRSYNC_")}


def _secret_key_file(directory: Path) -> Path:
    """The file with the key that seals secrets, made once, readable by its owner only."""
    path = directory / "secret-key"
    if path.exists():
        return path
    # Written whole under another name first: a crash half-way must not leave a short key behind.
    fresh = directory / f"secret-key.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    return path


async def _wait_until_ready(listener: socket.socket) -> None:
    """Return once `GET /healthz` answers 200; UpError when it does not in time."""
    try:
        async with asyncio.timeout(_READY_WITHIN):
            # A first connection waits in the backlog until the API takes it, so this is no busy loop.
            while not await _is_healthy(listener):  # noqa: ASYNC110  what we wait for is another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise UpError(f"The API was not ready within {_READY_WITHIN:.0f} seconds; what it said is above.") from None


async def _is_healthy(listener: socket.socket) -> bool:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


__all__ = ["TOKEN_FILE", "URL_FILE", "Child", "Steps", "UpError", "UpOptions", "up"]
