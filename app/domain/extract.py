"""From what is kept of a tool to what it adds to a metric: records and events in, facts out. Pure.

A fact says from when to when it was true in the world, so the facts that are valid at some `as_of` are what the rules
give for the history cut to what had happened by then: events up to that moment, statuses rolled back, entities created.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Protocol

from app.domain.calendar import BusinessCalendar
from app.domain.durations import Durations, where_reason
from app.domain.edges import check_edge
from app.domain.expression import Rule, RuleError, RuleValue, compile_rule
from app.domain.language import AggregateSpec, DatasetSource, Distinct, DurationSource, Edge, StateShareSource
from app.domain.moments import format_moment, parse_moment
from app.domain.records import EntityHistory, EventHistory, Fact, History
from app.domain.states import StateIntervals, check_states
from app.domain.timeline import Outcome, Timeline
from app.domain.views import EntityView, EventsView, event_record, fields_read

_ONE = Decimal(1)
MAX_GROUP = 500
MAX_DIGITS = 28


class Extraction(Protocol):
    """A source form that knows the subjects of a history."""

    def timelines(self, history: History) -> Iterator[Timeline]: ...


@dataclass(frozen=True, slots=True)
class PartExtraction:
    """The compiled rules of one part of a metric (`value`; of a ratio `good` and `total`)."""

    name: str
    source: Extraction

    def facts(self, history: History, *, horizon: datetime | None = None) -> tuple[Fact, ...]:
        """The facts of one entity: per subject without overlap or gap from its beginning on, the last one open.

        Facts that ended at or before `horizon` are left out: nobody asks about a moment before it. A deleted entity
        has no facts. Never raises for data: a rule that fails on a record leaves it out and says so.
        """
        if isinstance(history, EntityHistory) and history.is_deleted:
            return ()
        timelines = self.source.timelines(history)
        return tuple(fact for timeline in timelines for fact in timeline.facts(self.name, horizon))


#: What every record has by itself, whatever is asked of its tool.
OWN_NAMES = frozenset({"id", "entity", "at", "link", "name", "status_category"})


def fields_needed(source: DatasetSource, aggregate: AggregateSpec | None) -> frozenset[str]:
    """The names of an entity's fields that a part reads, so that its tool can be asked for them."""
    if isinstance(source, StateShareSource):
        return frozenset()
    texts = [source.where]
    edges: list[Edge] = []
    if isinstance(source, DurationSource):
        edges = [source.from_, source.to]
    else:
        texts += [source.value, source.at, aggregate.distinct if isinstance(aggregate, Distinct) else None]
    names = fields_read([_compiled(text) for text in texts]) or frozenset()
    return (names | {edge.field for edge in edges if edge.field is not None}) - OWN_NAMES


def compile_part(
    name: str,
    source: DatasetSource,
    aggregate: AggregateSpec | None,
    dataset_shape: Literal["events", "entities"],
    calendar: BusinessCalendar | None,
) -> PartExtraction:
    """The extraction of one part. With a calendar, durations count business seconds, without one wall seconds.

    Raises RuleError for rules that do not compile or do not fit the dataset.
    """
    if isinstance(source, StateShareSource):
        check_states(source, dataset_shape)
        return PartExtraction(name, StateIntervals(source))
    where = _compiled(source.where)
    if isinstance(source, DurationSource):
        check_edge(source.from_, dataset_shape)
        check_edge(source.to, dataset_shape)
        return PartExtraction(name, Durations(source, where, calendar))
    contribution = Contribution(
        where=where,
        value=_compiled(source.value),
        at=_compiled(source.at),
        is_counted=aggregate in (None, "count"),
        distinct=_compiled(aggregate.distinct) if isinstance(aggregate, Distinct) else None,
    )
    if source.per is not None and dataset_shape != "events":
        raise RuleError("per: entity is for a dataset of events")
    if dataset_shape == "entities":
        return PartExtraction(name, EntityRecords(contribution))
    if source.per is not None:
        return PartExtraction(name, EventsPerEntity(contribution))
    return PartExtraction(name, EventRecords(contribution))


def _compiled(text: str | None) -> Rule | None:
    return None if text is None else compile_rule(text, ("record",))


