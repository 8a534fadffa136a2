"""The cascade: which objectives support which others, and which weigh in their progress.

`supports` is shown and never added up; `contributes_to` weighs. Neither may come back to where it started.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from app.domain.rollup import Part, RollUp, objective_part, rollup

STANDS_ALONE = "the objective stands alone: contributions are shown beside its own key results"


@dataclass(frozen=True, slots=True)
class Edge:
    """From an objective to the one above it, both as `team/name`; the weight matters for contributions only."""

    source: str
    target: str
    kind: Literal["supports", "contributes_to"]
    weight: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class ObjectiveNode:
    """An objective's own parts. `left_out` says why it weighs nowhere: paused or dropped."""

    parts: Sequence[Part]
    stands_alone: bool = False
    left_out: str | None = None


def find_cycle(edges: Iterable[Edge]) -> tuple[str, ...] | None:
    """The names along a way that leads back to its start (which is first and last), or None. Edges of both kinds count;
    the same edges give the same answer in any order."""
    above: dict[str, set[str]] = {}
    for edge in edges:
        above.setdefault(edge.source, set()).add(edge.target)
    done: set[str] = set()
    for start in sorted(above):
        # Depth first with a stack of its own: a cascade may be deeper than Python's.
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            name, is_left = stack.pop()
            if is_left:
                on_path.discard(path.pop())
                done.add(name)
            elif name in on_path:
                return (*path[path.index(name) :], name)
            elif name not in done:
                path.append(name)
                on_path.add(name)
                stack.append((name, True))
                stack.extend((target, False) for target in sorted(above.get(name, ()), reverse=True))
    return None


def roll_up_all(objectives: Mapping[str, ObjectiveNode], edges: Iterable[Edge]) -> dict[str, RollUp]:
    """Every objective's roll-up, those that contribute before those they contribute to.

    Edges from or to an objective that is not given are left out. ValueError for a cycle of contributions.
    """
    weighing = [
        edge
        for edge in edges
        if edge.kind == "contributes_to" and edge.source in objectives and edge.target in objectives
    ]
    cycle = find_cycle(weighing)
    if cycle is not None:
        raise ValueError(f"contributions go round in a circle: {' → '.join(cycle)}")
    below: dict[str, list[Edge]] = {name: [] for name in objectives}
    for edge in sorted(weighing, key=lambda item: item.source):
        below[edge.target].append(edge)
    rolled: dict[str, RollUp] = {}
    for name in _bottom_up(objectives, below):
        node = objectives[name]
        rolled[name] = rollup([*node.parts, *_contributions(node, below[name], objectives, rolled)])
    return rolled


def _contributions(
    node: ObjectiveNode, edges: Sequence[Edge], objectives: Mapping[str, ObjectiveNode], rolled: Mapping[str, RollUp]
) -> list[Part]:
    parts = [
        objective_part(edge.source, edge.weight, rolled[edge.source], objectives[edge.source].left_out)
        for edge in edges
    ]
    return [replace(part, left_out=part.left_out or STANDS_ALONE) for part in parts] if node.stands_alone else parts


def _bottom_up(names: Collection[str], below: Mapping[str, Sequence[Edge]]) -> list[str]:
    above: dict[str, list[str]] = {}
    waiting = {name: len(below[name]) for name in names}
    for edges in below.values():
        for edge in edges:
            above.setdefault(edge.source, []).append(edge.target)
    ready = [name for name in names if not waiting[name]]
    order: list[str] = []
    while ready:
        name = ready.pop()
        order.append(name)
        for target in above.get(name, ()):
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return order
