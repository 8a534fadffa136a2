"""`check-in` and `health-check`: what people say of key results, and what the numbers say at mid-cycle."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

from app.cli.client import connect
from app.cli.output import CALL_IS_WRONG, CommandError, cell, clean, percent, say, say_json, show_table
from app.cli.shown import items, minute, part, rounded

_PROPOSALS = {"keep": ("keep", "green"), "re_scope": ("re-scope", "yellow"), "drop": ("drop", "red")}
_SEVERITIES = {"problem": "red", "warning": "yellow", "info": "dim"}
_COLUMNS = ("KEY RESULT", "PROPOSAL", "PROGRESS", "EXPECTED", "FORECAST", "CHANCE", "STATUS", "FRESHNESS", "EDITS")
_RIGHT = ("PROGRESS", "EXPECTED", "FORECAST", "CHANCE", "EDITS")


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command("check-in")(check_in)
    app.command("health-check")(health_check)


def check_in(
    key_result: Annotated[str, typer.Argument(metavar="TEAM/NAME")],
    note: Annotated[str | None, typer.Argument(help="What there is to say.", show_default=False)] = None,
    confidence: Annotated[
        str | None, typer.Option(help="How sure you are to reach the target, 0 to 1.", show_default=False)
    ] = None,
    blocker: Annotated[
        list[str] | None, typer.Option(help="What is in the way; as often as needed.", show_default=False)
    ] = None,
    value: Annotated[str | None, typer.Option(help="Today's value of a manual metric.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The check-in as JSON.")] = False,
) -> None:
    """Say how a key result is doing: a note, how confident you are, what blocks it."""
    team, separator, name = key_result.partition("/")
    if not (team and separator and name):
        raise CommandError("a key result is named TEAM/NAME: operations/onboarding_time", CALL_IS_WRONG)
    body: dict[str, Any] = {"blockers": blocker or []}
    given = {"note": note, "confidence": _share(confidence, "--confidence"), "value": _number(value, "--value")}
    body |= {key: text for key, text in given.items() if text is not None}
    if len(body) == 1 and not blocker:
        raise CommandError("a note, --confidence, --blocker or --value is expected", CALL_IS_WRONG)
    with connect() as service:
        path = f"/v1/key-results/{quote(team, safe='')}/{quote(name, safe='')}/check-ins"
        said = service.request("POST", path, json=body).json()
    if as_json:
        say_json(said)
        return
    sure = "" if said.get("confidence") is None else f", {percent(said['confidence'])} confident"
    say(f"{clean(key_result)}: checked in {minute(said.get('at'))} by {clean(said.get('author'))}{sure}")


def _number(text: str | None, option: str) -> str | None:
    """A number as it was written: it travels as text, so that no digit is lost."""
    if text is None:
        return None
    try:
        is_number = Decimal(text).is_finite()
    except InvalidOperation:
        is_number = False
    if not is_number:
        raise CommandError(f"{option} takes a number.", CALL_IS_WRONG)
    return text


def _share(text: str | None, option: str) -> str | None:
    if text is not None and not 0 <= Decimal(_number(text, option) or 0) <= 1:
        raise CommandError(f"{option} takes a number from 0 to 1: 0.8 is 80 %.", CALL_IS_WRONG)
    return text


def health_check(
    team: str,
    now: Annotated[bool, typer.Option("--now", help="Make one now and keep it, whatever is kept already.")] = False,
    cycle: Annotated[str | None, typer.Option(help="Of this cycle: 2026-Q4.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The health check as JSON.")] = False,
) -> None:
    """What the numbers say at mid-cycle: keep, re-scope or drop each key result, and why."""
    path = f"/v1/teams/{quote(team, safe='')}/health-check"
    with connect() as service:
        if now:
            found = service.request("POST", path, params={} if cycle is None else {"cycle": cycle}).json()
        else:
            found = service.get(path, cycle=cycle)
    if as_json:
        say_json(found)
        return
    name, made = part(found, "cycle").get("name"), minute(found.get("made_at"))
    kept = "" if found.get("is_stored") else ", not kept (--now keeps one)"
    say(f"{clean(team)} {clean(name)}, {percent(found.get('elapsed'))} of the cycle passed; made {made}{kept}")
    say()
    show_table(_COLUMNS, map(_row, items(found, "key_results")), right=_RIGHT)
    findings = [
        *((finding, clean(finding.get("subject"))) for finding in items(found, "findings")),
        *((finding, clean(one.get("id"))) for one in items(found, "key_results") for finding in items(one, "findings")),
    ]
    if findings:
        say()
        show_table(("ABOUT", "SEVERITY", "FINDING", "WHY"), [_finding(finding, about) for finding, about in findings])


def _row(item: Mapping[str, Any]) -> Sequence[Text]:
    forecast, freshness = part(item, "forecast"), part(item, "freshness")
    ahead = rounded(clean(forecast.get("value_at_end"))) if forecast else None
    if forecast:
        ahead = f"{ahead} ({rounded(clean(forecast.get('low')))} to {rounded(clean(forecast.get('high')))})"
    word, style = _PROPOSALS.get(str(item.get("proposal")), (clean(item.get("proposal")), ""))
    level = freshness.get("level")
    return (
        cell(item.get("id"), "bold"),
        cell(word, style),
        cell(percent(item.get("progress"))),
        cell(percent(item.get("expected_progress"))),
        cell(ahead),
        cell(percent(forecast.get("chance_of_target"))),
        cell(item.get("status") if item.get("lifecycle") == "active" else item.get("lifecycle")),
        cell(level, "" if level == "fresh" else "yellow"),
        cell(item.get("edits")),
    )


def _finding(finding: Mapping[str, Any], about: str) -> Sequence[Text]:
    severity = str(finding.get("severity"))
    return (
        cell(about, "bold"),
        cell(severity, _SEVERITIES.get(severity, "")),
        cell(finding.get("code")),
        cell(finding.get("message")),
    )
