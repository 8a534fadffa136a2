"""Objectives and key results: what they refer to, and when."""

from app.domain.cycle import Cycle, dated_cycle, parse_cycle
from app.domain.language import KeyResultSpec, Maintain, MeasuredBaseline, MetricSpec, ObjectiveSpec, PresetSpec
from app.domain.records import JsonValue
from app.domain.status import PRESETS
from app.domain.window import DAY
from app.services.team_file.cascade import check_cascade
from app.services.team_file.context import MOST_ENTRIES, Context
from app.services.team_file.problems import Path, shown
from app.services.team_file.shape import validated
from app.services.team_file.sources import check_metric

MOST_KEY_RESULTS = 4


def check_objectives(context: Context, raw: JsonValue) -> None:
    """Check objectives with their key results, and how they hang together."""
    objectives = context.entries(raw, ("objectives",))
    specs: dict[str, ObjectiveSpec] = {}
    key_results: dict[str, Path] = {}
    for name, value in objectives.items():
        path: Path = ("objectives", name)
        rest = {key: item for key, item in value.items() if key != "key_results"} if isinstance(value, dict) else value
        spec = validated(ObjectiveSpec, rest, path, context.problems, more_keys=("key_results",))
        cycle = None
        if spec is not None:
            cycle = check_cycle(context, spec.cycle, (*path, "cycle"))
            check_preset(context, spec.preset, (*path, "preset"))
            specs[name] = spec
        if isinstance(value, dict):
            _check_key_results(context, value.get("key_results", {}), (*path, "key_results"), key_results, cycle)
    check_cascade(context, specs, set(objectives))


def check_cycle(context: Context, name: str, path: Path) -> Cycle | None:
    """The cycle of a name, where its dates can be known here."""
    known = context.known
    if name[:1].isalpha():
        dates = context.dated_cycles.get(name)
        own = context.cycles | (known.cycles if known is not None else frozenset())
        if name not in own:
            message = f"there is no cycle {shown(name)}: 2026-Q4, 2026-H1, 2026, 2026-11 or one of your own is expected"
            suggestion = context.problems.suggest(name, sorted(own))
            context.problems.add(path, "unknown_name", message, suggestion=suggestion)
        return None if dates is None else dated_cycle(name, dates.start, dates.end, context.zone)
    try:
        cycle = parse_cycle(name, context.zone, 1 if known is None else known.fiscal_year_start)
    except ValueError:
        context.problems.add(path, "cycle", "this cycle is beyond the calendar")
        return None
    # Offline the organisation's fiscal year is not known, and only months are the same in each.
    return cycle if known is not None or (len(name) == len("2026-11") and "Q" not in name) else None


def check_preset(context: Context, preset: PresetSpec | None, path: Path) -> None:
    """A preset by name is one of ours or, as far as is known, one of the organisation's."""
    if context.known is None or not isinstance(preset, str):
        return
    words = PRESETS.keys() | context.known.presets
    if preset not in words:
        suggestion = context.problems.suggest(preset, sorted(words))
        context.problems.add(path, "unknown_name", f"there is no preset {shown(preset)}", suggestion=suggestion)


def _check_key_results(
    context: Context, raw: JsonValue, path: Path, seen: dict[str, Path], cycle: Cycle | None
) -> None:
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
        spec = validated(KeyResultSpec, value, here, context.problems)
        if spec is not None:
            _check_key_result(context, spec, here)
            _check_pace(context, spec, here, cycle)


def _check_key_result(context: Context, spec: KeyResultSpec, path: Path) -> None:
    if isinstance(spec.metric, MetricSpec):
        check_metric(context, spec.metric, (*path, "metric"))
    else:
        context.metric_unit(spec.metric, (*path, "metric"))
    for index, guardrail in enumerate(spec.guardrails):
        context.metric_unit(guardrail.metric, (*path, "guardrails", index, "metric"))
    if isinstance(spec.baseline, MeasuredBaseline):
        check_cycle(context, spec.baseline.measure, (*path, "baseline", "measure"))


def _check_pace(context: Context, spec: KeyResultSpec, path: Path, cycle: Cycle | None) -> None:
    check_preset(context, spec.preset, (*path, "preset"))
    if isinstance(spec.target, Maintain):
        for key in ("curve", "checkpoints", "steps", "preset"):
            if key in spec.model_fields_set:
                message = "a bound to hold is kept or not: it has no pace, and this says nothing about it"
                context.problems.warn((*path, key), "not_applicable", message)
    if cycle is None:
        return
    zone = context.zone
    first, last = cycle.start.astimezone(zone).date(), cycle.end.astimezone(zone).date() - DAY
    for index, point in enumerate(spec.checkpoints):
        if not first <= point.on <= last:
            message = f"a checkpoint lies within its cycle: {first} to {last}"
            context.problems.add((*path, "checkpoints", index, "on"), "checkpoints", message)
