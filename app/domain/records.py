"""What is kept of a tool, as the domain sees it, and the facts that extraction makes of it.

An *entity* has the newest version of its fields and its transitions; an *event* belongs to an entity and keeps its own
moment. All moments are aware UTC; JSON numbers are int or Decimal, never float.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

JsonValue: TypeAlias = "None | bool | int | Decimal | str | list[JsonValue] | dict[str, JsonValue]"


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one field. `order` keeps the source's order where moments are equal."""

    field: str
    at: datetime
    order: int
    before: str | None
    after: str | None
    before_category: str | None = None
    after_category: str | None = None


@dataclass(frozen=True, slots=True)
class EntityHistory:
    """The newest version of one entity with its transitions (sorted by `(at, order)`); `name` is what people say."""

    entity: str
    name: str
    created: datetime | None
    fields: Mapping[str, JsonValue]
    transitions: Sequence[Transition] = ()
    link: str | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One accepted event of an entity. `key` is unique in its dataset; `order` keeps arrival where moments are equal.

    `at_is_receipt`: it named no moment of its own that could be read, so `at` is when it was received. `is_deletion`:
    the entity was deleted in the tool, so what happened to it up to then counts no more.
    """

    key: str
    entity: str
    at: datetime
    event: str | None
    body: JsonValue
    headers: Mapping[str, str]
    order: int = 0
    link: str | None = None
    at_is_receipt: bool = False
    is_deletion: bool = False


@dataclass(frozen=True, slots=True)
class EventHistory:
    """All events of one entity (sorted by `(at, order, key)`)."""

    entity: str
    events: Sequence[Event] = ()


History: TypeAlias = EntityHistory | EventHistory


@dataclass(frozen=True, slots=True)
class Fact:
    """What one subject (an entity, or one event of it) contributes to one part of a metric, or why it is left out.

    Time runs on two axes. `valid_from`/`valid_to` say when this was true in the world: a ticket resolved on the 3rd and
    again on the 9th has one fact valid from the 3rd to the 9th and another from the 9th on. When it was *known* is the
    store's to keep (`recorded_from`/`recorded_to`).

    * `at` places it in a window; None for a left-out subject that has no such moment.
    * `value` is exact, durations in seconds; None with `reason` means left out.
    * `group` is what a `distinct` aggregate counts.
    * `since` is set for what is measured with the clock. An unfinished duration counts from then to the moment of
      evaluation: `value` and `reason` are None. A stretch in one state (`group`) lasts from then to `at`, which is None
      while nothing has ended it: `value` is 1 in a good state, 0 in another, None with a reason where not measured.
    """

    part: str
    subject: str
    entity: str
    at: datetime | None
    value: Decimal | None
    reason: str | None
    valid_from: datetime | None
    valid_to: datetime | None
    label: str
    link: str | None = None
    group: str | None = None
    since: datetime | None = None
