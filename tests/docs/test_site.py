"""The documentation site: built strictly, from what the code says, with nothing fetched from elsewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from app.domain.language import OrganisationFile
from app.services.team_file import team_file_schema
from app.services.team_file.schema import organisation_file_schema
from app.settings import VARIABLES
from connectors.registry import connectors
from connectors.signatures import PROVIDERS
from handbook.api import api_pages, document
from handbook.commands import names_of, root, walk
from handbook.language import title_of
from handbook.pages import GENERATED
from handbook.settings import DEFAULTS
from tests.docs.snippets import ROOT

Schema = dict[str, Any]
#: Attributes that make a browser fetch something by itself.
FETCHED = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("object", "data"),
}
LOADED = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "handbook", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Fetches(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name, value in given.items():
            if value and ((tag, name) in FETCHED or (tag == "link" and name == "href" and self._is_loaded(given))):
                self.found.append(value)

    @staticmethod
    def _is_loaded(given: dict[str, str | None]) -> bool:
        return bool(LOADED & set((given.get("rel") or "").split()))


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        fetches = Fetches()
        fetches.feed(page.read_text("utf-8"))
        assert fetches.found
        assert [one for one in fetches.found if "//" in one and not one.startswith("data:")] == [], page
    for sheet in site.rglob("*.css"):
        fetched = re.findall(r"url\(([^)]*)\)|@import\s+([^;]+)", sheet.read_text("utf-8"))
        outside = [one for pair in fetched for one in pair if re.search(r"^['\"]?(https?:)?//", one)]
        assert outside == [], sheet


def test_every_page_of_docs_is_in_the_site_and_can_be_found(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        place = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix().replace("README.html", "index.html")
        assert (site / place).is_file(), place
        assert f'"{place}' in index


def shapes() -> Iterator[tuple[str, Schema]]:
    """Every shape of the published schema, each connector's own among them."""
    schema = team_file_schema()
    yield "TeamFile", schema
    yield from schema["$defs"].items()
    yield "OrganisationFile", organisation_file_schema()
    for connector in connectors().values():
        for model in (connector.config, connector.query, connector.dataset):
            if model is not None:
                own = model.model_json_schema()
                yield f"{connector.key} {model.__name__}", own
                yield from own.get("$defs", {}).items()


@pytest.mark.parametrize(("name", "shape"), [pytest.param(name, shape, id=name) for name, shape in shapes()])
def test_every_key_says_what_it_means(name: str, shape: Schema) -> None:
    assert shape.get("description") or name == "ConnectionSpec"
    assert [key for key, option in shape.get("properties", {}).items() if not option.get("description")] == []


def test_the_reference_has_every_key_of_the_language() -> None:
    language = GENERATED["reference/language.md"]()
    for name, shape in team_file_schema()["$defs"].items():
        if "." not in name:
            assert f"\n## {title_of(name)}\n" in language
            section = language.partition(f"\n## {title_of(name)}\n")[2].partition("\n## ")[0]
            assert [key for key in shape.get("properties", {}) if f"| `{key}` |" not in section] == []
    assert [key for key in OrganisationFile.model_fields if f"| `{key}` |" not in language] == []
    text = GENERATED["reference/connectors.md"]()
    for connector in connectors().values():
        assert f"\n## {connector.title}\n" in text
        assert [preset for preset in connector.presets if f"`{preset}`" not in text] == []


def test_the_reference_has_every_operation_with_its_parameters_and_errors() -> None:
    pages = "\n".join(api_pages().values())
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            section = pages.partition(f"\n```http\n{method.upper()} {path}\n```\n")[2].partition("\n## ")[0]
            assert section, f"{method} {path}"
            for parameter in operation.get("parameters", ()):
                assert f"| `{parameter['name']}` |" in section
                assert parameter.get("description"), f"{method} {path}: {parameter['name']}"
            assert [code for code in operation["responses"] if f"`{code}`" not in section.replace("**", "`")] == []


def test_the_reference_has_every_command_with_its_options_and_every_setting() -> None:
    text = GENERATED["reference/command-line.md"]()
    commands = walk("krsync", root())
    assert len(commands) > 25
    for words, command in commands:
        section = text.partition(f"\n## {words}\n")[2].partition("\n## ")[0]
        assert section, words
        options = [one for one in command.params if not one.hidden and one.name != "help"]
        assert [one.name for one in options if f"| `{names_of(one)}` |" not in section] == []
    settings = GENERATED["reference/settings.md"]()
    assert [name for name in VARIABLES if f"| `{name}` |" not in settings] == []
    assert set(DEFAULTS) <= set(VARIABLES)


def test_every_tool_that_is_known_has_a_page_and_the_index_names_it() -> None:
    folder = ROOT / "docs" / "webhooks"
    index = (folder / "README.md").read_text("utf-8")
    for name in PROVIDERS:
        page = "other.md" if name == "standard-webhooks" else f"{name}.md"
        assert f"scheme: {name}" in (folder / page).read_text("utf-8")
        assert f"({page})" in index
    listed = re.findall(r"`([a-z]+(?:\.[a-z_]+)?)`", index.partition("## Presets")[2].partition("\n## ")[0])
    assert set(listed) == set(connectors()["webhook"].presets)


TOOLS = [page for page in sorted((ROOT / "docs" / "webhooks").glob("*.md")) if page.stem not in ("README", "other")]


@pytest.mark.parametrize("page", TOOLS, ids=lambda page: page.stem)
def test_a_page_says_where_to_click_and_what_to_paste(page: Path) -> None:
    assert f"({page.name})" in (page.parent / "README.md").read_text("utf-8")
    before = page.read_text("utf-8").partition("\nconnections:")[0]
    assert "→" in before or "webhook_configs:" in before, "the clicks, or the lines of its configuration"
    assert "the address" in before or "/v1/hooks/" in before
    assert re.search("secret|token", before, re.IGNORECASE)
