"""The records in a number at a point of both time axes, and the number that any set of them gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.domain import records as domain
from app.domain.aggregate import aggregate, exact_sum, ratio
from app.services.definitions import Definition
from app.services.intervals import Cut, OpenDuration, cut, opened
from app.store import evidence, records
from app.store import facts as fact_store
from app.store.database import Session
from app.store.facts import Stretch, Window
from app.store.organisation import RevisedMetric
from app.store.tables import Fact


@dataclass(frozen=True, slots=True)
class Row:
    """A record in the number. `amount` is what is aggregated: durations and stretches in seconds."""

    part: str
    subject: str
    entity: str
    label: str
    link: str | None
    at: datetime
    amount: Decimal
    group: str | None = None
    state: str | None = None
    is_good: bool | None = None
    is_open: bool = False

    def differs(self, other: "Row") -> bool:
        """Whether the record is in the number otherwise than before."""
        mine = (self.amount, self.at, self.group, self.is_good)
        return mine != (other.amount, other.at, other.group, other.is_good)


Rows = dict[tuple[str, str], Row]


@dataclass(frozen=True, slots=True)
class Renewed:
    """Facts made anew in memory, of the entities of a part that a revision out of service was told no more of."""

    entities: frozenset[str]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What a value is made of: the records in it, and what tools answered for the parts that they compute."""

    rows: Rows
    measured: Mapping[str, Decimal | None] = field(default_factory=dict)


_NOTHING = Renewed(frozenset(), ())


async def rows_at(
    session: Session,
    revision_id: int,
    definition: Definition,
    window: Window,
    renewed: Mapping[str, Renewed] | None = None,
) -> Rows:
    """The records in the number of a revision at that point; `renewed` takes the place of what is stored of some."""
    found: Rows = {}
    for part in definition.extractions:
        anew = (renewed or {}).get(part, _NOTHING)
        if definition.spec.state_share is not None:
            stretches = await fact_store.stretches_in(session, revision_id, part, window)
            kept = [one for one in stretches if one.entity not in anew.entities]
            own = [_stretch(fact) for fact in anew.facts if fact.since is not None and _is_true(fact, window)]
            cuts = cut([*kept, *own], window)
            rows: Iterable[Row] = [_cut_row(part, one) for one in cuts if one.stretch.value is not None]
        else:
            rows = await _records(session, revision_id, definition, part, window, anew)
        found |= {(part, row.subject): row for row in rows}
    return found


async def _records(
    session: Session, revision_id: int, definition: Definition, part: str, window: Window, anew: Renewed
) -> list[Row]:
    rows = [
        Row(part, one.subject, one.entity, one.label, one.link, one.at, one.value, one.group)
        for one in await evidence.counted_facts(session, revision_id, part, window)
        if one.entity not in anew.entities
    ]
    rows += [
        Row(part, fact.subject, fact.entity, fact.label, fact.link, fact.at, fact.value, fact.group)
        for fact in anew.facts
        if fact.value is not None and fact.at is not None and _is_true(fact, window) and _is_inside(fact.at, window)
    ]
    source = definition.spec.duration
    if source is not None and source.open == "include":
        by_start = source.attribute == "from"
        stored = await fact_store.open_durations(session, revision_id, part, window, by_start=by_start)
        facts = [fact for fact in stored if fact.entity not in anew.entities]
        facts += [
            fact
            for fact in anew.facts
            if fact.since is not None
            and fact.value is None
            and fact.reason is None
            and _is_true(fact, window)
            and (_is_inside(fact.at, window) if by_start and fact.at is not None else fact.at is None)
        ]
        rows += [_open_row(part, one) for one in opened(facts, definition, window) if one.reason is None]
    return rows


def _is_true(fact: Fact, window: Window) -> bool:
    has_begun = fact.valid_from is None or fact.valid_from <= window.as_of
    return has_begun and (fact.valid_to is None or fact.valid_to > window.as_of)


