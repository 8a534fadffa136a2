"""`status`: a look at the key results."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from app.cli.building import being_built
from app.cli.client import Service, connect
from app.cli.following import News
from app.cli.output import (
    CALL_IS_WRONG,
    CommandError,
    age,
    cell,
    clean,
    complain,
    console,
    percent,
    say,
    say_json,
    show_table,
    table,
)
from app.cli.shown import part, rounded, value_of

_COLUMNS = ("KEY RESULT", "VALUE", "BASELINE → TARGET", "PROGRESS", "EXPECTED", "STATUS", "FRESHNESS", "SOURCE", "NOTE")
_NUMBERS = ("VALUE", "BASELINE → TARGET", "PROGRESS", "EXPECTED")
_STATUS_STYLES = {
    "on_track": "green",
    "met": "bold green",
    "behind": "yellow",
    "at_risk": "red",
    "missed": "bold red",
    "void": "bold red",
}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(status)


def status(
    team: Annotated[str | None, typer.Argument(help="Only this team's key results.", show_default=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep the table up to date until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks of --watch at least.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="The key results as JSON.")] = False,
) -> None:
    """A table of key results: value, progress, status and freshness."""
    with connect() as service:
        if watch:
            _watch(service, team, every)
            return
        found = list(service.items("/v1/key-results", team=team))
        if team is not None and not found:
            service.get(f"/v1/teams/{quote(team, safe='')}")  # there is none of that name: say so
        if as_json:
            say_json(found)
        else:
            show_table(_COLUMNS, map(_status_row, found), right=_NUMBERS)
            for one in being_built(service, team):
                # In a pipe the table is for a program.
                (say if console.is_terminal else complain)(one.line())


def _watch(service: Service, team: str | None, every: float) -> None:
    if not console.is_terminal:
        raise CommandError("--watch needs a terminal; `krsync status --json` is for a pipe.", CALL_IS_WRONG)
    try:
        with (
            News(service, every) as news,
            Live(console=console, screen=False, auto_refresh=False, vertical_overflow="visible") as live,
        ):
            while True:
                live.update(_status_view(service, team), refresh=True)
                news.wait()
    except KeyboardInterrupt:
        return


def _status_view(service: Service, team: str | None) -> Group:
    try:
        found = table(_COLUMNS, map(_status_row, service.items("/v1/key-results", team=team)), right=_NUMBERS)
        return Group(found, *(Text(one.line(), style="yellow") for one in being_built(service, team)))
    except CommandError as error:  # it may be back at the next look
        return Group(Text(clean(error), style="red"))


def _status_row(item: Mapping[str, Any]) -> Sequence[Text]:
    freshness, source = part(item, "freshness"), part(item, "source")
    word, level = item.get("status"), freshness.get("level")
    # Nothing is shown green while stale.
    style = _STATUS_STYLES.get(str(word), "") if level == "fresh" else "dim"
    shown_age = f" {age(freshness['age_seconds'])}" if freshness.get("age_seconds") is not None else ""
    health = " ".join(str(source[key]) for key in ("connection", "health") if source.get(key))
    return (
        cell(item.get("id"), "bold"),
        cell(value_of(item)),
        cell(f"{rounded(clean(item.get('baseline')))} → {_target(item)}"),
        cell(percent(item.get("progress"))),
        cell(percent(item.get("expected_progress"))),
        cell(word, style),
        cell(f"{clean(level)}{shown_age}", "" if level == "fresh" else "yellow"),
        cell(health or None, "" if source.get("health") in ("ok", None) else "yellow"),
        cell(_note(item)),
    )


def _note(item: Mapping[str, Any]) -> str | None:
    """What the other columns leave open: why there is no status, what is wrong, where the value is heading."""
    notes: list[str] = []
    freshness = part(item, "freshness")
    if item.get("reason"):
        notes.append(clean(item["reason"]))
    if freshness.get("level") in ("stale", "error") and freshness.get("age_seconds") is not None:
        notes.append(f"nothing new for {age(freshness['age_seconds'])}")
    if freshness.get("reason") and freshness.get("reason") != item.get("reason"):
        notes.append(clean(freshness["reason"]))
    if item.get("projected_value") is not None:
        notes.append(f"projected {rounded(clean(item['projected_value']))}")
    forecast = part(item, "forecast")
    if forecast.get("value_at_end") is not None:
        end, low, high = (rounded(clean(forecast.get(key))) for key in ("value_at_end", "low", "high"))
        chance = forecast.get("chance_of_target")
        notes.append(
            f"forecast {end} ({low} … {high})" + ("" if chance is None else f", target {percent(chance)} likely")
        )
    return "; ".join(notes) or None


def _target(item: Mapping[str, Any]) -> str:
    maintain = part(item, "target_rule").get("maintain")
    return clean(maintain) if item.get("target") is None and maintain else rounded(clean(item.get("target")))
