"""The process around the API: what it opens, what may be away, and what its logs leave out."""

import hashlib
import hmac
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

import app.main
from app.main import create_app
from app.runtime import open_runtime, utc_now
from app.services.tokens import ensure_admin_token
from app.settings import Settings
from app.store.database import Database
from app.telemetry import configure_logs
from connectors.secrets import SecretReference

CANARY = "canary-e2b1"
FILE = {
    "version": 1,
    "team": "operations",
    "connections": {"desk": {"connector": "webhook", "verify": {"scheme": "hmac-sha256", "secret": {"env": "DESK"}}}},
}


def settings(database_url: str, tmp_path: Path, **changes: object) -> Settings:
    given = {
        "database_url": database_url,
        "redis_url": f"unix://{tmp_path}/nobody.sock",
        "secret_key": bytes(32),
        "secrets_allow": "*=*",
        "data_dir": tmp_path / "data",
    }
    return Settings(**(given | changes))  # type: ignore[arg-type]


async def test_the_api_serves_with_redis_away_from_start_to_end(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.main, "configure_logs", lambda style: None)
    monkeypatch.setenv("DESK", CANARY)
    (tmp_path / "data").mkdir()
    database = Database(database_url)
    token_file = tmp_path / "data" / "admin-token"
    await ensure_admin_token(database, token_file, utc_now())
    await database.close()
    api = create_app(settings(database_url, tmp_path))
    headers = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
    async with api.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://t") as http:
        own = api.routes.state.context.services.database
        assert own.patience == (None if own.dialect == "sqlite" else app.main.PATIENCE)
        assert (await http.get("/readyz")).status_code == 200
        applied = await http.post("/v1/teams/operations/apply", json=FILE, headers=headers)
        assert applied.status_code == 200, applied.text
        body = b'{"id": 1}'
        digest = hmac.new(CANARY.encode(), body, hashlib.sha256).hexdigest()
        delivered = await http.post(
            "/v1/hooks/operations/desk",
            content=body,
            headers={"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"},
        )
        assert delivered.status_code == 202
    # Behind the lifespan the door is shut, with a word to come back.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://t") as http:
        late = await http.post("/v1/hooks/operations/desk", content=b"{}", headers={"content-type": "application/json"})
        assert late.status_code == 503


async def test_a_database_that_is_away_or_empty_is_not_ready_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.main, "configure_logs", lambda style: None)
    for url in (f"sqlite+aiosqlite:///{tmp_path}/empty.db", "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"):
        api = create_app(settings(url, tmp_path))
        async with api.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://t") as http:
            assert (await http.get("/healthz")).status_code == 200
            away = await http.get("/readyz")
            assert (away.status_code, away.headers["content-type"]) == (503, "application/problem+json")


async def test_our_own_files_are_no_teams_secrets(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    key.write_text(CANARY)
    data = tmp_path / "data"
    data.mkdir()
    (data / "admin-token").write_text(CANARY)
    monkeypatch.setenv("KRSYNC_SECRET_KEY_FILE", str(key))
    monkeypatch.setenv("KRSYNC_SECRET_KEY", CANARY)
    async with open_runtime(settings(database_url, tmp_path)) as runtime:
        services = runtime.services
        for reference in (
            SecretReference("file", str(key)),
            SecretReference("file", str(data / "admin-token")),
            SecretReference("env", "KRSYNC_SECRET_KEY"),
        ):
            assert await services.secrets.resolve(services.database, "operations", 1, reference) is None


@pytest.mark.parametrize("change", [{"secrets_allow": "nonsense"}, {"outbound_allow": "10.0.0.0/99"}])
async def test_a_policy_that_can_not_be_read_stops_the_start(
    tmp_path: Path, database_url: str, change: dict[str, object]
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is the policy's own
        async with open_runtime(settings(database_url, tmp_path, **change)):
            pass


@pytest.fixture
def _logs_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.usefixtures("_logs_restored")
def test_a_logged_crash_shows_no_local_variable(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    configure_logs(style)  # type: ignore[arg-type]

    def crash() -> None:
        password = CANARY
        raise ZeroDivisionError(len(password))

    for log in (structlog.get_logger("ours"), logging.getLogger("theirs")):
        try:
            crash()
        except ZeroDivisionError as error:
            log.error("crashed", exc_info=error)
    text = written.getvalue()
    assert text.count("Traceback") == 2
    assert CANARY not in text
    if style == "json":
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["event"] for line in lines] == ["crashed", "crashed"]
        assert all(line["timestamp"].endswith("Z") and line["level"] == "error" for line in lines)