def _is_inside(at: datetime, window: Window) -> bool:
    return (window.start is None or at >= window.start) and (window.end is None or at < window.end)


def _stretch(fact: Fact) -> Stretch:
    assert fact.since is not None
    return Stretch(
        fact.since, fact.subject, fact.entity, fact.label, fact.group, fact.at, fact.value, fact.reason, fact.link
    )


def _cut_row(part: str, one: Cut) -> Row:
    stretch = one.stretch
    return Row(
        part,
        stretch.subject,
        stretch.entity,
        stretch.label,
        stretch.link,
        one.end,
        one.seconds,
        state=stretch.state,
        is_good=bool(stretch.value),
        is_open=one.is_open,
    )


def _open_row(part: str, one: OpenDuration) -> Row:
    fact = one.fact
    return Row(part, fact.subject, fact.entity, fact.label, fact.link, one.at, one.seconds, is_open=True)


async def renewed_since(
    session: Session, item: RevisedMetric, definition: Definition, moment: datetime
) -> dict[str, Renewed]:
    """By part: what an old revision's rules give for the entities that something was recorded of since it was
    replaced. Nothing where the dataset has other rules by now: then its records are no longer those the old rule
    meant."""
    found: dict[str, Renewed] = {}
    for part, extraction in definition.extractions.items():
        dataset_id = item.parts[part].dataset_id if part in item.parts else None
        dataset = None if dataset_id is None else await evidence.get_dataset(session, dataset_id)
        if dataset is None:
            continue
        if item.revision.definition["datasets"].get(dataset.name) != {"shape": dataset.shape, "spec": dataset.spec}:
            continue
        entities = await evidence.entities_since(session, dataset, moment)
        facts: list[domain.Fact] = []
        if dataset.shape == "events":
            for events in (await records.event_histories(session, dataset.id, entities)).values():
                facts += extraction.facts(events)
        else:
            for entity in (await records.entity_histories(session, dataset.id, entities)).values():
                facts += extraction.facts(entity)
        found[part] = Renewed(frozenset(entities), tuple(_as_stored(fact, item.revision.id) for fact in facts))
    return found


def _as_stored(fact: domain.Fact, revision_id: int) -> Fact:
    names = ("part", "subject", "entity", "at", "value", "reason", "valid_from", "valid_to", "label", "link")
    known = {name: getattr(fact, name) for name in (*names, "group", "since")}
    return Fact(revision_id=revision_id, **known)


# --- the number ------------------------------------------------------------------------------------------------------


def value_of(definition: Definition, state: State) -> Decimal | None:
    """What a metric's rules make of some records: as `compute` does of stored facts. None is unknown."""
    spec = definition.spec
    rows = list(state.rows.values())
    if spec.state_share is not None:
        good = exact_sum(row.amount for row in rows if row.is_good)
        return ratio(good, exact_sum(row.amount for row in rows), percent=True)
    least = spec.min_samples
    if spec.ratio is None:
        (part,) = spec.parts()
        if part not in definition.extractions:
            return state.measured.get(part)
        return None if least is not None and len(rows) < least else _aggregated(definition, part, rows)
    sides = {}
    for part in spec.parts():
        if part in definition.extractions:
            mine = [row for row in rows if row.part == part]
            sides[part] = _aggregated(definition, part, mine)
            if part == "total" and least is not None and len(mine) < least:
                return None
        else:
            sides[part] = state.measured.get(part)
    good_side, total = sides["good"], sides["total"]
    if good_side is None or total is None:
        return None
    return ratio(good_side, total, percent=spec.unit == "percent")


def _aggregated(definition: Definition, part: str, rows: Iterable[Row]) -> Decimal | None:
    how = definition.aggregate_of(part)
    if how == "distinct":
        return Decimal(len({row.group for row in rows}))
    placed = sorted(rows, key=lambda row: (row.at, row.is_open, row.subject))
    return aggregate(how, [row.amount for row in placed], divisor=definition.divisor)
