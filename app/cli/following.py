"""Waiting for news of the service: its event stream where there is one, else a look every so often."""

import threading
import time
from types import TracebackType
from typing import Self

from app.cli.client import Service
from app.cli.output import CommandError

#: Seconds without news after which one looks anyway: what the clock moves tells of itself once a minute.
QUIET = 30.0
#: Seconds after which a stream that ended is asked for again.
RETRY = 10.0


class News:
    """Wakes whoever waits once something has changed at the service. Use it as a context.

    A thread reads `GET /v1/live`. While there is no stream (an older service, a proxy that holds it back), `wait`
    returns after `every` seconds.
    """

    def __init__(self, service: Service, every: float) -> None:
        self._service, self._every = service, every
        self._changed, self._over = threading.Event(), threading.Event()
        self._is_live = False
        self._thread = threading.Thread(target=self._follow, name="live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()  # the thread is a daemon: it waits for a line that may be long in coming

    @property
    def is_live(self) -> bool:
        """Whether the stream is open."""
        return self._is_live

    def wait(self) -> None:
        """Return once something has changed, at most once in `every` seconds; without a stream, after that time."""
        began = time.monotonic()
        if self._is_live:
            self._changed.wait(QUIET)
        self._over.wait(max(0.0, self._every - (time.monotonic() - began)))
        self._changed.clear()

    def _follow(self) -> None:
        while not self._over.is_set():
            try:
                for line in self._service.lines("/v1/live"):
                    self._is_live = True
                    if line.startswith("event:"):
                        self._changed.set()
                    if self._over.is_set():
                        return
            except CommandError:
                pass
            self._is_live = False
            self._changed.set()
            self._over.wait(RETRY)
