"""Warnings that only what is stored can tell: what rules name and no record has, targets that are met already, sources
that are asked too often. Given with a plan and an apply; `app.services.team_file.rules` has the codes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.cycle import CycleKind, current_cycle
from app.domain.language import (
    DatasetSource,
    DurationSource,
    Edge,
    KeyResultSpec,
    Maintain,
    MetricSpec,
    TeamFile,
)
from app.services.definitions import definition_of, team_cycle, team_zone
from app.services.evaluate import compute
from app.services.input_graph import needs_cycle
from app.services.planning import connections_per_hour
from app.services.team_file.lint import metrics_of
from app.services.team_file.problems import Path, Problem, Problems, shown
from app.services.views import KeyResultView
from app.services.views.plans import ChangeView
from app.store import inputs, organisation, vocabulary
from app.store.database import Session
from app.store.organisation import TeamRows
from app.store.pulls import Pull
from app.store.tables import KeyResult, Team
from connectors.contract import Connector

#: Requests an hour that a connection can be asked for without harm: one a second.
MOST_REQUESTS = 3600
#: Below that many records nothing is made of what none of them has.
_FEWEST = 10
#: Beyond that many key results their past is not looked at.
_MOST_KEY_RESULTS = 200
_JUST_BEFORE = timedelta(microseconds=1)
_EARLY = 10  # the first tenth of a cycle


async def lint_stored(
    session: Session,
    team: Team,
    file: TeamFile,
    *,
    connectors: Mapping[str, Connector],
    pulled: Mapping[str, Pull],
    shown_now: Mapping[str, KeyResultView],
    changes: list[ChangeView],
    now: datetime,
) -> list[Problem]:
    """The warnings about a team whose rows say what its file says."""
    problems = Problems()
    rows = await organisation.load_team(session, team)
    _lint_requests(team, pulled, problems)
    _lint_hooks(team, rows, connectors, changes, problems)
    await _lint_unused(session, file, rows, problems)
    await _lint_objectives(session, team, file, problems)
    await _lint_words(session, file, rows, problems)
    await _lint_targets(session, team, file, rows, shown_now, now, problems)
    return list(problems.warnings.values())


# --- sources ---------------------------------------------------------------------------------------------------------


def _lint_requests(team: Team, pulled: Mapping[str, Pull], problems: Problems) -> None:
    for name, per_hour in connections_per_hour(pulled).items():
        owner, _, connection = name.partition("/")
        if owner == team.name and per_hour > MOST_REQUESTS:
            message = f"{int(per_hour)} requests an hour are more than one a second: ask for less, or less often"
            problems.warn(("connections", connection), "too_many_requests", message)


def _lint_hooks(
    team: Team, rows: TeamRows, connectors: Mapping[str, Connector], changes: list[ChangeView], problems: Problems
) -> None:
    for change in changes:
        if change.kind != "connection" or change.action != "rename":
            continue
        name = change.id.partition("/")[2]
        connector = connectors.get(rows.connections[name].connector)
        if connector is not None and connector.verify is not None:
            message = f"webhooks go to /v1/hooks/{team.name}/{name} from now on: give the sender that address"
            problems.warn(("connections", name), "hook_address", message)


async def _lint_unused(session: Session, file: TeamFile, rows: TeamRows, problems: Problems) -> None:
    ids = {row.id: name for name, row in rows.metrics.items() if name in file.metrics}
    used = {asking.metric_id for asking in await inputs.askers_of(session, ids)}
    for read in (await inputs.readers_of(session, ids)).values():
        used |= read
    for metric_id, name in ids.items():
        if metric_id not in used:
            message = "no key result, guardrail or formula of any team reads this metric"
            problems.warn(("metrics", name), "unused_metric", message)


async def _lint_objectives(session: Session, team: Team, file: TeamFile, problems: Problems) -> None:
    empty = {f"{team.name}/{name}": name for name, objective in file.objectives.items() if not objective.key_results}
    if not empty:
        return
    for objective, _ in await organisation.list_objectives(session, limit=100_000):
        for edge in objective.spec.get("contributes_to", ()):
            empty.pop(edge["objective"] if isinstance(edge, dict) else edge, None)
    for name in empty.values():
        message = "it has no key results and nothing contributes to it: nobody can tell how it stands"
        problems.warn(("objectives", name), "no_key_results", message)


# --- words -----------------------------------------------------------------------------------------------------------


async def _lint_words(session: Session, file: TeamFile, rows: TeamRows, problems: Problems) -> None:
    """Statuses and events that rules name, against those that the newest records speak of."""
    events: dict[str, dict[str, int]] = {}
    statuses: dict[str, tuple[int, dict[str, str | None]]] = {}
    for path, metric in metrics_of(file):
        for part, source in metric.parts().items():
            if not isinstance(source, DurationSource):
                continue
            dataset = rows.datasets[source.dataset]
            here = _place(metric, part, path)
            for key, edge in (("from", source.from_), ("to", source.to)):
                if edge.event is not None:
                    if source.dataset not in events:
                        events[source.dataset] = dict(await vocabulary.events_seen(session, dataset.id))
                    seen = events[source.dataset]
                    _lint_seen(problems, (*here, key), edge.event, seen, sum(seen.values()), "event")
                elif edge.status is not None or edge.category is not None:
                    if source.dataset not in statuses:
                        statuses[source.dataset] = await vocabulary.statuses_seen(session, dataset.id)
                    _lint_status(problems, (*here, key), edge, *statuses[source.dataset])


def _place(metric: MetricSpec, part: str, path: Path) -> Path:
    return (*path, "ratio", part, "records") if metric.ratio is not None else (*path, metric.form)


def _lint_status(problems: Problems, path: Path, edge: Edge, entities: int, seen: dict[str, str | None]) -> None:
    if edge.status is not None:
        _lint_seen(problems, path, edge.status, seen, entities, "status")
        return
    unmapped = sorted(name for name, category in seen.items() if category is None)
    # A tool that has no categories at all has nothing to map.
    if unmapped and len(unmapped) < len(seen):
        names = ", ".join(shown(name) for name in unmapped[:5]) + (" and others" if len(unmapped) > 5 else "")
        message = (
            f"{len(unmapped)} of {len(seen)} statuses in the newest {entities} records are in no category, so they "
            f"neither begin nor end anything here: {names}"
        )
        problems.warn(path, "unmapped_statuses", message)


def _lint_seen(
    problems: Problems, path: Path, words: str | tuple[str, ...], seen: Mapping[str, object], records: int, what: str
) -> None:
    wanted = (words,) if isinstance(words, str) else words
    known = {name.casefold() for name in seen}
    if records < _FEWEST or any(word.casefold() in known for word in wanted):
        return
    named = " or ".join(shown(word) for word in wanted)
    near = problems.suggest(wanted[0], sorted(seen))
    hint = f": did you mean {shown(near)}?" if near is not None else ""
    problems.warn(path, "never_seen", f"none of the newest {records} records has the {what} {named}{hint}")


# --- targets ---------------------------------------------------------------------------------------------------------


async def _lint_targets(
    session: Session,
    team: Team,
    file: TeamFile,
    rows: TeamRows,
    shown_now: Mapping[str, KeyResultView],
    now: datetime,
    problems: Problems,
) -> None:
    """Targets that are met before anybody did anything: at the end of the cycle before, or right at the start."""
    specs: dict[str, tuple[Path, KeyResultSpec]] = {
        name: (("objectives", objective, "key_results", name), spec)
        for objective, wanted in file.objectives.items()
        for name, spec in wanted.key_results.items()
        if not isinstance(spec.target, Maintain) and spec.paused is None and spec.dropped is None
    }
    for name, (path, _) in list(specs.items())[:_MOST_KEY_RESULTS]:
        row, view = rows.key_results.get(name), shown_now.get(f"{team.name}/{name}")
        if row is None or view is None or view.target is None or view.baseline is None:
            continue
        cycle = team_cycle(team, row.cycle)
        if now >= cycle.end:
            continue
        unit = view.metric.unit
        past = await _value_before(session, team, row)
        if past is not None and _meets(past[1], view.baseline, view.target):
            message = f"{_short(past[1])} {unit} at the end of {past[0]} already meets the target of {view.target}"
            problems.warn((*path, "target"), "sandbagging", message)
            continue
        is_early = now < cycle.start + (cycle.end - cycle.start) / _EARLY
        if not is_early or view.value is None or view.projected_value is not None:
            continue
        if _meets(view.value, view.baseline, view.target):
            value = _short(view.value)
            message = f"the target of {view.target} is met from the start: the value is {value} {unit}"
            problems.warn((*path, "target"), "sandbagging", message)


def _short(value: Decimal) -> str:
    """A number as people read it: two decimals, none that are zero."""
    text = format(value.quantize(Decimal("0.01")) if abs(value) < 10**15 else value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _meets(value: Decimal, baseline: Decimal, target: Decimal) -> bool:
    return value >= target if target > baseline else value <= target


async def _value_before(session: Session, team: Team, row: KeyResult) -> tuple[str, Decimal] | None:
    """The cycle before a key result's own, and the metric's value at its end as its rule is today; None where nothing
    is known of then."""
    cycle = team_cycle(team, row.cycle)
    kind = _kind(row.cycle)
    if kind is None:
        return None
    first_month = team.inherited.get("fiscal_year_start", 1)
    before = current_cycle(cycle.start - _JUST_BEFORE, team_zone(team), kind, first_month)
    item = (await organisation.revised_metrics(session, [row.metric_id])).get(row.metric_id)
    if item is None:
        return None
    spec = definition_of(item.revision).spec
    asked = before.name if await needs_cycle(session, item) else ""
    computed = await compute(session, item, cycle=asked, as_of=before.end - _JUST_BEFORE)
    if computed.value is None or (computed.sample_size == 0 and any(_reads_records(spec))):
        return None  # nothing counted then is nothing known of then: records may not reach back
    return before.name, computed.value


def _reads_records(spec: MetricSpec) -> list[bool]:
    return [isinstance(source, DatasetSource) for source in spec.parts().values()]


def _kind(name: str) -> CycleKind | None:
    """What kind of cycle a name is of; None for one of one's own."""
    if name[:1].isalpha():
        return None
    if "Q" in name:
        return "quarter"
    if "H" in name:
        return "half"
    return "month" if "-" in name else "year"
