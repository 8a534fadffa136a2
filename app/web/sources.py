"""Where numbers come from: connections with their runs, and what was delivered."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from app.errors import NotFound
from app.services import inventory
from app.services.context import Services
from app.services.deliveries import delivery_views, replay
from app.web.render import HEADERS, page
from app.web.session import Editor, Visitor, World, form_fields

router = APIRouter(include_in_schema=False)

_MANY = 1000
_RUNS = 50
_DELIVERIES = 100
_OUTCOMES = ("pending", "applied", "ignored", "dead")


def _takes_webhooks(services: Services) -> frozenset[str]:
    return frozenset(key for key, connector in services.connectors.items() if connector.verify is not None)


@router.get("/connections")
async def connections_page(request: Request, services: World, visitor: Visitor) -> Response:
    """Every connection with its health."""
    async with services.database.reading() as session:
        found, _ = await inventory.list_connections(
            session, takes_webhooks=_takes_webhooks(services), team=visitor.team, limit=_MANY
        )
    return page(request, "connections.html", now=services.clock(), principal=visitor, connections=found)


@router.get("/connections/{team}/{name}")
async def connection_page(request: Request, services: World, visitor: Visitor, team: str, name: str) -> Response:
    """One connection: what it is doing, what it did, and what to do when it is broken."""
    if not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        view = await inventory.get_connection(session, team, name, takes_webhooks=_takes_webhooks(services))
        if view is None:
            raise NotFound
        runs, _ = await inventory.list_runs(session, team=team, connection=name, limit=_RUNS)
    connector = services.connectors.get(view.connector)
    return page(
        request,
        "connection.html",
        now=services.clock(),
        principal=visitor,
        view=view,
        team=team,
        runs=runs,
        connector=connector,
        origin=f"{request.url.scheme}://{request.url.netloc}",
    )


@router.get("/deliveries")
async def deliveries_page(
    request: Request,
    services: World,
    visitor: Visitor,
    outcome: Annotated[str | None, Query(max_length=10)] = None,
    connection: Annotated[str | None, Query(max_length=130)] = None,
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """What came in, newest first, and what became of it."""
    chosen = outcome if outcome in _OUTCOMES else None
    team, _, name = (connection or "").partition("/")
    async with services.database.reading() as session:
        found = await delivery_views(
            session,
            team=visitor.team or team or None,
            connection=name or None,
            outcome=chosen,
            before=before,
            limit=_DELIVERIES + 1,
        )
    return page(
        request,
        "deliveries.html",
        now=services.clock(),
        principal=visitor,
        deliveries=found[:_DELIVERIES],
        older=found[_DELIVERIES - 1].id if len(found) > _DELIVERIES else None,
        outcome=chosen,
        outcomes=_OUTCOMES,
        connection=connection,
    )


@router.post("/deliveries/{delivery}/replay")
async def replay_delivery(request: Request, services: World, editor: Editor, delivery: int) -> Response:
    """Put a delivery back in line."""
    await form_fields(request)
    async with services.database.reading() as session:
        found = await delivery_views(session, delivery_id=delivery, limit=1)
    if not found or not editor.may_see(found[0].connection.partition("/")[0]):
        raise NotFound
    await replay(services, delivery, editor.actor)
    return RedirectResponse(f"/deliveries#d{delivery}", status_code=303, headers=dict(HEADERS))
