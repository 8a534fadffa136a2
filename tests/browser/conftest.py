"""A real browser, and an organisation in a running service for it to look at."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from app.cli.peers import find_chromium
from app.services.tokens import COOKIE
from tests.browser.service import PATIENCE, Service, running
from tests.browser.story import ENVIRON, Story

HERE = Path(__file__).parent
expect.set_options(timeout=PATIENCE * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = pytest.mark.skip(reason="there is no chromium here; ./krsync test --browser installs Debian's")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if find_chromium() is None:
                item.add_marker(missing)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which the story was told; for tests that leave it as it is, or change what no other one reads."""
    with running(tmp_path_factory.mktemp("browser"), **ENVIRON) as started:
        with started.client() as http:
            Story(http).tell()
        yield started


@pytest.fixture
def story(service: Service) -> Iterator[Story]:
    """The organisation, to have more happen in it."""
    with service.client() as http:
        yield Story(http)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield launched
        await launched.close()


@dataclass
class Visit:
    """A person's browser window. `said` is what the console said and what failed in a script, `outside` every address
    that was asked for and is not the service's."""

    url: str
    context: BrowserContext
    page: Page
    said: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    async def go(self, path: str) -> Page:
        """Go to a page, and wait until it is drawn and live."""
        response = await self.page.goto(self.url + path)
        assert response is not None
        assert response.ok, f"{path}: {response.status}"
        await self.settled()
        return self.page

    async def settled(self) -> None:
        """Return once the page is live and its fonts and chart are there."""
        await self.page.wait_for_selector("#live[data-state=on]")
        await self.page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")

    async def close(self, *, is_quiet: bool = True) -> None:
        """Close the window; nothing may have gone outside, nor, unless it could not be quiet, to the console."""
        await self.context.close()
        assert self.outside == []
        assert not is_quiet or self.said == []


async def visit(browser: Browser, url: str, token: str | None, **options: Any) -> Visit:
    """Open a window for the holder of a token (None: for a stranger)."""
    context = await browser.new_context(**{"viewport": {"width": 1360, "height": 900}} | options)
    if token is not None:
        await context.add_cookies(
            [{"name": COOKIE, "value": token, "url": url, "httpOnly": True, "sameSite": "Strict"}]
        )
    context.set_default_timeout(PATIENCE * 1000)
    page = await context.new_page()
    found = Visit(url, context, page)
    page.on("console", lambda message: found.said.append(message.text))
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.on("request", lambda request: found.outside.append(request.url) if _is_outside(request.url, url) else None)
    return found


def _is_outside(address: str, url: str) -> bool:
    return not address.startswith((url + "/", "data:", "blob:"))


@pytest.fixture
async def desk(browser: Browser, service: Service) -> AsyncIterator[Visit]:
    """An administrator's window on the story's service."""
    opened = await visit(browser, service.url, service.token)
    yield opened
    await opened.close()
