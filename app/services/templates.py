"""Ready-made key results: complete team files to start from, packaged with the program.

A template is plain text and stays so: setting a value replaces the characters of that one value, every comment stays.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from app.domain.document import read_yaml

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER = re.compile(r"-?[0-9]{1,28}(?:\.[0-9]{1,28})?")
# What reads the same without quotes: no indicator of YAML, no word that is a boolean or null.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./@-]*|[0-9]{4}-[QH]?[0-9]{1,2}|[a-z]+://[A-Za-z0-9_./:-]*[A-Za-z0-9_/-]")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class TemplateError(ValueError):
    """There is no such template or value in it; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Template:
    """A team file to start from. `title` is its first comment; `focus` and `connectors` are those of its objectives and
    connections, in the order of the file."""

    name: str
    title: str
    focus: tuple[str, ...]
    connectors: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class _Scalar:
    path: tuple[str, ...]
    start: int
    end: int


def names() -> list[str]:
    """The names of all templates, sorted."""
    found = [item.name.removesuffix(".yaml") for item in _folder().iterdir() if item.name.endswith(".yaml")]
    return sorted(found)


def template(name: str) -> Template:
    """One template; TemplateError where there is none of that name."""
    if not _NAME.fullmatch(name) or name not in names():
        raise TemplateError(f"there is no such template; there are {', '.join(names())}")
    text = (_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    value: Any = read_yaml(text.encode()).value
    comments = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    return Template(
        name=name,
        title=next(line for line in comments[1:] if line),
        focus=_distinct(value["objectives"], "focus"),
        connectors=_distinct(value["connections"], "connector"),
        text=text,
    )


def filled(one: Template, values: Mapping[str, str]) -> str:
    """The template's text with values in their places, all else as it was, byte for byte.

    A key is a path (`objectives.fast_start.cycle`), its end (`onboarding_days.unit`), or one key (`cycle`) where every
    value of that key is the same. Raises TemplateError for a key that is not there or not clear.
    """
    scalars = _scalars(one.text)
    replaced: dict[int, tuple[int, str]] = {}
    for key, value in values.items():
        for scalar in _meant(one.text, scalars, key):
            if scalar.start in replaced:
                raise TemplateError(f"two settings change {'.'.join(scalar.path)}")
            replaced[scalar.start] = (scalar.end, _written(value))
    pieces, done = [], 0
    for start, (end, value) in sorted(replaced.items()):
        pieces += [one.text[done:start], value]
        done = end
    return "".join([*pieces, one.text[done:]])


def settable(one: Template) -> list[str]:
    """The path of every value that can be set."""
    return [".".join(scalar.path) for scalar in _scalars(one.text)]


def _folder() -> Any:
    return files("app") / "templates"


def _distinct(section: Mapping[str, Mapping[str, str]], key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item[key] for item in section.values() if key in item))


def _scalars(text: str) -> list[_Scalar]:
    """Every value that is no mapping, with the place of its characters."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found: list[_Scalar] = []

    def walk(node: yaml.Node | None, path: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                walk(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, (*path, str(index)))
        elif node is not None:
            found.append(_Scalar(path, node.start_mark.index, node.end_mark.index))

    walk(root, ())
    return found


def _meant(text: str, scalars: Sequence[_Scalar], key: str) -> list[_Scalar]:
    steps = tuple(key.split("."))
    found = [scalar for scalar in scalars if scalar.path[-len(steps) :] == steps]
    if not found:
        known = sorted({scalar.path[-1] for scalar in scalars if not scalar.path[-1].isdigit()})
        raise TemplateError(f"nothing is called {key!r} here; there are {', '.join(known)}")
    if len({text[scalar.start : scalar.end] for scalar in found}) > 1:
        places = ", ".join(".".join(scalar.path) for scalar in found)
        raise TemplateError(f"{key!r} can be {places}: say which")
    return found


def _written(value: str) -> str:
    """A value as YAML: a number as it stands, text in quotes where it has to be."""
    if not value or not value.isprintable():
        raise TemplateError("a value is a line of text that is not empty")
    is_plain = _NUMBER.fullmatch(value) or (_PLAIN.fullmatch(value) and value.lower() not in _WORDS)
    return value if is_plain else json.dumps(value, ensure_ascii=False)
