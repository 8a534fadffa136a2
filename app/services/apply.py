"""Applying a team file: checked whole, then one transaction that makes the database say what the file says.

A plan is an apply that is rolled back: what it foretells is what an apply then does.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from app.domain.language import MeasuredBaseline, MetricSpec, TeamFile
from app.domain.records import JsonValue
from app.errors import Conflict, FieldError, InvalidInput, NotFound, VersionConflict
from app.services import planning
from app.services.baselines import freeze_due
from app.services.build import build_within
from app.services.context import Services
from app.services.definitions import can_look_back
from app.services.deliveries import apply_within
from app.services.evaluate import evaluate
from app.services.export import team_value
from app.services.input_graph import input_graph
from app.services.known_names import discreet, known_names
from app.services.ledger import Reconciled
from app.services.notify.channels import reference_of
from app.services.plans import UNUSED, plan_pulls
from app.services.reconcile import reconcile
from app.services.renames import Rename, rename, renamed_to
from app.services.stored_lint import lint_stored
from app.services.team_file import CheckedTeamFile, KnownNames, Problem, check_team_file, pointer
from app.services.team_file.problems import InvalidTeamFile as InvalidTeamFile
from app.services.team_file.silences import settle
from app.services.views import PlanView, WarningView
from app.store import inputs, organisation, pulls
from app.store.database import Session
from connectors.secrets import secrets_of

log = structlog.get_logger(__name__)

ManagedBy = Literal["file", "api"]


class _RolledBack(Exception):
    """Ends a plan's transaction without keeping anything of it."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One object that is put or deleted through the API; the rest of the team's file is what it was."""

    kind: str
    name: str


async def plan_team_file(
    services: Services,
    value: JsonValue,
    *,
    team: str,
    actor: str,
    prune: bool = False,
    managed_by: ManagedBy = "file",
    hidden: Collection[str] = (),
) -> PlanView:
    """What an apply would change, in numbers, on stored records; nothing is kept. Of the `hidden` teams, the caller may
    name nothing, and nothing is told."""
    async with services.database.reading() as session:
        known = await known_names(session, team, hidden)
    checked = await asyncio.to_thread(_checked, services, value, team, known)
    outcome: PlanView | None = None
    try:
        async with services.database.writing() as session:
            outcome = await _apply(session, services, checked, actor, prune, managed_by, touch=None, is_plan=True)
            raise _RolledBack
    except _RolledBack:
        assert outcome is not None
        return discreet(outcome, hidden)


async def apply_team_file(
    services: Services,
    value: JsonValue,
    *,
    team: str,
    actor: str,
    prune: bool = False,
    managed_by: ManagedBy = "file",
    hidden: Collection[str] = (),
) -> PlanView:
    """Make the team what the file says, as one transaction; `hidden` as in a plan. Raises InvalidTeamFile."""
    async with services.database.reading() as session:
        known = await known_names(session, team, hidden)
    checked = await asyncio.to_thread(_checked, services, value, team, known)
    async with services.database.writing() as session:
        outcome = await _apply(session, services, checked, actor, prune, managed_by, touch=None, is_plan=False)
    await _ring(services)
    return discreet(outcome, hidden)


async def put_object(
    services: Services,
    team: str,
    kind: str,
    name: str,
    value: JsonValue,
    *,
    actor: str,
    if_match: int | None = None,
    hidden: Collection[str] = (),
) -> PlanView:
    """Create or replace one object of a team; the same checks as for a file hold for the whole."""
    async with services.database.writing() as session:
        # Held from here on: another object put meanwhile would be undone by the tree that was read before it.
        known = await organisation.lock_team(session, team)
        old = value.get("renamed_from") if isinstance(value, dict) else None
        renamed = None if known is None or not isinstance(old, str) or old == name else Rename(kind, old, name, ())
        if renamed is not None and known is not None:
            # First, so that what names the object in the rest of the tree names it rightly.
            is_done, _ = await rename(session, known, renamed, actor=actor, now=services.clock())
            renamed = renamed if is_done else None
        tree = await team_value(session, team) or {"version": 1, "team": team}
        await _check_version(session, team, kind, name, if_match)
        _put(tree, kind, name, value)
        checked = _checked(services, tree, team, await known_names(session, team, hidden), at=_place(tree, kind, name))
        touch = Touch(kind, name)
        outcome = await _apply(session, services, checked, actor, False, "api", touch=touch, is_plan=False)
    await _ring(services)
    return discreet(outcome if renamed is None else _with_rename(outcome, team, renamed), hidden)


def _with_rename(outcome: PlanView, team: str, renamed: Rename) -> PlanView:
    changes = [
        change.model_copy(update={"action": "rename", "reason": f"was {team}/{renamed.old}"})
        if (change.kind, change.id) == (renamed.kind, f"{team}/{renamed.new}")
        else change
        for change in outcome.changes
    ]
    return outcome.model_copy(update={"changes": changes})


async def delete_object(
    services: Services,
    team: str,
    kind: str,
    name: str,
    *,
    actor: str,
    if_match: int | None = None,
    hidden: Collection[str] = (),
) -> PlanView:
    """Delete one object of a team; InvalidTeamFile where another one needs it."""
    async with services.database.writing() as session:
        await organisation.lock_team(session, team)
        tree = await team_value(session, team)
        if tree is None or not _remove(tree, kind, name):
            now_named = await renamed_to(session, kind, team, name)
            raise NotFound if now_named is None else NotFound(f"It was renamed: it is {now_named} now.", code="renamed")
        await _check_version(session, team, kind, name, if_match)
        try:
            checked = _checked(services, tree, team, await known_names(session, team, hidden))
        except InvalidTeamFile as error:
            if any(problem.code != "unknown_name" for problem in error.problems):
                raise
            # The rest was sound with it: what is wrong now is whatever names it.
            raise _in_use(_users(team, error.problems)) from None
        touch = Touch(kind, name)
        outcome = await _apply(session, services, checked, actor, True, "api", touch=touch, is_plan=False)
        outcome = discreet(outcome, hidden)
        kept = next((one for one in outcome.changes if (one.kind, one.id) == (kind, f"{team}/{name}")), None)
        if kept is not None and kept.action == "kept":
            reason = str(kept.reason)
            if reason.startswith("needed by "):
                raise _in_use(reason.removeprefix("needed by ").split(", "))
            raise Conflict(f"It stays: {reason}.", code="in_use")
    await _ring(services)
    return outcome


async def reapply_within(session: Session, services: Services, team: str, *, actor: str) -> None:
    """Apply a team's own file again, inside the caller's transaction: what it inherits has changed."""
    tree = await team_value(session, team)
    checked = _checked(services, tree, team, await known_names(session, team))
    nothing = Touch("organisation", team)
    await _apply(session, services, checked, actor, False, "api", touch=nothing, is_plan=False)


def _in_use(users: Sequence[str]) -> Conflict:
    first = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
    return Conflict(f"It is still used by {first}: change or delete that first.", code="in_use")


def _users(team: str, problems: Sequence[Problem]) -> list[str]:
    """The objects that problems are about, as `kind team/name`, each once."""
    found: dict[str, None] = {}
    for problem in problems:
        path = problem.path
        if path[:1] == ("objectives",) and path[2:3] == ("key_results",) and len(path) > 3:
            found[f"key result {team}/{path[3]}"] = None
        elif len(path) > 1:
            found[f"{str(path[0]).removesuffix('s')} {team}/{path[1]}"] = None
    return list(found)


async def _ring(services: Services) -> None:
    await services.queue.build()
    await services.queue.deliveries()


# --- checking --------------------------------------------------------------------------------------------------------


def _checked(
    services: Services, value: JsonValue, team: str, known: KnownNames, *, at: tuple[str | int, ...] | None = None
) -> CheckedTeamFile:
    checked = check_team_file(value, connectors=services.connectors, known=known)
    problems = list(checked.problems)
    if checked.file is not None:
        if checked.file.team != team:
            problems.append(Problem(("team",), "team", f"this is the file of another team than {team}"))
        for name, spec in checked.file.connections.items():
            connector = services.connectors[spec.connector]
            for secret in secrets_of(connector.config.model_validate(spec.options)):
                reference = secret.reference
                if not services.secrets.allows(team, reference):
                    problems.append(
                        Problem(
                            ("connections", name),
                            "secret_not_allowed",
                            f"the operator does not let team {team} use {reference.kind}:{reference.name} "
                            "(KRSYNC_SECRETS_ALLOW)",
                        )
                    )
        problems += _notify_secrets(services, checked.file)
        problems += _blind_baselines(checked.file)
    if problems and at is not None:
        # The caller sent one object, so pointers start there; what breaks elsewhere is said with its own path.
        problems = [_relative(problem, at) for problem in problems]
    if problems:
        raise InvalidTeamFile(problems)
    return checked


def _notify_secrets(services: Services, file: TeamFile) -> list[Problem]:
    """The secrets of the `notify` section that the operator does not let the team use."""
    if file.notify is None:
        return []
    return [
        Problem(
            ("notify", *place),
            "secret_not_allowed",
            f"the operator does not let team {file.team} use {reference.kind}:{reference.name} (KRSYNC_SECRETS_ALLOW)",
        )
        for place, reference in ((place, reference_of(spec)) for place, spec in file.notify.secrets.items())
        if not services.secrets.allows(file.team, reference)
    ]


def _blind_baselines(file: TeamFile) -> list[Problem]:
    """A baseline of a past period is asked of the tool today: a query without a window could only tell of today."""
    problems = []
    for objective, spec in file.objectives.items():
        for name, key_result in spec.key_results.items():
            metric = file.metrics.get(key_result.metric) if isinstance(key_result.metric, str) else key_result.metric
            if metric is None or not isinstance(key_result.baseline, MeasuredBaseline):
                continue
            if not can_look_back(metric):
                problems.append(_no_history(objective, name, "this metric's query"))
    return problems


async def _check_history(session: Session, done: Reconciled, file: TeamFile) -> None:
    """The same of what formulas read and of other teams' metrics, which only the database knows."""
    rows = await organisation.load_team(session, done.team)
    problems = []
    for objective, spec in file.objectives.items():
        for name, key_result in spec.key_results.items():
            if not isinstance(key_result.baseline, MeasuredBaseline) or isinstance(key_result.metric, MetricSpec):
                continue
            metric_id = rows.key_results[name].metric_id
            items = await organisation.revised_metrics(session, [metric_id]) or (
                await organisation.revised_metrics(session, [metric_id], building=True)
            )
            graph = await input_graph(session, items.values())
            for leaf in graph.leaves(metric_id):
                if not can_look_back(graph.definition(leaf).spec):
                    what = f"the query of {graph.items[leaf].team.name}/{graph.items[leaf].metric.name}"
                    problems.append(_no_history(objective, name, what))
                    break
    if problems:
        raise InvalidTeamFile(problems)


