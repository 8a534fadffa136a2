"""A history as rules see it: the `record` of an entity, an event, or all events of an entity, at a past moment."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.domain.expression import Rule
from app.domain.moments import full_timestamp, parse_moment
from app.domain.records import EntityHistory, Event, EventHistory, Transition

MAX_EVENTS = 1_000
#: Where connectors put the category of the current status.
CATEGORY_FIELD = "status_category"


def fields_read(rules: Iterable[Rule | None]) -> frozenset[str] | None:
    """The names that these rules read of the record together; None where one reads it whole."""
    names: set[str] = set()
    for rule in rules:
        if rule is not None:
            if rule.fields is None:
                return None
            names |= rule.fields
    return frozenset(names)


class EntityView:
    """An entity as it was: fields with transitions rolled back, and moments that had not come yet absent.

    A text that is a whole RFC 3339 timestamp is a moment. One after `as_of` and not after the entity's last update has
    come since, so it was absent then (`resolved`, `merged_at`); one beyond the last update is a plan that was there
    all along, as far as anybody can tell.
    """

    def __init__(self, history: EntityHistory, names: frozenset[str] | None) -> None:
        self.start = history.created
        self._record: dict[str, Any] = dict(history.fields)
        read = list(self._record) if names is None else [name for name in names if name in self._record]
        for name in read:
            self._record[name] = full_timestamp(self._record[name]) or self._record[name]
        self._record |= {"id": history.entity, "entity": history.entity, "at": history.created, "link": history.link}
        self._record["created"] = history.created or parse_moment(history.fields.get("created"))
        updated = parse_moment(history.fields.get("updated"))
        self._later: dict[str, datetime] = {
            name: moment
            for name in read
            if name not in ("created", "at")
            and isinstance(moment := self._record[name], datetime)
            and (updated is None or moment <= updated)
        }
        self._changes = _changes(history, names)

    def boundaries(self) -> set[datetime]:
        """The moments after the start at which a field that is read changes."""
        moments = set(self._later.values())
        for changes in self._changes.values():
            moments.update(change.at for change in changes)
        return {moment for moment in moments if self.start is None or moment > self.start}

    def objection(self, as_of: datetime | None) -> str | None:
        """Why no rule is asked at this moment: never for an entity."""
        return None

    def record(self, as_of: datetime | None) -> dict[str, Any]:
        """The record at a moment; None is before everything that is known of it."""
        record = dict(self._record)
        for name, changes in self._changes.items():
            done = 0 if as_of is None else bisect_right(changes, as_of, key=lambda change: change.at)
            if done == 0:
                record[name] = changes[0].before
            elif done < len(changes):
                record[name] = changes[done - 1].after
            else:
                record.setdefault(name, changes[-1].after)
        for name, moment in self._later.items():
            if as_of is None or moment > as_of:
                record[name] = None
        return record


def _changes(history: EntityHistory, names: frozenset[str] | None) -> Mapping[str, Sequence[Transition]]:
    """The transitions by the name that the record gives to their field; a status takes its category along."""
    known = {name.casefold(): name for name in history.fields}
    changes: dict[str, list[Transition]] = {}
    for change in history.transitions:
        moved = [change]
        if change.field.casefold() == "status" and CATEGORY_FIELD in known:
            category = (change.before_category, change.after_category)
            moved.append(Transition(CATEGORY_FIELD, change.at, change.order, *category))
        for one in moved:
            name = known.get(one.field.casefold(), one.field)
            if names is None or name in names:
                changes.setdefault(name, []).append(one)
    return changes


def event_record(event: Event) -> dict[str, Any]:
    """The record of one event."""
    return {
        "id": event.key,
        "entity": event.entity,
        "at": event.at,
        "link": event.link,
        "event": event.event,
        "body": event.body,
        "headers": event.headers,
    }


class EventsView:
    """All events of an entity as one record: `events` (names, in order), `first`, `last`, `count`.

    A rule that reads `events` reads all of them again at every event, so it is asked up to `MAX_EVENTS` only.
    """

    def __init__(self, history: EventHistory, names: frozenset[str] | None) -> None:
        self._history = history
        self._moments = [event.at for event in history.events]
        self._reads_events = names is None or "events" in names
        self.start = self._moments[0]

    def boundaries(self) -> set[datetime]:
        """The moments after the first at which an event came."""
        return {moment for moment in self._moments if moment > self.start}

    def objection(self, as_of: datetime | None) -> str | None:
        """Why no rule is asked at this moment, None where one is."""
        is_too_long = self._reads_events and self._count(as_of) > MAX_EVENTS
        return f"more than {MAX_EVENTS} events" if is_too_long else None

    def record(self, as_of: datetime | None) -> dict[str, Any]:
        """The record of the events up to and with a moment that is not before the first."""
        count = self._count(as_of)
        events = self._history.events
        names = (event.event for event in events[:count]) if self._reads_events else ()
        return {
            "id": self._history.entity,
            "entity": self._history.entity,
            "at": events[count - 1].at,
            "link": events[count - 1].link,
            "events": [name for name in names if name is not None],
            "first": self.start,
            "last": events[count - 1].at,
            "count": count,
        }

    def _count(self, as_of: datetime | None) -> int:
        return 1 if as_of is None else bisect_right(self._moments, as_of)
