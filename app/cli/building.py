"""Revisions that are being built from what is stored: how far they are, and waiting for them with a bar."""

import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from app.cli.client import Service
from app.cli.output import clean, console, percent, say

if TYPE_CHECKING:
    from rich.progress import TaskID

#: Seconds between two looks.
EVERY = 0.5


class Building(NamedTuple):
    """A metric whose newest revision is being built: entities extracted, of how many (None: not counted yet)."""

    metric: str
    done: int
    total: int | None

    def line(self) -> str:
        """How far it is, in words."""
        if not self.total:
            return f"{clean(self.metric)}: a new revision waits to be built"
        share = percent(self.done / self.total)
        return f"{clean(self.metric)}: a new revision is being built, {self.done:,} of {self.total:,} ({share})"


def being_built(service: Service, team: str | None = None) -> Iterator[Building]:
    """The metrics (of a team) that are being built."""
    for item in service.items("/v1/metrics", team=team):
        building = item.get("building")
        if isinstance(building, dict):
            done, total = building.get("done"), building.get("total")
            yield Building(
                str(item.get("id")), done if isinstance(done, int) else 0, total if isinstance(total, int) else None
            )


def wait_until_built(service: Service, teams: Collection[str], *, is_quiet: bool = False) -> None:
    """Return when no metric of these teams is being built any more. A terminal sees a bar for each metric, a pipe a
    line for each that was built, neither when `is_quiet`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    tasks: dict[str, TaskID] = {}
    is_barred = console.is_terminal and not is_quiet
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not is_barred) as progress:
        while True:
            found = {one.metric: one for team in teams for one in being_built(service, team)}
            for name, one in found.items():
                if name not in tasks:
                    tasks[name] = progress.add_task(clean(name), total=None)
                progress.update(tasks[name], completed=one.done, total=one.total)
            for name in sorted(tasks.keys() - found.keys()):
                task = tasks.pop(name)
                total = next(one.total for one in progress.tasks if one.id == task)
                progress.update(task, completed=total or 1, total=total or 1)
                if not (is_barred or is_quiet):
                    say(f"{clean(name)}: built")
            if not found:
                return
            time.sleep(EVERY)
