"""What was delivered, what became of it, and what would become of another one."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from app.errors import InvalidInput, NotFound
from app.services import inventory
from app.services.deliveries import delivery_views, replay
from app.services.replays import replay_many
from app.services.try_delivery import Sample, try_delivery
from app.services.views.deliveries import TriedView
from app.web.render import HEADERS, page
from app.web.session import Editor, Visitor, World, form_fields
from app.web.sources import OfConnection, takes_webhooks

router = APIRouter(include_in_schema=False)

_encode = msgspec.json.Encoder(decimal_format="number").encode
_DELIVERIES = 100
_MOST_HEADERS = 100
_LONGEST_SEEN = 20_000
_OUTCOMES = ("pending", "applied", "ignored", "dead")


@router.get("/deliveries")
async def deliveries_page(
    request: Request,
    services: World,
    visitor: Visitor,
    outcome: Annotated[str | None, Query(max_length=10)] = None,
    connection: OfConnection = None,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """What came in, newest first, and what became of it."""
    chosen = outcome if outcome in _OUTCOMES else None
    team, _, name = (connection or "").partition("/")
    if team and not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        found = await delivery_views(
            session,
            team=visitor.team or team or None,
            connection=name or None,
            outcome=chosen,
            before=before,
            limit=_DELIVERIES + 1,
            hidden=visitor.hidden,
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
        connection=connection if team and name else None,
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


@router.post("/connections/{team}/{name}/replay")
async def replay_dead(request: Request, services: World, editor: Editor, team: str, name: str) -> Response:
    """Put every dead letter of a connection back in line."""
    await form_fields(request)
    if not editor.may_see(team):
        raise NotFound
    await replay_many(services, team, name, actor=editor.actor, outcomes=["dead"])
    return RedirectResponse(f"/deliveries?connection={team}/{name}", status_code=303, headers=dict(HEADERS))


@router.get("/connections/{team}/{name}/try")
async def try_page(request: Request, services: World, editor: Visitor, team: str, name: str) -> Response:
    """Where a delivery is pasted, to see what would become of it."""
    return await _shown(request, services, editor, team, name)


@router.post("/connections/{team}/{name}/try")
async def try_it(request: Request, services: World, editor: Editor, team: str, name: str) -> Response:
    """Take a pasted or a stored delivery through the connection, with nothing saved."""
    fields = await form_fields(request)
    if not editor.may_see(team):
        raise NotFound
    stored, body, headers = fields.get("delivery", ""), fields.get("body", ""), fields.get("headers", "")
    if stored.isascii() and stored.isdigit() and len(stored) < 19:
        tried = await try_delivery(services, team, name, delivery_id=int(stored))
        return await _shown(request, services, editor, team, name, tried=tried, stored=int(stored))
    try:
        sample = Sample(_headers(headers), body.encode())
    except InvalidInput as error:
        problem = error.errors[0].detail
        return await _shown(request, services, editor, team, name, body=body, headers=headers, problem=problem)
    tried = await try_delivery(services, team, name, sample)
    return await _shown(request, services, editor, team, name, tried=tried, body=body, headers=headers)


def _headers(text: str) -> list[tuple[str, str]]:
    """`name: value` lines; InvalidInput for a line that is none."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or number > _MOST_HEADERS:
            raise InvalidInput.at("/headers", "header", f"Line {number} of the headers is not “name: value”.")
        found.append((name.strip().lower(), value.strip()))
    return found


def _seen(tried: TriedView) -> str | None:
    """The body as a person reads it."""
    if tried.body is None or isinstance(tried.body, str):
        return tried.body
    encoded: bytes = msgspec.json.format(_encode(tried.body), indent=2)
    text = encoded.decode()
    return text if len(text) <= _LONGEST_SEEN else text[:_LONGEST_SEEN] + "\n…"


async def _shown(
    request: Request,
    services: World,
    visitor: Visitor,
    team: str,
    name: str,
    *,
    tried: TriedView | None = None,
    stored: int | None = None,
    body: str = "",
    headers: str = "",
    problem: str | None = None,
) -> Response:
    if not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        view = await inventory.get_connection(session, team, name, takes_webhooks=takes_webhooks(services))
    if view is None or view.hook_url is None:
        raise NotFound
    return page(
        request,
        "try.html",
        now=services.clock(),
        principal=visitor,
        status=422 if problem else 200,
        view=view,
        tried=tried,
        kept=tried is not None and any(item.outcome == "applied" for item in tried.datasets),
        seen=None if tried is None else _seen(tried),
        stored=stored,
        body=body,
        headers=headers,
        problem=problem,
    )
