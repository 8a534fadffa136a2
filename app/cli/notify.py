"""`notify preview` and `notify log`: what would be told and to whom, and what became of what was."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.cli.client import connect
from app.cli.output import cell, clean, say, say_json, show_table
from app.cli.shown import items, minute, part

app = typer.Typer(no_args_is_help=True)

_STATES = {"sent": "green", "waiting": "yellow", "dead": "red"}


@app.command()
def preview(
    team: Annotated[str | None, typer.Argument(help="This team alone.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The previews as JSON.")] = False,
) -> None:
    """What would be told now, when and to whom. Nothing is sent."""
    with connect() as service:
        found = service.get("/v1/notifications/preview", team=team)
    if as_json:
        say_json(found)
        return
    previews = items(found, "items")
    if not previews:
        whose = "No team is" if team is None else f"{clean(team)} is not"
        say(f"{whose} told anything: a team file's `notify` section says where.")
    for position, one in enumerate(previews):
        if position:
            say()
        _preview(one)


def _preview(one: Mapping[str, Any]) -> None:
    say(f"{clean(one.get('team'))} is told by")
    for channel, where in part(one, "destinations").items():
        say(f"  {clean(channel)}: {clean(where)}")
    if one.get("quiet_until"):
        say(f"  quiet until {minute(one.get('quiet_until'))}")
    if one.get("waiting"):
        say(f"  {clean(one.get('waiting'))} on their way")
    changes = items(one, "changes")
    if not changes:
        say("Nothing has changed since it was last told.")
    for change in changes:
        say(f"{clean(change.get('summary'))}")
        for line in change.get("lines") or []:
            say(f"  {clean(line)}")
        say(f"  told {minute(change.get('told_at'))}, if it still stands then")
    weekly = part(one, "digest")
    if weekly:
        say(f"The digest of {minute(weekly.get('at'))} would read now:")
        say(f"  {clean(weekly.get('summary'))}")
        for line in weekly.get("lines") or []:
            say(f"  {clean(line)}")


@app.command("log")
def show_log(
    team: Annotated[str | None, typer.Argument(help="This team alone.", show_default=False)] = None,
    state: Annotated[str | None, typer.Option(help="waiting, sent or dead.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The notices as JSON.")] = False,
) -> None:
    """The newest notices, and what became of them in each channel."""
    with connect() as service:
        found = service.get("/v1/notifications", team=team, state=state)
    if as_json:
        say_json(found)
        return
    rows = [
        (
            cell(one.get("id")),
            cell(minute(one.get("at"))),
            cell(one.get("team"), "bold"),
            cell(one.get("summary")),
            cell(way.get("channel")),
            cell(way.get("state"), _STATES.get(str(way.get("state")), "")),
            cell(way.get("error")),
        )
        for one in items(found, "items")
        for way in items(one, "channels")
    ]
    show_table(("ID", "AT", "TEAM", "NOTICE", "CHANNEL", "STATE", "ERROR"), rows)
