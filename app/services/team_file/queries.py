"""What can be told of a query from its text alone: whether anything bounds it, and its normal form."""

import re
from collections.abc import Mapping
from typing import Any

_STRING = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"")
_ORDER = re.compile(r"\border\s+by\b.*$", re.IGNORECASE | re.DOTALL)
_AND_OR = re.compile(r"\b(?:and|or)\b|&&|\|\|", re.IGNORECASE)
_OR = re.compile(r"\bor\b|\|\|", re.IGNORECASE)
_CLAUSE = re.compile(
    r"^[\s(]*(?P<not>(?:not\b|!)\s*\(*\s*)?(?P<field>\x00\d+\x00|[\w.\[\]]+)\s*"
    r"(?P<op>!=|!~|>=|<=|=|~|>|<|\bnot\s+in\b|\bin\b|\bis\b|\bwas\s+not\b|\bwas\b|\bchanged\b)",
    re.IGNORECASE,
)
_BOUNDING = {"=", "~", ">=", "<=", ">", "<", "in", "was", "changed"}
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def is_unbounded(options: Mapping[str, Any]) -> bool:
    """Whether a JQL or SQL query certainly reads everything there is. What is not understood is not unbounded."""
    if isinstance(jql := options.get("jql"), str):
        return _is_unbounded_jql(jql)
    if isinstance(sql := options.get("sql"), str):
        return _is_unbounded_sql(sql)
    return False


def _is_unbounded_jql(text: str) -> bool:
    """Only conditions that leave something out (`!=`, `not in`, `is empty`), or none at all."""
    bare, _ = _without_strings(text)
    bare = _ORDER.sub("", bare).strip()
    if not bare:
        return True
    # With an "or" each side has to be bound; in brackets it may be part of a side that is.
    sides = _OR.split(bare) if "(" not in bare else [bare]
    return any(_is_open_side(side) for side in sides)


def _is_open_side(side: str) -> bool:
    clauses = [_CLAUSE.match(clause) for clause in _AND_OR.split(side)]
    found = [clause for clause in clauses if clause is not None]
    if not found or len(found) < len(clauses):
        return False
    return not any(clause["not"] is None and clause["op"].lower() in _BOUNDING for clause in found)


def _is_unbounded_sql(text: str) -> bool:
    bare, _ = _without_strings(_COMMENT.sub(" ", text))
    words = set(re.findall(r"[a-z]+", bare.lower()))
    return "from" in words and words.isdisjoint({"where", "limit", "fetch", "top", "having", "join"})


def normal_form(options: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two queries have in common that ask the same: letters' case, spaces, quotes, the order of conditions that
    are all joined by "and", and how the answer is sorted make no difference."""
    found: list[Any] = []
    for key, value in sorted(options.items()):
        if key == "jql" and isinstance(value, str):
            found.append((key, _normal_jql(value)))
        elif isinstance(value, str):
            found.append((key, " ".join(value.split())))
        else:
            found.append((key, repr(value)))
    return tuple(found)


def _normal_jql(text: str) -> tuple[str, ...]:
    bare, strings = _without_strings(text)
    bare = _ORDER.sub("", bare).lower()
    for index, string in enumerate(strings):
        bare = bare.replace(f"\x00{index}\x00", string[1:-1].lower())
    spaced = " ".join(re.sub(r"\s*([=!~<>(),]+)\s*", r" \1 ", bare).split())
    if _OR.search(spaced) or "(" in spaced:
        return (spaced,)
    return tuple(sorted(part.strip() for part in re.split(r"\band\b|&&", spaced)))


def _without_strings(text: str) -> tuple[str, list[str]]:
    """The text with its quoted strings replaced by marks, and the strings."""
    strings: list[str] = []

    def mark(match: re.Match[str]) -> str:
        strings.append(match[0])
        return f"\x00{len(strings) - 1}\x00"

    return _STRING.sub(mark, text.replace("\x00", " ")), strings
