"""A delivery through signature, parsing and rules with nothing saved: what it would do, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from app.domain.events import outcome_of as of_events
from app.domain.expression import RuleError
from app.domain.records import Event, EventHistory, Fact
from app.errors import NotFound
from app.services.connect import bound_config
from app.services.context import Services
from app.services.definitions import definition_of
from app.services.deliveries import rules_of
from app.services.hook_identity import dedupe_key
from app.services.told import outcome_of, relevant_to
from app.services.views.deliveries import StepView, TriedDatasetView, TriedEventView, TriedFactView, TriedView
from app.store import deliveries, organisation, records
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import Connection, Dataset, MetricPart, Team
from connectors.boundary import check_parsed
from connectors.contract import Changed, Connector, Ignored, InboundDelivery, JsonValue, Parsed, Pushed
from connectors.contract import Event as ParsedEvent
from connectors.errors import ConnectorError

_NOT_KEPT = "The proof of a stored delivery is not kept; it held when it was received."
_MOST_FACTS = 50
_BEGINNING = 2_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A delivery to try: pasted, with the headers that came with it (lower case)."""

    headers: Sequence[tuple[str, str]]
    body: bytes


async def try_delivery(
    services: Services, team: str, name: str, sample: Sample | None = None, *, delivery_id: int | None = None
) -> TriedView:
    """Run a pasted delivery, or the stored one of that id, through the connection. Raises NotFound."""
    async with services.database.reading() as session:
        found = await organisation.get_connection(session, team, name)
        connector = None if found is None else services.connectors.get(found[0].connector)
        if found is None or connector is None or connector.verify is None or connector.parse is None:
            raise NotFound("There is no such connection that takes webhooks.")
        connection, owner = found
        if sample is not None:
            inbound = InboundDelivery(sample.headers, sample.body, services.clock())
            signature, config = await _verified(services, connector, connection, owner, inbound)
            key = dedupe_key(connector, config, inbound)
        else:
            stored = await deliveries.get_delivery(session, connection.id, delivery_id or 0)
            if stored is None:
                raise NotFound("There is no such delivery.")
            headers = [(name, value) for name, value in stored.headers]
            inbound = InboundDelivery(headers, deliveries.body_of(stored), stored.received_at)
            signature, config = StepView(outcome="skipped", reason=_NOT_KEPT), None
            key = stored.dedupe_key
        is_duplicate = await deliveries.has_delivery(session, connection.id, key)
        config = config or connector.config.model_validate(connection.spec)
        parsed, parse = _parsed(connector, config, inbound)
        greeting = _greets(connector, config, inbound)
        datasets: list[TriedDatasetView] = []
        if parsed is not None and greeting is None:
            fed = await organisation.fed_datasets(session, [connection.id])
            datasets = [await _tried(session, connector, dataset, parsed, inbound, key) for dataset in fed]
    return TriedView(
        signature=signature,
        parse=parse,
        kind="greeting" if greeting is not None else _kind(parsed),
        event=parsed.name if isinstance(parsed, ParsedEvent) else None,
        dedupe_key=key,
        is_duplicate=is_duplicate,
        headers=dict(parsed.headers) if isinstance(parsed, ParsedEvent) else {},
        body=_seen(parsed, inbound),
        datasets=datasets,
    )


async def _verified(
    services: Services, connector: Connector, connection: Connection, owner: Team, inbound: InboundDelivery
) -> tuple[StepView, object]:
    assert connector.verify is not None
    try:
        config = await bound_config(services, connector, connection, owner)
    except ValidationError:
        raise NotFound("The connection was stored under an older version of its connector: apply it again.") from None
    try:
        connector.verify(config, inbound)
    except ConnectorError as error:
        return StepView(outcome="failed", reason=str(error)), config
    return StepView(outcome="ok"), config


def _parsed(connector: Connector, config: object, inbound: InboundDelivery) -> tuple[Parsed | None, StepView]:
    assert connector.parse is not None
    try:
        if connector.redact is not None:
            inbound = InboundDelivery(inbound.headers, connector.redact(config, inbound), inbound.received_at)
        parsed = check_parsed(connector.parse(config, inbound))
    except ConnectorError as error:
        return None, StepView(outcome="failed", reason=str(error))
    reason = parsed.reason if isinstance(parsed, Ignored) else None
    return parsed, StepView(outcome="ok", reason=reason)


