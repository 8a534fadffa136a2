"""Who may do what: the token of a request, its scope and its team.

A token for one team reaches that team only, for reading too: routes with a `{team}` refuse another one, lists are
narrowed to its own. Reads by a token for every team are organisation-wide, but for private teams: those are not there
(404, and in no list) for any token but their own and an admin's of every team.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from app.api.context import Context
from app.errors import Forbidden, NotFound, Unauthenticated
from app.services.tokens import Principal, Scope, authenticate

_documented = HTTPBearer(auto_error=False, scheme_name="token", description="An API token: `okr_…`.")


async def authenticated(request: Request, context: Context, _: Annotated[object, Security(_documented)]) -> Principal:
    """The principal of the request's one `Authorization: Bearer` header; Unauthenticated without a good one."""
    given = request.headers.getlist("authorization")
    if len(given) != 1:
        raise Unauthenticated
    scheme, _space, token = given[0].partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    return await authenticate(context.services.database, token)


def require(*scopes: Scope) -> Callable[[Request, Principal], Awaitable[Principal]]:
    """A dependency: the principal, once it holds one of the scopes and reaches the team that the path names."""

    async def check(request: Request, principal: Annotated[Principal, Depends(authenticated)]) -> Principal:
        if not any(principal.may(scope) for scope in scopes):
            raise Forbidden(f"It needs the scope {' or '.join(scopes)}.")
        team = request.path_params.get("team")
        if team is not None:
            if request.method in ("GET", "HEAD") and team in principal.hidden:
                raise NotFound
            see(principal, team)
        return principal

    return check


def see(principal: Principal, team: str) -> None:
    """Forbidden where the team is beyond the principal's reach; existing or not makes no difference."""
    if not principal.reaches(team):
        raise Forbidden("This token is for another team.")


def narrowed(principal: Principal, team: str | None) -> str | None:
    """The team that a list is to be about: what was asked for, or all that the principal reaches."""
    if team is None:
        return principal.team
    see(principal, team)
    return team


def hidden(principal: Annotated[Principal, Depends(authenticated)]) -> frozenset[str]:
    """A dependency: the private teams of which a list is to show nothing."""
    return principal.hidden


Hidden = Annotated[frozenset[str], Depends(hidden)]
Reader = Annotated[Principal, Depends(require("read"))]
Writer = Annotated[Principal, Depends(require("write"))]
Asserter = Annotated[Principal, Depends(require("write", "ingest"))]
Admin = Annotated[Principal, Depends(require("admin"))]
