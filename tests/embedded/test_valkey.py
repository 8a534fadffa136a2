"""The embedded Valkey: one server per folder, its data kept over kill -9, its socket always short enough."""

import os
import signal
from pathlib import Path

import pytest
import redis

from app.embedded.lock import DataDirectoryInUseError, DataDirectoryLock
from app.embedded.valkey import EmbeddedValkey


def client(server: EmbeddedValkey) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


@pytest.mark.parametrize("folder", ["plain", "with space and ünïcode", "long/" + "x" * 120, "odd%20#name"])
def test_it_starts_in_any_folder(tmp_path: Path, folder: str) -> None:
    server = EmbeddedValkey(tmp_path / folder)
    server.start()
    try:
        path = server.url.removeprefix("unix://").removesuffix("?db=0")
        assert len(path.encode()) <= 100
        assert Path(path).stat().st_mode & 0o777 == 0o600
        with client(server) as connection:
            assert connection.ping()
            assert Path(connection.config_get("dir")["dir"]) == tmp_path / folder
    finally:
        server.stop()
    assert not Path(path).exists()


def test_what_was_written_is_there_after_a_stop_and_after_a_kill(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.start()
    try:
        with client(server) as connection:
            connection.config_set("appendfsync", "always")
            connection.set("kept", "1")
        server.stop()
        server.start()
        with client(server) as connection:
            connection.config_set("appendfsync", "always")
            assert connection.get("kept") == "1"
            connection.set("killed", "2")
        assert server.process_id is not None
        os.kill(server.process_id, signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        url = server.url
        server.start()
        assert server.url == url
        with client(server) as connection:
            assert connection.mget("kept", "killed") == ["1", "2"]
    finally:
        server.stop()


def test_an_orphan_in_the_folder_is_ended_before_a_new_server_starts(tmp_path: Path) -> None:
    orphan, server = EmbeddedValkey(tmp_path), EmbeddedValkey(tmp_path)
    orphan.start()
    try:
        server.start()
        assert orphan.wait() == 0
        with client(server) as connection:
            assert connection.info("server")["process_id"] == server.process_id
    finally:
        server.stop()
        orphan.stop()


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    with DataDirectoryLock(tmp_path), pytest.raises(DataDirectoryInUseError, match=r"in use by another `krsync up`"):
        DataDirectoryLock(tmp_path).__enter__()
    with DataDirectoryLock(tmp_path):
        assert (tmp_path / "lock").read_text().strip().isdigit()
