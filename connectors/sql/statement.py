"""A team's SELECT as text: where `:from` and `:to` stand in it, outside of texts, names and comments. Pure.

Lexical rules: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

import re
from collections.abc import Iterator
from typing import Literal

Edge = Literal["from", "to"]

# What is passed over as it is: quoted texts and names, dollar quotes, comments (nested ones end at the first end,
# which at worst leaves a placeholder where the database then says that it has none), casts; then a placeholder.
_TOKEN = re.compile(
    r"""
    (?P<other>
        [eE]'(?:\\.|''|[^'\\])*+'? | '(?:''|[^'])*+'? | "(?:""|[^"])*+"?
      | (?P<tag>\$[A-Za-z_]*\$).*?(?:(?P=tag)|\Z)
      | --[^\n]* | /\*.*?(?:\*/|\Z) | ::
    )
  | :(?P<edge>from|to)\b
    """,
    re.VERBOSE | re.DOTALL,
)


def _edges(sql: str) -> Iterator[re.Match[str]]:
    return (found for found in _TOKEN.finditer(sql) if found["edge"])


def has_placeholder(sql: str) -> bool:
    """Whether the statement asks for a window at all."""
    return next(_edges(sql), None) is not None


def numbered(sql: str) -> tuple[str, list[Edge]]:
    """The statement with each placeholder as a parameter of its own (`$1`, `$2`, …), and which edge each one is.

    One each, as the same edge may be compared with a date here and with a timestamp there.
    """
    edges: list[Edge] = []

    def parameter(found: re.Match[str]) -> str:
        if not found["edge"]:
            return found[0]
        edges.append("from" if found["edge"] == "from" else "to")
        return f"${len(edges)}"

    return _TOKEN.sub(parameter, sql.strip().rstrip(";").rstrip()), edges
