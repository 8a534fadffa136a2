"""A worker that builds revisions one entity a batch and hangs before the commit of its third: `python -m
tests.fakes.builder URL NOW`. It says `held` then, and is there to be killed."""

import asyncio
import sys
from datetime import datetime
from typing import Any

from app.services import build
from app.store import organisation
from app.store.database import Database
from tests.conftest import FakeClock
from tests.services.story import make_services


async def main(url: str, now: str) -> None:
    notes = 0
    original = organisation.note_build_progress

    async def hung(*arguments: Any) -> None:
        nonlocal notes
        await original(*arguments)
        notes += 1
        if notes == 3:
            print("held", flush=True)
            await asyncio.Event().wait()

    organisation.note_build_progress = hung
    build.ENTITY_BATCH = 1
    database = Database(url)

    def no_toolbox() -> Any:
        raise AssertionError("nothing is asked of a tool")

    await build.build_revisions(make_services(database, FakeClock(datetime.fromisoformat(now)), no_toolbox))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
