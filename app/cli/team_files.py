"""`validate`, `plan`, `apply`, `export`, `schema`, `connectors`: team files, offline and against a service."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import typer

from app.cli.building import wait_until_built
from app.cli.client import ProblemError, Service, connect
from app.cli.organisation import send_organisation, show_organisation
from app.cli.output import (
    CALL_IS_WRONG,
    INPUT_IS_WRONG,
    CommandError,
    cell,
    clean,
    say,
    say_json,
    show_table,
)
from app.cli.plans import show_plan, told

if TYPE_CHECKING:
    from app.domain.document import Document

_YAML = "application/yaml"
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Team files (YAML).")]
All = Annotated[bool, typer.Option("--all", help="Also the warnings that are silenced, with their reasons.")]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (validate, plan, apply, export, schema, connectors):
        app.command()(command)


def validate(
    files: Files,
    show_all: All = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every problem and warning as JSON.")] = False,
) -> None:
    """Check team files offline. Each problem is a line `file:line:column: path: message`."""
    if as_json:
        from app.cli.findings import findings_of

        found = [finding for file in files for finding in findings_of(file, _read(file))]
        say_json(found)
        if any(finding["severity"] == "error" for finding in found):
            raise typer.Exit(INPUT_IS_WRONG)
        return
    bad = [file for file in files if _check(file, show_all=show_all) is None]
    if bad:
        raise typer.Exit(INPUT_IS_WRONG)
    for file in files:
        say(f"{file}: ok")


def plan(
    files: Files,
    prune: Annotated[bool, typer.Option("--prune", help="Count what is gone from the file as deleted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The plans as JSON.")] = False,
    show_all: All = False,
) -> None:
    """Show what applying the files would change, in numbers. Changes nothing."""
    _send(files, "plan", prune=prune, as_json=as_json, show_all=show_all)


def apply(
    files: Files,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what is gone from the file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was changed, as JSON.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until changed metrics are built, with a bar.")] = False,
    show_all: All = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the audit log.", show_default=False)] = None,
) -> None:
    """Check the files, then apply them: each team as a whole or not at all."""
    answers = _send(files, "apply", prune=prune, as_json=as_json, show_all=show_all, reason=reason)
    if wait:
        with connect() as service:
            wait_until_built(service, [str(answer["team"]) for answer in answers if "team" in answer], is_quiet=as_json)


def export(
    team: Annotated[str | None, typer.Argument(help="Whose; --csv takes all teams without it.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Its key results as CSV for a spreadsheet instead.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file.", show_default=False)] = None,
) -> None:
    """Write a team's file back from the service; applying it again changes nothing."""
    if team is None and not as_csv:
        raise CommandError("name the team: `krsync export operations`. All teams go with --csv.", CALL_IS_WRONG)
    if team is not None and not _NAME.fullmatch(team):
        raise CommandError("a team's name is lower-case letters, digits and underscores.", CALL_IS_WRONG)
    with connect() as service:
        if as_csv:
            content = _csv(service, team)
        else:
            path = f"/v1/teams/{quote(team or '', safe='')}/export"
            content = service.request("GET", path, headers={"Accept": _YAML}).text
    if out is None:
        say(content.rstrip("\r\n"))
    else:
        out.write_text(content, encoding="utf-8", newline="")


def _csv(service: Service, team: str | None) -> str:
    """Every page of the key results as one CSV; the names of the columns once."""
    asked = {"format": "csv", "limit": "1000"} | ({} if team is None else {"team": team})
    pages: list[str] = []
    path: str | None = f"/v1/key-results?{urlencode(asked)}"
    while path is not None:
        response = service.request("GET", path)
        _, _, lines = response.text.partition("\r\n")  # no column's name holds a line's end
        pages.append(lines if pages else response.text)
        following = response.links.get("next", {}).get("url")
        # Within the service that was asked, whatever the address says: the token goes nowhere else.
        path = None if following is None else f"{urlsplit(following).path}?{urlsplit(following).query}"
    return "".join(pages)


