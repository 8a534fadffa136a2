"""Where the objectives of the cascade are drawn: from left to right, each level as near to what it serves as can be.

However many teams there are, a page grows downwards; a cascade is only a few levels deep."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from app.services.views import AlignmentEdgeView, AlignmentView, ObjectiveNodeView

BOX_WIDTH, BOX_HEIGHT = 280, 100
_GAP, _LEVEL, _MARGIN = 20, 392, 12


@dataclass(frozen=True, slots=True)
class Box:
    """An objective and the left upper corner of its box, in pixels."""

    node: ObjectiveNodeView
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Line:
    """An edge from the left side of one box to the right side of another, as an SVG path."""

    edge: AlignmentEdgeView
    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The whole graph with its size."""

    width: int
    height: int
    boxes: Sequence[Box]
    lines: Sequence[Line]


def draw(view: AlignmentView) -> Drawing:
    """Lay the graph out in levels."""
    above = _above(view)
    levels = _levels(view, above)
    columns: dict[int, list[ObjectiveNodeView]] = defaultdict(list)
    for node in view.nodes:
        columns[levels[node.id]].append(node)
    longest = max((len(column) for column in columns.values()), default=0)
    height = 2 * _MARGIN + max(longest * (BOX_HEIGHT + _GAP) - _GAP, 0)
    centres: dict[str, float] = {}
    boxes = []
    for level in sorted(columns):
        column = sorted(columns[level], key=lambda node: (_mean(above[node.id], centres), node.team, node.id))
        top = (height - (len(column) * (BOX_HEIGHT + _GAP) - _GAP)) // 2
        for index, node in enumerate(column):
            y = top + index * (BOX_HEIGHT + _GAP)
            centres[node.id] = y + BOX_HEIGHT / 2
            boxes.append(Box(node, _MARGIN + level * _LEVEL, y))
    places = {box.node.id: box for box in boxes}
    lines = [
        Line(edge, _path(places[edge.source], places[edge.target]))
        for edge in view.edges
        if edge.source in places and edge.target in places
    ]
    width = 2 * _MARGIN + max(columns, default=0) * _LEVEL + BOX_WIDTH
    return Drawing(width, height, boxes, lines)


def _above(view: AlignmentView) -> dict[str, list[str]]:
    known = {node.id for node in view.nodes}
    above: dict[str, list[str]] = {node.id: [] for node in view.nodes}
    for edge in view.edges:
        if edge.source in known and edge.target in known:
            above[edge.source].append(edge.target)
    return above


def _levels(view: AlignmentView, above: dict[str, list[str]]) -> dict[str, int]:
    """How far below the top each one stands; the graph has no circles, and if it had, this would end all the same."""
    levels = {node.id: 0 for node in view.nodes}
    for _ in levels:
        moved = False
        for name, targets in above.items():
            level = max((levels[target] + 1 for target in targets), default=0)
            if level > levels[name]:
                levels[name], moved = min(level, len(levels)), True
        if not moved:
            break
    return levels


def _mean(names: Sequence[str], centres: dict[str, float]) -> float:
    known = [centres[name] for name in names if name in centres]
    return sum(known) / len(known) if known else 0.0


def _path(source: Box, target: Box) -> str:
    x1, y1 = source.x, source.y + BOX_HEIGHT // 2
    x2, y2 = target.x + BOX_WIDTH + 7, target.y + BOX_HEIGHT // 2
    bend = max((x1 - x2) // 2, 18)
    return f"M{x1} {y1} C{x1 - bend} {y1} {x2 + bend} {y2} {x2} {y2}"
