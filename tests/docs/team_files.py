"""Team files in the documentation: whole ones as they stand, parts of one made whole."""

import re
from typing import Any

import yaml

from app.domain.document import read_yaml
from app.domain.language import TeamFile
from tests.docs.snippets import ROOT, Snippet, snippets_of

_SECTIONS = set(TeamFile.model_fields)


def is_organisation(text: str) -> bool:
    """Whether it is an `organisation.yaml`."""
    return "name" in _mapping(text) and "team" not in _mapping(text)


def whole(snippet: Snippet) -> str:
    """The file, of a team of its own where the page does not say which.

    A part of a team file gets its head, and what its mark says stands beside it, else the connections and datasets of
    the page's blocks before it; connections without their heading are put under one.
    """
    text = snippet.text
    found = _mapping(text)
    if "version" in found:
        return text
    if not set(found) <= _SECTIONS:
        assert all("connector" in value for value in found.values()), f"{snippet} is no part of a team file"
        text = "connections:\n" + re.sub("^", "  ", text, flags=re.MULTILINE)
    below = yaml.safe_load(snippet.note) if snippet.mark == "beside" else _said_before(snippet, set(_mapping(text)))
    if below:
        text = yaml.safe_dump(_merged(below, yaml.safe_load(text)), allow_unicode=True)
    team = re.sub(r"[^a-z0-9]+", "_", snippet.page.removesuffix(".md").lower()) + f"_{snippet.line}"
    return f"version: 1\nteam: p_{team[-55:]}\n{text}"


def _said_before(snippet: Snippet, sections: set[str]) -> dict[str, Any]:
    """The connections and datasets that the page has shown already, where the part names none itself."""
    found: dict[str, Any] = {}
    if "connections" in sections:
        return found
    for earlier in snippets_of(ROOT / snippet.page):
        if earlier.line >= snippet.line:
            break
        if earlier.language == "yaml" and earlier.mark is None:
            shown = yaml.safe_load(earlier.text) or {}
            for section in ("connections", "datasets"):
                if section in shown and section not in sections and "version" not in shown:
                    found[section] = found.get(section, {}) | shown[section]
    return found


def _mapping(text: str) -> dict[str, Any]:
    found: Any = read_yaml(text.encode()).value
    assert isinstance(found, dict)
    return found


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    sections = below | above
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict):
            sections[key] = below[key] | above[key]
    return sections
