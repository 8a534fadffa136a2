"""Event streams when the service goes: it ends them, is gone in time, and they come back where they were."""

import asyncio
import os
import signal
from pathlib import Path

import httpx

from tests.journeys.running import eventually, running

STREAMS = 20


async def test_the_service_ends_open_streams_and_goes(tmp_path: Path) -> None:
    async with running(tmp_path) as krsync, krsync.client() as http:
        opened: asyncio.Queue[str] = asyncio.Queue()

        async def read(last_id: str | None = None) -> str:
            """Reads to the end of the stream; a stream that is cut raises. The last id that came."""
            headers = {} if last_id is None else {"Last-Event-ID": last_id}
            found = ""
            async with http.stream("GET", "/v1/live", headers=headers) as response:
                assert response.status_code == 200
                async for line in response.aiter_lines():
                    if line.startswith("id: "):
                        found = line.removeprefix("id: ")
                        opened.put_nowait(found)
            return found

        readers = [asyncio.create_task(read()) for _ in range(STREAMS)]
        for _ in readers:
            await opened.get()
        serve = await krsync.child("serve")
        asking = asyncio.create_task(http.get("/v1/key-results"))
        await asyncio.sleep(0)
        os.kill(serve, signal.SIGTERM)
        marks = await asyncio.gather(*readers)
        assert (await asking).status_code in (200, 503)
        await krsync.child("serve", other_than=serve)
        assert "graceful shutdown exceeded" not in krsync.said()

        async def answers() -> bool:
            try:
                return (await http.get("/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually("it serves again", answers)
        again = asyncio.create_task(read(marks[0]))
        await opened.get()
        assert await krsync.stop() == 0
        await again