def _no_history(objective: str, key_result: str, what: str) -> Problem:
    path = ("objectives", objective, "key_results", key_result, "baseline", "measure")
    message = f"{what} can not look back: give the metric a window, or the baseline as a number"
    return Problem(path, "no_history", message)


def _relative(problem: Problem, at: tuple[str | int, ...]) -> Problem:
    if at and problem.path[: len(at)] == at:
        return Problem(problem.path[len(at) :], problem.code, problem.message, problem.suggestion, problem.severity)
    place = pointer(problem.path)
    return Problem((), problem.code, f"{place}: {problem.message}", problem.suggestion, problem.severity)


# --- one object in the whole -----------------------------------------------------------------------------------------

_SECTIONS = {"connection": "connections", "dataset": "datasets", "metric": "metrics", "objective": "objectives"}


def _put(tree: dict[str, Any], kind: str, name: str, value: JsonValue) -> None:
    if kind == "key_result":
        if not isinstance(value, dict) or not isinstance(value.get("objective"), str):
            raise InvalidInput(
                errors=[FieldError("/objective", "required", "the name of the team's objective is expected")]
            )
        spec = dict(value)
        wanted = str(spec.pop("objective")).removeprefix(f"{tree['team']}/")
        objectives = tree.get("objectives", {})
        if wanted not in objectives:
            raise InvalidInput(errors=[FieldError("/objective", "unknown", "there is no such objective")])
        for other, objective in objectives.items():
            if other != wanted:
                objective.get("key_results", {}).pop(name, None)
        objectives[wanted].setdefault("key_results", {})[name] = spec
        return
    section = tree.setdefault(_SECTIONS[kind], {})
    if kind == "objective" and isinstance(value, dict) and "key_results" not in value and name in section:
        value = value | {"key_results": section[name].get("key_results", {})}
    section[name] = value


