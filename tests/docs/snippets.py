"""The fenced blocks of the documentation, and what their pages say of running them.

A block is run, parsed or compared by its language. A comment before it says where that is otherwise; readers do not see
it:

    <!-- snippet: file NAME -->            the block is a file that the page's commands find
    <!-- snippet: beside {…} -->           what a part of a team file stands beside (YAML)
    <!-- snippet: shows -->                what the commands before it print; `…` stands for anything
    <!-- snippet: run by PATH -->          a test of its own runs it
    <!-- snippet: foreign REASON -->       not ours to check beyond its syntax (another tool's file)
    <!-- snippet: not run REASON -->       it can not be run here; its syntax is checked all the same

What a page takes as given is made by commands in a comment of several lines, which readers do not see either:

    <!-- snippet: before
    krsync apply examples/operations.yaml
    -->
"""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("file", "beside", "shows", "run by", "foreign", "not run")

_FENCE = re.compile(r"( *)```(\S*) *$")
_MARK = re.compile(rf" *<!-- snippet: ({'|'.join(MARKS)})(?: (.*?))? -->$")


@dataclass(frozen=True, slots=True)
class Snippet:
    """One block: its page from the root of the repository, the line of its fence, and its mark with what it says."""

    page: str
    line: int
    language: str
    text: str
    mark: str | None = None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page that people read: of the site, of the repository and of the connectors."""
    own = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return [*own, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "connectors").glob("*/README.md"))]


def snippets_of(page: Path) -> list[Snippet]:
    """The blocks of a page in their order; AssertionError where a mark stands alone or a block has no end."""
    found: list[Snippet] = []
    lines = page.read_text("utf-8").splitlines()
    name = page.relative_to(ROOT).as_posix()
    mark: re.Match[str] | None = None
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if line == "<!-- snippet: before":
            close = lines.index("-->", number)
            found.append(Snippet(name, number, "sh", "\n".join(lines[number:close]) + "\n"))
            number = close + 1
            continue
        if line.lstrip().startswith("<!-- snippet:"):
            assert mark is None, f"{name}:{number}: a mark without its block"
            mark = _MARK.match(line)
            assert mark is not None, f"{name}:{number}: {line.strip()}"
            continue
        fence = _FENCE.match(line)
        if fence is None:
            assert mark is None or not line.strip(), f"{name}:{number}: a mark without its block"
            continue
        end = next((at for at in range(number, len(lines)) if lines[at].strip() == "```"), None)
        assert end is not None, f"{name}:{number}: a block without its end"
        text = textwrap.dedent("\n".join(lines[number:end])) + "\n"
        found.append(Snippet(name, number, fence[2], text, mark and mark[1], (mark and mark[2]) or ""))
        mark, number = None, end + 1
    return found


def all_snippets() -> list[Snippet]:
    """Every block of every page."""
    return [snippet for page in pages() for snippet in snippets_of(page)]
