"""Where the objectives of the cascade are drawn: those above on top, each level as near to what it serves as can be."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from app.services.views import AlignmentEdgeView, AlignmentView, ObjectiveNodeView

BOX_WIDTH, BOX_HEIGHT = 248, 100
_GAP, _LEVEL, _MARGIN = 24, 168, 12


@dataclass(frozen=True, slots=True)
class Box:
    """An objective and the left upper corner of its box, in pixels."""

    node: ObjectiveNodeView
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Line:
    """An edge from the top of one box to the bottom of another, as an SVG path."""

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
    rows: dict[int, list[ObjectiveNodeView]] = defaultdict(list)
    for node in view.nodes:
        rows[levels[node.id]].append(node)
    widest = max((len(row) for row in rows.values()), default=0)
    width = max(2 * _MARGIN + widest * (BOX_WIDTH + _GAP) - _GAP, 2 * _MARGIN)
    centres: dict[str, float] = {}
    boxes = []
    for level in sorted(rows):
        row = sorted(rows[level], key=lambda node: (_mean(above[node.id], centres), node.team, node.id))
        left = (width - (len(row) * (BOX_WIDTH + _GAP) - _GAP)) // 2
        for index, node in enumerate(row):
            x = left + index * (BOX_WIDTH + _GAP)
            centres[node.id] = x + BOX_WIDTH / 2
            boxes.append(Box(node, x, _MARGIN + level * _LEVEL))
    places = {box.node.id: box for box in boxes}
    lines = [
        Line(edge, _path(places[edge.source], places[edge.target]))
        for edge in view.edges
        if edge.source in places and edge.target in places
    ]
    height = 2 * _MARGIN + (max(rows, default=0)) * _LEVEL + BOX_HEIGHT
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
    x1, y1 = source.x + BOX_WIDTH // 2, source.y
    x2, y2 = target.x + BOX_WIDTH // 2, target.y + BOX_HEIGHT + 7
    bend = max((y1 - y2) // 2, 18)
    return f"M{x1} {y1} C{x1} {y1 - bend} {x2} {y2 + bend} {x2} {y2}"
