"""Stored deliveries → events → facts → samples.

Rules are evaluated with no transaction held; one transaction then takes the deliveries that still wait, writes their
outcome for each dataset, and whatever follows from them. So a delivery has one effect however often and by however
many workers it is tried, and a worker that dies in the middle has done nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import structlog

from app.domain.events import DatasetRules, compile_dataset, with_preset
from app.domain.events import outcome_of as of_events
from app.domain.expression import RuleError
from app.domain.language import DatasetSpec
from app.domain.records import Event as DomainEvent
from app.services.baselines import freeze_due
from app.services.context import Services
from app.services.evaluate import evaluate, extract
from app.services.told import Said, Told, follow, outcome_of, relevant_to
from app.services.views import DeliveryView, IntakeView
from app.store import audit, deliveries, organisation, records
from app.store.database import Session, is_unavailable
from app.store.tables import Connection, Dataset, Delivery
from connectors.boundary import check_parsed
from connectors.contract import Changed, Connector, Event, Ignored, InboundDelivery, Pushed
from connectors.errors import ConnectorError

log = structlog.get_logger(__name__)

#: How many deliveries one transaction applies.
BATCH = 200


@dataclass(frozen=True, slots=True)
class _Outcome:
    delivery_id: int
    dataset: Dataset
    outcome: str
    reason: str | None = None
    events: tuple[dict[str, Any], ...] = ()
    name: str | None = None


async def apply_pending(services: Services, *, limit: int = BATCH) -> int:
    """Apply the oldest waiting deliveries, at most `limit`; returns how many were looked at (0: none wait)."""
    async with services.database.reading() as session:
        batch = await _load(session, limit)
    if batch is None:
        return 0
    outcomes, told = _judge_all(services, batch)
    bodies = {item.id: smaller for item in batch.waiting if (smaller := deliveries.packed(item)) is not None}
    try:
        async with services.database.writing() as session:
            await _write(session, batch.waiting, outcomes, told, services.clock(), bodies)
    except Exception as error:
        if is_unavailable(error):
            raise
        log.exception("deliveries.batch_failed", count=len(batch.waiting))
        for delivery in batch.waiting:
            await _write_alone(services, delivery, outcomes, told)
    return len(batch.waiting)


async def _write_alone(services: Services, delivery: Delivery, outcomes: list[_Outcome], told: list[Told]) -> None:
    """One delivery that can not be written must not hold up the others: it is dead for the datasets it feeds."""
    mine = [outcome for outcome in outcomes if outcome.delivery_id == delivery.id]
    try:
        async with services.database.writing() as session:
            await _write(session, [delivery], mine, told, services.clock())
    except Exception as error:
        if is_unavailable(error):
            raise
        log.exception("delivery.buried", delivery=delivery.id)
        reason = f"It could not be applied ({type(error).__name__})."
        dead = [replace(outcome, outcome="dead", reason=reason, events=()) for outcome in mine]
        async with services.database.writing() as session:
            await _write(session, [delivery], dead, [], services.clock())


async def apply_within(session: Session, services: Services) -> None:
    """Apply everything that waits inside the caller's transaction: for a plan, which is rolled back."""
    while (batch := await _load(session, BATCH)) is not None:
        outcomes, told = _judge_all(services, batch)
        await _write(session, batch.waiting, outcomes, told, services.clock())


@dataclass(frozen=True, slots=True)
class _Batch:
    waiting: list[Delivery]
    connections: dict[int, Connection]
    datasets: dict[int, list[Dataset]]
    settled: set[tuple[int, int]]


async def _load(session: Session, limit: int) -> _Batch | None:
    waiting = await deliveries.pending_deliveries(session, limit)
    if not waiting:
        return None
    ids = {delivery.connection_id for delivery in waiting}
    connections = await organisation.connections_by_id(session, ids)
    fed: dict[int, list[Dataset]] = defaultdict(list)
    for dataset in await organisation.fed_datasets(session, ids):
        fed[dataset.connection_id].append(dataset)
    settled = await deliveries.settled_datasets(session, [delivery.id for delivery in waiting])
    return _Batch(waiting, {key: found[0] for key, found in connections.items()}, fed, settled)


