"""The pages and files that come from elsewhere than `docs/`, and where they are in the site."""

from collections.abc import Callable
from pathlib import Path

from handbook.api import api_pages
from handbook.commands import command_line_page
from handbook.language import connectors_page, language_page
from handbook.settings import settings_page

ROOT = Path(__file__).resolve().parent.parent

#: Pages that are made, by their place in the site.
GENERATED: dict[str, Callable[[], str]] = {
    "reference/language.md": language_page,
    "reference/connectors.md": connectors_page,
    "reference/command-line.md": command_line_page,
    "reference/settings.md": settings_page,
}

#: Files of the repository that are pages of the site, by their path in the repository.
BORROWED = {
    "CONTRIBUTING.md": "inside/contributing.md",
    "CHANGELOG.md": "inside/changelog.md",
    **{
        page.relative_to(ROOT).as_posix(): f"inside/{page.parent.name}.md"
        for page in sorted((ROOT / "connectors").glob("*/README.md"))
    },
}

#: What stands for a page that is not one of the site.
INSTEAD = {"README.md": "index.md"}


def generated_pages() -> dict[str, str]:
    """Every page that is made of code, by its place in the site."""
    return {place: make() for place, make in GENERATED.items()} | api_pages()
