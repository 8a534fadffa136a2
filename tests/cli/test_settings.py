"""The environment is read strictly: everything wrong at once, nothing secret in the words."""

import base64
import hashlib
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, database_url, parse_secret_key
from tests.cli.conftest import Krsync

KEY = bytes(range(32))
GIVEN = {
    "KRSYNC_DATABASE_URL": "postgresql://krsync:hunter2@db/krsync",
    "KRSYNC_REDIS_URL": "redis://:hunter2@queue:6379/0",
    "KRSYNC_SECRET_KEY": KEY.hex(),
}


def problems(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({name: value for name, value in (GIVEN | environ).items() if value})
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


def test_the_least_that_is_needed() -> None:
    settings = Settings.from_environment(GIVEN | {"PATH": "/bin"})
    assert settings.database_url == "postgresql+asyncpg://krsync:hunter2@db/krsync"
    assert settings.secret_key == KEY
    assert (settings.host, settings.port, settings.secrets_allow, settings.outbound_allow) == (
        "127.0.0.1",
        8000,
        "",
        "",
    )
    assert "hunter2" not in repr(settings)
    assert KEY.hex() not in repr(settings)
    assert repr(KEY) not in repr(settings)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"KRSYNC_PORT": "x", "KRSYNC_LOG": "xml"})
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize(
    ("url", "result"),
    [
        ("sqlite:////data/krsync.db", "sqlite+aiosqlite:////data/krsync.db"),
        ("sqlite+aiosqlite:////data/krsync.db", "sqlite+aiosqlite:////data/krsync.db"),
        ("postgres://db/krsync", "postgresql+asyncpg://db/krsync"),
        ("postgresql+asyncpg://db/krsync", "postgresql+asyncpg://db/krsync"),
    ],
)
def test_a_database_gets_its_driver(url: str, result: str) -> None:
    assert database_url({"KRSYNC_DATABASE_URL": url}) == result


@pytest.mark.parametrize("url", ["", "mysql://db", "sqlite://", "sqlite:///:memory:", "postgresql+psycopg://db/k", "x"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        database_url({"KRSYNC_DATABASE_URL": url})


@pytest.mark.parametrize(
    "text",
    [KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode().rstrip("=")],
)
def test_a_key_may_be_written_in_any_of_the_usual_ways(text: str) -> None:
    assert parse_secret_key(text + "\n") == KEY


@pytest.mark.parametrize(
    "text", ["", "secret", KEY.hex()[:-2], base64.b64encode(KEY + b"x").decode(), "é" * 32, "=" * 44]
)
def test_a_key_of_another_length_is_none(text: str) -> None:
    assert parse_secret_key(text) is None


def test_the_key_comes_from_a_file_too_but_not_from_both(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY.hex() + "\n")
    both = GIVEN | {"KRSYNC_SECRET_KEY_FILE": str(file)}
    assert Settings.from_environment(both | {"KRSYNC_SECRET_KEY": ""}).secret_key == KEY
    assert "both set" in problems(KRSYNC_SECRET_KEY_FILE=str(file))
    assert "can not be read" in problems(KRSYNC_SECRET_KEY="", KRSYNC_SECRET_KEY_FILE=str(tmp_path / "none"))


def test_a_misspelt_setting_is_refused_and_a_strange_one_is_told() -> None:
    assert "KRSYNC_OUTBOUND_ALOW is not a setting; did you mean KRSYNC_OUTBOUND_ALLOW?" in problems(
        KRSYNC_OUTBOUND_ALOW="127.0.0.1"
    )
    # What Kubernetes adds for a service of the name krsync.
    added = {"KRSYNC_PORT": "tcp://10.0.0.1:8000", "KRSYNC_PORT_8000_TCP_ADDR": "10.0.0.1"}
    settings = Settings.from_environment(GIVEN | added)
    assert settings.port == 8000
    assert settings.warnings == ("KRSYNC_PORT_8000_TCP_ADDR is not a setting and is ignored.",)


@pytest.mark.parametrize("port", ["-1", "65536", "8e3", "٨٠", "1_0"])
def test_a_port_is_a_port(port: str) -> None:
    assert "KRSYNC_PORT" in problems(KRSYNC_PORT=port)


@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
def test_a_command_without_its_environment_says_what_is_missing(krsync: Krsync, command: str) -> None:
    outcome = krsync(command)
    assert (outcome.code, outcome.out) == (2, "")
    assert "KRSYNC_DATABASE_URL is not set" in outcome.err


def test_who_has_the_database_makes_a_token_when_all_are_lost(
    krsync: Krsync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRSYNC_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path / 'krsync.db'}")
    file = tmp_path / "admin-token"
    made = krsync("migrate", "--another-admin-token", str(file))
    assert (made.code, made.out) == (0, "The database is up to date.\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    digest = hashlib.sha256(file.read_text().strip().encode()).hexdigest()
    with closing(sqlite3.connect(tmp_path / "krsync.db")) as database:
        assert database.execute("SELECT digest, revoked_at FROM token").fetchall() == [(digest, None)]
    again = krsync("migrate", "--another-admin-token", str(file))
    assert (again.code, again.out) == (2, "")
    assert f"{file} can not be created: it is there already." in again.err
