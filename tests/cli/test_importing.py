"""`krsync import`: a dry run that prints, a file that is written once, current values that are sent."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.cli.client import Service, Target
from tests.cli.conftest import Krsync

GOOD = """\
Objective,Key Result,Baseline,Target,Current,Unit,Cycle
Faster,Lead time,15,5,8.7,days,2026-Q4
,Satisfaction,6,8,,score,
"""
BAD = GOOD + ",Broken,abc,5,,,\n"


@pytest.fixture
def sheet(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "okrs.csv"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_a_dry_run_prints_the_file_and_writes_nothing(
    krsync: Krsync, sheet: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = sheet(GOOD)
    outcome = krsync("import", file, "--team", "ops")
    assert outcome.code == 0
    assert outcome.out.startswith("# yaml-language-server: ")
    assert outcome.err.endswith(
        "team ops: objectives 1, key results 2, current values 1, problems 0; nothing is written without --write\n"
    )
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["okrs.csv"]


def test_what_is_printed_is_what_is_written_and_it_is_valid(
    krsync: Krsync, sheet: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = sheet(GOOD)
    printed = krsync("import", file, "--team", "ops").out
    assert krsync("import", file, "--team", "ops", "--write").code == 0
    assert (tmp_path / "ops.yaml").read_text() == printed
    assert krsync("validate", "ops.yaml").out.endswith("ops.yaml: ok\n")

    (tmp_path / "ops.yaml").write_text("mine")
    again = krsync("import", file, "--team", "ops", "--write")
    assert (again.code, (tmp_path / "ops.yaml").read_text()) == (2, "mine")
    assert "is there already" in again.err
    assert krsync("import", file, "--team", "ops", "--write", "--force").code == 0
    assert (tmp_path / "ops.yaml").read_text() == printed


def test_a_problem_is_a_line_with_row_and_column_and_keeps_the_file_from_being_written(
    krsync: Krsync, sheet: Callable[[str], Path], tmp_path: Path
) -> None:
    file, out = sheet(BAD), tmp_path / "out.yaml"
    refused = krsync("import", file, "--team", "ops", "--write", "--out", out)
    assert (refused.code, out.exists()) == (1, False)
    assert f"{file}:4:C: “abc” is not a number\n" in refused.err
    taken = krsync("import", file, "--team", "ops", "--write", "--partial", "--out", out)
    assert (taken.code, "broken" in out.read_text(), "lead_time" in out.read_text()) == (0, False, True)
    assert f"{file}:4:C: " in taken.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing.csv"], 2, "can not be read"),
        (["--partial"], 2, "go with --write"),
        (["--cycle", "Q4"], 1, "a cycle is"),
        (["--sheet", "OKRs"], 1, "only a workbook has sheets"),
    ],
)
def test_calls_that_are_wrong(
    krsync: Krsync, sheet: Callable[[str], Path], arguments: list[str], code: int, said: str
) -> None:
    file = sheet(GOOD)
    outcome = krsync("import", *([file, "--team", "ops"] if arguments[0].startswith("--") else []), *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err


def test_current_values_are_sent(krsync: Krsync, sheet: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[httpx.Request] = []
    status = 200

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(status, json={"title": "Refused"})

    def connect() -> Service:
        return Service(Target("http://krsync.test", "okr_test"), transport=httpx.MockTransport(answer))

    monkeypatch.setattr("app.cli.importing.connect", connect)
    file = sheet(GOOD)
    outcome = krsync("import", file, "--team", "ops", "--values", "--on", "2026-11-20")
    assert (outcome.code, outcome.out) == (0, "")
    assert "1 of 1 current values are sent, for 2026-11-20" in outcome.err
    (request,) = requests
    assert (request.method, request.url.path) == ("PUT", "/v1/metrics/ops/lead_time/values/2026-11-20")
    assert json.loads(request.content) == {"value": "8.7", "note": "From okrs.csv, row 2"}

    status = 404
    outcome = krsync("import", file, "--team", "ops", "--values", "--on", "2026-11-20")
    assert outcome.code == 1
    assert f"{file}:2: ops/lead_time is not there: apply the team file first" in outcome.err
    status = 403
    assert krsync("import", file, "--team", "ops", "--values", "--on", "2026-11-20").code == 2


def test_templates_are_listed_shown_and_filled(krsync: Krsync, tmp_path: Path) -> None:
    listed = krsync("template", "list", "--focus", "cost_management")
    assert [line.split("\t")[0] for line in listed.out.splitlines()] == ["NAME", "cost_per_ticket", "overhead"]
    names = [one["name"] for one in json.loads(krsync("template", "list", "--json").out)]
    assert len(names) == 12
    for name in names:
        shown = krsync("template", "show", name)
        assert (shown.code, shown.err) == (0, "")
        assert shown == krsync("template", "show", name)
        (tmp_path / f"{name}.yaml").write_text(shown.out)
    assert krsync("validate", *sorted(tmp_path.glob("*.yaml"))).code == 0

    filled = krsync("template", "show", "first_response", "--set", "cycle=2027-Q1", "--set", "team=support")
    assert "cycle: 2027-Q1\n" in filled.out
    assert "team: support\n" in filled.out
    out = tmp_path / "support.yaml"
    assert krsync("template", "show", "first_response", "--out", out).code == 0
    assert krsync("template", "show", "first_response", "--out", out).code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 2, "there is no such template"),
        (["overhead", "--set", "cycle"], 2, "KEY=VALUE"),
        (["overhead", "--set", "cicle=2027-Q1"], 2, "nothing is called 'cicle'"),
        (["overhead", "--set", "cycle=soon!"], 1, "a cycle is"),
        (["overhead", "--set", "overhead_down.baseline=much"], 1, "number"),
    ],
)
def test_templates_that_can_not_be_shown(krsync: Krsync, arguments: list[str], code: int, said: str) -> None:
    outcome = krsync("template", "show", *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
