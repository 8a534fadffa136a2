"""What a plan or an apply answers, as people read it: objects, numbers, records, requests, and what is unwise."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from rich.text import Text

from app.cli.output import cell, clean, percent, say, show_table
from app.cli.shown import items, minute, rounded

_STYLES = {"create": "green", "update": "yellow", "rename": "cyan", "delete": "red"}
_ACTIONS = ("create", "update", "rename", "delete", "kept", "unchanged")
_LONGEST_VALUE = 60

#: A warning of the service: the line that shows it, None where it was shown before.
Place = Callable[[Mapping[str, Any]], str | None]


def show_plan(file: Path, answer: Mapping[str, Any], place: Place) -> None:
    """Print an answer. `place` makes a line of a warning."""
    changes = items(answer, "changes")
    verb = "applied" if answer.get("is_applied") else "planned"
    counts = [(sum(item.get("action") == action for item in changes), action) for action in _ACTIONS]
    counted = ", ".join(f"{count} {action}" for count, action in counts if count)
    say(f"{file}: {verb}: {counted or 'nothing'}")
    moved = [item for item in changes if item.get("action") != "unchanged"]
    if moved:
        show_table(("ACTION", "WHAT", "NAME", "DETAIL"), map(_change_row, moved))
    if drift := items(answer, "drift"):
        what = "took back" if answer.get("is_applied") else "will take back"
        _headed(f"changed through the API since, which the file {what}:")
        show_table(("WHAT", "NAME", "FIELD", "FILE SAYS", "SERVICE HAS"), map(_drift_row, drift))
    if effects := items(answer, "effects"):
        say()
        columns = ("KEY RESULT", "VALUE", "PROGRESS", "STATUS")
        show_table(columns, map(_effect_row, effects), right=("VALUE", "PROGRESS"))
    for one in items(answer, "records"):
        _show_records(one)
    if requests := items(answer, "requests"):
        say()
        show_table(("CONNECTION", "REQUESTS AN HOUR"), map(_request_row, requests), right=("REQUESTS AN HOUR",))
    for ask in items(answer, "asks"):
        say(_ask_line(ask))
    for baseline in items(answer, "baselines"):
        say(_baseline_line(baseline, is_applied=bool(answer.get("is_applied"))))
    for build in items(answer, "building"):
        say(
            f"being built: {clean(build.get('metric'))}, {_count(build.get('done'))} of {_count(build.get('total'))}; "
            "until then its numbers are those of the rule before (krsync apply --wait waits)"
        )
    for warning in items(answer, "warnings"):
        if (line := place(warning)) is not None:
            say(line)


def _headed(title: str) -> None:
    say()
    say(title)


def _change_row(item: Mapping[str, Any]) -> Sequence[Text]:
    fields = ", ".join(map(str, item.get("fields") or ()))
    detail = "; ".join(text for text in (str(item.get("reason") or ""), fields) if text)
    action = str(item.get("action"))
    return (
        cell(action, _STYLES.get(action, "")),
        cell(str(item.get("kind")).replace("_", " ")),
        cell(item.get("id"), "bold"),
        cell(detail or None),
    )


def _drift_row(item: Mapping[str, Any]) -> Sequence[Text]:
    return (
        cell(str(item.get("kind")).replace("_", " ")),
        cell(item.get("id"), "bold"),
        cell(item.get("field")),
        cell(_value(item.get("file")), "yellow"),
        cell(_value(item.get("service"))),
    )


def _value(value: Any) -> str | None:
    """A field's value in a line; None where there is none."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _effect_row(item: Mapping[str, Any]) -> Sequence[Text]:
    unit = f" {clean(item['unit'])}" if item.get("unit") else ""

    def number(value: object) -> str:
        return clean(value) if value is None else rounded(clean(value))

    def moved(name: str, show: Callable[[object], str], after_all: str = "") -> Text:
        raw = item.get(f"{name}_before"), item.get(f"{name}_after")
        before, after = map(show, raw)
        if before == after and raw[0] != raw[1]:
            before, after = map(clean, raw)  # what rounding would hide
        suffix = after_all if raw != (None, None) else ""
        return cell((after if before == after else f"{before} → {after}") + suffix)

    values = moved("value", number, unit)
    return cell(item.get("id"), "bold"), values, moved("progress", percent), moved("status", clean)


def _show_records(one: Mapping[str, Any]) -> None:
    cycle = f" ({clean(one['cycle'])})" if one.get("cycle") else ""
    counts = f"{_count(one.get('entering'))} enter, {_count(one.get('leaving'))} leave"
    if one.get("changing"):
        counts += f", {_count(one.get('changing'))} change"
    wanted = ", ".join(clean(name) for name in one.get("key_results") or ())
    _headed(f"records of {clean(one.get('metric'))}{cycle}: {counts}" + (f"; for {wanted}" if wanted else ""))
    rows = [("+", "green", record) for record in items(one, "entered")]
    rows += [("-", "red", record) for record in items(one, "left")]
    if one.get("is_new") or not rows:
        return  # of a new metric every record is new: the count says it
    show_table(
        ("", "RECORD", "AT", "VALUE", "WHY NOT BEFORE / ANY MORE", "LINK"),
        [
            (
                cell(sign, style),
                cell(record.get("label")),
                cell(minute(record.get("at"))),
                cell(None if record.get("value") is None else rounded(clean(record["value"]))),
                cell(record.get("reason")),
                cell(record.get("link")),
            )
            for sign, style, record in rows
        ],
        right=("VALUE",),
    )
    for what, named in (("entering", "entered"), ("leaving", "left")):
        more = _number(one.get(what)) - len(items(one, named))
        if more > 0:
            say(f"… and {_count(more)} more {what}")


def _request_row(item: Mapping[str, Any]) -> Sequence[Text]:
    before, after = item.get("per_hour_before"), item.get("per_hour_after")
    shown = f"{_plain(before)} → {_plain(after)}"
    try:
        extra = Decimal(str(after)) - Decimal(str(before))
    except InvalidOperation:
        return cell(item.get("connection"), "bold"), cell(shown)
    return cell(item.get("connection"), "bold"), cell(f"{shown} ({extra:+f})".replace(".0)", ")"))


def _plain(value: object) -> str:
    return clean(value).removesuffix(".0")


def _ask_line(item: Mapping[str, Any]) -> str:
    what = clean(item.get("dataset") or item.get("query") or "a query")
    fields = ", ".join(clean(field) for field in item.get("fields") or ())
    reason = clean(item.get("reason")) + (f": {fields}" if fields else "")
    requests = item.get("requests")
    cost = "" if requests is None else f" (about {_count(requests)} request{'' if requests == 1 else 's'})"
    return f"asks the tool ({clean(item.get('connection'))}): {what}: {reason}{cost}"


def _baseline_line(item: Mapping[str, Any], *, is_applied: bool) -> str:
    whose = clean(item.get("key_result"))
    if item.get("guardrail"):
        whose += f", guardrail {clean(item['guardrail'])}"
    if item.get("value") is None:
        return f"baseline to be measured and frozen: {whose}"
    return f"baseline {'frozen' if is_applied else 'to be frozen'}: {whose} at {rounded(clean(item['value']))}"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _count(value: object) -> str:
    return f"{_number(value):,}"


def told(warnings: Collection[Any]) -> set[tuple[str, str]]:
    """The (code, pointer) of warnings that were shown already."""
    from app.services.team_file import pointer

    return {(warning.code, pointer(warning.path)) for warning in warnings}
