"""The command-line reference: every command with its arguments and options, from the command line itself."""

from typing import Any

from typer.main import get_command

from app.cli import app
from handbook.markdown import code, fenced, paragraphs, table


def root() -> Any:
    """The `krsync` command as click has it."""
    return get_command(app)


def command_line_page() -> str:
    """`reference/command-line.md`."""
    command = root()
    lines = [
        "# Command-line reference",
        "",
        "Made from the command itself: `krsync COMMAND --help` says the same. Exit codes: 0 done, 1 the input is "
        "wrong, 2 the call is wrong, 3 the service is out of reach. How the commands behave in a terminal, in a pipe "
        "and in a script is told in [At the command line](../command-line.md); what they read from the environment in "
        "[Settings](settings.md).",
        "",
    ]
    for words, found in walk("krsync", command):
        lines += _command(words, found)
    return "\n".join(lines)


def walk(words: str, command: Any) -> list[tuple[str, Any]]:
    """Every command that does something, groups opened, in their own order."""
    found: list[tuple[str, Any]] = []
    for name, inner in command.commands.items():
        if inner.hidden:
            continue
        found += walk(f"{words} {name}", inner) if hasattr(inner, "commands") else [(f"{words} {name}", inner)]
    return found


def usage(words: str, command: Any) -> str:
    """A command with its arguments, as its help begins."""
    given = [_argument(option) for option in command.params if option.param_type_name == "argument"]
    return " ".join([words, "[OPTIONS]", *given])


def names_of(option: Any) -> str:
    """An option or argument as it is written, with what it takes: `--port INTEGER`."""
    if option.param_type_name == "argument":
        return _argument(option)
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    kind = getattr(option.type_descriptor.annotation, "__name__", "text")
    return f"{names} {option.metavar or _KINDS.get(kind, kind.upper())}"


def _command(words: str, command: Any) -> list[str]:
    lines = [f"## {words}", "", *paragraphs(command.help or ""), *fenced(usage(words, command), "text")]
    given = [option for option in command.params if not option.hidden and option.name != "help"]
    rows = [(code(names_of(option)), _left_out(option), option.help or "") for option in given]
    return lines + table(("argument or option", "left out", "what it means"), rows)


_KINDS = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "Path": "PATH"}


def _argument(option: Any) -> str:
    name = option.metavar or option.name.upper()
    return name if option.required else f"[{name.strip('[]')}]"


def _left_out(option: Any) -> str:
    if option.required:
        return "**needed**"
    given = option.default
    if given in (None, False, (), [], "") or callable(given):
        return ""
    return code("on" if given is True else str(given))
