"""`demo`: the example organisation of `up --demo`, played and thrown away."""

import asyncio
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from app.cli.client import demo_data_dir
from app.cli.output import CALL_IS_WRONG, INPUT_IS_WRONG, OUT_OF_REACH, CommandError, console, say
from app.supervisor import TOKEN_FILE, URL_FILE, Steps

if TYPE_CHECKING:
    from rich.progress import TaskID

    from app.demo.state import DemoState

app = typer.Typer(no_args_is_help=True)
Data = Annotated[Path | None, typer.Option("--data", help="The folder that `up --demo` was given.", show_default=False)]


def prepared(steps: Steps, directory: Path) -> Steps:
    """The supervisor's steps for a demo in `directory`: its own environment, and the player beside the service.

    CommandError where the directory holds data that are not the example's.
    """
    from app.demo.organisation import SECRET
    from app.demo.state import DemoState

    state = _state_of(directory)
    if state is None:
        if directory.is_dir() and any(directory.glob("krsync.db*")):
            raise CommandError(
                f"{directory} holds data that are not the example's. Choose another folder with --data.", INPUT_IS_WRONG
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = DemoState.fresh(directory)
    # Its own database and queue, whatever the environment says: the example must not be played into real ones.
    environ = {name: value for name, value in steps.environ.items() if not name.startswith("KRSYNC_")}
    environ |= {SECRET: state.secret, "KRSYNC_SECRETS_ALLOW": f"*={SECRET}"}
    return replace(steps, environ=environ, companion=("demo", "play", "--data", str(directory.absolute())))


@app.command(hidden=True)
def play(
    data: Data = None,
    every: Annotated[float, typer.Option(min=0.01, help="Seconds between two events once the year is played.")] = 1.0,
) -> None:
    """Play the year into the running `up --demo`, then go on live."""
    from app.demo.doors import DemoError
    from app.demo.player import is_over

    directory = data or demo_data_dir()
    state = _state_of(directory)
    if state is None:
        raise CommandError(f"{directory} holds no example: start one with `krsync up --demo`.", CALL_IS_WRONG)
    try:
        url, token = ((directory / name).read_text(encoding="utf-8").strip() for name in (URL_FILE, TOKEN_FILE))
    except OSError:
        raise CommandError(
            f"The example can not be played: {URL_FILE} or {TOKEN_FILE} is missing in {directory}. "
            "`krsync demo reset` throws it away, `krsync up --demo` makes a new one.",
            OUT_OF_REACH,
        ) from None
    if is_over(state, datetime.now(UTC)):
        say(f"The example's year ended on {state.now:%Y-%m-%d}; `krsync demo reset` and `up --demo` play a new one.")
    try:
        asyncio.run(_play(url, token, state, every))
    except DemoError as error:
        raise CommandError(f"the example stops: {error}", INPUT_IS_WRONG) from None


@app.command()
def reset(data: Data = None) -> None:
    """Throw the example's data away. The next `krsync up --demo` plays a fresh year."""
    from app.demo.state import FILE
    from app.embedded.lock import DataDirectoryInUseError, DataDirectoryLock

    directory = data or demo_data_dir()
    if not (directory / FILE).is_file():
        if data is not None and directory.exists():
            raise CommandError(f"{directory} is not the example's: nothing was removed.", INPUT_IS_WRONG)
        say("There is no example to throw away.")
        return
    try:
        with DataDirectoryLock(directory):
            shutil.rmtree(directory)
    except DataDirectoryInUseError:
        raise CommandError("the example runs: stop `krsync up --demo` with Ctrl-C first.", INPUT_IS_WRONG) from None
    say(f"{directory} is removed. `krsync up --demo` plays a fresh year.")


async def _play(url: str, token: str, state: "DemoState", every: float) -> None:
    from app.demo.doors import Doors
    from app.demo.player import Player

    async with Doors(url, token, state.secret) as doors:
        with _Shown() as shown:
            player, began = Player(doors, state, shown), time.monotonic()
            steps = await player.play_year()
        played = f"The year was played in {time.monotonic() - began:.0f} s. " if steps else ""
        say(f"{played}The example goes on with an event a second: look at {url}")
        await player.live(every)


class _Shown:
    """How far the player is: a bar for each step on a terminal, a line for each elsewhere."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def step(self, title: str, total: int) -> None:
        """Another step begins."""
        if not console.is_terminal:
            say(f"{title} ({total:,})")
        self._task = self._bars.add_task(title, total=total)

    def advance(self, count: int) -> None:
        """So many parts more are done."""
        if self._task is not None:
            self._bars.advance(self._task, count)


def _state_of(directory: Path) -> "DemoState | None":
    from app.demo.state import DemoState

    try:
        return DemoState.of(directory)
    except ValueError as error:
        raise CommandError(
            f"{error}. `krsync demo reset --data {directory}` throws the example away.", INPUT_IS_WRONG
        ) from None
