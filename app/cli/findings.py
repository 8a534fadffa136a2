"""What is wrong or unwise in a file, for a program: an editor, a review, a pipeline."""

from pathlib import Path
from typing import Any

from app.domain.document import DocumentError, read_yaml
from app.services.team_file import check_team_file
from app.services.team_file.organisation import check_organisation_file, is_organisation_file
from app.services.team_file.problems import Problem, pointer
from connectors.registry import connectors

Finding = dict[str, Any]


def findings_of(file: Path, content: bytes) -> list[Finding]:
    """Each with `file line column pointer severity code message suggestion silenced`, in the order of the lines."""
    try:
        document = read_yaml(content)
    except DocumentError as error:
        return [_finding(file, error.line, error.column, Problem((), "syntax", error.message))]
    found: list[Problem]
    if is_organisation_file(document.value):
        found = list(check_organisation_file(document.value).problems)
    else:
        checked = check_team_file(document.value, connectors=connectors())
        found = [*checked.problems, *checked.warnings, *checked.silenced]
    placed = [_finding(file, *document.mark(problem.path), problem) for problem in found]
    return sorted(placed, key=lambda one: (one["line"], one["column"]))


def _finding(file: Path, line: int, column: int, problem: Problem) -> Finding:
    return {
        "file": str(file),
        "line": line,
        "column": column,
        "pointer": pointer(problem.path),
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "suggestion": problem.suggestion,
        "silenced": problem.silenced,
    }
