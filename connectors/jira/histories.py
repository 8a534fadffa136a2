"""Changes of status out of an issue's saves, with the categories they lead from and to. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec

from connectors.contract import Transition
from connectors.errors import UnexpectedResponseError
from connectors.jira.payloads import BulkHistory, ChangeHistory, ChangeItem, decode, moment, opened, part_of

History: TypeAlias = BulkHistory | ChangeHistory

# Two dozen statuses lead to a few hundred changes; where a site makes more, they are read again.
_MOST_MOVES = 4_096


class Move(NamedTuple):
    """A change of status among the items of a save. `is_known`: the site has the status it leads to."""

    position: int
    before: str | None
    after: str | None
    before_category: str | None
    after_category: str | None
    is_known: bool


class StatusCategories:
    """The category of a status: by its id where history still knows it, else by its name where that is unambiguous."""

    def __init__(self, statuses: Iterable[tuple[str, str, str | None]]) -> None:
        self._by_id: dict[str, tuple[str, str | None]] = {}
        #: What statuses were called where it was met, and what the site calls them now.
        self.renamed: dict[str, str] = {}
        by_name: dict[str, set[str | None]] = {}
        for status_id, name, category in statuses:
            self._by_id[status_id] = (name, category)
            by_name.setdefault(name, set()).add(category)
        self._by_name = {name: next(iter(found)) for name, found in by_name.items() if len(found) == 1}
        self._moves: dict[bytes, tuple[Move, ...]] = {}

    def knows(self, status_id: str | None, name: str | None) -> bool:
        """Whether the site has the status."""
        return status_id in self._by_id or name in self._by_name

    def category(self, status_id: str | None, name: str | None) -> str | None:
        """`to_do`, `in_progress` or `done`; None where the site no longer knows the status."""
        found = self._by_id.get(status_id) if status_id is not None else None
        if found is not None:
            if name is not None and name != found[0]:
                self.renamed[name] = found[0]
            return found[1]
        return self._by_name.get(name) if name is not None else None

    def of(self, status: Any) -> str | None:
        """The category of a status as an issue has it."""
        if type(status) is msgspec.Raw:
            status = opened(status)
        return self.category(part_of(status, "id"), part_of(status, "name"))

    def moves(self, history: History) -> tuple[Move, ...]:
        """The changes of status of one save, in their order."""
        items = history.items
        if isinstance(items, list):
            return self._among(items)
        text = bytes(items)
        return self._moves.get(text) or self._read(text)

    def _read(self, text: bytes) -> tuple[Move, ...]:
        if len(self._moves) >= _MOST_MOVES:
            self._moves.clear()
        found = self._moves[text] = self._among(decode(text, list[ChangeItem], "changelogs"))
        return found

    def _among(self, items: Sequence[ChangeItem]) -> tuple[Move, ...]:
        return tuple(
            Move(
                position,
                item.before,
                item.after,
                self.category(item.before_id, item.before),
                self.category(item.after_id, item.after),
                self.knows(item.after_id, item.after),
            )
            for position, item in enumerate(items)
            if (item.fieldId or item.field) == "status"
        )


def status_transitions(histories: Sequence[History], categories: StatusCategories) -> tuple[Transition, ...]:
    """The status changes of one issue in order of their moments, equal moments in the order of Jira's history ids."""
    moves_of = categories.moves
    # Moment, history, position in it; then what tells equal ones apart, so that moves are never compared.
    places = [
        (moment(history.created), _number(history.id), move.position, count, move)
        for count, history in enumerate(histories)
        for move in moves_of(history)
    ]
    places.sort()
    found: list[Transition] = []
    last: tuple[datetime, int, int] | None = None
    for at, number, position, _, (_, before, after, before_category, after_category, _) in places:
        if last is not None and number == last[1] and position == last[2] and at == last[0]:
            continue  # a history that comes twice counts once
        last = (at, number, position)
        found.append(Transition("status", at, len(found), before, after, before_category, after_category))
    return tuple(found)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UnexpectedResponseError(f"Jira sent a history whose id is no number: {text[:40]!r}.") from error