def schema(
    out: Annotated[Path | None, typer.Option(help="Write to this file.", show_default=False)] = None,
) -> None:
    """Print the JSON Schema of the team file, every connector's options included, for an editor to check while you
    type."""
    from app.services.team_file import team_file_schema

    if out is None:
        say_json(team_file_schema())
    else:
        out.write_text(json.dumps(team_file_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def connectors(
    key: Annotated[str | None, typer.Argument(show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The list as JSON; one connector always is.")] = False,
) -> None:
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
    if as_json:
        listed = [
            {"key": one.key, "title": one.title, "capabilities": list(one.capabilities)} for one in known.values()
        ]
        say_json({"items": listed, "problems": [clean(problem) for problem in problems()]})
        return
    show_table(
        ("KEY", "TITLE", "CAN"),
        [(cell(one.key, "bold"), cell(one.title), cell(" ".join(one.capabilities))) for one in known.values()],
    )
    for problem in problems():
        say(clean(problem))


# --- checking here ---------------------------------------------------------------------------------------------------


class _Sound(NamedTuple):
    """A file without a problem, read once, for what is sent is what was checked; `told` has the (code, pointer) of the
    warnings that were said of it."""

    content: bytes
    document: "Document"
    told: set[tuple[str, str]]


def _check(file: Path, *, show_all: bool = False, is_quiet: bool = False) -> _Sound | None:
    """The document where it is without a problem; else None, the problems said. `is_quiet` says no warnings."""
    from app.domain.document import DocumentError, read_yaml
    from app.services.team_file import check_team_file, format_problem
    from app.services.team_file.organisation import check_organisation_file, is_organisation_file
    from connectors.registry import connectors as registered

    content = _read(file)
    try:
        document = read_yaml(content)
    except DocumentError as error:
        say(f"{file}:{error.line}:{error.column}: {error.message}")
        return None
    if is_organisation_file(document.value):
        problems = check_organisation_file(document.value).problems
        for problem in problems:
            say(clean(format_problem(str(file), document, problem)))
        return None if problems else _Sound(content, document, set())
    checked = check_team_file(document.value, connectors=registered())
    warnings = () if is_quiet else (*checked.warnings, *(checked.silenced if show_all else ()))
    for problem in (*checked.problems, *warnings):
        say(clean(format_problem(str(file), document, problem)))
    if checked.file is None or checked.problems:
        return None
    return _Sound(content, document, told(warnings))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} can not be read: {error.strerror}.", CALL_IS_WRONG) from None


# --- against a service -----------------------------------------------------------------------------------------------


def _send(
    files: Sequence[Path],
    verb: str,
    *,
    prune: bool,
    as_json: bool,
    show_all: bool = False,
    reason: str | None = None,
) -> list[Mapping[str, Any]]:
    sound = [(file, _check(file, show_all=show_all, is_quiet=as_json)) for file in files]
    if any(one is None for _, one in sound):
        raise typer.Exit(INPUT_IS_WRONG)
    answers = []
    with connect() as service:
        service.give_reason(reason)
        for file, one in sound:
            assert one is not None
            answers.append(_post(service, file, one, verb, prune=prune))
            if as_json:
                continue
            if "team" not in answers[-1]:
                show_organisation(file, answers[-1])
            else:
                show_plan(file, answers[-1], partial(_warning, file, one, show_all))
    if as_json:
        say_json(answers)
    return answers


def _warning(file: Path, sound: _Sound, show_all: bool, warning: Mapping[str, Any]) -> str | None:
    """A warning of the service as a line; None where it was said before, or is silenced."""
    code, place = clean(warning.get("code")), str(warning.get("pointer") or "")
    silenced = warning.get("silenced")
    if (code, place) in sound.told or (silenced is not None and not show_all):
        return None
    kind, because = ("warning", "") if silenced is None else ("silenced", f" because: {clean(silenced)}")
    said = dict(warning) | {"detail": f"{kind}: {warning.get('detail')} [{code}]{because}"}
    return _place(file, sound.document, said)


def _post(service: Service, file: Path, sound: _Sound, verb: str, *, prune: bool) -> Mapping[str, Any]:
    document = sound.document
    team = document.value.get("team") if isinstance(document.value, dict) else None
    path = f"/v1/teams/{quote(str(team), safe='')}/{verb}"
    try:
        if team is None:
            response = send_organisation(service, sound.content, verb)
        else:
            response = service.request(
                "POST",
                path,
                content=sound.content,
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
