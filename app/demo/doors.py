"""The service's doors as the example uses them: signed webhooks, and the API with its token."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from httpx_aiohttp import AiohttpTransport
from standardwebhooks import Webhook

from app.demo.year import Event

#: Requests that are under way at once: the door stores what arrives together in one commit.
AT_ONCE = 32
_BUSY = frozenset({429, 503})
_TRIES = 60


class DemoError(Exception):
    """The example can not go on; the message says why."""


class Doors:
    """A running service. Use it as a context."""

    def __init__(self, url: str, token: str, secret: str) -> None:
        self._signer = Webhook(secret)
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(60, connect=5),
            # Half the cost of httpx's own; and a proxy of the environment has no way to our loopback.
            transport=AiohttpTransport(trust_env=False, limits=httpx.Limits(max_connections=AT_ONCE)),
        )

    async def __aenter__(self) -> "Doors":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer of the API; DemoError for a refusal."""
        response = await self._send(method, path, None if body is None else json.dumps(body).encode(), {})
        if response.status_code >= 400:
            raise DemoError(f"{method} {path} was answered {response.status_code}: {response.text[:600]}")
        return response.json()

    async def tell(self, event: Event) -> None:
        """One event as a signed delivery; told again, it is stored once."""
        body, now = json.dumps(event.body), datetime.now(UTC)
        headers = {
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(event.id, now, body),
        }
        path = f"/v1/hooks/{event.team}/{event.connection}"
        response = await self._send("POST", path, body.encode(), headers)
        if response.status_code != 202:
            raise DemoError(f"{path} answered {response.status_code}: {response.text[:600]}")

    async def tell_all(self, events: Sequence[Event], told: Callable[[int], None]) -> None:
        """Many events, as many at once as the door takes well; `told` hears of each."""
        waiting = iter(events)
        senders = [asyncio.create_task(self._tell_some(waiting, told)) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()

    async def _tell_some(self, waiting: Iterable[Event], told: Callable[[int], None]) -> None:
        for event in waiting:
            await self.tell(event)
            told(1)

    async def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> httpx.Response:
        """The answer, once the service is there and has time."""
        given = {"Content-Type": "application/json", **headers} if body is not None else headers
        for _ in range(_TRIES):
            try:
                response = await self._http.request(method, path, content=body, headers=given)
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code not in _BUSY:
                return response
            await asyncio.sleep(0.5)
        raise DemoError(f"{method} {path} is not answered")
