"""The how-tos for webhooks: their team files are sound, their commands do what they say, every tool has one."""

import re
from pathlib import Path

import pytest

from app.domain.document import read_yaml
from app.services.team_file import check_team_file
from connectors.registry import connectors
from connectors.signatures import PROVIDERS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "webhooks"
BLOCKS = [
    pytest.param(block, id=f"{file.stem}-{number}")
    for file in sorted(DOCS.glob("*.md"))
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", file.read_text("utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_team_file_in_the_documents_is_sound(block: str) -> None:
    document = read_yaml(f"version: 1\nteam: operations\n{block}".encode())
    checked = check_team_file(document.value, connectors=connectors())
    assert [(problem.path, problem.message) for problem in checked.problems] == []


def test_every_tool_that_is_known_has_a_page_and_the_index_names_it() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    for name in PROVIDERS:
        page = "other.md" if name == "standard-webhooks" else f"{name}.md"
        assert f"scheme: {name}" in (DOCS / page).read_text("utf-8")
        assert f"({page})" in index
    assert set(re.findall(r"`([a-z]+(?:\.[a-z_]+)?)`", index.partition("## Presets")[2].partition("\n## ")[0])) == set(
        connectors()["webhook"].presets
    )


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_says_where_to_click_and_what_to_paste(page: Path) -> None:
    text = page.read_text("utf-8")
    if page.stem in ("README", "other"):
        return
    assert f"({page.name})" in (DOCS / "README.md").read_text("utf-8")
    before = text.partition("```yaml")[0]
    assert "→" in before or "webhook_configs:" in before, "the clicks, or the lines of its configuration"
    assert "the address" in before or "/v1/hooks/" in before
    assert re.search("secret|token", before, re.IGNORECASE)
