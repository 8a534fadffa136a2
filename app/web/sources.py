"""Where numbers come from: connections, how they are doing, and their runs."""

from collections import Counter
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.errors import NotFound
from app.services import inventory
from app.services.context import Services
from app.services.paging import decode_id, encode_cursor
from app.services.read import KeyResultQuery, list_key_results
from app.services.replays import outcome_counts
from app.services.tokens import Principal
from app.services.views import KeyResultView
from app.store.database import Session
from app.web.render import page
from app.web.session import Visitor, World

router = APIRouter(include_in_schema=False)

_MANY = 1000
_RUNS = 50
_EVENTS = 20
OUTCOMES = ("running", "succeeded", "failed", "crashed", "superseded")
OfConnection = Annotated[str | None, Query(max_length=130)]


def takes_webhooks(services: Services) -> frozenset[str]:
    """The connectors that have a hook address."""
    return frozenset(key for key, connector in services.connectors.items() if connector.verify is not None)


@router.get("/connections")
async def connections_page(request: Request, services: World, visitor: Visitor) -> Response:
    """Every connection with its health."""
    now = services.clock()
    async with services.database.reading() as session:
        found, _ = await inventory.list_connections(
            session,
            takes_webhooks=takes_webhooks(services),
            team=visitor.team,
            limit=_MANY,
            hidden=visitor.hidden,
            now=now,
        )
        views = await _standing(session, visitor, now)
    order = ("paused", "failing", "waiting", "ok")
    return page(
        request,
        "connections.html",
        now=now,
        principal=visitor,
        connections=sorted(found, key=lambda item: (order.index(item.health), item.id)),
        titles={key: connector.title for key, connector in services.connectors.items()},
        feeds=Counter(view.source.connection for view in views),
    )


@router.get("/connections/{team}/{name}")
async def connection_page(request: Request, services: World, visitor: Visitor, team: str, name: str) -> Response:
    """One connection: what it is doing, what it did, and what to do when it is broken."""
    now = services.clock()
    if not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        view = await inventory.get_connection(session, team, name, takes_webhooks=takes_webhooks(services), now=now)
        owner = await inventory.get_team(session, team)
        if view is None or owner is None:
            raise NotFound
        runs, older = await inventory.list_runs(session, team=team, connection=name, limit=10)
        came = [] if view.hook_url is None else await outcome_counts(session, team=team, connection=name, limit=_EVENTS)
        views = await _standing(session, visitor, now)
    return page(
        request,
        "connection.html",
        now=now,
        principal=visitor,
        view=view,
        team=owner,
        runs=runs,
        came=came,
        has_more=older is not None,
        connector=services.connectors.get(view.connector),
        feeds=[item for item in views if item.source.connection == view.id],
        origin=f"{request.url.scheme}://{request.url.netloc}",
    )


async def _standing(session: Session, visitor: Principal, now: datetime) -> list[KeyResultView]:
    """The key results that the visitor may see, as they stand."""
    asked = KeyResultQuery(team=visitor.team, limit=_MANY, hidden=visitor.hidden)
    found, _ = await list_key_results(session, asked, now=now)
    return found


@router.get("/runs")
async def runs_page(
    request: Request,
    services: World,
    visitor: Visitor,
    outcome: Annotated[str | None, Query(max_length=20)] = None,
    connection: OfConnection = None,
    after: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """What was read from the tools, newest first."""
    chosen = outcome if outcome in OUTCOMES else None
    team, _, name = (connection or "").partition("/")
    if team and not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        runs, older = await inventory.list_runs(
            session,
            team=visitor.team or team or None,
            connection=name or None,
            outcome=chosen,
            before=decode_id("runs", after),
            limit=_RUNS,
            hidden=visitor.hidden,
        )
    return page(
        request,
        "runs.html",
        now=services.clock(),
        principal=visitor,
        runs=runs,
        outcome=chosen,
        outcomes=OUTCOMES,
        connection=connection,
        older=None if older is None else encode_cursor("runs", older),
    )