def _seen(parsed: Parsed | None, inbound: InboundDelivery) -> JsonValue:
    """What rules see of the body, or how it begins where nobody could read it."""
    if parsed is None:
        return inbound.body[:_BEGINNING].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return parsed.body if isinstance(parsed, ParsedEvent) else None


def _greets(connector: Connector, config: object, inbound: InboundDelivery) -> bytes | None:
    try:
        return None if connector.greet is None else connector.greet(config, inbound)
    except ConnectorError:
        return None


def _kind(parsed: Parsed | None) -> str | None:
    kinds = {ParsedEvent: "event", Changed: "hint", Pushed: "records", Ignored: "ignored"}
    return None if parsed is None else kinds[type(parsed)]


async def _tried(
    session: Session, connector: Connector, dataset: Dataset, parsed: Parsed, inbound: InboundDelivery, key: str
) -> TriedDatasetView:
    """What one dataset makes of it."""
    if isinstance(parsed, Ignored):
        return TriedDatasetView(dataset=dataset.name, outcome="ignored", reason=parsed.reason)
    if not isinstance(parsed, ParsedEvent):
        outcome, why = outcome_of(relevant_to(dataset, parsed, connector), dataset, connector)
        return TriedDatasetView(dataset=dataset.name, outcome=outcome, reason=why)
    if dataset.shape != "events":
        return TriedDatasetView(dataset=dataset.name, outcome="ignored", reason="It keeps no events.")
    rules = rules_of(dataset, connector)
    try:
        found = rules.events(
            key=key, body=parsed.body, headers=parsed.headers, received_at=inbound.received_at, order=0
        )
    except RuleError as error:
        return TriedDatasetView(dataset=dataset.name, outcome="dead", reason=str(error))
    outcome, why = of_events(found, rules)
    accepted = [item for item in found if isinstance(item, Event)]
    readers = await _readers(session, dataset) if accepted else []
    events = [await _event(session, dataset, event, accepted, readers) for event in accepted]
    return TriedDatasetView(dataset=dataset.name, outcome=outcome, reason=why, events=events)


async def _readers(session: Session, dataset: Dataset) -> list[tuple[MetricPart, RevisedMetric]]:
    """The parts of current revisions that read the dataset."""
    parts = await organisation.live_parts(session, [dataset.id])
    revised = await organisation.revised_metrics(session, {metric_id for _, metric_id in parts})
    return [
        (part, revised[metric_id])
        for part, metric_id in parts
        if metric_id in revised and revised[metric_id].revision.id == part.revision_id
    ]


async def _event(
    session: Session,
    dataset: Dataset,
    event: Event,
    delivered: Sequence[Event],
    readers: Sequence[tuple[MetricPart, RevisedMetric]],
) -> TriedEventView:
    """One event among those that were delivered with it, and those that are kept of its entity."""
    kept = {other.key: other for other in await records.all_events(session, dataset.id, event.entity)}
    is_new = event.key not in kept
    events = {other.key: other for other in delivered if other.entity == event.entity} | kept
    standing = records.standing(list(events.values()))
    history = EventHistory(event.entity, records.ordered(standing))
    facts = [
        _fact(metric, part, fact)
        for part, metric in readers
        for fact in definition_of(metric.revision).extractions[part.part].facts(history)
        if fact.valid_to is None and fact.subject in (event.key, event.entity)
    ]
    return TriedEventView(
        entity=event.entity,
        event=event.event,
        at=event.at,
        at_is_receipt=event.at_is_receipt,
        key=event.key,
        is_deletion=event.is_deletion,
        is_before_deletion=not event.is_deletion and event.key not in {other.key for other in standing},
        is_new=is_new,
        link=event.link,
        body=event.body,
        facts=facts[:_MOST_FACTS],
    )


def _fact(metric: RevisedMetric, part: MetricPart, fact: Fact) -> TriedFactView:
    definition = definition_of(metric.revision)
    return TriedFactView(
        metric=f"{metric.team.name}/{metric.metric.name}",
        part=part.part,
        counts=fact.value is not None,
        value=None if fact.value is None else definition.in_unit(fact.value),
        at=fact.at,
        reason=fact.reason,
    )
