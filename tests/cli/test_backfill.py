"""`krsync backfill`: a job is asked for and followed; `krsync apply organisation.yaml`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.client import Service, Target
from tests.cli.conftest import Krsync

Serving = Callable[[Callable[[httpx.Request], httpx.Response]], None]
JOB: dict[str, Any] = {
    "id": 4,
    "team": "ops",
    "since": "2026-01-01",
    "state": "waiting",
    "done": 0,
    "total": 20,
    "samples": 0,
    "notes": [],
}
DONE = JOB | {"state": "done", "done": 20, "samples": 18, "notes": ["ops/p1: no history before 2026-05-01"]}


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[httpx.Request]]:
    """Puts answers in the place of the running service, one after the other; the requests it was asked with."""

    def put(*answers: dict[str, Any]) -> list[httpx.Request]:
        waiting, asked = list(answers), []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(200, json=waiting.pop(0))

        def connect() -> Service:
            return Service(Target("http://krsync.test", "okr_test"), transport=httpx.MockTransport(answer))

        monkeypatch.setattr("app.cli.backfill.connect", connect)
        monkeypatch.setattr("app.cli.team_files.connect", connect)
        monkeypatch.setattr("app.cli.backfill.EVERY", 0)
        return asked

    return put


def test_a_job_is_followed_to_its_end(krsync: Krsync, answering: Callable[..., list[httpx.Request]]) -> None:
    asked = answering(JOB, JOB | {"state": "running", "done": 7}, DONE)
    outcome = krsync("backfill", "ops/onboarding", "--since", "2026-01-01")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "ops/onboarding: 18 samples since 2026-01-01\n  ops/p1: no history before 2026-05-01\n"
    assert [(one.method, one.url.path) for one in asked] == [
        ("POST", "/v1/teams/ops/backfill"),
        ("GET", "/v1/teams/ops/backfill/4"),
        ("GET", "/v1/teams/ops/backfill/4"),
    ]
    assert json.loads(asked[0].content) == {"since": "2026-01-01", "metric": "onboarding"}


def test_a_job_need_not_be_waited_for(krsync: Krsync, answering: Callable[..., list[httpx.Request]]) -> None:
    asked = answering(JOB, JOB)
    assert (
        krsync("backfill", "ops", "--since", "2026-01-01", "--no-wait").out == "ops: job 4 is waiting, 0 of 20 days\n"
    )
    assert json.loads(asked[0].content) == {"since": "2026-01-01"}
    assert json.loads(krsync("backfill", "ops", "--since", "2026-01-01", "--no-wait", "--json").out) == JOB


@pytest.mark.parametrize("arguments", [("Ops", "--since", "2026-01-01"), ("ops", "--since", "yesterday"), ("ops",)])
def test_what_is_no_call_is_refused(krsync: Krsync, arguments: tuple[str, ...]) -> None:
    assert krsync("backfill", *arguments).code == 2


ACME = "version: 1\nname: Acme\nfiscal_year_start: 4\n"
PLAN: dict[str, Any] = {
    "is_applied": False,
    "fields": ["fiscal_year_start"],
    "teams": ["ops"],
    "cycles": [
        {
            "id": "ops/2026-Q4",
            "start_before": "2026-10-01T00:00:00Z",
            "end_before": "2027-01-01T00:00:00Z",
            "start_after": "2027-01-01T00:00:00Z",
            "end_after": "2027-04-01T00:00:00Z",
        }
    ],
    "version": 1,
}


def test_the_organisations_file_is_recognised(
    krsync: Krsync, answering: Callable[..., list[httpx.Request]], tmp_path: Path
) -> None:
    file = tmp_path / "organisation.yaml"
    file.write_text(ACME)
    assert krsync("validate", file) == (0, f"{file}: ok\n", "")
    asked = answering(PLAN, PLAN | {"is_applied": True})
    planned = krsync("plan", file)
    assert planned.out.splitlines() == [
        f"{file}: planned: fiscal_year_start",
        "for ops",
        "CYCLE\tWAS\tIS",
        "ops/2026-Q4\t2026-10-01 00:00 – 2027-01-01 00:00\t2027-01-01 00:00 – 2027-04-01 00:00",
    ]
    assert krsync("apply", file).out.startswith(f"{file}: applied: fiscal_year_start\n")
    assert [(one.method, one.url.path) for one in asked] == [
        ("POST", "/v1/organisation/plan"),
        ("PUT", "/v1/organisation"),
    ]
    assert {one.content.decode() for one in asked} == {ACME}

    file.write_text(ACME.replace("fiscal_year_start: 4", "fiscal_year_start: 40"))
    wrong = krsync("validate", file)
    assert wrong.code == 1
    assert wrong.out.startswith(f"{file}:3:1: fiscal_year_start: ")
