"""Moves the clock of a `serve` or `worker` started with this folder on its path, so that documented numbers hold.

Python imports a module of this name by itself. Seconds are in DOCS_CLOCK_OFFSET.
"""

import os
import sys
from datetime import UTC, datetime, timedelta

_OFFSET = os.environ.get("DOCS_CLOCK_OFFSET")

if _OFFSET and {"serve", "worker"} & set(sys.orig_argv):
    from app import runtime

    _BY = timedelta(seconds=float(_OFFSET))

    def moved() -> datetime:
        """The time it is in the documentation."""
        return datetime.now(UTC) + _BY

    runtime.open_runtime.__wrapped__.__kwdefaults__["clock"] = moved  # type: ignore[attr-defined]
