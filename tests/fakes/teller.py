"""A worker that dies while it tells: `python -m tests.fakes.teller URL NOW MOMENT`.

`MOMENT` is `before` the outbox is written, `between` sending and settling. It says `held` then, and is there to be
killed; what it sent by then it writes to standard output, a line each."""

import asyncio
import sys
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx

from app.services.notify import dispatch, watch
from app.store import outbox
from app.store.database import Database
from connectors.http import create_client, parse_policy, toolbox
from tests.conftest import FakeClock
from tests.services.story import make_services
from tests.services.telling import SECRETS


async def main(url: str, now: str, moment: str) -> None:
    clock = FakeClock(datetime.fromisoformat(now))

    async def hang(*_: Any, **__: Any) -> Any:
        print("held", flush=True)
        await asyncio.Event().wait()

    def receive(request: httpx.Request) -> httpx.Response:
        print(f"sent {request.headers['webhook-id']}", flush=True)
        return httpx.Response(204)

    client = create_client(parse_policy(""), transport=httpx.MockTransport(receive))
    services = make_services(Database(url), clock, lambda: replace(toolbox(client, clock), guard=None))
    services.secrets.values.update(SECRETS)  # type: ignore[attr-defined]
    if moment == "before":
        outbox.append_notice = hang
    else:
        outbox.settle = hang
    await watch.watch(services)
    await dispatch.dispatch_due(services)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
