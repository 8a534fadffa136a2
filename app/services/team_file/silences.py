"""`silence: {code: "reason"}` at an object, its objective or the team: the warning is known, and why it does not
apply."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from app.domain.language import MetricSpec, TeamFile
from app.services.team_file.problems import Path, Problem, Problems, shown
from app.services.team_file.rules import RULES, UNNEEDED, Stage


def silences_of(file: TeamFile) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Everything that is silenced, by the place of the object that says so."""
    yield (), file.silence
    for section in ("connections", "datasets", "metrics"):
        for name, spec in getattr(file, section).items():
            yield (section, name), spec.silence
    for name, objective in file.objectives.items():
        yield ("objectives", name), objective.silence
        for inner, key_result in objective.key_results.items():
            path = ("objectives", name, "key_results", inner)
            yield path, key_result.silence
            if isinstance(key_result.metric, MetricSpec):
                yield (*path, "metric"), key_result.metric.silence


def check_silences(file: TeamFile, problems: Problems) -> None:
    """A code that no warning has is an error: it would silence nothing, for ever."""
    for path, silenced in silences_of(file):
        for code in silenced:
            if code not in RULES:
                suggestion = problems.suggest(code, sorted(RULES))
                message = f"there is no warning {shown(code)}"
                problems.add((*path, "silence", code), "unknown_name", message, suggestion=suggestion)


def settle(file: TeamFile, warnings: Sequence[Problem], stage: Stage) -> list[Problem]:
    """The warnings of one stage, each with the reason that it is silenced for, if it is; and a further one for each
    silence of that stage that has nothing to silence."""
    reasons = {(path, code): reason for path, given in silences_of(file) for code, reason in given.items()}
    used: set[tuple[Path, str]] = set()
    settled = []
    for warning in warnings:
        # The nearest object speaks first, then those around it.
        around = [(warning.path[:length], warning.code) for length in range(len(warning.path), -1, -1)]
        place = next((one for one in around if one in reasons), None)
        if place is not None:
            used.add(place)
        settled.append(warning if place is None else replace(warning, silenced=reasons[place]))
    for path, code in reasons:
        if (path, code) not in used and RULES[code].stage == stage:
            message = f"nothing warns of {code} here any more: the silence can go"
            settled.append(Problem((*path, "silence", code), UNNEEDED, message, severity="warning"))
    return settled
