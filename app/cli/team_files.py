"""`validate`, `plan`, `apply`, `export`, `schema`, `connectors`: team files, offline and against a service."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

from app.cli.building import wait_until_built
from app.cli.client import ProblemError, Service, connect
from app.cli.output import (
    CALL_IS_WRONG,
    INPUT_IS_WRONG,
    CommandError,
    cell,
    clean,
    percent,
    say,
    say_json,
    show_table,
)

if TYPE_CHECKING:
    from app.domain.document import Document

_YAML = "application/yaml"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ACTION_STYLES = {"create": "green", "update": "yellow", "delete": "red"}

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Team files (YAML).")]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (validate, plan, apply, export, schema, connectors):
        app.command()(command)


def validate(files: Files) -> None:
    """Check team files offline. Each problem is a line `file:line:column: path: message`."""
    bad = [file for file in files if _check(file) is None]
    if bad:
        raise typer.Exit(INPUT_IS_WRONG)
    for file in files:
        say(f"{file}: ok")


def plan(
    files: Files,
    prune: Annotated[bool, typer.Option("--prune", help="Count what is gone from the file as deleted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The plans as JSON.")] = False,
) -> None:
    """Show what applying the files would change, in numbers. Changes nothing."""
    _send(files, "plan", prune=prune, as_json=as_json)


def apply(
    files: Files,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what is gone from the file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was changed, as JSON.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until changed metrics are built, with a bar.")] = False,
) -> None:
    """Check the files, then apply them: each team as a whole or not at all."""
    answers = _send(files, "apply", prune=prune, as_json=as_json)
    if wait:
        with connect() as service:
            wait_until_built(service, [str(answer["team"]) for answer in answers], is_quiet=as_json)


def export(
    team: str, out: Annotated[Path | None, typer.Option(help="Write to this file.", show_default=False)] = None
) -> None:
    """Write a team's file back from the service; applying it again changes nothing."""
    if not _NAME.fullmatch(team):
        raise CommandError("a team's name is lower-case letters, digits and underscores.", CALL_IS_WRONG)
    with connect() as service:
        content = service.request("GET", f"/v1/teams/{quote(team, safe='')}/export", headers={"Accept": _YAML}).text
    if out is None:
        say(content.rstrip("\n"))
    else:
        out.write_text(content, encoding="utf-8")


def schema() -> None:
    """Print the JSON Schema of the team file, every connector's options included."""
    from app.services.team_file import team_file_schema

    say_json(team_file_schema())


def connectors(key: Annotated[str | None, typer.Argument(show_default=False)] = None) -> None:
    """List the connectors and what each can do; with KEY, the JSON Schemas of its options."""
    from connectors.registry import connectors as registered
    from connectors.registry import problems

    known = registered()
    if key is not None:
        if key not in known:
            raise CommandError(f"there is no connector {clean(key)}; there are {', '.join(known)}.", CALL_IS_WRONG)
        one = known[key]
        models = {"config": one.config, "query": one.query, "dataset": one.dataset}
        say_json(
            {"key": one.key, "title": one.title, "capabilities": list(one.capabilities)}
            | {name: model.model_json_schema() for name, model in models.items() if model is not None}
        )
        return
    show_table(
        ("KEY", "TITLE", "CAN"),
        [(cell(one.key, "bold"), cell(one.title), cell(" ".join(one.capabilities))) for one in known.values()],
    )
    for problem in problems():
        say(clean(problem))


# --- checking here ---------------------------------------------------------------------------------------------------


def _check(file: Path) -> "Document | None":
    """The document where it is without a problem; else None, the problems said."""
    from app.domain.document import DocumentError, read_yaml
    from app.services.team_file import check_team_file, format_problem
    from connectors.registry import connectors as registered

    try:
        document = read_yaml(_read(file))
    except DocumentError as error:
        say(f"{file}:{error.line}:{error.column}: {error.message}")
        return None
    checked = check_team_file(document.value, connectors=registered())
    for problem in (*checked.problems, *checked.warnings):
        say(clean(format_problem(str(file), document, problem)))
    return None if checked.file is None or checked.problems else document


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} can not be read: {error.strerror}.", CALL_IS_WRONG) from None


