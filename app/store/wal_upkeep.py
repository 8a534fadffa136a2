"""Copying SQLite's write-ahead log into the file beside those who write to it.

Left to a commit, that is a pause of its own: every page since the last time is written anew, and the disk waited for
twice. Here a second connection does most of it while commits go on, and leaves so little that the last of it is done
between two of them; then SQLite begins the log from its start again (https://sqlite.org/wal.html#ckpt).

Versions of SQLite that `krsync doctor` warns of can lose what is written where a copy begins in the instant in which a
writer begins the log again (https://sqlite.org/wal.html#walresetbug). It can not begin again while some of it was never
copied: so the copying here begins only where the writer has written since.
"""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import structlog

log = structlog.get_logger(__name__)

#: Pages of the log after which it is copied (64 MB), and how few may be left for a commit's turn.
MANY, FEW = 16_000, 400
# Times over the log before it is left at that: where others write faster than this copies.
_PASSES = 6

_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class WalUpkeep:
    """The copying beside one writer, in whose thread `written` and `finish` are called."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wal-upkeep")
        self._pages = self._begun_at = 0
        self._is_copying = self._is_nearly_done = False

    def written(self, pages: int) -> None:
        """About so many pages were committed."""
        self._pages += pages
        if self._pages - self._begun_at >= MANY and not self._is_copying and not self._is_nearly_done:
            self._begun_at, self._is_copying = self._pages, True
            self._thread.submit(self._copy)

    def finish(self, connection: sqlite3.Connection) -> None:
        """Copy what is left, if it is little; between two transactions of the writer's connection."""
        if self._is_nearly_done:
            self._is_nearly_done = False
            connection.execute(_COPY).fetchone()

    def close(self) -> None:
        """Return once nothing is copied any more."""
        self._thread.shutdown()

    def _copy(self) -> None:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                is_nearly_done = self._copied_all_but_few(connection)
            self._is_nearly_done = is_nearly_done
        except sqlite3.Error as error:
            log.warning("wal.not_copied", error=str(error))  # the log grows until a commit sees to it
        finally:
            self._is_copying = False

    def _copied_all_but_few(self, connection: sqlite3.Connection) -> bool:
        """Copy the log over and over, as it grows meanwhile, until that is little; whether it is."""
        for _ in range(_PASSES):
            before = self._pages
            is_busy, *_ = connection.execute(_COPY).fetchone()
            if is_busy:
                return False  # somebody else copies it
            if self._pages - before <= FEW:
                return True
        return False
