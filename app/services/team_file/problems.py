"""What is wrong with a team file, where, and how it is said."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from app.domain.document import Document
from app.services.suggest import closest

Path: TypeAlias = tuple[str | int, ...]

MOST_PROBLEMS = 200
_MOST_SUGGESTIONS = 50
_LONGEST_MESSAGE = 400
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (`error`) or unwise (`warning`) at a place of the file.

    `code` is for programs; `message` is one sentence for people that repeats no long or secret input; `suggestion` is
    what was probably meant. Code `not_supported_yet` marks what the language names and this version does not build.
    `silenced` is the reason that the file gives for a warning that does not apply.
    """

    path: Path
    code: str
    message: str
    suggestion: str | None = None
    severity: Literal["error", "warning"] = "error"
    silenced: str | None = None


class InvalidTeamFile(Exception):
    """The file can not be applied; `problems` says what is wrong where, all at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = list(problems)


@dataclass(slots=True)
class Problems:
    """Collects problems: at most one error a place, one warning of a kind, and never more than a person would read."""

    errors: dict[Path, Problem] = field(default_factory=dict)
    warnings: dict[tuple[Path, str], Problem] = field(default_factory=dict)
    _suggestions: int = 0

    def add(self, path: Path, code: str, message: str, *, suggestion: str | None = None) -> None:
        if len(self.errors) < MOST_PROBLEMS:
            self.errors.setdefault(path, Problem(path, code, _cut(message, _LONGEST_MESSAGE), suggestion))

    def warn(self, path: Path, code: str, message: str) -> None:
        if len(self.warnings) < MOST_PROBLEMS:
            self.warnings.setdefault((path, code), Problem(path, code, message, severity="warning"))

    def not_supported(self, path: Path, what: str) -> None:
        """`what` is a phrase with its verb: `milestones are`."""
        self.add(path, "not_supported_yet", f"{what} not supported yet")

    def suggest(self, word: str, candidates: Iterable[str]) -> str | None:
        """What was meant by a misspelt word; a file that is wrong throughout is not worth the search."""
        self._suggestions += 1
        return closest(word, candidates) if self._suggestions <= _MOST_SUGGESTIONS else None


def shown(name: object) -> str:
    """A name in quotes for a message, cut and cleaned; `this` for what is no name."""
    return f"'{_cut(_clean(name), _LONGEST_NAME)}'" if isinstance(name, str) else "this"


def pointer(path: Path) -> str:
    """The path as a JSON Pointer (RFC 6901): `/metrics/open_p1/query`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def format_problem(file: str, document: Document, problem: Problem) -> str:
    """`file:line:column: path: message`, in one line, as editors and terminals find their way by."""
    line, column = document.mark(problem.path)
    place = ".".join(_cut(_clean(str(step)), _LONGEST_NAME) for step in problem.path) or "team file"
    kind = "warning: " if problem.severity == "warning" else ""
    hint = f"; did you mean {shown(problem.suggestion)}?" if problem.suggestion is not None else ""
    if problem.severity == "warning":
        hint += f" [{problem.code}]"
    if problem.silenced is not None:
        kind = "silenced: "
        hint += f" because: {_cut(_clean(problem.silenced), _LONGEST_MESSAGE)}"
    return f"{file}:{line}:{column}: {place}: {kind}{_clean(problem.message)}{hint}"


def _clean(text: str) -> str:
    """Without what moves the cursor or turns the direction of writing."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
