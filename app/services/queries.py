"""Push-down queries: their identity, their window at a moment, and their plan."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter

from app.domain.language import QuerySource, WindowSpec
from app.domain.window import TimeSpan, resolve
from app.services.definitions import digest, fiscal_year_start, team_cycle, team_timezone, team_zone
from app.store.tables import Plan, Team
from connectors.contract import Connector, Window

_WINDOW: TypeAdapter[Any] = TypeAdapter(WindowSpec)
_BASELINE = "baseline:"


def query_identity(connection_id: int, query: QuerySource, window: Any, zone: str) -> tuple[str, dict[str, Any]]:
    """A digest under which equal queries share one plan, and what the plan has to keep of the query."""
    kept = {"options": query.options, "window": window, "timezone": zone}
    return digest([connection_id, kept]), kept


def query_text(kept: Mapping[str, Any] | None) -> str | None:
    """The words of a query that a plan keeps, as its team wrote them; None where it has none."""
    options = {} if kept is None else kept.get("options", {})
    return ", ".join(value for value in options.values() if isinstance(value, str)) or None


def bind_query(connector: Connector, plan: Plan) -> BaseModel:
    """The connector's query model of a plan; pydantic's ValidationError where it does not fit any more."""
    assert connector.query is not None
    assert plan.query is not None
    return connector.query.model_validate(plan.query["options"])


def query_window(plan: Plan, team: Team, at: datetime) -> Window:
    """The span a plan's query is asked for at a moment. A baseline's is that of the end of its period, and no later:
    what came afterwards, in a longer window, was not known then."""
    assert plan.query is not None
    window = _WINDOW.validate_python(plan.query["window"])
    cycle: TimeSpan | None = None
    if plan.cycle.startswith(_BASELINE):
        period = team_cycle(team, plan.cycle.removeprefix(_BASELINE))
        at, cycle = period.end - timedelta(microseconds=1), period.span
    elif plan.cycle:
        cycle = team_cycle(team, plan.cycle).span
    span = resolve(window, at=at, zone=team_zone(team), cycle=cycle, fiscal_year_start=fiscal_year_start(team))
    end = span.end
    if plan.cycle.startswith(_BASELINE) and end is not None:
        end = min(end, at + timedelta(microseconds=1))
    return Window(span.start, end, team_timezone(team))
