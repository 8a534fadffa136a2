"""Pictures of every page in light, dark and on a phone, for the documentation: `python -m tests.browser.screenshots`.

They go to docs/images (or the folder that is given) as JPEG, each of a size for a web page.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from app.cli.peers import find_chromium
from tests.browser.conftest import visit
from tests.browser.pages import pages
from tests.browser.service import ROOT, Service, running
from tests.browser.story import ENVIRON, Story

_QUALITY = 72
_WINDOWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1360, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1360, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2},
}


async def take(service: Service, story: Story, folder: Path) -> None:
    """Write `<page>-<window>.jpg` for every page and window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for window, options in _WINDOWS.items():
            opened = await visit(browser, service.url, service.token, reduced_motion="reduce", **options)
            for name, path in pages(story).items():
                page = await opened.go(path)
                await page.screenshot(path=folder / f"{name}-{window}.jpg", type="jpeg", quality=_QUALITY)
            await opened.close()
        await browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs" / "images")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, running(Path(data), **ENVIRON) as service, service.client() as http:
        story = Story(http, has_every_script=False)
        story.tell()
        asyncio.run(take(service, story, folder))


if __name__ == "__main__":
    main()
