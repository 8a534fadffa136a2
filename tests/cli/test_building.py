"""Revisions that are being built, on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from app.cli import building
from tests.cli.conftest import Krsync
from tests.cli.test_team_files import SMALL

Serving = Callable[[Callable[[httpx.Request], httpx.Response]], None]
LOOKS = [(0, None), (25_000, 100_000), (75_000, 100_000), None]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "ops.yaml"
    file.write_text(SMALL.replace("title: Better", "title: Better\n    owner: dana@example.org"))
    return file


@pytest.fixture
def looks(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A service that builds one of two metrics between our looks, which are listed."""
    monkeypatch.setattr(building, "EVERY", 0)
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/teams/ops/apply":
            return httpx.Response(200, json={"team": "ops", "is_applied": True, "changes": [], "effects": []})
        if request.url.path == "/v1/teams/ops":
            return httpx.Response(200, json={"name": "ops"})
        if request.url.path == "/v1/key-results":
            return httpx.Response(200, json={"items": [], "next": None})
        assert request.url.path == "/v1/metrics"
        asked.append(request.url.params["team"])
        found = LOOKS[len(asked) - 1]
        progress = None if found is None else {"revision": 2, "done": found[0], "total": found[1]}
        items = [{"id": "ops/spent", "building": progress}, {"id": "ops/asked", "building": None}]
        return httpx.Response(200, json={"items": items, "next": None})

    serving(answer)
    return asked


def test_apply_waits_for_what_it_has_changed_when_told_to(krsync: Krsync, looks: list[str], small: Path) -> None:
    outcome = krsync("apply", small)
    assert (outcome.code, looks) == (0, [])
    outcome = krsync("apply", small, "--wait")
    assert (outcome.code, looks) == (0, ["ops"] * 4)
    assert outcome.out.splitlines()[-1] == "ops/spent: built"


def test_json_is_all_that_is_written_while_waiting(krsync: Krsync, looks: list[str], small: Path) -> None:
    outcome = krsync("apply", small, "--wait", "--json")
    assert (outcome.code, looks) == (0, ["ops"] * 4)
    assert json.loads(outcome.out)[0]["team"] == "ops"


def test_a_terminal_shows_a_bar(
    krsync: Krsync, looks: list[str], small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "screen").open("w+") as screen:
        monkeypatch.setattr(building, "console", Console(file=screen, force_terminal=True, width=100))
        outcome = krsync("apply", small, "--wait")
        screen.seek(0)
        shown = screen.read()
    assert (outcome.code, looks) == (0, ["ops"] * 4)
    assert "ops/spent" in shown
    assert "100000/100000" in shown


def test_status_says_how_far_a_build_is(krsync: Krsync, looks: list[str]) -> None:
    said = [krsync("status", "ops").err for _ in LOOKS]
    assert said == [
        "krsync: ops/spent: a new revision waits to be built\n",
        "krsync: ops/spent: a new revision is being built, 25,000 of 100,000 (25 %)\n",
        "krsync: ops/spent: a new revision is being built, 75,000 of 100,000 (75 %)\n",
        "",
    ]
