"""Pieces of Markdown that the generated pages share."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any


def code(text: str) -> str:
    """Inline code, whatever backticks are in it."""
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def cell(text: str) -> str:
    """One cell of a table: on one line, its bars escaped."""
    return re.sub(r"\s*\n\s*", " ", text).strip().replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table as lines, and nothing where there are no rows."""
    body = [f"| {' | '.join(cell(text) for text in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""] if body else []


def fenced(text: str, language: str, indent: str = "") -> list[str]:
    """A block of code as lines."""
    lines = [f"```{language}", *text.rstrip("\n").splitlines(), "```"]
    return [f"{indent}{line}".rstrip() for line in lines] + [""]


def pretty(value: Any) -> str:
    """An example as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def paragraphs(text: str) -> list[str]:
    """A docstring's paragraphs, each on one line."""
    found: list[str] = []
    for part in re.split(r"\n\s*\n", text.strip()):
        found += [re.sub(r"\s*\n\s*", " ", part), ""]
    return found


def anchor(text: str) -> str:
    """The id that MkDocs gives a heading of such words."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower())
