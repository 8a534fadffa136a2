"""The moments at which a duration can start or end: entering a status or category, a field's moment, an event."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.expression import RuleError
from app.domain.language import Edge
from app.domain.moments import parse_moment
from app.domain.records import EntityHistory, History, Transition
from app.domain.views import CATEGORY_FIELD


@dataclass(frozen=True, slots=True)
class Moment:
    """When an edge was passed. `is_done`: by entering a status of the category done."""

    at: datetime
    is_done: bool = False


class StatusHistory:
    """The statuses of an entity in time.

    An entity created directly in a status entered it when it was created: the first is what the first transition left,
    or the current one where there is no transition.
    """

    def __init__(self, history: EntityHistory) -> None:
        changes = [change for change in history.transitions if change.field.casefold() == "status"]
        first = _first(history, changes)
        self.entries: Sequence[Transition] = [first, *changes] if first is not None else changes
        self._moments = [entry.at for entry in self.entries]

    def category(self, as_of: datetime) -> str | None:
        """The category at a moment, None where it had none that is known."""
        count = bisect_right(self._moments, as_of)
        return self.entries[count - 1].after_category if count else None

    @property
    def moments(self) -> Sequence[datetime]:
        """When the status changed, the first included."""
        return self._moments


def _first(history: EntityHistory, changes: Sequence[Transition]) -> Transition | None:
    if changes:
        status, category = changes[0].before, changes[0].before_category
        # A history that was imported can begin before its entity was created.
        at = min(history.created, changes[0].at) if history.created is not None else None
    else:
        fields = {name.casefold(): value for name, value in history.fields.items()}
        status = _text(fields.get("status"))
        category = _category(fields.get(CATEGORY_FIELD))
        at = history.created
    if at is None or (status is None and category is None):
        return None
    return Transition("status", at, -1, None, status, None, category)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _category(value: object) -> str | None:
    name = value.strip().casefold().replace(" ", "_") if isinstance(value, str) else None
    return name if name in ("to_do", "in_progress", "done") else None


def check_edge(edge: Edge, shape: Literal["events", "entities"]) -> None:
    """RuleError for an edge that a dataset of this shape can not have."""
    if (edge.event is not None) != (shape == "events"):
        wanted = "an event" if shape == "events" else "a status, a category or a field"
        raise RuleError(f"a dataset of {shape} is measured from and to {wanted}")


def edge_moments(edge: Edge, history: History, statuses: StatusHistory | None) -> list[Moment]:
    """Every moment at which the edge was passed, ascending. Names of statuses match whatever their case."""
    if not isinstance(history, EntityHistory):
        wanted = _names(edge.event)
        return [Moment(event.at) for event in history.events if event.event in wanted]
    if edge.field is not None:
        at = history.created if edge.field in ("created", "at") else None
        at = at or parse_moment(history.fields.get(edge.field))
        return [] if at is None else [Moment(at)]
    entries = statuses.entries if statuses is not None else ()
    if edge.category is not None:
        category = edge.category
        entered = [e for e in entries if e.after_category == category and e.before_category != category]
    else:
        names = {name.casefold() for name in _names(edge.status)}
        entered = [e for e in entries if _folded(e.after) in names and _folded(e.after) != _folded(e.before)]
    return [Moment(entry.at, entry.after_category == "done") for entry in entered]


def _names(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names or ()


def _folded(name: str | None) -> str | None:
    return None if name is None else name.casefold()