def _place(tree: dict[str, Any], kind: str, name: str) -> tuple[str | int, ...]:
    if kind != "key_result":
        return (_SECTIONS[kind], name)
    for objective, spec in tree.get("objectives", {}).items():
        if isinstance(spec, dict) and name in spec.get("key_results", {}):
            return ("objectives", objective, "key_results", name)
    return ()


def _remove(tree: dict[str, Any], kind: str, name: str) -> bool:
    if kind == "key_result":
        return any(
            objective.get("key_results", {}).pop(name, None) is not None
            for objective in tree.get("objectives", {}).values()
        )
    return tree.get(_SECTIONS[kind], {}).pop(name, None) is not None


async def _check_version(session: Session, team: str, kind: str, name: str, if_match: int | None) -> None:
    if if_match is None:
        return
    found = await organisation.get_team(session, team)
    rows = None if found is None else await organisation.load_team(session, found)
    row: Any = None
    if rows is not None:
        by_kind: dict[str, Mapping[str, Any]] = {
            "connection": rows.connections,
            "dataset": rows.datasets,
            "metric": rows.metrics,
            "objective": rows.objectives,
            "key_result": rows.key_results,
        }
        row = by_kind[kind].get(name)
    if row is None or row.version != if_match:
        raise VersionConflict