# --- against a service -----------------------------------------------------------------------------------------------


def _send(files: Sequence[Path], verb: str, *, prune: bool, as_json: bool) -> list[Mapping[str, Any]]:
    documents = [(file, _check(file)) for file in files]
    if any(document is None for _, document in documents):
        raise typer.Exit(INPUT_IS_WRONG)
    answers = []
    with connect() as service:
        for file, document in documents:
            assert document is not None
            answers.append(_post(service, file, document, verb, prune=prune))
            if not as_json:
                _show_plan(file, answers[-1])
    if as_json:
        say_json(answers)
    return answers


def _post(service: Service, file: Path, document: "Document", verb: str, *, prune: bool) -> Mapping[str, Any]:
    team = document.value["team"] if isinstance(document.value, dict) else None
    path = f"/v1/teams/{quote(str(team), safe='')}/{verb}"
    try:
        response = service.request(
            "POST",
            path,
            content=_read(file),
            headers={"Content-Type": _YAML},
            params={"prune": "true"} if prune else {},
        )
    except ProblemError as error:
        if not error.errors:
            raise
        for item in error.errors:
            say(_place(file, document, item))
        raise typer.Exit(error.exit_code) from None
    answer = response.json()
    return answer if isinstance(answer, dict) else {}


def _place(file: Path, document: "Document", error: Mapping[str, Any]) -> str:
    """A problem of the service as a line of ours: its pointer becomes a place in the file."""
    path = _path(document.value, str(error.get("pointer") or ""))
    line, column = document.mark(path)
    dotted = ".".join(map(str, path))
    return clean(f"{file}:{line}:{column}: {dotted + ': ' if dotted else ''}{error.get('detail')}")


def _path(value: Any, pointer: str) -> tuple[str | int, ...]:
    """The steps of a JSON Pointer (RFC 6901) into `value`: a number is an index only where there is a list."""
    steps: list[str | int] = []
    for raw in pointer.split("/")[1:]:
        step: str | int = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and str(step).isdecimal():
            step = int(step)
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
        steps.append(step)
    return tuple(steps)


def _show_plan(file: Path, answer: Mapping[str, Any]) -> None:
    changes = [item for item in answer.get("changes") or () if isinstance(item, dict)]
    moved = [item for item in changes if item.get("action") != "unchanged"]
    verb = "applied" if answer.get("is_applied") else "planned"
    counted = ", ".join(
        f"{sum(item.get('action') == action for item in changes)} {action}"
        for action in ("create", "update", "delete", "kept", "unchanged")
        if any(item.get("action") == action for item in changes)
    )
    say(f"{file}: {verb}: {counted or 'nothing'}")
    if moved:
        show_table(("ACTION", "WHAT", "NAME", "DETAIL"), map(_change_row, moved))
    effects = [item for item in answer.get("effects") or () if isinstance(item, dict)]
    if effects:
        say()
        show_table(("KEY RESULT", "VALUE", "PROGRESS", "STATUS"), map(_effect_row, effects))
    for name in answer.get("baselines_to_freeze") or ():
        say(f"baseline to be measured and frozen: {clean(name)}")
    for warning in answer.get("warnings") or ():
        say(f"warning: {clean(warning.get('pointer') or '/')}: {clean(warning.get('detail'))}")


def _change_row(item: Mapping[str, Any]) -> Sequence[Text]:
    detail = item.get("reason") or ", ".join(map(str, item.get("fields") or ()))
    action = str(item.get("action"))
    return (
        cell(action, _ACTION_STYLES.get(action, "")),
        cell(item.get("kind")),
        cell(item.get("id"), "bold"),
        cell(detail or None),
    )


def _effect_row(item: Mapping[str, Any]) -> Sequence[Text]:
    def moved(name: str, show: Any = clean) -> Text:
        before, after = show(item.get(f"{name}_before")), show(item.get(f"{name}_after"))
        return cell(after if before == after else f"{before} → {after}")

    return cell(item.get("id"), "bold"), moved("value"), moved("progress", percent), moved("status")
