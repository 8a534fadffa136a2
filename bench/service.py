"""Our service, served as `krsync serve` does: `python -m bench.service DESCRIPTOR` of an open socket. With
`--apply JSON`, the team file is applied instead."""

import asyncio
import json
import os
import socket
import sys

import uvicorn

from app.runtime import open_runtime
from app.services.apply import apply_team_file
from app.serving import Protocol, Server
from app.settings import Settings


async def _apply(document: str) -> None:
    async with open_runtime(Settings.from_environment(os.environ)) as runtime:
        file = json.loads(document)
        await apply_team_file(runtime.services, file, team=file["team"], actor="bench")


def main() -> None:
    if sys.argv[1] == "--apply":
        asyncio.run(_apply(sys.argv[2]))
        return
    listening = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        loop="uvloop",
        http=Protocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
