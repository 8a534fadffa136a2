"""`explain`: one number taken apart, in words and numbers that people read; `--json` has every digit."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

from app.cli.client import connect
from app.cli.moments import past_moment
from app.cli.output import CALL_IS_WRONG, CommandError, cell, clean, percent, say, say_json, show_table
from app.cli.shown import items, minute, part, rounded, rounded_text, signed, with_unit

_LONGEST_LIST = 20
_SHORT_LIST = 5
_CAUSES = {
    "late_data": "late data",
    "left": "left",
    "changed": "changed",
    "entered": "entered",
    "measured": "the tool says",
    "asserted": "asserted",
    "override": "overridden",
    "input": "input",
    "milestone": "milestone",
    "rule_changed": "rule changed",
}
_REASON = re.compile(r"^it ")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(explain)


def explain(
    key_result: Annotated[str, typer.Argument(metavar="TEAM/NAME")],
    since: Annotated[
        str | None,
        typer.Option(
            help='What changed since then: "last week", yesterday, 3d, 2026-11-15, or the id of a sample. '
            "Without it, since the value before.",
            show_default=False,
        ),
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="A past moment: 2026-09-30T22:00:00Z.", show_default=False)] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Every record, not just the first twenty.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The explanation as JSON.")] = False,
) -> None:
    """Why this number: the formula, the window, the records in and out of it, and what changed."""
    team, separator, name = key_result.partition("/")
    if not (team and separator and name):
        raise CommandError("a key result is named TEAM/NAME: operations/onboarding_time", CALL_IS_WRONG)
    compared = None if since is None else past_moment(since, datetime.now(UTC).astimezone())
    with connect() as service:
        path = f"/v1/key-results/{quote(team, safe='')}/{quote(name, safe='')}/explain"
        found = service.get(path, as_of=as_of, since=compared)
    if as_json:
        say_json(found)
        return
    _show_headline(found)
    _show_inputs(found)
    _show_steps(found)
    limit = None if show_all else _LONGEST_LIST
    counts = part(found, "counts")
    _show_records("Included", items(found, "included"), counts.get("included"), "value", limit)
    _show_records("Left out", items(found, "excluded"), counts.get("excluded"), "reason", limit)
    _show_delta(part(found, "delta"), str(part(found, "metric").get("unit") or ""), None if show_all else _SHORT_LIST)


def _show_headline(found: Mapping[str, Any]) -> None:
    metric, window, revision, baseline = (part(found, key) for key in ("metric", "window", "revision", "baseline"))
    lines = [
        ("Key result", found.get("id")),
        ("Metric", metric.get("id") or found.get("metric")),
        ("Value", with_unit(found)),
        ("Unknown because" if found.get("value") is None else "Because", found.get("reason")),
        ("Progress", percent(found["progress"]) if found.get("progress") is not None else None),
        ("Status", found.get("status")),
        ("Formula", rounded_text(clean(found["formula"])) if found.get("formula") else None),
        ("Baseline", _baseline(baseline)),
        ("Target", rounded(clean(found["target"])) if found.get("target") is not None else None),
        ("Window", _window(window)),
        (
            "Revision",
            f"{revision.get('number')}, {clean(revision.get('author'))}, since {minute(revision.get('since'))}"
            if revision
            else found.get("revision"),
        ),
        ("As of", minute(found.get("as_of"))),
        ("Known at", minute(found["known_at"]) if found.get("known_at") else None),
    ]
    for name, value in lines:
        if value is not None:
            say(f"{name + ':':<17}{clean(value)}")
    for one in items(found, "parts"):
        _show_part(one)


def _baseline(baseline: Mapping[str, Any]) -> str | None:
    """A baseline, and where a measured one is from."""
    if not baseline:
        return None
    rule, evidence = part(baseline, "rule"), part(baseline, "evidence")
    value = rounded(clean(baseline.get("value")))
    if not rule.get("measure"):
        return value
    if not baseline.get("frozen_at"):
        return f"to be measured over {clean(rule['measure'])}"
    said = f"{value}, measured over {clean(rule['measure'])}"
    if evidence.get("sample_size") is not None:
        said += f" from {clean(evidence['sample_size'])} records"
    if evidence.get("revision") is not None:
        said += f" by revision {clean(evidence['revision'])}"
    return f"{said}, frozen {minute(baseline['frozen_at'])}"


def _window(window: Mapping[str, Any]) -> str | None:
    if not window:
        return None
    if window.get("start") is None and window.get("end") is None:
        return None
    return f"{minute(window.get('start'))} … {minute(window.get('end'))}"


def _show_part(one: Mapping[str, Any]) -> None:
    reasons = part(one, "excluded_reasons")
    said = f"{clean(one.get('aggregate') or 'value')} {rounded(clean(one.get('value')))}"
    if one.get("included") is not None:
        said += f" over {one['included']} in, {one.get('excluded', 0)} out"
    if reasons:
        said += " (" + ", ".join(f"{clean(reason)}: {count}" for reason, count in reasons.items()) + ")"
    if one.get("query"):
        said += f" from {clean(one['query'])}" + ("" if one.get("is_exact", True) else " (the tool's estimate)")
        said += f", asked {minute(one['observed_at'])}" if one.get("observed_at") else ""
        said += f", answer {clean(one['digest'])[:19]}" if one.get("digest") else ""
    say(f"{clean(one.get('part') or 'value').capitalize() + ':':<17}{said}")


def _show_inputs(found: Mapping[str, Any]) -> None:
    inputs = items(found, "inputs")
    if not inputs:
        return
    say()
    say("Inputs")
    show_table(
        ("NAME", "VALUE", "METRIC", "OBSERVED"),
        [
            (
                cell(one.get("name")),
                cell(with_unit(one) if one.get("value") is not None else f"unknown: {clean(one.get('reason'))}"),
                cell(part(one, "metric").get("id")),
                cell(minute(one.get("observed_at"))),
            )
            for one in inputs
        ],
        right=("VALUE",),
    )


def _show_steps(found: Mapping[str, Any]) -> None:
    steps = items(found, "steps")
    if not steps:
        return
    say()
    say("Milestones")
    words = {True: "done", False: "not done"}
    show_table(
        ("STEP", "WEIGHT", "IS", "SINCE", "BY"),
        [
            (
                cell(one.get("name")),
                cell(one.get("weight")),
                cell(words.get(one.get("done"), f"unknown: {clean(one.get('reason'))}")),  # type: ignore[arg-type]
                cell(minute(one.get("at"))),
                cell(one.get("author") or one.get("query")),
            )
            for one in steps
        ],
        right=("WEIGHT",),
    )


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
    parts = len({record.get("part") for record in records}) > 1
    show_table(
        (*(("PART",) if parts else ()), "RECORD", "AT", column.upper(), "LINK"),
        [
            (
                *((cell(record.get("part")),) if parts else ()),
                cell(_named(record)),
                cell(minute(record.get("at"))),
                cell(_told(record, column)),
                cell(record.get("link"), "dim"),
            )
            for record in shown
        ],
        right=("VALUE",),
    )


def _told(record: Mapping[str, Any], column: str) -> str:
    """A record's value in the metric's unit, of a stretch of time in seconds; or why it is left out."""
    text = rounded(clean(record.get(column)))
    return f"{text} s" if column == "value" and record.get("state") and record.get(column) is not None else text


def _named(record: Mapping[str, Any]) -> str:
    """A record's name, with the state of a stretch of time, and whether it is still going on."""
    name = clean(record.get("label") or record.get("entity"))
    state = f": {clean(record['state'])}" if record.get("state") is not None else ""
    return f"{name}{state}{' (open)' if record.get('is_open') is True else ''}"


