"""The team file, checked as a whole: every problem at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from app.domain.calendar import check_calendar
from app.domain.language import CalendarSpec, TeamFile
from app.domain.records import JsonValue
from app.services.team_file.context import Context, KnownNames
from app.services.team_file.formulas import check_formulas
from app.services.team_file.goals import check_objectives, check_preset
from app.services.team_file.lint import lint
from app.services.team_file.problems import Problem, shown
from app.services.team_file.renaming import check_renames
from app.services.team_file.shape import validated
from app.services.team_file.silences import check_silences, settle
from app.services.team_file.sources import check_connections, check_datasets, check_metrics
from connectors.contract import Connector

_SECTIONS = ("connections", "datasets", "metrics", "objectives")


@dataclass(frozen=True, slots=True)
class CheckedTeamFile:
    """`file` is there exactly when `problems` is empty; `warnings` stop nothing, `silenced` ones are known."""

    file: TeamFile | None
    problems: list[Problem]
    warnings: list[Problem]
    silenced: list[Problem] = field(default_factory=list)


def check_team_file(
    value: JsonValue, *, connectors: Mapping[str, Connector], known: KnownNames | None = None
) -> CheckedTeamFile:
    """Check a decoded team file against its models, its connectors' options and itself; never raises for any input.

    With `known`, references to other teams are looked up too. Pure but for the timezone database.
    """
    context = Context(connectors, known)
    problems = context.problems
    if isinstance(value, dict):
        _check_head(context, {key: item for key, item in value.items() if key not in _SECTIONS}, known)
        check_connections(context, value.get("connections", {}))
        check_datasets(context, value.get("datasets", {}))
        check_metrics(context, value.get("metrics", {}))
        check_formulas(context)
        check_objectives(context, value.get("objectives", {}))
    else:
        problems.add((), "model_type", "a mapping is expected: version, team, connections, datasets, metrics, …")
    # The whole is validated only where nothing was found in its parts: what is returned is what the models made of it.
    file = None if problems.errors else validated(TeamFile, value, (), problems)
    if file is not None:
        check_renames(file, problems)
        check_silences(file, problems)
        lint(file, connectors, problems)
        file = None if problems.errors else file
    warnings = list(problems.warnings.values())
    if file is None:
        return CheckedTeamFile(None, list(problems.errors.values()), warnings)
    settled = settle(file, warnings, "file")
    return CheckedTeamFile(
        file,
        [],
        [warning for warning in settled if warning.silenced is None],
        [warning for warning in settled if warning.silenced is not None],
    )


def _check_head(context: Context, head: dict[str, JsonValue], known: KnownNames | None) -> None:
    problems = context.problems
    if isinstance(team := head.get("team"), str):
        context.team = team
    if isinstance(cycles := head.get("cycles"), dict):
        context.cycles = frozenset(str(name) for name in cycles)
    spec = validated(TeamFile, head, (), problems, more_keys=_SECTIONS)
    if spec is not None:
        context.dated_cycles = dict(spec.cycles)
        check_preset(context, spec.preset, ("preset",))
    zone = head.get("timezone")
    if isinstance(zone, str) and zone:
        if zone in _timezones():
            context.zone = ZoneInfo(zone)
        else:
            suggestion = problems.suggest(zone, sorted(_timezones())) or _by_city(zone)
            message = f"there is no timezone {shown(zone)}"
            problems.add(("timezone",), "unknown_name", message, suggestion=suggestion)
    if isinstance(calendar := head.get("calendar"), dict) and not any(p[:1] == ("calendar",) for p in problems.errors):
        objection = check_calendar(CalendarSpec.model_validate(calendar))
        if objection is not None:
            problems.add(("calendar",), "calendar", objection)
    parent = head.get("parent")
    if isinstance(parent, str):
        if parent == context.team:
            problems.add(("parent",), "circle", "a team is not its own parent")
        elif known is not None and parent not in known.teams:
            problems.warn(("parent",), "unknown_name", f"there is no team {shown(parent)} yet")


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def _by_city(zone: str) -> str | None:
    """`Berlin` for `Europe/Berlin`: the city is what people know."""
    city = zone.rpartition("/")[2].strip().replace(" ", "_").casefold()
    return next((name for name in sorted(_timezones()) if name.rpartition("/")[2].casefold() == city), None)
