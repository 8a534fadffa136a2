"""Team files in the documentation: whole ones as they stand, parts of one made whole."""

import re
from typing import Any

import yaml

from app.domain.document import read_yaml
from app.domain.language import TeamFile
from tests.docs.snippets import Snippet

_SECTIONS = set(TeamFile.model_fields)


def is_organisation(text: str) -> bool:
    """Whether it is an `organisation.yaml`."""
    return "name" in _mapping(text) and "team" not in _mapping(text)


def whole(snippet: Snippet) -> str:
    """The file, of a team of its own where the page does not say which.

    A part of a team file gets its head, and what its mark says stands beside it; connections without their heading are
    put under one.
    """
    text = snippet.text
    found = _mapping(text)
    if "version" in found:
        return text
    if not set(found) <= _SECTIONS:
        assert all("connector" in value for value in found.values()), f"{snippet} is no part of a team file"
        text = "connections:\n" + re.sub("^", "  ", text, flags=re.MULTILINE)
    if snippet.mark == "beside":
        text = yaml.safe_dump(_merged(yaml.safe_load(snippet.note), _mapping(text)), allow_unicode=True)
    team = re.sub(r"[^a-z0-9]+", "_", snippet.page.removesuffix(".md").lower()) + f"_{snippet.line}"
    return f"version: 1\nteam: p_{team[-55:]}\n{text}"


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
