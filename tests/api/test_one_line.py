"""A cron job's one line: the commands of docs/webhooks/other.md, run by a shell with a real curl."""

import asyncio
import os
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.document import read_yaml
from app.services.deliveries import apply_pending
from tests.api.conftest import World, on_sqlite
from tests.conftest import ROOT, FakeClock
from tests.journeys.running import on_loopback

PAGE = ROOT / "docs" / "webhooks" / "other.md"
SECRET = "numbers-7f1c"


def section() -> str:
    return PAGE.read_text("utf-8").partition("## One number from a cron job")[2].partition("\n## ")[0]


@on_sqlite
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: its commands are not tried")
async def test_the_commands_bring_their_numbers(world: World, clock: FakeClock, tmp_path: Path) -> None:
    document = {"connections": {}, "datasets": {}, "metrics": {}, "objectives": {}}
    for block in re.findall(r"```yaml\n(.*?)```", section(), re.DOTALL):
        for name, part in read_yaml(block.encode()).value.items():  # type: ignore[union-attr]
            document[name].update(part)
    world.environ["NUMBERS_TOKEN"] = SECRET
    await world.apply(**document)
    value, increment, manual = re.findall(r"^curl .*$", section(), re.MULTILINE)
    (tmp_path / "date").write_text(f"#!/bin/sh\necho {clock():%Y-%m-%d}\n")  # the service's day
    (tmp_path / "date").chmod(0o755)
    async with on_loopback(world.api) as url:

        async def run(command: str) -> str:
            environ = {
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "KRSYNC_URL": url,
                "NUMBERS_TOKEN": SECRET,
                "KRSYNC_TOKEN": await world.token("write"),
                "NO_PROXY": "*",
            }
            pipe = asyncio.subprocess.PIPE
            shell = await asyncio.create_subprocess_shell(command, env=environ, stdout=pipe, stderr=pipe)
            out, said = await shell.communicate()
            assert shell.returncode == 0, said
            return out.decode()

        for command in (value, increment, increment, increment.replace("4711", "4712"), manual, manual):
            await run(command)
            clock.advance(timedelta(seconds=1))
        assert '"duplicate":true' in await run(increment)
    await apply_pending(world.services)
    headers = await world.as_("read")
    found = {
        name: (await world.http.get(f"/v1/metrics/operations/{name}", headers=headers)).json()["value"]
        for name in ("satisfaction", "signups", "mood")
    }
    assert found == {"satisfaction": "7.9", "signups": "2", "mood": "42"}