# --- the transaction -------------------------------------------------------------------------------------------------


async def _apply(
    session: Session,
    services: Services,
    checked: CheckedTeamFile,
    actor: str,
    prune: bool,
    managed_by: ManagedBy,
    *,
    touch: Touch | None,
    is_plan: bool,
) -> PlanView:
    assert checked.file is not None
    now = services.clock()
    file = checked.file
    known = await organisation.get_team(session, file.team)
    read_before = {} if known is None else await inputs.teams_read_by(session, known.id)
    before = await planning.note_before(session, known, read_before, now=now)
    done: Reconciled = await reconcile(
        session, file, services.connectors, actor=actor, prune=prune, managed_by=managed_by, touch=touch, now=now
    )
    await _check_history(session, done, file)
    await plan_pulls(session, done.team, services.connectors, now=now)
    # What this team asks of others' metrics, or asks no more, is for their plans to measure.
    others = read_before | await inputs.teams_read_by(session, done.team.id)
    for other in others.values():
        await plan_pulls(session, other, services.connectors, now=now)
    pulled = await pulls.pulls_of(session, {done.team.id, *others}, unused=UNUSED)
    evaluable = done.evaluable
    if is_plan:
        # Nobody waits for a plan to be built later: it does the workers' part itself.
        await apply_within(session, services)
        await build_within(session, done.building, now=now)
        evaluable = evaluable | done.building
    await evaluate(session, evaluable, now=now)
    frozen = await freeze_due(session, now=now, team_id=done.team.id)
    after = await planning.shown(session, file.team, now=now)
    baselines = await planning.baselines(session, done.team, frozen)
    stored = checked.silenced
    if touch is None:
        found = await lint_stored(
            session,
            done.team,
            file,
            connectors=services.connectors,
            pulled=pulled,
            shown_now=after,
            changes=done.changes,
            now=now,
        )
        stored = settle(file, [*checked.silenced, *found], "service")
    log.info("team.planned" if is_plan else "team.applied", team=file.team, actor=actor, changes=len(done.changes))
    return PlanView(
        team=file.team,
        is_applied=not is_plan,
        changes=done.changes,
        effects=planning.effects(before.views, after, done.changes),
        records=await planning.records_moved(session, before, done.building, now=now) if is_plan else [],
        requests=planning.requests_moved(before.pulls, pulled),
        asks=planning.questions(before.pulls, pulled),
        drift=done.drift,
        building=[] if is_plan else await planning.building(session, done.building),
        baselines=baselines,
        baselines_to_freeze=sorted({one.key_result for one in baselines if one.value is None}),
        warnings=[
            WarningView(
                pointer=pointer(warning.path), code=warning.code, detail=warning.message, silenced=warning.silenced
            )
            for warning in (*checked.warnings, *stored)
        ],
    )
