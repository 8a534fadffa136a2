"""The cascade: objectives of all teams, what each brings to those above it, and the whole as a graph."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from app.domain.alignment import Edge, ObjectiveNode, find_cycle, roll_up_all
from app.domain.rollup import Part, RollUp, key_result_part
from app.services.definitions import team_cycle
from app.services.read import Judged, cycle_view, judge_rows, number
from app.services.read.key_results import judged_at
from app.services.views import (
    AlignmentEdgeView,
    AlignmentView,
    ContributionView,
    ObjectiveNodeView,
    PartView,
    RollUpView,
)
from app.store import organisation
from app.store.database import Session
from app.store.organisation import KeyResultFilter
from app.store.tables import Objective, Team

Owned = tuple[Objective, Team]


def edges_of(objective: Objective, team: Team) -> list[Edge]:
    """What an objective supports and contributes to, as it was written down."""
    source, spec = f"{team.name}/{objective.name}", objective.spec
    return [
        *(Edge(source, target, "supports") for target in spec.get("supports", ())),
        *(Edge(source, target, "contributes_to", weight) for target, weight in contributions_of(spec)),
    ]


def contributions_of(spec: Mapping[str, Any]) -> list[tuple[str, Decimal]]:
    """`contributes_to` of a stored objective: each objective with its weight."""
    return [
        (item, Decimal(1)) if isinstance(item, str) else (item["objective"], Decimal(item.get("weight", 1)))
        for item in spec.get("contributes_to", ())
    ]


@dataclass(frozen=True, slots=True)
class Cascade:
    """Objectives with all that contributes to them: what was judged, and what it adds up to, by the objective's id."""

    judged: Mapping[int, Sequence[Judged]]
    rolled: Mapping[int, RollUp]
    below: Mapping[int, Sequence[tuple[Owned, Decimal]]]
    """The objectives that contribute to one, each with its weight."""


