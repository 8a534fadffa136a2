"""Stored deliveries put back in line by a filter, and what became of all that are kept."""

from collections.abc import Collection
from datetime import datetime

from app.errors import NotFound
from app.services.context import Services
from app.services.views.deliveries import OutcomeCountView, RefusalView
from app.store import audit, delivery_summary, organisation
from app.store.database import Session
from app.store.deliveries import reopen_deliveries


async def replay_many(
    services: Services,
    team: str,
    name: str,
    *,
    actor: str,
    outcomes: Collection[str],
    dataset: str | None = None,
    event: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Put a connection's deliveries with these outcomes back in line; how many they are. What they did already is not
    done twice. NotFound for a connection or dataset that is not there."""
    async with services.database.writing() as session:
        found = await organisation.get_connection(session, team, name)
        if found is None:
            raise NotFound("There is no such connection.")
        connection = found[0]
        dataset_id = None
        if dataset is not None:
            fed = await organisation.fed_datasets(session, [connection.id])
            dataset_id = next((item.id for item in fed if item.name == dataset), None)
            if dataset_id is None:
                raise NotFound("The connection feeds no such dataset.")
        count = await reopen_deliveries(
            session,
            connection_id=connection.id,
            dataset_id=dataset_id,
            outcomes=outcomes,
            event=event,
            since=since,
            until=until,
        )
        await audit.append_audit(
            session,
            at=services.clock(),
            actor=actor,
            action="replay",
            object_kind="connection",
            object_id=f"{team}/{name}",
            after={"outcomes": sorted(outcomes), "dataset": dataset, "event": event, "deliveries": count},
        )
    await services.queue.deliveries()
    return count


async def outcome_counts(
    session: Session, *, team: str | None, connection: str | None, hidden: Collection[str] = (), limit: int
) -> list[OutcomeCountView]:
    """What became of the deliveries that are kept, by event, the most frequent first."""
    found = await delivery_summary.count_by_event(session, team=team, connection=connection, hidden=hidden, limit=limit)
    return [
        OutcomeCountView(
            connection=item.connection,
            dataset=item.dataset,
            event=item.event,
            outcome=item.outcome,
            reason=item.reason,
            count=item.count,
            last_received_at=item.last_received_at,
            last_delivery=item.last_delivery,
        )
        for item in found
    ]


async def refusals_of(session: Session, connection_id: int) -> list[RefusalView]:
    """What the door did not take of a connection."""
    return [
        RefusalView(code=row.code, count=row.count, first_at=row.first_at, last_at=row.last_at)
        for row in await delivery_summary.list_refusals(session, connection_id)
    ]
