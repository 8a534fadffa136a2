"""A folder served over HTTP by another program, Python's own file server, as a tool puts its exports somewhere."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """The folder's address on loopback; what is written into it is served at once."""
    command = (sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder))
    server = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        said = (await server.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", said)
        assert found is not None, said
        yield found[0]
    finally:
        server.terminate()
        await server.wait()
