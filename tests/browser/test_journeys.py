"""What people come for, in a real browser: from the first start to a number taken apart, live and by keyboard alone."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Visit, visit
from tests.browser.service import ROOT, Service, running
from tests.browser.story import ENVIRON, TOKEN, Story, quarter_of
from tests.fakes.jira_cloud import EMAIL, JiraCloudFake
from tests.fakes.jira_issues import SYSTEM_FIELDS, status

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


async def aside(function: Any, *arguments: Any) -> Any:
    """A call that blocks, while the browser is listened to."""
    return await asyncio.to_thread(function, *arguments)


async def stays(page: Page) -> None:
    """Leave a sign in the page that a reload would wipe."""
    await page.evaluate("window.isTheSamePage = true")


async def is_the_same(page: Page) -> bool:
    return bool(await page.evaluate("window.isTheSamePage === true"))


async def watch_for_marks(page: Page) -> None:
    """Note every part of the page that is marked as news from here on, for as long as it may be marked."""
    await page.evaluate(
        """() => {
          window.marked = []
          new MutationObserver(() => {
            for (const element of document.querySelectorAll('.moved')) window.marked.push(element.id)
          }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ['class'] })
        }"""
    )


async def test_the_first_five_minutes(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, **ENVIRON) as service:
        newcomer = await visit(browser, service.url, None)
        page = newcomer.page
        await page.goto(service.url + "/")
        await page.get_by_label("API token").fill("okr_nothing")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_contain_text("no token of this service")
        newcomer.said.clear()  # the browser notes that the answer was 401
        await page.get_by_label("API token").fill(service.token)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Apply a first team file")).to_be_visible()
        await newcomer.settled()
        await stays(page)

        file = tmp_path / "first.yaml"
        text = (ROOT / "examples" / "first.yaml").read_text().replace("2026-Q4", quarter_of(datetime.now(UTC)))
        file.write_text(text)
        await aside(service.run, "apply", str(file))
        row = page.locator("#kr-support-reply_time")
        await expect(row).to_contain_text("no data yet")

        with service.client() as http:
            now = datetime.now(UTC)
            for event, at in (("opened", now - timedelta(hours=3)), ("replied", now - timedelta(minutes=30))):
                body = {"ticket": "T-1", "event": event, "at": at.isoformat()}
                headers = {"Authorization": f"Bearer {TOKEN}"}
                sent = await aside(lambda: http.post("/v1/hooks/support/desk", json=body, headers=headers))  # noqa: B023
                assert sent.status_code == 202
        await expect(row).to_contain_text("2.5 hours")
        await expect(row).to_contain_text("Met")
        assert await is_the_same(page)
        await row.get_by_role("link", name="Why?").click()
        await expect(page.locator("main")).to_contain_text("1 record is in it, 0 are left out")
        await newcomer.close()


async def test_why_is_this_63_percent(desk: Visit, service: Service) -> None:
    page = await desk.go("/")
    row = page.locator("#kr-operations-onboarding_time")
    await expect(row).to_contain_text("63\u202f%")
    await row.get_by_role("link", name="Why?").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Why 63\u202f%?")
    main = page.locator("main")
    await expect(main).to_contain_text("is 8.7 business days, on the way from 15 to 5 business days")
    await expect(main).to_contain_text("progress = (8.7 − 15) / (5 − 15) = 0.63")
    await expect(main).to_contain_text("number 1, by token:first admin")
    await expect(page.get_by_role("heading", name="The rule")).to_be_visible()
    await expect(main.locator("pre")).to_contain_text("onboarding_days")
    await page.get_by_role("link", name="Since the value before").click()
    await expect(page.get_by_role("link", name="Since a week ago")).to_be_visible()
    # Another one, whose number is made of records.
    page = await desk.go("/key-results/operations/reply_time/why")
    await expect(main).to_contain_text("1 is left out")
    await expect(main).to_contain_text("T-2000")
    await expect(main).to_contain_text("not finished")
    with service.client() as http:
        found = (await aside(http.get, "/v1/key-results/operations/reply_time/explain")).json()
    assert (
        await page.get_by_role("region", name="Records in it").locator("tbody tr").count()
        == found["counts"]["included"]
    )


async def test_a_value_moves_on_screen_after_a_webhook(desk: Visit, story: Story) -> None:
    page = await desk.go("/")
    await stays(page)
    await watch_for_marks(page)
    row = page.locator("#kr-operations-reply_time")
    before = await row.locator(".now").inner_text()
    opened = story.now - timedelta(days=1)
    await aside(story.ticket, "T-3000", opened, 0.5)
    await expect(row.locator(".now")).not_to_have_text(before)
    await page.wait_for_function("window.marked.includes('kr-operations-reply_time')")
    assert await is_the_same(page)
    page = await desk.go("/key-results/operations/reply_time")
    before = await page.locator(".hero .value").inner_text()
    await aside(story.ticket, "T-3001", opened, 0.25)
    await expect(page.locator(".hero .value")).not_to_have_text(before)


async def test_a_summary_and_an_objective_follow_what_they_are_made_of(desk: Visit, story: Story) -> None:
    page = await desk.go("/?show=no_data")
    await stays(page)
    chip = page.locator("#show-no_data strong")
    before = int(await chip.inner_text())
    await aside(story.value, "platform/service_31", story.now - timedelta(days=1), "99")
    await expect(chip).to_have_text(str(before - 1))
    await expect(page.locator("#kr-platform-service_31")).to_have_count(0)
    assert await is_the_same(page)


async def test_a_lost_service_is_said_and_found_again(browser: Browser, service: Service, story: Story) -> None:
    opened = await visit(browser, service.url, service.token)
    page = await opened.go("/")
    await stays(page)
    resumed: list[str | None] = []
    page.on(
        "request",
        lambda request: resumed.append(request.headers.get("last-event-id")) if "/v1/live" in request.url else None,
    )
    await aside(service.kill_api)
    await expect(page.locator("#live")).to_have_text("Reconnecting")
    await expect(page.locator("#live")).to_have_text("Live")
    await aside(story.value, "platform/service_32", story.now - timedelta(days=1), "98.5")
    await expect(page.locator("#kr-platform-service_32 .now")).to_have_text("98.5\u202f%")
    assert await is_the_same(page)
    assert resumed
    await opened.close(is_quiet=False)  # the browser notes what it could not reach


async def test_by_keyboard_alone(desk: Visit, story: Story) -> None:
    page = await desk.go("/")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.id") == "why-operations-reply_time":
            break
    await expect(page.locator("#why-operations-reply_time")).to_be_focused()
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    # The row is replaced under the fingers, and the place is kept.
    before = await page.locator("#kr-operations-reply_time .now").inner_text()
    await aside(story.ticket, "T-4000", story.now - timedelta(days=2), 0.75)
    await expect(page.locator("#kr-operations-reply_time .now")).not_to_have_text(before)
    await expect(page.locator("#why-operations-reply_time")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Why")

    page = await desk.go("/key-results/operations/satisfied")
    await page.get_by_label("Note").focus()
    await page.keyboard.type("Asked everybody on Friday")
    await page.keyboard.press("Tab")
    await page.keyboard.type("4,3")
    await page.keyboard.press("Tab")
    await page.keyboard.type("60")
    await page.keyboard.press("Enter")
    await expect(page.locator("#check-ins")).to_contain_text("Asked everybody on Friday")
    await expect(page.locator(".hero .value")).to_have_text("4.3\u00a0score")
    await page.locator("#theme").focus()
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await page.reload()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_nothing_moves_for_those_who_want_that(browser: Browser, service: Service) -> None:
    opened = await visit(browser, service.url, service.token, reduced_motion="reduce")
    page = await opened.go("/")
    assert await page.evaluate("document.getAnimations().length") == 0
    await opened.close()


@contextmanager
def jira() -> Iterator[tuple[JiraCloudFake, str]]:
    """A Jira site on loopback, and its address."""
    site = JiraCloudFake([], [status("1", "Open", "new")], SYSTEM_FIELDS)
    server = uvicorn.Server(uvicorn.Config(site, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    listener = server.config.bind_socket()
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield site, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def test_a_connection_breaks_and_is_mended(desk: Visit, story: Story, service: Service) -> None:
    with jira() as (_, address):

        def file(name: str) -> dict[str, Any]:
            return {
                "version": 1,
                "team": "tracker",
                "title": "Tracker",
                "connections": {
                    "jira": {"connector": "jira", "url": address, "email": EMAIL, "token": {"env": name}},
                },
                "metrics": {"open": {"unit": "issues", "query": {"connection": "jira", "jql": "resolution IS EMPTY"}}},
                "objectives": {
                    "clear": {
                        "title": "A clear desk",
                        "cycle": story.cycle,
                        "key_results": {"open": {"metric": "open", "baseline": 12, "target": 0}},
                    }
                },
            }

        await aside(story.apply, file("WRONG_TOKEN"))
        page = await desk.go("/connections/tracker/jira")
        await expect(page.locator("#connection .badge").first).to_have_text("Paused")
        await expect(page.locator("main")).to_contain_text("Give it a secret that works")
        await expect(page.get_by_role("region", name="Runs")).to_contain_text("Failed")
        page = await desk.go("/key-results/tracker/open")
        await expect(page.locator(".hero .badge")).to_have_text("Error")

        # The file is mended where it is shown: planned first, then applied.
        page = await desk.go("/teams/tracker/file")
        text = await page.get_by_label("Team file").input_value()
        await page.get_by_label("Team file").fill(text.replace("WRONG_TOKEN", "JIRA_TOKEN"))
        assert await page.get_by_role("button", name="Apply").count() == 0
        await page.get_by_role("button", name="Plan").click()
        await expect(page.locator("main").get_by_role("status")).to_contain_text("This is what an apply would do")
        await page.get_by_role("button", name="Apply").click()
        await expect(page.get_by_role("status").filter(has_text="Applied")).to_be_visible()
        page = await desk.go("/connections/tracker/jira")
        await expect(page.locator("#connection .badge").first).to_have_text("OK")
        page = await desk.go("/key-results/tracker/open")
        await expect(page.locator(".hero .value")).to_have_text("0\u00a0issues")
    with service.client() as http:
        assert json.loads(http.get("/v1/connections/tracker/jira").text)["health"] == "ok"


async def test_a_delivery_is_tried_and_a_dead_letter_applied_again(desk: Visit, story: Story) -> None:
    page = await desk.go("/connections/operations/desk/try")
    await page.get_by_label("Body").fill(
        json.dumps({"ticket": "T-1000", "event": "replied", "at": story.now.isoformat()})
    )
    await page.get_by_label("Headers").fill("authorization: Bearer wrong")
    await page.get_by_role("button", name="Try it").click()
    shown = page.get_by_role("status").filter(has_text="What was pasted")
    await expect(shown).to_contain_text("Signature fails")
    await expect(shown).to_contain_text("operations/reply_hours")
    page = await desk.go("/deliveries?outcome=ignored")
    await page.get_by_role("button", name="Try").first.click()
    await expect(page.locator("main")).to_contain_text("Ignored")
    page = await desk.go("/deliveries?outcome=ignored")
    await page.get_by_role("button", name="Replay").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Deliveries")
