"""`status` and `explain`: a look at the key results, and at one number taken apart."""

import time
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from app.cli.building import being_built
from app.cli.client import Service, connect
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

_COLUMNS = ("KEY RESULT", "VALUE", "BASELINE → TARGET", "PROGRESS", "EXPECTED", "STATUS", "FRESHNESS", "SOURCE")
_NUMBERS = ("VALUE", "BASELINE → TARGET", "PROGRESS", "EXPECTED")
_STATUS_STYLES = {
    "on_track": "green",
    "met": "bold green",
    "behind": "yellow",
    "at_risk": "red",
    "missed": "bold red",
    "void": "bold red",
}
_LONGEST_LIST = 20
_PLACES = 2


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (status, explain):
        app.command()(command)


def status(
    team: Annotated[str | None, typer.Argument(help="Only this team's key results.", show_default=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep the table up to date until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks of --watch.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="The key results as JSON.")] = False,
) -> None:
    """A table of key results: value, progress, status and freshness."""
    with connect() as service:
        if watch:
            _watch(service, team, every)
            return
        found = list(service.items("/v1/key-results", team=team))
        if as_json:
            say_json(found)
        else:
            show_table(_COLUMNS, map(_status_row, found), right=_NUMBERS)
            for one in being_built(service, team):
                # In a pipe the table is for a program.
                (say if console.is_terminal else complain)(one.line())


