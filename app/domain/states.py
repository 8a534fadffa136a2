"""The states of one entity in time, as stretches that can be measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby, zip_longest
from typing import Literal

from app.domain.edges import StatusHistory
from app.domain.expression import RuleError
from app.domain.language import StateShareSource
from app.domain.moments import format_moment
from app.domain.records import EntityHistory, History
from app.domain.timeline import Outcome, Timeline

NO_STATE = "no state"


def check_states(source: StateShareSource, shape: Literal["events", "entities"]) -> None:
    """RuleError for states that a dataset of this shape can not tell apart: statuses match whatever their case."""
    if shape == "events":
        return
    excluded = {name.casefold() for name in source.exclude}
    for name in source.good:
        if name.casefold() in excluded:
            raise RuleError(f"the status {name!r} is both good and excluded")


@dataclass(frozen=True, slots=True)
class StateIntervals:
    """One subject per stretch in one state, from its first moment on; `at` is its end, None for the last one.

    An event puts its entity into the state of its name, a transition into the status it leads to. Of equal moments the
    last one holds. What is not measured, and why:

    * `state maintenance is excluded`: by name.
    * `no state`: an event without a name, a status that nobody knows.

    A stretch is told once, with the end that is known now: whoever reads it at an earlier moment cuts it there.
    """

    source: StateShareSource

    def timelines(self, history: History) -> Iterator[Timeline]:
        is_entity = isinstance(history, EntityHistory)
        name = history.name if isinstance(history, EntityHistory) else history.entity
        if self.source.of is not None and self.source.of not in (history.entity, name):
            return
        good, excluded = ({_key(one, is_entity) for one in names} for names in (self.source.good, self.source.exclude))
        for start, end, state, link in _stretches(history):
            key = _key(state, is_entity)
            value, reason = None, None
            if state is None:
                reason = NO_STATE
            elif key in excluded:
                reason = f"state {state} is excluded"
            else:
                value = Decimal(key in good)
            outcome = Outcome(end, value=value, reason=reason, group=state, since=start)
            subject = f"{history.entity} {format_moment(start)}"
            yield Timeline(subject, history.entity, name, link, [(start, outcome)])


def _key(state: str | None, is_entity: bool) -> str | None:
    return state.casefold() if is_entity and state is not None else state


def _stretches(history: History) -> Iterator[tuple[datetime, datetime | None, str | None, str | None]]:
    """(start, end, state, link), ascending; neighbours in the same state made one, the last one without an end."""
    changes: list[tuple[datetime, str | None, str | None]]
    if isinstance(history, EntityHistory):
        changes = [(entry.at, entry.after, history.link) for entry in StatusHistory(history).entries]
    else:
        changes = [(event.at, event.event, event.link) for event in history.events]
    last_of_moment = [list(group)[-1] for _, group in groupby(changes, key=lambda change: change[0])]
    entered = [next(group) for _, group in groupby(last_of_moment, key=lambda change: change[1])]
    ends = [start for start, _, _ in entered[1:]]
    for (start, state, link), end in zip_longest(entered, ends):
        yield start, end, state, link
