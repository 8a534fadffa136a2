"""Objectives and key results: what they refer to, and when."""

from collections.abc import Iterator

from app.domain.cycle import parse_cycle
from app.domain.language import KeyResultSpec, MeasuredBaseline, MetricSpec, ObjectiveSpec
from app.domain.records import JsonValue
from app.services.team_file import unsupported
from app.services.team_file.context import MOST_ENTRIES, Context, KnownNames
from app.services.team_file.problems import Path, shown
from app.services.team_file.shape import validated
from app.services.team_file.sources import check_metric

MOST_KEY_RESULTS = 4


def check_objectives(context: Context, raw: JsonValue, known: KnownNames | None) -> None:
    objectives = context.entries(raw, ("objectives",))
    supports: dict[str, list[str]] = {}
    key_results: dict[str, Path] = {}
    for name, value in objectives.items():
        path: Path = ("objectives", name)
        rest = unsupported.objective(value, path, context.problems)
        if isinstance(rest, dict):
            _check_key_results(context, rest.pop("key_results", {}), (*path, "key_results"), key_results)
        spec = validated(ObjectiveSpec, rest, path, context.problems, more_keys=("key_results",))
        if spec is not None:
            _check_cycle(context, spec.cycle, (*path, "cycle"))
            supports[name] = list(_supported(context, spec, path, set(objectives), known))
    _check_circles(context, supports)


def _check_cycle(context: Context, name: str, path: Path) -> None:
    if name[:1].isalpha():
        own = context.cycles | (context.known.cycles if context.known is not None else frozenset())
        if name not in own:
            message = f"there is no cycle {shown(name)}: 2026-Q4, 2026-H1, 2026, 2026-11 or one of your own is expected"
            suggestion = context.problems.suggest(name, sorted(own))
            context.problems.add(path, "unknown_name", message, suggestion=suggestion)
        return
    try:
        parse_cycle(name, context.zone)
    except ValueError:
        context.problems.add(path, "cycle", "this cycle is beyond the calendar")


def _check_key_results(context: Context, raw: JsonValue, path: Path, seen: dict[str, Path]) -> None:
    entries = context.entries(raw, path)
    if len(entries) > MOST_KEY_RESULTS:
        message = f"{len(entries)} key results: more than {MOST_KEY_RESULTS} in an objective are seldom kept in mind"
        context.problems.warn(path, "many_key_results", message)
    for name, value in entries.items():
        here = (*path, name)
        if name in seen:
            message = f"this name is taken by the objective {shown(seen[name][1])}; names are unique in a team"
            context.problems.add(here, "duplicate_name", message)
        elif len(seen) >= MOST_ENTRIES:
            context.problems.add(path, "too_many", f"at most {MOST_ENTRIES} key results are expected in a team")
            return
        seen.setdefault(name, here)
        rest = unsupported.key_result(value, here, context.problems)
        spec = validated(KeyResultSpec, rest, here, context.problems)
        if spec is not None:
            _check_key_result(context, spec, here)


def _check_key_result(context: Context, spec: KeyResultSpec, path: Path) -> None:
    if isinstance(spec.metric, MetricSpec):
        check_metric(context, spec.metric, (*path, "metric"))
    else:
        context.metric_unit(spec.metric, (*path, "metric"))
    for index, guardrail in enumerate(spec.guardrails):
        context.metric_unit(guardrail.metric, (*path, "guardrails", index, "metric"))
    if isinstance(spec.baseline, MeasuredBaseline):
        _check_cycle(context, spec.baseline.measure, (*path, "baseline", "measure"))


def _supported(
    context: Context, spec: ObjectiveSpec, path: Path, own: set[str], known: KnownNames | None
) -> Iterator[str]:
    """The team's own objectives that this one supports."""
    for index, reference in enumerate(spec.supports):
        here = (*path, "supports", index)
        team, separator, name = reference.partition("/")
        if not separator:
            suggestion = f"{context.team}/{reference}" if reference in own and context.team else None
            message = "an objective is named with its team: team/name"
            context.problems.add(here, "unknown_name", message, suggestion=suggestion)
        elif team == context.team:
            if name in own:
                yield name
            else:
                suggestion = context.problems.suggest(name, sorted(own))
                context.problems.add(
                    here,
                    "unknown_name",
                    f"there is no objective {shown(name)}",
                    suggestion=f"{team}/{suggestion}" if suggestion else None,
                )
        elif known is not None and reference not in known.objectives:
            context.problems.warn(here, "unknown_name", f"there is no objective {shown(reference)} yet")


def _check_circles(context: Context, supports: dict[str, list[str]]) -> None:
    """Report an objective that supports itself, directly or through others; one problem a circle."""
    settled: set[str] = set()
    for start in supports:
        trail: list[str] = []
        stack = [(start, iter(supports[start]))] if start not in settled else []
        if stack:
            trail.append(start)
        while stack:
            name, following = stack[-1]
            step = next(following, None)
            if step is None:
                stack.pop()
                settled.add(trail.pop())
            elif step in trail:
                message = f"objectives support each other in a circle through {shown(step)}"
                context.problems.add(("objectives", name, "supports"), "circle", message)
            elif step not in settled:
                trail.append(step)
                stack.append((step, iter(supports.get(step, ()))))