def _judge_all(services: Services, batch: _Batch) -> tuple[list[_Outcome], list[Told]]:
    outcomes: list[_Outcome] = []
    told: list[Told] = []
    for delivery in batch.waiting:
        connection = batch.connections[delivery.connection_id]
        targets = [item for item in batch.datasets[connection.id] if (delivery.id, item.id) not in batch.settled]
        found, said = _judge(services.connectors.get(connection.connector), connection, delivery, targets)
        outcomes.extend(found)
        if said:
            can_fetch = services.connectors[connection.connector].fetch is not None
            told.append(Told(delivery, connection.id, said, can_fetch=can_fetch))
    return outcomes, told


async def _write(
    session: Session,
    waiting: list[Delivery],
    outcomes: list[_Outcome],
    told: list[Told],
    now: datetime,
    bodies: Mapping[int, bytes] | None = None,
) -> None:
    held = await records.lock_datasets(session, {outcome.dataset.id for outcome in outcomes})
    # A dataset whose rules changed since they were evaluated: its deliveries stay in line and are judged again.
    stale = {
        outcome.delivery_id
        for outcome in outcomes
        if held.get(outcome.dataset.id) is None or held[outcome.dataset.id].version != outcome.dataset.version
    }
    taken = await deliveries.take_pending(session, {item.id for item in waiting} - stale, bodies)
    written = [outcome for outcome in outcomes if outcome.delivery_id in taken]
    changed = await records.append_events(
        session, [event | {"recorded_at": now} for outcome in written for event in outcome.events]
    )
    await deliveries.append_intakes(
        session,
        [
            {
                "delivery_id": outcome.delivery_id,
                "dataset_id": outcome.dataset.id,
                "outcome": outcome.outcome,
                "reason": outcome.reason,
                "event": outcome.name,
                "recorded_at": now,
            }
            for outcome in written
        ],
    )
    accepted: dict[int, datetime] = {}
    for delivery in waiting:
        if delivery.id in taken:
            newest = accepted.get(delivery.connection_id, delivery.received_at)
            accepted[delivery.connection_id] = max(newest, delivery.received_at)
    await organisation.note_deliveries(session, accepted)
    changed |= await follow(session, [one for one in told if one.delivery.id in taken], held, now)
    touched: set[int] = set()
    for dataset_id in sorted({dataset_id for dataset_id, _ in changed}):
        entities = {entity for owner, entity in changed if owner == dataset_id}
        touched |= await extract(session, held[dataset_id], entities, now=now)
    if touched:
        await evaluate(session, touched, now=now)
        await freeze_due(session, now=now)


def _judge(
    connector: Connector | None, connection: Connection, delivery: Delivery, targets: list[Dataset]
) -> tuple[list[_Outcome], Mapping[int, Said]]:
    """What one delivery means for each dataset it feeds, and what it says of each one's entities, if it does."""

    def everywhere(outcome: str, reason: str) -> list[_Outcome]:
        return [_Outcome(delivery.id, dataset, outcome, reason) for dataset in targets]

    if connector is None or connector.parse is None:
        return everywhere("dead", f"The connector {connection.connector} does not take webhooks."), {}
    inbound = InboundDelivery(
        headers=tuple((name, value) for name, value in delivery.headers),
        body=deliveries.body_of(delivery),
        received_at=delivery.received_at,
    )
    try:
        parsed = check_parsed(connector.parse(connector.config.model_validate(connection.spec), inbound))
        about = _about(connector, parsed, targets) if isinstance(parsed, Changed | Pushed) else {}
    except ConnectorError as error:
        return everywhere("dead", str(error)), {}
    except Exception as error:
        log.exception("delivery.parse_crashed", delivery=delivery.id)
        return everywhere("dead", f"The connector failed on it ({type(error).__name__})."), {}
    if isinstance(parsed, Ignored):
        return everywhere("ignored", parsed.reason), {}
    if isinstance(parsed, Changed | Pushed):
        told = [(dataset, *outcome_of(about.get(dataset.id), dataset, connector)) for dataset in targets]
        return [_Outcome(delivery.id, dataset, outcome, reason) for dataset, outcome, reason in told], about
    rules = [dataset for dataset in targets if dataset.shape == "events"]
    return [_judge_event(connector, delivery, dataset, parsed) for dataset in rules], {}


def _about(connector: Connector, said: Said, targets: list[Dataset]) -> Mapping[int, Said]:
    found: dict[int, Said] = {}
    for dataset in targets:
        one = relevant_to(dataset, said, connector)
        if one is not None:
            check_parsed(one)
            found[dataset.id] = one
    return found


