"""What MkDocs is told beside `mkdocs.yml`: generated and borrowed pages, and links that lead out of `docs/`.

A link that is right in the repository (`../deploy/prometheus.yml`) is right in the site too: a page of the site is
linked as such, any other file of the repository is put beside the pages under `files/`.
"""

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from handbook.pages import BORROWED, INSTEAD, ROOT, generated_pages

_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"(^```.*?^```|^    .*?$)", re.DOTALL | re.MULTILINE)
#: The dashboard's own files that the site wears too.
_STATIC = ROOT / "app" / "web" / "static"
_WORN = ("mark.svg", "inter.woff2")


def on_files(files: Files, config: Any) -> Files:
    """Add what does not lie in `docs/`."""
    for place, text in generated_pages().items():
        files.append(File.generated(config, place, content=text))
    for source, place in BORROWED.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text("utf-8")))
    for name in _WORN:
        files.append(File.generated(config, f"assets/{name}", abs_src_path=str(_STATIC / name)))
    for path in linked_files(file for file in files if file.is_documentation_page()):
        files.append(File.generated(config, f"files/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead every link to where its file is in the site."""
    return relinked(markdown, page.file.src_uri)


def linked_files(pages: Iterable[File]) -> list[str]:
    """The files of the repository that pages link to and that are no pages, by their path in the repository."""
    found = set()
    for page in pages:
        for path in outside(page.content_string, page.src_uri):
            if path not in BORROWED and path not in INSTEAD and _inside(path) is None:
                if not (ROOT / path).is_file():
                    raise PluginError(f"{page.src_uri} links to {path}, and there is no such file")
                found.add(path)
    return sorted(found)


def outside(markdown: str, place: str) -> list[str]:
    """The paths in the repository that a page's links lead to, those outside of `docs/` only."""
    paths = []
    for prose in _FENCE.split(markdown)[::2]:
        for match in _LINK.finditer(prose):
            path = _in_repository(match[2], place)
            if path is not None:
                paths.append(path)
    return paths


def relinked(markdown: str, place: str) -> str:
    """The page with its links to files outside of `docs/` led to where they are in the site."""

    def replace(match: re.Match[str]) -> str:
        path = _in_repository(match[2], place)
        if path is None:
            return match[0]
        target = BORROWED.get(path) or INSTEAD.get(path) or _inside(path) or f"files/{path}"
        return f"{match[1]}{posixpath.relpath(target, posixpath.dirname(place) or '.')}{match[3] or ''}{match[4]}"

    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(replace, prose) for prose in parts[::2]]
    return "".join(parts)


def _in_repository(link: str, place: str) -> str | None:
    """Where a link of the page at `place` leads in the repository, where that is not within `docs/` as it stands."""
    if "://" in link or link.startswith(("/", "mailto:")):
        return None
    home = next((source for source, borrowed in BORROWED.items() if borrowed == place), None)
    folder = posixpath.dirname(home if home is not None else f"docs/{place}")
    path = posixpath.normpath(posixpath.join(folder, link))
    return None if home is None and path.startswith("docs/") else path


def _inside(path: str) -> str | None:
    """Where a file of `docs/` is in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") and Path(ROOT / path).exists() else None
