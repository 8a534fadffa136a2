"""Team files on the command line: problems at their places, offline and from the service."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Krsync

Serving = Callable[[Callable[[httpx.Request], httpx.Response]], None]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "operations.yaml"
SMALL = """\
version: 1
team: ops
title: Operations
timezone: Europe/Berlin
metrics:
  satisfaction: {unit: score, manual: {every: 14d}}
objectives:
  better:
    title: Better
    cycle: 2026-Q4
    key_results:
      happy: {metric: satisfaction, baseline: 5, target: 8}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "ops.yaml"
    file.write_text(SMALL)
    return file


def test_a_right_file_is_right(krsync: Krsync, small: Path) -> None:
    assert krsync("validate", EXAMPLE, small) == (0, f"{EXAMPLE}: ok\n{small}: ok\n", "")


def test_every_problem_is_a_line_with_its_place(krsync: Krsync, small: Path) -> None:
    small.write_text(
        SMALL.replace("metric: satisfaction", "metric: satisfation").replace("title: Better", "titel: Better")
    )
    outcome = krsync("validate", small)
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert any(line.startswith(f"{small}:9:5: objectives.better.titel: ") and "'title'" in line for line in lines)
    assert any(line.startswith(f"{small}:12:15: ") and "'satisfaction'" in line for line in lines)


def test_what_is_no_yaml_has_a_place_too(krsync: Krsync, small: Path) -> None:
    small.write_text("version: 1\nteam: ops\nteam: again\n")
    outcome = krsync("validate", small)
    assert outcome.code == 1
    assert outcome.out.startswith(f"{small}:3:1: ")


def test_a_file_that_is_not_there_is_a_wrong_call(krsync: Krsync, tmp_path: Path) -> None:
    outcome = krsync("validate", tmp_path / "missing.yaml")
    assert (outcome.code, outcome.out) == (2, "")
    assert "can not be read" in outcome.err


def test_apply_sends_the_bytes_of_the_file(krsync: Krsync, serving: Serving, small: Path) -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        changes = [
            {"kind": "team", "id": "ops", "action": "create", "fields": [], "reason": None},
            {"kind": "metric", "id": "ops/satisfaction", "action": "unchanged", "fields": []},
        ]
        effect = {"id": "ops/happy", "value_before": None, "value_after": "6", "progress_after": 0.5}
        return httpx.Response(200, json={"team": "ops", "is_applied": True, "changes": changes, "effects": [effect]})

    serving(answer)
    outcome = krsync("apply", small, "--prune")
    assert outcome.code == 0
    [request] = requests
    assert (request.method, request.url.path) == ("POST", "/v1/teams/ops/apply")
    assert request.url.params["prune"] == "true"
    assert request.headers["content-type"] == "application/yaml"
    assert request.content == small.read_bytes()
    assert f"{small}: applied: 1 create, 1 unchanged" in outcome.out
    assert "create\tteam\tops\t–" in outcome.out
    assert "ops/happy\t– → 6\t– → 50 %\t–" in outcome.out


def test_plan_changes_nothing_and_says_so(krsync: Krsync, serving: Serving, small: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/teams/ops/plan"
        return httpx.Response(200, json={"team": "ops", "is_applied": False, "changes": [], "effects": []})

    serving(answer)
    assert krsync("plan", small).out == f"{small}: planned: nothing\n"
    assert json.loads(krsync("plan", small, "--json").out) == [
        {"team": "ops", "is_applied": False, "changes": [], "effects": []}
    ]


def test_a_problem_of_the_service_is_shown_at_its_place_in_the_file(
    krsync: Krsync, serving: Serving, small: Path
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        errors = [
            {"pointer": "/metrics/satisfaction/manual", "code": "x", "detail": "another team has it"},
            {"pointer": "/objectives/better/key_results/happy/target", "code": "x", "detail": "closed"},
            {"pointer": "/not~1there/0", "code": "x", "detail": "no place"},
        ]
        return httpx.Response(422, json={"title": "Refused", "errors": errors})

    serving(answer)
    outcome = krsync("apply", small)
    assert outcome.code == 1
    assert outcome.out.splitlines() == [
        f"{small}:6:31: metrics.satisfaction.manual: another team has it",
        f"{small}:12:50: objectives.better.key_results.happy.target: closed",
        f"{small}:1:1: not/there.0: no place",
    ]


def test_a_wrong_file_is_not_sent(krsync: Krsync, serving: Serving, small: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        pytest.fail("it was sent")

    serving(answer)
    wrong = small.with_name("wrong.yaml")
    wrong.write_text("version: 1\n")
    assert krsync("apply", small, wrong).code == 1


def test_export_writes_the_file_back(krsync: Krsync, serving: Serving, tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/teams/ops/export"
        return httpx.Response(200, text=SMALL, headers={"Content-Type": "application/yaml"})

    serving(answer)
    assert krsync("export", "ops").out == SMALL
    assert krsync("export", "ops", "--out", tmp_path / "back.yaml").out == ""
    assert (tmp_path / "back.yaml").read_text() == SMALL
    assert krsync("export", "../ops").code == 2


def test_the_connectors_and_the_schema_are_known_offline(krsync: Krsync) -> None:
    listed = krsync("connectors").out.splitlines()
    assert listed[0] == "KEY\tTITLE\tCAN"
    assert {line.split("\t")[0] for line in listed[1:]} >= {"jira", "webhook"}
    assert json.loads(krsync("connectors", "jira").out)["config"]["additionalProperties"] is False
    assert krsync("connectors", "jria").code == 2
    assert "metrics" in json.loads(krsync("schema").out)["properties"]