# --- what changed ----------------------------------------------------------------------------------------------------


def _show_delta(delta: Mapping[str, Any], unit: str, limit: int | None) -> None:
    if not delta:
        return
    before, now = (rounded(clean(delta.get(key))) for key in ("value_before", "value_now"))
    was = "unknown" if delta.get("value_before") is None else before
    said = f"Since {minute(delta.get('since'))}: {was} → {'unknown' if delta.get('value_now') is None else now}"
    said += f" {clean(unit)}" if unit else ""
    if delta.get("progress_before") is not None:
        said += f", from {percent(delta['progress_before'])} of the way"
    say()
    say(said + (", the rule changed" if delta.get("rule_changed") else ""))
    causes = items(delta, "causes")
    if delta.get("reason"):
        say(f"({clean(delta['reason'])})")
    if not causes and not delta.get("reason"):
        say("Nothing that is in it has changed.")
    if causes:
        show_table(("BECAUSE", "ADDS", "TO", "OF"), [_cause_row(cause) for cause in causes], right=("ADDS", "TO"))
    rows = [row for cause in causes for row in _change_rows(cause, limit)]
    if rows:
        say()
        show_table(("BECAUSE", "RECORD", "WAS", "IS", "AT"), rows, right=("WAS", "IS"))


def _cause_row(cause: Mapping[str, Any]) -> Sequence[Text]:
    word = str(cause.get("cause"))
    name, before, now, detail = (cause.get(key) for key in ("name", "before", "now", "detail"))
    said = []
    if word not in ("input", "milestone", "asserted", "override") and not (word == "late_data" and now):
        count = cause.get("count")
        said.append("1 record" if count == 1 else f"{clean(count)} records")
    if name:
        said.append(clean(name))
    if before or now:
        said.append(f"{rounded_text(clean(before))} → {rounded_text(clean(now))}")
    if detail:
        said.append(clean(detail))
    after = cause.get("value_after")
    return (
        cell(_CAUSES.get(word, word)),
        cell(signed(cause.get("contribution"))),
        cell("unknown" if after is None else rounded(clean(after))),
        cell(", ".join(said)),
    )


def _change_rows(cause: Mapping[str, Any], limit: int | None) -> list[Sequence[Text]]:
    word = _CAUSES.get(str(cause.get("cause")), str(cause.get("cause")))
    records = items(cause, "records")
    parts = len({record.get("part") for record in records}) > 1
    rows: list[Sequence[Text]] = []
    for record in records[:limit]:
        change = clean(record.get("change"))
        rows.append(
            (
                cell(word if change == word else f"{word}: {change}"),
                cell(_named(record) + (f" ({clean(record.get('part'))})" if parts else "")),
                cell(_amount(record.get("value_before"))),
                cell(_amount(record.get("value_now"))),
                cell(minute(record.get("at"))),
            )
        )
    total = cause.get("count")
    if rows and isinstance(total, int) and total > len(rows):
        rows.append((cell(word), cell(f"… and {total - len(rows)} more"), cell(""), cell(""), cell("")))
    return rows


def _amount(value: object) -> str:
    return "–" if value is None else rounded(clean(value))
