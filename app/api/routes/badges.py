"""A key result shown elsewhere: an SVG badge and a card to embed, opened by a token or by the badge's own key."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.access import Reader, authenticated, see
from app.api.answers import is_known, result
from app.api.badge import badge_key, badge_svg, card_html, is_badge_key
from app.api.context import ApiContext, Context
from app.api.gone import gone
from app.api.openapi import errors, shows
from app.api.parameters import ObjectName, StrictQuery, TeamName
from app.errors import Forbidden, NotFound
from app.services.read import get_key_result
from app.services.views import KeyResultView
from app.store import organisation

#: The pictures, and (under `/v1/key-results`) the key that opens one.
router = APIRouter(tags=["service"])
keys = APIRouter(tags=["key results"])

SVG = "image/svg+xml"
HTML = "text/html; charset=utf-8"
#: Seconds that a picture may be shown without asking again.
_MAX_AGE = 60
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class BadgeQuery(StrictQuery):
    """What opens it beside a token."""

    key: Annotated[
        str | None,
        Field(pattern="^[0-9a-f]{32}$", description="The badge's own key, instead of a token."),
    ] = None


class BadgeKey(BaseModel):
    """The addresses of a badge and a card, each with the key that opens these two and nothing else."""

    svg: str
    html: str


@keys.get(
    "/{team}/{name}/badge",
    summary="Get the addresses of a badge",
    response_model=BadgeKey,
    responses={
        200: shows(
            {
                "svg": "/badge/operations/onboarding_time.svg?key=0123456789abcdef0123456789abcdef",
                "html": "/badge/operations/onboarding_time.html?key=0123456789abcdef0123456789abcdef",
            }
        ),
        **errors(404),
    },
)
async def get_badge(context: Context, principal: Reader, team: TeamName, name: ObjectName) -> Response:
    """Whoever has one of these addresses sees this key result's word, value and progress: give it to a README or a
    wiki. It lasts as long as the service's secret key, and shows nothing once the team is private."""
    if await _view(context, team, name) is None:
        raise await gone(context, "key_result", team, name)
    key = badge_key(context.seal.key, team, name)
    path = f"/badge/{team}/{name}"
    return result(BadgeKey(svg=f"{path}.svg?key={key}", html=f"{path}.html?key={key}"))


@router.get(
    "/badge/{team}/{name}.svg",
    summary="Show a key result as a badge",
    response_class=Response,
    responses={
        200: shows("<svg/>", description="An image of its one word: never green while stale.", media_type=SVG),
        304: {"description": "Unchanged."},
        **errors(404),
    },
)
async def badge(
    request: Request, context: Context, team: TeamName, name: ObjectName, query: Annotated[BadgeQuery, Query()]
) -> Response:
    """Takes the key that `GET /v1/key-results/{team}/{name}/badge` tells, or a token with `read`."""
    view = await _opened(request, context, team, name, query.key)
    return _picture(request, badge_svg(view), SVG, "frame-ancestors *")


@router.get(
    "/badge/{team}/{name}.html",
    summary="Show a key result as a card",
    response_class=Response,
    responses={
        200: shows("<!doctype html>", description="A page for an iframe.", media_type="text/html"),
        304: {"description": "Unchanged."},
        **errors(404),
    },
)
async def card(
    request: Request, context: Context, team: TeamName, name: ObjectName, query: Annotated[BadgeQuery, Query()]
) -> Response:
    """Takes what the badge takes. It runs no script, loads nothing, and any page may embed it."""
    view = await _opened(request, context, team, name, query.key)
    return _picture(request, card_html(view), HTML, "frame-ancestors *")


async def _opened(request: Request, context: ApiContext, team: str, name: str, key: str | None) -> KeyResultView:
    """The key result, for whoever has its key or may read it; a wrong key opens nothing, there or not."""
    if key is None:
        principal = await authenticated(request, context, None)
        if team in principal.hidden:
            raise NotFound
        see(principal, team)
        if not principal.may("read"):
            raise Forbidden("It needs the scope read.")
    elif not is_badge_key(context.seal.key, team, name, key):
        raise NotFound
    view = None if key is not None and await _is_private(context, team) else await _view(context, team, name)
    if view is None:
        raise NotFound
    return view


async def _is_private(context: ApiContext, team: str) -> bool:
    async with context.services.database.reading() as session:
        return team in await organisation.private_teams(session)


async def _view(context: ApiContext, team: str, name: str) -> KeyResultView | None:
    async with context.services.database.reading() as session:
        return await get_key_result(session, team, name, now=context.clock())


def _picture(request: Request, text: str, media_type: str, ancestors: str) -> Response:
    body = text.encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": f"private, max-age={_MAX_AGE}",
        "Content-Security-Policy": f"{_POLICY}; {ancestors}",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if is_known(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
