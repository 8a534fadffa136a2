"""History of a query: where its window lets it look back, the tool is asked what it was at the end of each local day.

Asked with no transaction held, as in every pull.
"""

from dataclasses import dataclass
from datetime import date, datetime

from app.domain.window import TimeSpan
from app.services.connect import contained, open_session
from app.services.context import Services
from app.services.definitions import can_look_back, definition_of, team_timezone
from app.services.queries import bind_query
from app.store import organisation
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import Connection, Plan
from connectors.boundary import check_measurement
from connectors.contract import Measurement, Window
from connectors.errors import QueryError


@dataclass(frozen=True, slots=True)
class Day:
    """A local day of a cycle ("" where the window needs none): its last moment, and the window as it was then."""

    day: date
    cycle: str
    moment: datetime
    window: TimeSpan


@dataclass(frozen=True, slots=True)
class Question:
    """What a tool is asked for a metric: a query, for each of some days."""

    item: RevisedMetric
    plan: Plan
    connection: Connection
    days: tuple[Day, ...]


async def asked_of(session: Session, item: RevisedMetric) -> tuple[Plan, Connection] | None:
    """The plan and the connection of a metric that is one query, and whose window lets it look back; else None."""
    spec = definition_of(item.revision).spec
    if spec.query is None or not can_look_back(spec):
        return None
    for source in (await organisation.metric_sources(session, [item.revision.id])).get(item.revision.id, []):
        if source.plan is not None and source.connection is not None:
            return source.plan, source.connection
    return None


async def ask(services: Services, question: Question) -> list[tuple[Day, Measurement]]:
    """The tool's answers. Raises ConnectorError."""
    connector = services.connectors.get(question.connection.connector)
    if connector is None or connector.measure is None or connector.query is None:
        raise QueryError(f"The connector {question.connection.connector} computes no numbers.")
    query = bind_query(connector, question.plan)
    team, answers = question.item.team, []
    async with open_session(services, connector, question.connection, team, services.toolbox()) as session:
        for day in question.days:
            window = Window(day.window.start, day.window.end, team_timezone(team))
            with contained():
                measured = await connector.measure(session, query, window)
            check_measurement(measured)
            answers.append((day, measured))
    return answers
