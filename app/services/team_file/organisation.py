"""The organisation's file, checked as a whole."""

from dataclasses import dataclass
from zoneinfo import available_timezones

from app.domain.language import OrganisationFile
from app.domain.records import JsonValue
from app.domain.status import PRESETS
from app.services.team_file.problems import Problem, Problems, shown
from app.services.team_file.shape import validated


@dataclass(frozen=True, slots=True)
class CheckedOrganisationFile:
    """`file` is there exactly when `problems` is empty."""

    file: OrganisationFile | None
    problems: list[Problem]


def is_organisation_file(value: JsonValue) -> bool:
    """Whether a decoded file is the organisation's: it has a name, and no team."""
    return isinstance(value, dict) and "name" in value and "team" not in value


def check_organisation_file(value: JsonValue) -> CheckedOrganisationFile:
    """Check a decoded `organisation.yaml`; never raises for any input."""
    problems = Problems()
    file = validated(OrganisationFile, value, (), problems)
    if file is not None:
        zones = available_timezones()
        if file.timezone not in zones:
            suggestion = problems.suggest(file.timezone, sorted(zones))
            message = f"there is no timezone {shown(file.timezone)}"
            problems.add(("timezone",), "unknown_name", message, suggestion=suggestion)
        known = {*file.presets, *PRESETS}
        words = {("preset",): file.preset} | {("presets", name): spec for name, spec in file.presets.items()}
        for path, word in words.items():
            if isinstance(word, str) and word not in known:
                suggestion = problems.suggest(word, sorted(known))
                problems.add(path, "unknown_name", f"there is no preset {shown(word)}", suggestion=suggestion)
        _check_tree(file, problems)
    return CheckedOrganisationFile(None if problems.errors else file, list(problems.errors.values()))


def _check_tree(file: OrganisationFile, problems: Problems) -> None:
    """Every team's parent is in the tree, and none is above itself."""
    for team, parent in file.teams.items():
        if parent is not None and parent not in file.teams:
            suggestion = problems.suggest(parent, sorted(file.teams))
            message = f"the team {shown(parent)} is not in the tree"
            problems.add(("teams", team), "unknown_name", message, suggestion=suggestion)
            continue
        seen, above = {team}, parent
        while above is not None and above not in seen:
            seen.add(above)
            above = file.teams.get(above)
        if above == team:
            problems.add(("teams", team), "circle", f"the team {shown(team)} is above itself")
