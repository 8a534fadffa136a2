"""`try`: a delivery through a connection's signature and rules, with nothing saved."""

import json
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app.cli.client import connect
from app.cli.output import CALL_IS_WRONG, INPUT_IS_WRONG, CommandError, clean, say, say_json
from app.cli.shown import items, part

_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): *(.*)")
_LARGEST = 1024 * 1024
_MOST_LINES = 40


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("try")(try_delivery)


def try_delivery(
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="TEAM/NAME of a connection.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A body; or headers, an empty line and a body, as they came over the wire.", show_default=False
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A header that came with it.", show_default=False)
    ] = None,
    delivery: Annotated[
        int | None, typer.Option(help="The id of a stored delivery, in the place of a file.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every step as JSON.")] = False,
) -> None:
    """A delivery through signature, parsing and every dataset's rules, saving nothing."""
    team, separator, name = connection.partition("/")
    if not (team and separator and name):
        raise CommandError("a connection is named TEAM/NAME: operations/erp", CALL_IS_WRONG)
    if (file is None) is (delivery is None):
        raise CommandError("give a FILE, or --delivery with an id", CALL_IS_WRONG)
    given: dict[str, Any] = {"delivery": delivery} if file is None else _read(file, header or [])
    with connect() as service:
        path = f"/v1/connections/{quote(team, safe='')}/{quote(name, safe='')}/try"
        found: dict[str, Any] = service.request("POST", path, json=given).json()
    if as_json:
        say_json(found)
    else:
        _show(found)
    if not _is_well(found):
        raise typer.Exit(INPUT_IS_WRONG)


def _read(file: Path, more: list[str]) -> dict[str, Any]:
    """The file's headers, where it begins with some, and its body as it is."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", CALL_IS_WRONG) from error
    if len(data) > _LARGEST:
        raise CommandError(f"{file}: a delivery has at most {_LARGEST} bytes", INPUT_IS_WRONG)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: it is not UTF-8 text", INPUT_IS_WRONG) from error
    headers: dict[str, str] = {}
    head, separator, _ = text.replace("\r\n", "\n").partition("\n\n")
    lines = [_HEADER.fullmatch(line) for line in head.split("\n") if not line.startswith("POST ")]
    if separator and lines and all(lines):
        headers = {line[1]: line[2] for line in lines if line is not None}
        # The bytes behind the empty line as they are: they are what is signed.
        text = text.partition("\r\n\r\n" if "\r\n\r\n" in text else "\n\n")[2]
    for line in more:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise CommandError("a header is written NAME: VALUE", CALL_IS_WRONG)
        headers[match[1]] = match[2]
    return {"headers": headers, "body": text}


def _is_well(found: dict[str, Any]) -> bool:
    """Whether nothing on the way failed."""
    steps = (part(found, "signature"), part(found, "parse"))
    failed = any(step.get("outcome") == "failed" for step in steps)
    return not failed and all(dataset.get("outcome") != "dead" for dataset in items(found, "datasets"))


def _show(found: dict[str, Any]) -> None:
    for name in ("signature", "parse"):
        step = part(found, name)
        say(f"{name:<10} {clean(step.get('outcome'))}{_because(step)}")
    what = " ".join(clean(found[key]) for key in ("kind", "event") if found.get(key))
    say(f"{'delivery':<10} {what or 'nothing'} ({clean(found.get('dedupe_key'))})")
    if found.get("is_duplicate"):
        say("           it is stored already: sent again, it has no effect")
    for dataset in items(found, "datasets"):
        say(f"{'dataset':<10} {clean(dataset.get('dataset'))}: {clean(dataset.get('outcome'))}{_because(dataset)}")
        for event in items(dataset, "events"):
            _show_event(event)
    if not items(found, "datasets"):
        say("no dataset reads it")
    if not any(dataset.get("outcome") == "applied" for dataset in items(found, "datasets")):
        _show_body(found.get("body"))


def _show_event(event: Any) -> None:
    notes = [
        word
        for word, said in (
            ("its moment is the receipt", event.get("at_is_receipt")),
            ("a deletion", event.get("is_deletion")),
            ("counts no more: it was deleted since", event.get("is_before_deletion")),
            ("kept already", event.get("is_new") is False),
        )
        if said
    ]
    shown = f"  {clean(event.get('entity'))}  {clean(event.get('event') or '–')}  {clean(event.get('at'))}"
    say(shown + (f"  ({', '.join(notes)})" if notes else ""))
    for fact in items(event, "facts"):
        value = clean(fact.get("value")) if fact.get("counts") else f"left out: {clean(fact.get('reason'))}"
        side = "" if fact.get("part") == "value" else f" ({clean(fact.get('part'))})"
        say(f"    {clean(fact.get('metric'))}{side}: {value}")


def _show_body(body: Any) -> None:
    """What the rules saw and nothing came of: so that a rule can be written that fits."""
    if body is None:
        return
    text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
    lines = text.splitlines()
    say("what the rules see as body:" if not isinstance(body, str) else "it begins:")
    for line in lines[:_MOST_LINES]:
        say(f"  {clean(line)}")
    if len(lines) > _MOST_LINES:
        say("  … (all of it: --json)")


def _because(step: Any) -> str:
    return f": {clean(step['reason'])}" if step.get("reason") else ""
