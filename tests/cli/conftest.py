"""The command line as its user meets it: arguments in, exit code and two streams out."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from app.cli import main
from app.cli.client import Service, Target


class Outcome(NamedTuple):
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Krsync = Callable[..., Outcome]


@pytest.fixture
def krsync(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Outcome]:
    """Runs the command in this process, in an environment without any of our variables and an empty data directory."""
    for name in ("KRSYNC_URL", "KRSYNC_TOKEN", "KRSYNC_DATABASE_URL", "KRSYNC_REDIS_URL", "KRSYNC_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KRSYNC_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["krsync", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[httpx.Request], httpx.Response]], None]:
    """Puts a function in the place of the running service."""

    def put(answer: Callable[[httpx.Request], httpx.Response]) -> None:
        def connect() -> Service:
            return Service(Target("http://krsync.test", "okr_test"), transport=httpx.MockTransport(answer))

        for module in ("reading", "explaining", "judging", "notify", "team_files", "tokens", "trying"):
            monkeypatch.setattr(f"app.cli.{module}.connect", connect)

    return put
