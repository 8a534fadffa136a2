"""Static files, and signing in and out."""

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from app.errors import NotFound, Unauthenticated
from app.services.tokens import authenticate
from app.web.render import HEADERS, page, static_files
from app.web.session import World, forget, form_fields, own_path, remember, same_origin

router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """A file that never changes under its address."""
    found = static_files().get(name)
    if found is None:
        raise NotFound
    content, media_type, digest = found
    is_pinned = request.query_params.get("v") == digest
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if is_pinned else "no-cache",
        "ETag": f'"{digest}"',
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


@router.get("/login")
async def login_page(request: Request, services: World) -> Response:
    """Where a token is pasted."""
    back = own_path(request.query_params.get("next"))
    return page(request, "login.html", now=services.clock(), back=back, problem=None)


@router.post("/login")
async def login(request: Request, services: World) -> Response:
    """Keep the token in the browser, if it is one."""
    fields = await form_fields(request)
    back, token = own_path(fields.get("next")), fields.get("token", "").strip()
    try:
        principal = await authenticate(services.database, token)
    except Unauthenticated:
        problem = "This is no token of this service, or it was revoked."
        return page(request, "login.html", now=services.clock(), status=401, back=back, problem=problem)
    if not principal.may("read"):
        problem = "This token may not read. Make one with the scope read."
        return page(request, "login.html", now=services.clock(), status=403, back=back, problem=problem)
    answer = RedirectResponse(back, status_code=303, headers=dict(HEADERS))
    remember(request, answer, token)
    return answer


@router.post("/logout")
async def logout(request: Request) -> Response:
    """Forget the token."""
    same_origin(request)
    answer = RedirectResponse("/login", status_code=303, headers=dict(HEADERS))
    forget(answer)
    return answer