def _judge_event(connector: Connector, delivery: Delivery, dataset: Dataset, parsed: Event) -> _Outcome:
    name, rules = parsed.name, rules_of(dataset, connector)
    try:
        found = rules.events(
            key=delivery.dedupe_key,
            body=parsed.body,
            headers=parsed.headers,
            received_at=delivery.received_at,
            order=delivery.id,
        )
    except RuleError as error:
        return _Outcome(delivery.id, dataset, "dead", str(error), name=name)
    except Exception as error:
        log.exception("delivery.rules_crashed", delivery=delivery.id, dataset=dataset.id)
        reason = f"The dataset's rules failed on it ({type(error).__name__})."
        return _Outcome(delivery.id, dataset, "dead", reason, name=name)
    outcome, why = of_events(found, rules)
    rows = tuple(_event_row(dataset, delivery, item) for item in found if isinstance(item, DomainEvent))
    return _Outcome(delivery.id, dataset, outcome, why, rows, name)


def _event_row(dataset: Dataset, delivery: Delivery, event: DomainEvent) -> dict[str, Any]:
    return {
        "dataset_id": dataset.id,
        "delivery_id": delivery.id,
        "entity": event.entity,
        "key": event.key,
        "at": event.at,
        "at_is_receipt": event.at_is_receipt,
        "is_deletion": event.is_deletion,
        "event": event.event,
        "body": event.body,
        "headers": dict(event.headers),
        "link": event.link,
    }


def rules_of(dataset: Dataset, connector: Connector) -> DatasetRules:
    """A dataset's rules, its preset written out, compiled once per version."""
    return _rules(dataset.id, dataset.version, _Spec(dataset.spec), connector.key, _Spec(connector.presets))


class _Spec:
    """A mapping that a cache can take: the key is the dataset's version, not the content."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = spec

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spec) and (self.spec is other.spec or self.spec == other.spec)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=1024)
def _rules(_dataset_id: int, _version: int, spec: _Spec, _connector: str, presets: _Spec) -> DatasetRules:
    return compile_dataset(with_preset(DatasetSpec.model_validate(spec.spec), presets.spec))


async def replay(services: Services, delivery_id: int, actor: str) -> DeliveryView | None:
    """Put one delivery back in line for all its datasets; applying it again has no second effect."""
    async with services.database.writing() as session:
        found = await deliveries.list_deliveries(session, delivery_id=delivery_id, limit=1)
        if not found:
            return None
        delivery, connection, _ = found[0]
        await deliveries.reopen_deliveries(session, connection_id=delivery.connection_id, delivery_id=delivery_id)
        await audit.append_audit(
            session,
            at=services.clock(),
            actor=actor,
            action="replay",
            object_kind="delivery",
            object_id=f"{connection}#{delivery_id}",
        )
    await services.queue.deliveries()
    async with services.database.reading() as session:
        return (await delivery_views(session, delivery_id=delivery_id, limit=1))[0]


async def delivery_views(
    session: Session,
    *,
    team: str | None = None,
    connection: str | None = None,
    outcome: str | None = None,
    delivery_id: int | None = None,
    before: int | None = None,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> list[DeliveryView]:
    """Deliveries newest first, with what became of each."""
    rows = await deliveries.list_deliveries(
        session,
        team=team,
        connection=connection,
        outcome=outcome,
        delivery_id=delivery_id,
        before=before,
        limit=limit,
        hidden=hidden,
    )
    intakes: dict[int, list[IntakeView]] = defaultdict(list)
    for intake, dataset in await deliveries.intakes_of(session, [row[0].id for row in rows]):
        intakes[intake.delivery_id].append(IntakeView(dataset=dataset, outcome=intake.outcome, reason=intake.reason))
    return [
        DeliveryView(
            id=delivery.id,
            connection=name,
            received_at=delivery.received_at,
            dedupe_key=delivery.dedupe_key,
            size=size,
            outcome=_overall(delivery, intakes[delivery.id]),
            conflicts=delivery.conflicts,
            intakes=intakes[delivery.id],
        )
        for delivery, name, size in rows
    ]


def _overall(delivery: Delivery, intakes: list[IntakeView]) -> str:
    if delivery.is_pending:
        return "pending"
    outcomes = {intake.outcome for intake in intakes}
    return next((word for word in ("dead", "applied", "ignored") if word in outcomes), "ignored")
