"""`template list` and `template show`: ready-made key results to start from."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import CALL_IS_WRONG, INPUT_IS_WRONG, CommandError, cell, clean, complain, say, say_json, show_table

app = typer.Typer(no_args_is_help=True)

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Put a value into its place.", show_default=False)
]


@app.command("list")
def list_(
    focus: Annotated[str | None, typer.Option(help="Only those of this focus area.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the templates by focus area, and what each connects to."""
    from app.services.templates import names, template

    found = [one for one in map(template, names()) if focus is None or focus in one.focus]
    found.sort(key=lambda one: (one.focus, one.name))
    if as_json:
        say_json(
            [
                {"name": one.name, "title": one.title, "focus": list(one.focus), "connectors": list(one.connectors)}
                for one in found
            ]
        )
        return
    rows = [
        (
            cell(one.name, "bold"),
            cell(" ".join(one.focus)),
            cell(" ".join(one.connectors)),
            cell(one.title),
        )
        for one in found
    ]
    show_table(("NAME", "FOCUS", "CONNECTS", "TITLE"), rows)


@app.command()
def show(
    name: str,
    settings: Set = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file.", show_default=False)] = None,
) -> None:
    """Print a template: a complete team file with comments. --set cycle=2027-Q1, or a whole path:
    --set connections.jira.url=https://…"""
    from app.domain.document import DocumentError, read_yaml
    from app.services.team_file import check_team_file, format_problem
    from app.services.templates import TemplateError, filled, template
    from connectors.registry import connectors

    try:
        text = filled(template(name), _pairs(settings or []))
    except TemplateError as error:
        raise CommandError(f"{clean(error)}.", CALL_IS_WRONG) from None
    try:
        document = read_yaml(text.encode())
    except DocumentError as error:
        raise CommandError(f"with these values it is no team file: {error}", INPUT_IS_WRONG) from None
    problems = check_team_file(document.value, connectors=connectors()).problems
    for problem in problems:
        complain(format_problem(name, document, problem))
    if problems:
        raise typer.Exit(INPUT_IS_WRONG)
    if out is None:
        say(text.rstrip("\n"))
    elif out.exists():
        raise CommandError(f"{out} is there already; nothing was written.", CALL_IS_WRONG)
    else:
        out.write_text(text, encoding="utf-8")


def _pairs(settings: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for setting in settings:
        key, is_given, value = setting.partition("=")
        if not is_given or not key or key in pairs:
            raise CommandError("--set takes KEY=VALUE, each key once.", CALL_IS_WRONG)
        pairs[key] = value
    return pairs
