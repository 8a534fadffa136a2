"""A service of two processes that are killed a hundred times: see `tests.fakes.forked`."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from app.embedded.process import tied_to_us
from app.embedded.valkey import EmbeddedValkey
from app.services.tokens import ensure_admin_token
from app.store.database import Database
from tests.faults.payments import SECRETS
from tests.journeys.running import ROOT

_COMMAND = [sys.executable, "-P", "-m", "tests.fakes.forked"]


class Forked:
    """The API and a worker, each started anew at once when it is killed."""

    def __init__(self, process: asyncio.subprocess.Process, token: str) -> None:
        self._process = process
        self._token = token
        self._starts: dict[str, list[str]] = defaultdict(list)
        self._has_started = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            name, _, value = line.decode().strip().partition(" ")
            async with self._has_started:
                self._starts[name].append(value)
                self._has_started.notify_all()

    async def started(self, name: str, times: int) -> str:
        """What was said of it when it started for that time."""
        async with self._has_started:
            await self._has_started.wait_for(lambda: len(self._starts[name]) >= times)
        return self._starts[name][times - 1]

    async def kill(self, name: str) -> None:
        """SIGKILL; returns once the next one is on its way."""
        times = len(self._starts[name])
        os.kill(int(self._starts[name][-1]), signal.SIGKILL)
        await self.started(name, times + 1)

    async def client(self) -> httpx.AsyncClient:
        """The administrator's client."""
        headers = {"Authorization": f"Bearer {self._token}"}
        # A connection in the queue of a server that was killed is answered by the next one.
        return httpx.AsyncClient(base_url=await self.started("url", 1), headers=headers, timeout=60, trust_env=False)

    async def close(self) -> None:
        self._process.terminate()
        await self._process.wait()
        await self._reading


@asynccontextmanager
async def forked(folder: Path, database_url: str) -> AsyncIterator[Forked]:
    """A running service over a migrated database. What it logs is in `folder`."""
    valkey = EmbeddedValkey(folder / "valkey")
    valkey.start()
    try:
        database = Database(database_url)
        await ensure_admin_token(database, folder / "admin-token", datetime.now(UTC))
        await database.close()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")} | {
            "KRSYNC_DATABASE_URL": database_url,
            "KRSYNC_REDIS_URL": valkey.url,
            "KRSYNC_SECRET_KEY": "00" * 32,
            "KRSYNC_SECRETS_ALLOW": "*=" + ",".join(SECRETS),
            **SECRETS,
        }
        with (folder / "forked.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *tied_to_us(_COMMAND, signal.SIGKILL), cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        running = Forked(process, (folder / "admin-token").read_text().strip())
        try:
            for name in ("serve", "worker"):
                await asyncio.wait_for(running.started(name, 1), 120)
            yield running
        finally:
            await running.close()
    finally:
        valkey.stop()
