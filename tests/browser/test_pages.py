"""Every page: no violation that axe knows of, no word on the console, nothing from outside, nothing too wide."""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, ViewportSize

from tests.browser.conftest import Visit, visit
from tests.browser.pages import pages, states
from tests.browser.service import Service
from tests.browser.story import Story

DESK: ViewportSize = {"width": 1360, "height": 900}
#: 320 is a desk at four times its size (WCAG 1.4.10).
SCREENS: dict[str, ViewportSize] = {
    "a phone": {"width": 390, "height": 844},
    "a wall": {"width": 2560, "height": 1440},
    "text as large as can be": {"width": 320, "height": 640},
}
#: WCAG 2.2 AA and axe's own good practice.
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds on a page as it stands."""
    found = await Axe().run(page, options={"resultTypes": ["violations"], "runOnly": rules or STANDARDS})
    return [
        f"{item['id']}: {node['html'][:160]}" for item in found.response["violations"] for node in item["nodes"][:3]
    ]


async def is_too_wide(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth > innerWidth"))


async def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    browser: Browser, service: Service, story: Story
) -> None:
    opened = await visit(browser, service.url, service.token, reduced_motion="reduce")
    found: dict[str, list[str]] = {}
    for name, path in (pages(story) | states(story)).items():
        page = await opened.go(path)
        found[f"{name}, light"] = await violations(page)
        await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found[f"{name}, dark"] = await violations(page, rules=["color-contrast"])
        for screen, size in SCREENS.items():
            await page.set_viewport_size(size)
            found[f"{name}, {screen}"] = ["wider than the screen"] if await is_too_wide(page) else []
        await page.set_viewport_size(DESK)
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await opened.close()
    assert {name: items for name, items in found.items() if items} == {}


async def test_axe_finds_nothing_on_what_is_opened_or_goes_wrong(
    desk: Visit, service: Service, browser: Browser
) -> None:
    page = await desk.go("/key-results/operations/onboarding_time")
    for summary in await page.locator("details > summary").all():
        await summary.click()
    assert await violations(page) == []
    page = await desk.go("/connections/operations/desk/try")
    await page.fill("#body", '{"ticket": "T-9", "event": "opened", "at": "2026-11-20T09:00:00Z"}')
    await page.click("text=Try it")
    await page.wait_for_selector("text=What was pasted")
    assert await violations(page) == []
    page = await desk.go("/teams/operations/file")
    await page.fill("#file", "version: 1\nteam: operations\nobjectives: 3\n")
    await page.click("text=Plan")
    await page.wait_for_selector("[role=alert]")
    assert await violations(page) == []
    desk.said.clear()  # the browser notes that the answer was 422
    stranger = await visit(browser, service.url, None)
    await stranger.page.goto(service.url + "/")
    assert await violations(stranger.page) == []
    await stranger.close()


async def test_each_sees_what_is_theirs(browser: Browser, service: Service, story: Story) -> None:
    reader = await visit(browser, service.url, story.token("reader", "read"))
    page = await reader.go("/")
    assert await page.get_by_role("link", name="Audit").count() == 0
    assert "People" not in await page.locator("main").inner_text()
    assert await (await reader.go("/deliveries")).get_by_role("button", name="Replay").count() == 0
    assert await (await reader.go("/teams/operations/file")).get_by_role("button", name="Plan").count() == 0
    await reader.close()

    lead = await visit(browser, service.url, story.token("ops lead", "read", "write", team="operations"))
    page = await lead.go("/")
    assert await page.locator(".team").count() == 1
    assert await (await lead.go("/deliveries")).get_by_role("button", name="Replay").count() > 0
    await lead.close()
