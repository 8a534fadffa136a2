"""The write-ahead log is copied beside the writer, and begins from its start again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.store import wal_upkeep
from app.store.deliveries import NewDelivery
from app.store.delivery_log import SqliteLog
from app.store.wal_upkeep import WalUpkeep

_ROWS = 200


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(wal_upkeep, "MANY", 100)
    monkeypatch.setattr(wal_upkeep, "FEW", 20)
    return tmp_path / "log.db"


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE delivery (id INTEGER PRIMARY KEY, body BLOB)")
        yield connection


def _write(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO delivery (body) VALUES (?)", [bytes(4_096)])


def _size_of_log(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


def test_a_log_is_begun_again_once_it_was_copied(path: Path, writer: sqlite3.Connection) -> None:
    upkeep = WalUpkeep(str(path))
    for _ in range(_ROWS):
        _write(writer)
    upkeep.written(_ROWS)
    upkeep.close()  # waits for the copying
    _write(writer)  # came while it was copied
    upkeep.finish(writer)
    full = _size_of_log(path)
    for _ in range(_ROWS // 2):
        _write(writer)
    assert _size_of_log(path) == full, "what follows is written over the start of the log"
    assert writer.execute("SELECT count(*) FROM delivery").fetchone() == (_ROWS + 1 + _ROWS // 2,)
    assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_log_stays_small_while_the_writer_goes_on(path: Path, writer: sqlite3.Connection) -> None:
    upkeep = WalUpkeep(str(path))
    written = 0
    while written < 4_000:
        upkeep.finish(writer)
        _write(writer)
        upkeep.written(2)
        written += 2
    upkeep.close()
    assert _size_of_log(path) < written * 4_096 / 2
    assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_nothing_is_copied_before_there_is_much(path: Path, writer: sqlite3.Connection) -> None:
    upkeep = WalUpkeep(str(path))
    _write(writer)
    upkeep.written(2)
    upkeep.close()
    upkeep.finish(writer)
    before = _size_of_log(path)
    _write(writer)
    assert _size_of_log(path) > before


def test_a_reader_of_old_rows_keeps_them_and_the_log_grows_on(path: Path, writer: sqlite3.Connection) -> None:
    _write(writer)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM delivery").fetchone() == (1,)
        for _ in range(_ROWS):
            _write(writer)
        upkeep = WalUpkeep(str(path))
        upkeep.written(_ROWS)
        upkeep.close()
        upkeep.finish(writer)
        before = _size_of_log(path)
        _write(writer)
        assert _size_of_log(path) > before
        assert reader.execute("SELECT count(*) FROM delivery").fetchone() == (1,)


def test_where_it_can_not_be_copied_that_is_said_and_the_writer_goes_on(
    tmp_path: Path, path: Path, writer: sqlite3.Connection
) -> None:
    upkeep = WalUpkeep(str(tmp_path / "no such folder" / "log.db"))
    with capture_logs() as logs:
        upkeep.written(_ROWS)
        upkeep.close()
    assert [entry["event"] for entry in logs] == ["wal.not_copied"]
    upkeep.finish(writer)
    _write(writer)


async def test_deliveries_are_copied_beside_the_door(path: Path, writer: sqlite3.Connection) -> None:
    writer.execute("DROP TABLE delivery")
    columns = "connection_id, dedupe_key, digest, received_at, headers, body, is_pending, conflicts"
    writer.execute(f"CREATE TABLE delivery (id INTEGER PRIMARY KEY, {columns}, UNIQUE (connection_id, dedupe_key))")
    deliveries = SqliteLog(f"sqlite+aiosqlite:///{path}")
    moment = datetime(2026, 11, 2, tzinfo=UTC)
    for number in range(100):
        batch = [
            NewDelivery(1, f"{number}-{place}", "", moment, (), bytes(4_096 * 4)) for place in range(10)
        ]  # 60 pages
        await deliveries.append(batch)
    await deliveries.close()
    assert _size_of_log(path) < 100 * 60 * 4_096 / 2
    assert writer.execute("SELECT count(*), sum(length(body)) FROM delivery").fetchone() == (1_000, 1_000 * 4_096 * 4)
