"""The team file: checked whole, with every problem named at its place, and described as a JSON Schema.

`check` is the way in; `sources`, `formulas`, `goals` and `cascade` are its parts, `shape` turns models' errors into
sentences, `unsupported` names what is not built yet, `problems` is what all of them report.
"""

from app.services.team_file.check import CheckedTeamFile, check_team_file
from app.services.team_file.context import KnownNames
from app.services.team_file.problems import Problem, format_problem, pointer
from app.services.team_file.schema import team_file_schema

__all__ = [
    "CheckedTeamFile",
    "KnownNames",
    "Problem",
    "check_team_file",
    "format_problem",
    "pointer",
    "team_file_schema",
]