# --- one record ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a record adds: its value (1 when records are counted), its moment, and its group for a distinct count."""

    where: Rule | None
    value: Rule | None
    at: Rule | None
    is_counted: bool
    distinct: Rule | None

    @property
    def fields(self) -> frozenset[str] | None:
        """The names that the rules read of the record, None where one reads it whole."""
        return fields_read([self.where, self.value, self.at, self.distinct])

    def outcome(self, record: dict[str, Any], default_at: datetime | None) -> Outcome:
        """The record's contribution, or why it has none: its condition, then its value, then its moment."""
        at, failure = default_at, None
        if self.at is not None:
            try:
                at = parse_moment(self.at.value({"record": record}))
            except RuleError as error:
                at, failure = None, f"at failed: {error.message}"
        reason = where_reason(self.where, record)
        if reason is not None:
            return Outcome(at, reason=reason)
        value, group, reason = self._amount(record)
        if reason is None and at is None:
            reason = failure or "no moment"
        return Outcome(at, reason=reason) if reason is not None else Outcome(at, value=value, group=group)

    def _amount(self, record: dict[str, Any]) -> tuple[Decimal | None, str | None, str | None]:
        """Value, group, or the reason that there is neither."""
        rule = self.distinct or self.value
        if rule is None:
            return _ONE, None, None
        try:
            found = rule.value({"record": record})
        except RuleError as error:
            return None, None, f"{'distinct' if self.distinct else 'value'} failed: {error.message}"
        if found is None:
            return None, None, "no value"
        if self.distinct is not None:
            group = canonical_text(found)
            return (_ONE, group, None) if len(group) <= MAX_GROUP else (None, None, "value is too long to be counted")
        if self.is_counted:
            return _ONE, None, None
        number = _number(found)
        if number is None:
            return None, None, "value is not a number"
        digits = number.as_tuple()
        if len(digits.digits) > MAX_DIGITS or not -MAX_DIGITS <= number.adjusted() < MAX_DIGITS:
            return None, None, "value has too many digits"
        return number, None, None


def _number(value: RuleValue) -> Decimal | None:
    """The exact number; text is none, not even `"12"`: `double(…)` in the rule says that it is meant as one."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def canonical_text(value: RuleValue) -> str:
    """One text per value: `3`, `3.0` and `3.00` are one group."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return format_moment(value)
    if isinstance(value, Decimal):
        return _plain(value)
    return json.dumps(_canonical(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _plain(number: Decimal) -> str:
    if not number.is_finite() or abs(number.adjusted()) > 100:
        return str(number)
    text = format(abs(number) if number == 0 else number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else canonical_text(value)


# --- subjects --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EntityRecords:
    """One subject per entity, from its creation on; `at` defaults to that."""

    contribution: Contribution

    def timelines(self, history: History) -> Iterator[Timeline]:
        if isinstance(history, EntityHistory):
            view = EntityView(history, self.contribution.fields)
            steps = (
                (step, self.contribution.outcome(view.record(step), view.start))
                for step in (view.start, *sorted(view.boundaries()))
            )
            yield Timeline(history.entity, history.entity, history.name, history.link, steps)


@dataclass(frozen=True, slots=True)
class EventRecords:
    """One subject per event, from its moment on; `at` defaults to that."""

    contribution: Contribution

    def timelines(self, history: History) -> Iterator[Timeline]:
        if isinstance(history, EventHistory):
            for event in history.events:
                outcome = self.contribution.outcome(event_record(event), event.at)
                yield Timeline(event.key, event.entity, event.entity, event.link, [(event.at, outcome)])


@dataclass(frozen=True, slots=True)
class EventsPerEntity:
    """One subject per entity, its events so far as one record; `at` defaults to the last event."""

    contribution: Contribution

    def timelines(self, history: History) -> Iterator[Timeline]:
        if isinstance(history, EventHistory) and history.events:
            view = EventsView(history, self.contribution.fields)
            steps = ((step, self._outcome(view, step)) for step in (view.start, *sorted(view.boundaries())))
            link = history.events[-1].link
            yield Timeline(history.entity, history.entity, history.entity, link, steps)

    def _outcome(self, view: EventsView, as_of: datetime) -> Outcome:
        objection = view.objection(as_of)
        if objection is not None:
            return Outcome(None, reason=objection)
        record = view.record(as_of)
        return self.contribution.outcome(record, record["last"])
