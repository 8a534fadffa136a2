"""The dashboard over a fresh database, asked as a browser asks, without a network."""

from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import httpx
import pytest

from app.services.tokens import COOKIE, Scope
from app.web.router import install
from tests.api.conftest import World, on_sqlite, open_world
from tests.conftest import FakeClock

__all__ = ["FROM_HERE", "Window", "World", "on_sqlite"]

#: What a browser says of a request that one of our own pages made.
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
_HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
async def world(database_url: str, clock: FakeClock) -> AsyncIterator[World]:
    async with open_world(database_url, clock) as opened:
        install(opened.api.routes)
        yield opened


class Window:
    """A browser window of the holder of a token (None: a stranger's)."""

    def __init__(self, world: World, token: str | None) -> None:
        self._http = world.http
        self._cookie = {} if token is None else {"Cookie": f"{COOKIE}={token}"}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._http.get(path, headers=_HTML | self._cookie | headers)

    async def post(
        self, path: str, fields: Mapping[str, str] | None = None, *, headers: Mapping[str, str] = FROM_HERE
    ) -> httpx.Response:
        # As a browser sends a form that has no fields: httpx would leave the type away.
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._http.post(
            path, content=urlencode(fields or {}), headers={**_HTML, **kind, **self._cookie, **headers}
        )


async def window(world: World, *scopes: Scope, team: str | None = None) -> Window:
    """The window of somebody who holds these scopes."""
    return Window(world, await world.token(*scopes, team=team))
