"""Changes of status out of an issue's saves, with the categories they lead from and to. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from operator import lt
from typing import Any, NamedTuple, TypeAlias

import msgspec

from connectors.contract import Transition
from connectors.errors import UnexpectedResponseError
from connectors.jira.payloads import BulkHistory, ChangeHistory, ChangeItem, decode, moments, opened, part_of
from connectors.jira.texts import KnownTexts

History: TypeAlias = BulkHistory | ChangeHistory

# Two dozen statuses lead to a few hundred changes; where a site makes more, they are read again.
_MOST_MOVES = 4_096


class Move(NamedTuple):
    """A change of status among the items of a save. `is_known`: the site has the status it leads to."""

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
        self._moves = KnownTexts(self._moves_of, _MOST_MOVES)
        self._of = KnownTexts(self._category_of, _MOST_MOVES)

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
            return self._of[bytes(status)]
        return self.category(part_of(status, "id"), part_of(status, "name"))

    def _category_of(self, text: bytes) -> str | None:
        return self.of(opened(text))

    def moves(self, histories: Iterable[History]) -> list[tuple[Move, ...]]:
        """The changes of status of each save, in their order."""
        known = self._moves
        return [
            known[bytes(history.items)] if isinstance(history, BulkHistory) else self._among(history.items)
            for history in histories
        ]

    def _moves_of(self, text: bytes) -> tuple[Move, ...]:
        return self._among(decode(text, list[ChangeItem], "changelogs"))

    def _among(self, items: Sequence[ChangeItem]) -> tuple[Move, ...]:
        return tuple(
            Move(
                item.before,
                item.after,
                self.category(item.before_id, item.before),
                self.category(item.after_id, item.after),
                self.knows(item.after_id, item.after),
            )
            for item in items
            if (item.fieldId or item.field) == "status"
        )


def status_transitions(
    logs: Sequence[Sequence[History]], categories: StatusCategories
) -> Iterator[tuple[Transition, ...]]:
    """The status changes of each of some issues, by their histories, in order of their moments, equal moments in the
    order of Jira's history ids."""
    # All at once: what is done for a single save is done for tens of thousands.
    histories = [history for log in logs for history in log]
    ats = iter(moments([history.created for history in histories]))
    moves = iter(categories.moves(histories))
    for log in logs:
        yield _in_order(log, list(islice(ats, len(log))), list(islice(moves, len(log))))


def _in_order(
    log: Sequence[History], ats: Sequence[datetime], moves: Sequence[tuple[Move, ...]]
) -> tuple[Transition, ...]:
    saves: Iterable[tuple[datetime, tuple[Move, ...]]] = zip(ats, moves, strict=True)
    if not all(map(lt, ats, ats[1:])):
        # By history, so that one that comes twice counts once.
        numbered = {(at, _number(save.id)): moved for save, (at, moved) in zip(log, saves, strict=True)}
        saves = [(key[0], numbered[key]) for key in sorted(numbered)]
    changes = enumerate([(at, move) for at, moved in saves for move in moved])
    return tuple(
        [
            Transition("status", at, order, before, after, before_category, after_category)
            for order, (at, (before, after, before_category, after_category, _)) in changes
        ]
    )


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UnexpectedResponseError(f"Jira sent a history whose id is no number: {text[:40]!r}.") from error
