"""The connector that `docs/how-to/write-a-connector.md` writes, as it stands there, under the conformance suite."""

import sys
import tomllib
import types
from importlib.metadata import EntryPoint

import yaml

from app.services.team_file import check_team_file
from connectors.contract import Connector
from connectors.registry import CONNECTORS, build
from tests.docs.snippets import ROOT, snippets_of

PAGE = ROOT / "docs" / "how-to" / "write-a-connector.md"
BLOCKS = {
    language: [one for one in snippets_of(PAGE) if one.language == language] for language in ("python", "yaml", "toml")
}


def _module() -> types.ModuleType:
    """A module of the page's code, line numbers as on the page."""
    module = types.ModuleType("acme_krsync")
    sys.modules[module.__name__] = module  # models look up their annotations there
    for block in BLOCKS["python"]:
        source = "\n" * block.line + block.text
        exec(compile(source, str(PAGE), "exec"), module.__dict__)
    return module


MODULE = _module()
COUNTER: Connector = MODULE.COUNTER
TestCounter = MODULE.TestCounter  # pytest collects it from here


def test_it_is_announced_by_the_entry_point_of_the_page_and_its_team_file_is_sound() -> None:
    [toml] = BLOCKS["toml"]
    [(group, points)] = tomllib.loads(toml.text)["project"]["entry-points"].items()
    registry = build(CONNECTORS, [EntryPoint(name, value, group) for name, value in points.items()])
    assert registry.problems == ()
    assert registry.connectors["counter"] is COUNTER
    [team] = BLOCKS["yaml"]
    document = {"version": 1, "team": "support"} | yaml.safe_load(team.text)
    assert check_team_file(document, connectors=registry.connectors).problems == []
