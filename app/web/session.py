"""Who looks at the dashboard: an API token, pasted once and kept in a cookie that no script can read.

The cookie goes to this site only (`SameSite=Strict`), and a request that changes something has to come from one of our
own pages. A token in an address is never taken: addresses end up in logs and histories.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import Depends, Request, Response

from app.errors import Forbidden, InvalidInput, Unauthenticated
from app.services.context import Services
from app.services.tokens import COOKIE, Principal, Scope, authenticate

MOST_FORM_BYTES = 3_000_000
_YEAR = 365 * 24 * 3600


class SignInNeeded(Exception):
    """Nobody is signed in; `back` is the page to return to."""

    def __init__(self, back: str) -> None:
        super().__init__("sign in")
        self.back = back

    @property
    def location(self) -> str:
        return f"/login?next={quote(self.back, safe='')}"


def services_of(request: Request) -> Services:
    """The use cases' world, as the lifespan opened it."""
    services: Services = request.app.state.context.services
    return services


World = Annotated[Services, Depends(services_of)]


async def signed_in(request: Request, services: World) -> Principal:
    """Who asks; SignInNeeded where nobody is signed in, or the token was revoked."""
    token = request.cookies.get(COOKIE)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if token is None:
        raise SignInNeeded(back)
    try:
        principal = await authenticate(services.database, token)
    except Unauthenticated:
        raise SignInNeeded(back) from None
    if not principal.may("read"):
        raise Forbidden("It needs the scope read.")
    return principal


def allowed(scope: Scope) -> Callable[[Request, Principal], Awaitable[Principal]]:
    """A dependency for what changes something: the scope, and a request that comes from our own pages."""

    async def check(request: Request, principal: Annotated[Principal, Depends(signed_in)]) -> Principal:
        same_origin(request)
        if not principal.may(scope):
            raise Forbidden(f"It needs the scope {scope}.")
        return principal

    return check


def same_origin(request: Request) -> None:
    """Forbidden for a request that another site made the browser send."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    is_ours = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if site is not None:
        is_ours = site == "same-origin"
    if not is_ours:
        raise Forbidden("This request does not come from this site.")


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a form that one of our pages sent, the last of each name; InvalidInput for anything else."""
    same_origin(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_FORM_BYTES:
            raise InvalidInput.at("", "too_large", "This is more than a form may hold.")
    if kind != "application/x-www-form-urlencoded":
        raise InvalidInput.at("", "form", "A form is expected.")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50, errors="strict"))
    except (UnicodeDecodeError, ValueError):
        raise InvalidInput.at("", "form", "This form can not be read.") from None


def own_path(path: str | None) -> str:
    """The path to go on to after signing in: one of ours, or the first page."""
    if path is None or not path.startswith("/") or path.startswith("//") or not path.isprintable() or "\\" in path:
        return "/"
    return path


def remember(request: Request, response: Response, token: str) -> None:
    """Keep the token in the browser."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=_YEAR,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )


def forget(response: Response) -> None:
    """Sign out."""
    response.delete_cookie(COOKIE, path="/", samesite="strict", httponly=True)


async def administrator(principal: Annotated[Principal, Depends(signed_in)]) -> Principal:
    """Who asks, where that is an admin; Forbidden for others."""
    if not principal.may("admin"):
        raise Forbidden("It needs the scope admin.")
    return principal


Visitor = Annotated[Principal, Depends(signed_in)]
Administrator = Annotated[Principal, Depends(administrator)]
Editor = Annotated[Principal, Depends(allowed("write"))]
