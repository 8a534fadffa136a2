"""API tokens."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from app.api.access import Admin
from app.api.answers import Items, answer, result
from app.api.body import JsonBody, NoBody, raw_body, validated
from app.api.context import Context
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import IdPath, NameText, PageQuery, Words
from app.domain.language import Model
from app.services.tokens import SCOPES, Scope, create_token, list_tokens, revoke_token
from app.services.views import TokenView

router = APIRouter(tags=["tokens"])

_TOKEN = {
    "id": 7,
    "name": "grafana",
    "scopes": ["read"],
    "team": None,
    "created_at": "2026-11-22T09:30:00Z",
    "revoked_at": None,
}
_NEW = {"name": "grafana", "scopes": ["read"], "team": None}


class NewToken(Model):
    """What a token is to be called and may do, for one team or (null) for all."""

    name: Words
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=len(SCOPES))]
    team: NameText | None = None

    @field_validator("scopes")
    @classmethod
    def _each_once(cls, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        if len(set(scopes)) != len(scopes):
            raise PydanticCustomError("repeated", "each scope is named once")
        return scopes


class CreatedToken(TokenView):
    """A token with its text, which is shown this once: null where a repeated request is answered again."""

    token: str | None


@router.get(
    "/tokens",
    summary="List tokens",
    response_model=Items[TokenView],
    responses={200: shows({"items": [_TOKEN], "next": None}), **errors()},
)
async def get_tokens(
    request: Request, context: Context, principal: Admin, query: Annotated[PageQuery, Query()]
) -> Response:
    """Oldest first, revoked ones too. Needs `admin`; a team's admin sees its team's tokens."""
    items, following = await list_tokens(
        context.services.database, team=principal.team, after=query.after, limit=query.limit
    )
    return answer(request, Items[TokenView](items=items, next=following))


@router.post(
    "/tokens",
    summary="Create a token",
    status_code=201,
    response_model=CreatedToken,
    responses={
        201: shows({**_TOKEN, "token": "okr_…"}, description="The token's text is shown this once."),
        **errors(409, body=True),
    },
    openapi_extra={**request_body(NewToken, _NEW), "parameters": [IDEMPOTENCY_KEY]},
)
async def post_token(request: Request, context: Context, principal: Admin, body: JsonBody) -> Response:
    """Needs `admin`. A team's admin makes tokens for its own team only."""
    wanted = validated(NewToken, body)

    async def act() -> Response:
        view, token = await create_token(
            context.services.database,
            name=wanted.name,
            scopes=wanted.scopes,
            team=wanted.team,
            principal=principal,
            now=context.clock(),
        )
        return result(CreatedToken(**view.model_dump(), token=token), status=201)

    return await once(context, request, principal, await raw_body(request), act, redacted=_without_token)


def _without_token(body: bytes) -> bytes:
    view: dict[str, Any] = msgspec.json.decode(body)
    return msgspec.json.encode({**view, "token": None})


@router.delete(
    "/tokens/{id}",
    summary="Revoke a token",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "It is revoked; from now on it lets nobody in."}, **errors(404, body=True)},
)
async def delete_token(id: IdPath, context: Context, principal: Admin, body: NoBody) -> Response:
    """Needs `admin`. Revoking it again changes nothing."""
    await revoke_token(context.services.database, id, principal=principal, now=context.clock())
    return Response(status_code=204)