def _watch(service: Service, team: str | None, every: float) -> None:
    if not console.is_terminal:
        raise CommandError("--watch needs a terminal.", CALL_IS_WRONG)
    try:
        with Live(console=console, screen=False, auto_refresh=False, vertical_overflow="visible") as live:
            while True:
                live.update(_status_view(service, team), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:
        return


def _status_view(service: Service, team: str | None) -> Group:
    try:
        found = table(_COLUMNS, map(_status_row, service.items("/v1/key-results", team=team)), right=_NUMBERS)
        return Group(found, *(Text(one.line(), style="yellow") for one in being_built(service, team)))
    except CommandError as error:  # it may be back at the next look
        return Group(Text(clean(error), style="red"))


def _status_row(item: Mapping[str, Any]) -> Sequence[Text]:
    freshness, source = _part(item, "freshness"), _part(item, "source")
    word, level = item.get("status"), freshness.get("level")
    # Nothing is shown green while stale.
    style = _STATUS_STYLES.get(str(word), "") if level == "fresh" else "dim"
    shown_age = f" {age(freshness['age_seconds'])}" if freshness.get("age_seconds") is not None else ""
    health = " ".join(str(source[key]) for key in ("connection", "health") if source.get(key))
    return (
        cell(item.get("id"), "bold"),
        cell(_with_unit(item)),
        cell(f"{_rounded(clean(item.get('baseline')))} → {_target(item)}"),
        cell(percent(item.get("progress"))),
        cell(percent(item.get("expected_progress"))),
        cell(word, style),
        cell(f"{clean(level)}{shown_age}", "" if level == "fresh" else "yellow"),
        cell(health or None, "" if source.get("health") in ("ok", None) else "yellow"),
    )


def _with_unit(item: Mapping[str, Any]) -> str:
    value = item.get("value")
    unit = _part(item, "metric").get("unit")
    return clean(value) if value is None or not unit else f"{_rounded(clean(value))} {clean(unit)}"


def _rounded(value: str) -> str:
    """A number as a table has room for it; `explain` and `--json` show all its digits."""
    whole, _, places = value.partition(".")
    if len(places) <= _PLACES or not (whole.lstrip("-") + places).isdigit():
        return value
    return format(round(Decimal(value), _PLACES), "f")


def _target(item: Mapping[str, Any]) -> str:
    maintain = _part(item, "target_rule").get("maintain")
    return clean(maintain) if item.get("target") is None and maintain else _rounded(clean(item.get("target")))


def explain(
    key_result: Annotated[str, typer.Argument(metavar="TEAM/NAME")],
    as_of: Annotated[str | None, typer.Option(help="A past moment: 2026-09-30T22:00:00Z.", show_default=False)] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Every record, not just the first twenty.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The explanation as JSON.")] = False,
) -> None:
    """Why this number: the formula, the window, and the records in and out of it."""
    team, separator, name = key_result.partition("/")
    if not (team and separator and name):
        raise CommandError("a key result is named TEAM/NAME: operations/onboarding_time", CALL_IS_WRONG)
    with connect() as service:
        found = service.get(f"/v1/key-results/{quote(team, safe='')}/{quote(name, safe='')}/explain", as_of=as_of)
    if as_json:
        say_json(found)
        return
    _show_headline(found)
    limit = None if show_all else _LONGEST_LIST
    counts = _part(found, "counts")
    _show_records("Included", _list(found, "included"), counts.get("included"), "value", limit)
    _show_records("Left out", _list(found, "excluded"), counts.get("excluded"), "reason", limit)
    _show_delta(_part(found, "delta"), limit)


def _show_headline(found: Mapping[str, Any]) -> None:
    metric, window, revision, baseline = (_part(found, key) for key in ("metric", "window", "revision", "baseline"))
    lines = [
        ("Key result", found.get("id")),
        ("Metric", metric.get("id") or found.get("metric")),
        ("Value", _with_unit(found)),
        ("Unknown because", found.get("reason")),
        ("Progress", percent(found["progress"]) if found.get("progress") is not None else None),
        ("Status", found.get("status")),
        ("Formula", found.get("formula")),
        ("Baseline", baseline.get("value")),
        ("Target", found.get("target")),
        ("Window", f"{clean(window.get('start'))} … {clean(window.get('end'))}" if window else None),
        (
            "Revision",
            f"{revision.get('number')}, {clean(revision.get('author'))}, since {clean(revision.get('since'))}"
            if revision
            else found.get("revision"),
        ),
        ("As of", found.get("as_of")),
    ]
    for name, value in lines:
        if value is not None:
            say(f"{name + ':':<17}{clean(value)}")
    for part in _list(found, "parts"):
        _show_part(part)


def _show_part(part: Mapping[str, Any]) -> None:
    reasons = _part(part, "excluded_reasons")
    said = f"{clean(part.get('aggregate') or 'value')} {clean(part.get('value'))}"
    if part.get("included") is not None:
        said += f" over {part['included']} in, {part.get('excluded', 0)} out"
    if reasons:
        said += " (" + ", ".join(f"{clean(reason)}: {count}" for reason, count in reasons.items()) + ")"
    if part.get("query"):
        said += f" from {clean(part['query'])}" + ("" if part.get("is_exact", True) else " (the tool's estimate)")
    say(f"{clean(part.get('part') or 'value').capitalize() + ':':<17}{said}")


def _show_records(
    heading: str, records: Sequence[Mapping[str, Any]], total: object, column: str, limit: int | None
) -> None:
    if not records and not total:
        return
    say()
    shown = records[:limit]
    known = total if isinstance(total, int) else len(records)
    say(f"{heading}: {known}" + (f", the first {len(shown)}" if len(shown) < known else ""))
    # A ratio has two sides, and one record may stand on both: say which.
    parts = len({record.get("part") for record in shown}) > 1
    show_table(
        (*(("PART",) if parts else ()), "RECORD", "AT", column.upper(), "LINK"),
        [
            (
                *((cell(record.get("part")),) if parts else ()),
                cell(_named(record)),
                cell(record.get("at")),
                cell(_rounded(clean(record.get(column)))),
                cell(record.get("link"), "dim"),
            )
            for record in shown
        ],
        right=("VALUE",),
    )


def _named(record: Mapping[str, Any]) -> str:
    """A record's name, with the state of a stretch of time, and whether it is still going on."""
    name = clean(record.get("label") or record.get("entity"))
    state = f": {clean(record['state'])}" if record.get("state") is not None else ""
    return f"{name}{state}{' (open)' if record.get('is_open') is True else ''}"


def _show_delta(delta: Mapping[str, Any], limit: int | None) -> None:
    if not delta:
        return
    say()
    say(
        f"Since {clean(delta.get('since'))}: {clean(delta.get('value_before'))} → {clean(delta.get('value_now'))}"
        + (", the rule changed" if delta.get("rule_changed") else "")
    )
    rows: list[Sequence[Text]] = []
    for word in ("entered", "left", "changed"):
        rows += [(cell(word), cell(_named(record)), cell(record.get("value"))) for record in _list(delta, word)[:limit]]
    if rows:
        show_table(("CHANGE", "RECORD", "VALUE"), rows, right=("VALUE",))


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _list(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found: Iterable[Any] = value.get(key) or ()
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
