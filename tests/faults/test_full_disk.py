"""The disk is full: no delivery is acknowledged, the sender is told to come back, and what was stored is kept."""

import contextlib
import errno
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.conftest import FakeClock
from tests.faults.payments import SECRETS, Payments, apply, check_effects
from tests.journeys.running import RunningKrsync, eventually
from tests.journeys.support import local_service

_NO_LIMIT = 2**31 - 1


class _SmallDisk(sqlite3.Connection):
    """A connection to a file that may not grow beyond `pages`, which to SQLite is a full disk (SQLITE_FULL).

    The limit is not kept in the file, so each connection sets it with all that it does.
    """

    pages: ClassVar[int] = _NO_LIMIT

    def cursor(self, *args: Any) -> Any:
        self._limit()
        return super().cursor(*args)

    def execute(self, *args: Any) -> sqlite3.Cursor:
        self._limit()
        return super().execute(*args)

    def _limit(self) -> None:
        super().execute(f"PRAGMA max_page_count = {self.pages}").close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_full_disk_is_no_acknowledgement(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # At the driver: the engine and the log of deliveries have connections of their own.
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_SmallDisk))
    monkeypatch.setattr(_SmallDisk, "pages", _NO_LIMIT)
    async with local_service(database_url, FakeClock(datetime.now(UTC)), SECRETS) as service:
        service.http.headers.update(await service.headers("admin"))
        await apply(service.http)

        payments = Payments(service.http)
        for _ in range(20):
            assert await payments.send(next(payments.numbers))
        monkeypatch.setattr(_SmallDisk, "pages", 1)  # as many as there are
        for _ in range(200):  # the last pages have room for some
            await payments.send(next(payments.numbers))
        assert set(payments.answers) == {202, 503}, payments.answers
        assert payments.answers[503] > 100, payments.answers
        assert all(int(answer.headers["retry-after"]) > 0 for answer in payments.refusals)
        assert (await service.http.get("/v1/key-results")).status_code == 200

        monkeypatch.setattr(_SmallDisk, "pages", _NO_LIMIT)
        assert await payments.send(next(payments.numbers))
        await service.work()
        await check_effects(service.http, payments)


#: Mounts a small file system that only the process sees, in which everything is kept.
_MOUNT = 'mount -t tmpfs -o size=24m krsync "$KRSYNC_DATA_DIR" && exec "$@"'
_ALONE = ("unshare", "--user", "--map-root-user", "--mount")


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_ALONE, "true"], capture_output=True, check=False).returncode == 0


def fill(path: Path) -> None:
    """Take all the room that there is on its disk."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4_096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


@pytest.mark.slow
@pytest.mark.skipif(not _can_mount(), reason="no file system of its own may be mounted here (unshare --user --mount)")
async def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """Database, its log and Valkey on one disk: filled by somebody else, and given room again."""
    krsync = RunningKrsync(tmp_path, **SECRETS)
    folder = krsync.data
    folder.mkdir()
    krsync.prefix = (*_ALONE, "sh", "-c", _MOUNT, "sh")
    try:
        await krsync.start()
        assert krsync.process is not None
        krsync.data = Path(f"/proc/{krsync.process.pid}/root{folder}")
        async with krsync.client() as http:
            await apply(http)
            payments = Payments(http)
            for _ in range(20):
                assert await payments.send(next(payments.numbers))
            filler = krsync.data / "filler"
            fill(filler)
            for _ in range(2_000):  # what the database's log has room for is still taken
                await payments.send(next(payments.numbers))
                if payments.answers[503] >= 50:
                    break
            assert set(payments.answers) == {202, 503}, payments.answers
            assert payments.answers[503] >= 50, payments.answers
            assert all(int(answer.headers["retry-after"]) > 0 for answer in payments.refusals)
            assert (await http.get("/v1/key-results")).status_code == 200
            filler.unlink()
            for _ in range(20):
                await payments.send_next()
            counts = await check_effects(http, payments)

            async def told() -> bool:
                found = (await http.get("/v1/connections/till/bank")).json()
                return "store_unavailable" in {item["code"] for item in found["refused"]}

            await eventually("the connection says what was refused", told)  # it is written every few seconds
            print(counts)
    finally:
        krsync.data = folder
        if krsync.process is not None and krsync.process.returncode is None:
            await krsync.stop()
        with contextlib.suppress(OSError):
            folder.rmdir()