async def cascade(
    session: Session,
    wanted: Sequence[Owned],
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Cascade:
    """Judge and roll up some objectives with everything below them, of any team, in a fixed number of queries.

    To a current objective the current ones contribute; to one of a past cycle, those whose cycles overlap with its.
    """
    below = _below(wanted, await _every_objective(session))
    members = {objective.id: (objective, team) for objective, team in wanted}
    for found in below.values():
        members |= {objective.id: (objective, team) for (objective, team), _ in found}
    rows = await organisation.key_result_rows(session, KeyResultFilter(objective_ids=list(members), current_only=False))
    judged: dict[int, list[Judged]] = defaultdict(list)
    at = judged_at(now, as_of, known_at)
    for item in await judge_rows(session, rows, now=at, as_of=as_of, known_at=known_at):
        judged[item.row.objective.id].append(item)
    for found_here in judged.values():
        found_here.sort(key=lambda item: item.row.key_result.position)
    nodes = {
        str(identity): ObjectiveNode(
            parts=[_part(item) for item in judged.get(identity, ())],
            stands_alone=bool(objective.spec.get("stand_alone")),
            left_out=left_out(objective.spec),
        )
        for identity, (objective, _) in members.items()
    }
    edges = [
        Edge(str(child.id), str(parent), "contributes_to", weight)
        for parent, found in below.items()
        for (child, _), weight in found
    ]
    rolled = roll_up_all(nodes, _without_circles(edges))
    return Cascade(judged, {int(name): one for name, one in rolled.items()}, below)


async def _every_objective(session: Session) -> Sequence[Owned]:
    return await organisation.list_objectives(session, limit=1_000_000, current_only=False)


def left_out(spec: Mapping[str, Any]) -> str | None:
    """Why an objective weighs nowhere: it is paused or dropped."""
    if spec.get("dropped"):
        return f"dropped: {spec['dropped']}"
    return f"paused: {spec['paused']}" if spec.get("paused") else None


def _part(item: Judged) -> Part:
    return key_result_part(item.view.id, item.spec.weight, item.judgement)


def _below(wanted: Sequence[Owned], every: Sequence[Owned]) -> dict[int, list[tuple[Owned, Decimal]]]:
    """By objective: those that contribute to it, for the wanted ones and all that is found on the way down."""
    contributing: dict[str, list[tuple[Owned, Decimal]]] = defaultdict(list)
    for objective, team in every:
        for target, weight in contributions_of(objective.spec):
            contributing[target].append(((objective, team), weight))
    found: dict[int, list[tuple[Owned, Decimal]]] = {}
    waiting = list(wanted)
    while waiting:
        parent, team = waiting.pop()
        if parent.id in found:
            continue
        found[parent.id] = _instances(parent, team, contributing.get(f"{team.name}/{parent.name}", ()))
        waiting += [child for child, _ in found[parent.id]]
    return found


def _instances(parent: Objective, team: Team, found: Sequence[tuple[Owned, Decimal]]) -> list[tuple[Owned, Decimal]]:
    """One instance of each objective that contributes."""
    if parent.is_current:
        return [item for item in found if item[0][0].is_current]
    span = team_cycle(team, parent.cycle)
    latest: dict[tuple[int, str], tuple[datetime, tuple[Owned, Decimal]]] = {}
    for item in found:
        child, owner = item[0]
        cycle = team_cycle(owner, child.cycle)
        key = (owner.id, child.name)
        if cycle.start < span.end and span.start < cycle.end and (key not in latest or latest[key][0] < cycle.start):
            latest[key] = (cycle.start, item)
    return [item for _, item in latest.values()]


def _without_circles(edges: Sequence[Edge]) -> list[Edge]:
    """Two teams that were changed at the same moment can have closed a circle: it is cut where it begins."""
    kept = list(edges)
    while (way := find_cycle(kept)) is not None:
        first = next(pairwise(way))
        kept = [edge for edge in kept if (edge.source, edge.target) != first]
    return kept


# --- views -----------------------------------------------------------------------------------------------------------


def roll_up_view(rolled: RollUp, names: Mapping[str, str | None]) -> RollUpView:
    """A roll-up with its parts; `names` are those of the contributing objectives by id, None for a private one."""
    parts = []
    for share in rolled.parts:
        part = share.part
        is_private = part.kind == "objective" and names.get(part.name) is None
        parts.append(
            PartView(
                id=names.get(part.name) if part.kind == "objective" else part.name,
                kind=part.kind,
                weight=part.weight,
                share=number(share.share) or 0.0,
                progress=None if is_private else number(share.contribution),
                status=None if is_private else part.status,
                coverage=number(part.coverage) or 0.0,
                reason="it is of a private team" if is_private else part.left_out or _unknown(part),
            )
        )
    return RollUpView(
        progress=number(rolled.progress), status=rolled.status, coverage=number(rolled.coverage) or 0.0, parts=parts
    )


def _unknown(part: Part) -> str | None:
    return "its progress is not known" if part.contribution is None else None


def contribution_views(
    found: Sequence[tuple[Owned, Decimal]], rolled: Mapping[int, RollUp], hidden: Collection[str]
) -> list[ContributionView]:
    """The objectives that contribute to one, but those of teams that are hidden from the reader."""
    return [
        ContributionView(
            objective=f"{team.name}/{child.name}",
            cycle=child.cycle,
            weight=weight,
            progress=number(rolled[child.id].progress),
            status=rolled[child.id].status,
            coverage=number(rolled[child.id].coverage) or 0.0,
        )
        for (child, team), weight in found
        if team.name not in hidden
    ]


async def alignment(
    session: Session,
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    team: str | None = None,
    cycle: str | None = None,
    hidden: Collection[str] = (),
    within: str | None = None,
) -> AlignmentView:
    """The cascade as a graph of current objectives: of all, or of a team or a cycle (its instances) with whatever those
    are tied to directly. Nothing of `hidden` teams is shown, nor, with `within`, of any other than that one."""
    known: dict[str, Owned] = {}
    for objective, owner in await _every_objective(session):
        is_asked = objective.cycle == cycle
        if owner.name in hidden or (within is not None and owner.name != within):
            continue
        if is_asked or (objective.is_current and f"{owner.name}/{objective.name}" not in known):
            known[f"{owner.name}/{objective.name}"] = (objective, owner)
    asked = {
        name
        for name, (objective, owner) in known.items()
        if (team is None or owner.name == team) and (cycle is None or objective.cycle == cycle)
    }
    edges = [
        edge
        for objective, owner in known.values()
        for edge in edges_of(objective, owner)
        if edge.target in known and (edge.source in asked or edge.target in asked)
    ]
    shown = asked | {end for edge in edges for end in (edge.source, edge.target)}
    every = [one for name, one in known.items() if name in shown]
    found = await cascade(session, every, now=now, as_of=as_of, known_at=known_at)
    return AlignmentView(
        nodes=[
            ObjectiveNodeView(
                id=f"{owner.name}/{objective.name}",
                title=objective.spec["title"],
                team=owner.name,
                cycle=cycle_view(team_cycle(owner, objective.cycle), owner),
                focus=objective.spec.get("focus"),
                progress=number(found.rolled[objective.id].progress),
                status=found.rolled[objective.id].status,
                coverage=number(found.rolled[objective.id].coverage) or 0.0,
                key_results=len(found.judged.get(objective.id, ())),
                stand_alone=bool(objective.spec.get("stand_alone")),
            )
            for objective, owner in sorted(every, key=lambda one: (one[1].name, one[0].position, one[0].name))
        ],
        edges=[
            AlignmentEdgeView.model_validate(
                {"from": edge.source, "to": edge.target, "kind": edge.kind, "weight": edge.weight}
            )
            for edge in sorted(edges, key=lambda edge: (edge.source, edge.target, edge.kind))
        ],
    )
