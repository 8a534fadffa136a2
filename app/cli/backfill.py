"""`backfill`: history from before there were samples, built by the service and followed here."""

import re
import time
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app.cli.client import Service, connect
from app.cli.output import CALL_IS_WRONG, CommandError, clean, console, say, say_json

_NAMES = re.compile(r"([a-z][a-z0-9_]*)(?:/([a-z][a-z0-9_]*))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: Seconds between two looks.
EVERY = 0.5


def add_to(app: typer.Typer) -> None:
    """Register this command."""
    app.command()(backfill)


def backfill(
    what: Annotated[str, typer.Argument(metavar="TEAM[/METRIC]", help="A team, or one of its metrics.")],
    since: Annotated[str, typer.Option("--since", metavar="DATE", help="The first day, such as 2026-01-01.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The job as JSON.")] = False,
) -> None:
    """Build history from the records that are kept: what each metric was at the end of every day.

    The service does the work: leave at any time, and call again to follow the same job.
    """
    names = _NAMES.fullmatch(what)
    if names is None:
        raise CommandError("TEAM or TEAM/METRIC is expected.", CALL_IS_WRONG)
    if not _DAY.fullmatch(since):
        raise CommandError("--since takes a date such as 2026-01-01.", CALL_IS_WRONG)
    asked = {"since": since} | ({} if names[2] is None else {"metric": names[2]})
    path = f"/v1/teams/{quote(names[1], safe='')}/backfill"
    with connect() as service:
        job: Mapping[str, Any] = service.request("POST", path, json=asked).json()
        if wait:
            job = _follow(service, f"{path}/{job['id']}", job, is_quiet=as_json)
    if as_json:
        say_json(job)
        return
    _show(what, job)


def _follow(service: Service, path: str, job: Mapping[str, Any], *, is_quiet: bool) -> Mapping[str, Any]:
    """The job once it is done. A terminal sees a bar, a pipe nothing until the end."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal or is_quiet) as progress:
        task = progress.add_task("days", total=job["total"])
        while True:
            waits = job["state"] == "waiting"
            description = "waits for a complete read" if waits else "days of metrics"
            progress.update(task, completed=job["done"], total=job["total"], description=description)
            if job["state"] == "done":
                return job
            time.sleep(EVERY)
            job = service.get(path)


def _show(what: str, job: Mapping[str, Any]) -> None:
    if job["state"] != "done":
        say(f"{clean(what)}: job {job['id']} is {clean(job['state'])}, {job['done']:,} of {job['total']:,} days")
        return
    say(f"{clean(what)}: {job['samples']:,} samples since {clean(job['since'])}")
    for note in job["notes"]:
        say(f"  {clean(note)}")
