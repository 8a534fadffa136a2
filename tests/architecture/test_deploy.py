"""The image, the Compose file and the hooks say what they have to, as far as that shows without a container engine."""

import json
import re
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from app.cli import app
from app.settings import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("migrate", "serve", "worker")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def values(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def test_the_image_is_made_of_what_is_there_and_what_the_context_lets_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for rest in values("COPY") if not rest.startswith("--from") for name in rest.split()[:-1]}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= copied


def test_the_image_holds_pinned_versions_and_nothing_for_development() -> None:
    installs = [rest for rest in values("RUN") if "pip install" in rest]
    assert any("-r requirements.lock" in rest for rest in installs)
    assert not any("requirements-dev" in rest for _, rest in instructions())
    assert installs[-1].endswith("pip install --no-deps .")


def test_the_image_does_not_run_as_root_and_serves_by_default() -> None:
    [user] = values("USER")
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user)
    assert json.loads(values("ENTRYPOINT")[0]) == ["krsync"]
    assert json.loads(values("CMD")[0]) == ["serve"]
    set_here = set(re.findall(r"KRSYNC_[A-Z_]+(?==)", " ".join(values("ENV"))))
    assert set_here <= set(VARIABLES)
    assert "KRSYNC_SECRET_KEY" not in set_here


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_check_believes_healthz(status: int, is_healthy: bool) -> None:
    asked: list[str] = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    [check] = values("HEALTHCHECK")
    command: list[str] = json.loads(check.split("CMD ", 1)[1])
    assert command[0] == "python"
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        environment = {"KRSYNC_PORT": str(server.server_port)}
        result = subprocess.run([sys.executable, *command[1:]], env=environment, capture_output=True, check=False)
        thread.join()
    assert asked == ["/healthz"]
    assert (result.returncode == 0) is is_healthy


@pytest.mark.parametrize("name", OURS)
def test_each_service_runs_a_command_that_there_is(name: str) -> None:
    command: list[str] = SERVICES[name]["command"]
    root = get_command(app)
    context = root.make_context("krsync", list(command), resilient_parsing=True)
    found, subcommand, rest = root.resolve_command(context, command)  # type: ignore[attr-defined]
    assert found == name
    subcommand.make_context(name, list(rest), parent=context)


def test_nothing_starts_before_what_it_needs() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("serve", "worker"):
        assert SERVICES[name]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "valkey": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
    assert all("test" in SERVICES[name]["healthcheck"] for name in ("postgres", "valkey"))
    assert "healthcheck" not in SERVICES["serve"]  # the image's own
    assert SERVICES["worker"]["healthcheck"] == {"disable": True}


def test_the_queue_survives_a_restart_and_evicts_nothing() -> None:
    command = SERVICES["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options == {"--appendonly": "yes", "--save": "", "--maxmemory-policy": "noeviction"}
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


def test_no_secret_is_written_down_and_only_loopback_is_opened() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    assert "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?" in text
    assert "KRSYNC_SECRET_KEY" not in text
    assert [port for name in SERVICES for port in SERVICES[name].get("ports", [])] == ["127.0.0.1:8000:8000"]
    for name in OURS:
        assert SERVICES[name]["env_file"] == [".env"]
        assert set(SERVICES[name]["environment"]) <= set(VARIABLES)
    example = (ROOT / "deploy" / "env.example").read_text()
    named = set(re.findall(r"^#? ?(KRSYNC_[A-Z_]+)=", example, flags=re.M))
    assert "KRSYNC_SECRET_KEY" in named
    assert named <= set(VARIABLES)
    assert "deploy/.env" in (ROOT / ".gitignore").read_text()


def test_hooks_are_local_and_their_tools_are_in_the_development_group() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["format", "lint", "types", "imports"]
    for hook in hooks:
        assert hook["language"] == "system"
        tool = hook["entry"].split()[0]
        assert (Path(sys.prefix) / "bin" / Path(tool).name).exists()
