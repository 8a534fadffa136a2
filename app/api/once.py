"""`Idempotency-Key`: a POST that is sent again has no second effect, and gets the first answer.

The key is claimed before the work and its answer kept after it, a day long. A request that fails has no effect, so its
key is released. A process that dies in between leaves its claim for two minutes.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from fastapi import Request, Response

from app.api.answers import JSON
from app.api.context import ApiContext
from app.errors import Conflict, InvalidInput
from app.services.tokens import Principal
from app.store import idempotency as store

RETENTION = timedelta(days=1)
_ABANDONED = timedelta(minutes=2)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Your own id of this request: sent again within a day, it has no second effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


async def once(
    context: ApiContext,
    request: Request,
    principal: Principal,
    body: bytes,
    act: Callable[[], Awaitable[Response]],
    *,
    redacted: Callable[[bytes], bytes] = bytes,
) -> Response:
    """`act`'s answer, or the kept one of the same key. `redacted` makes what is kept of an answer that holds a
    secret."""
    key = _key(request)
    if key is None:
        return await act()
    database, now = context.services.database, context.clock()
    digest = _digest(request, body)
    async with database.writing() as session:
        await store.delete_keys_before(session, now - RETENTION)
        kept = await store.claim_key(
            session, principal.token_id, key, digest=digest, at=now, abandoned_before=now - _ABANDONED
        )
    if kept is not None:
        return _kept(kept, digest)
    try:
        response = await act()
    except BaseException:
        async with database.writing() as session:
            await store.release_key(session, principal.token_id, key)
        raise
    async with database.writing() as session:
        await store.save_answer(
            session,
            principal.token_id,
            key,
            status=response.status_code,
            body=redacted(bytes(response.body)),
        )
    return response


def _kept(kept: store.KeptAnswer, digest: str) -> Response:
    if kept.digest != digest:
        raise InvalidInput.at(
            "/Idempotency-Key", "idempotency_key_reused", "This key was used for another request.", "header"
        )
    if kept.status == store.IN_PROGRESS:
        raise Conflict("The first request with this key is still at work.", code="idempotency_key_in_progress")
    headers = {"Idempotency-Replayed": "true", "Cache-Control": "no-store"}
    return Response(kept.body, status_code=kept.status, media_type=JSON, headers=headers)


def _key(request: Request) -> str | None:
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        raise InvalidInput.at("/Idempotency-Key", "idempotency_key", "1 to 255 visible characters.", "header")
    return given[0]


def _digest(request: Request, body: bytes) -> str:
    hasher = hashlib.sha256()
    for part in (request.method.encode(), request.url.path.encode(), request.scope.get("query_string", b""), body):
        hasher.update(len(part).to_bytes(8, "big") + part)
    return hasher.hexdigest()
