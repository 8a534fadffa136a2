"""`check-in` and `health-check`: what is sent, and what is shown of the answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import Krsync

Serving = Callable[[Callable[[httpx.Request], httpx.Response]], None]

SAID: dict[str, Any] = {
    "id": 1,
    "at": "2026-11-20T08:12:00Z",
    "author": "token:dana",
    "note": "Late",
    "confidence": 0.6,
    "blockers": [],
    "value": None,
}
CHECK: dict[str, Any] = {
    "id": 12,
    "team": "operations",
    "cycle": {"name": "2026-Q4", "start": "2026-10-01", "end": "2027-01-01"},
    "made_at": "2026-11-16T00:04:00Z",
    "made_by": "krsync",
    "is_stored": True,
    "elapsed": 0.5,
    "proposals": {"keep": 0, "re_scope": 1, "drop": 0},
    "key_results": [
        {
            "id": "operations/onboarding_time",
            "lifecycle": "active",
            "progress": 0.63,
            "expected_progress": 0.5,
            "status": "on_track",
            "freshness": {"level": "fresh"},
            "forecast": {"value_at_end": "5.912", "low": "4.8", "high": "7.4", "chance_of_target": 0.31},
            "edits": 3,
            "findings": [
                {
                    "code": "edited",
                    "message": "changed 3 times\x1b[31m",
                    "severity": "warning",
                    "subject": "operations/onboarding_time",
                }
            ],
            "proposal": "re_scope",
        }
    ],
    "findings": [
        {"code": "metric_overload", "message": "6 key results", "severity": "warning", "subject": "operations/fast"}
    ],
}


def test_a_check_in_sends_numbers_as_they_were_written(krsync: Krsync, serving: Serving) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(201, json=SAID)

    serving(answer)
    outcome = krsync(
        "check-in", "operations/mood", "Late", "--confidence", "0.60", "--blocker", "Supplier", "--value", "7.250"
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("operations/mood: checked in ")
    assert outcome.out.rstrip().endswith("by token:dana, 60 % confident")
    assert (sent[0].method, sent[0].url.path) == ("POST", "/v1/key-results/operations/mood/check-ins")
    assert json.loads(sent[0].content) == {
        "note": "Late",
        "confidence": "0.60",
        "blockers": ["Supplier"],
        "value": "7.250",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("mood", "Late"),
        ("operations/mood",),
        ("operations/mood", "--confidence", "high"),
        ("operations/mood", "--confidence", "80"),
        ("operations/mood", "--value", "NaN"),
    ],
)
def test_a_check_in_that_makes_no_sense_is_not_sent(
    krsync: Krsync, serving: Serving, arguments: tuple[str, ...]
) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    serving(never)
    assert krsync("check-in", *arguments).code == 2


def test_a_health_check_is_a_table_and_its_findings(krsync: Krsync, serving: Serving) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201 if request.method == "POST" else 200, json=CHECK)

    serving(answer)
    outcome = krsync("health-check", "operations")
    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert lines[0].startswith("operations 2026-Q4, 50 % of the cycle passed; made ")
    assert lines[3] == ("operations/onboarding_time\tre-scope\t63 %\t50 %\t5.91 (4.8 to 7.4)\t31 %\ton_track\tfresh\t3")
    assert lines[-2] == "operations/fast\twarning\tmetric_overload\t6 key results"
    assert lines[-1].startswith("operations/onboarding_time\twarning\tedited\tchanged 3 times")
    assert "\x1b" not in outcome.out

    krsync("health-check", "operations", "--now", "--cycle", "2026-Q3")
    assert [(request.method, dict(request.url.params)) for request in asked] == [
        ("GET", {}),
        ("POST", {"cycle": "2026-Q3"}),
    ]
    assert json.loads(krsync("health-check", "operations", "--json").out) == CHECK


def test_an_apply_says_why(krsync: Krsync, serving: Serving, tmp_path: Path) -> None:
    reasons: list[bytes | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers = dict(request.headers.raw)
        reasons.append(next((value for name, value in headers.items() if name.lower() == b"x-krsync-reason"), None))
        return httpx.Response(200, json={"team": "operations", "is_applied": True, "changes": []})

    serving(answer)
    file = tmp_path / "operations.yaml"
    file.write_text("version: 1\nteam: operations\n")
    assert krsync("apply", file, "--reason", "Zum\nQuartal ✓").code == 0
    assert krsync("apply", file).code == 0
    assert reasons == ["Zum Quartal ✓".encode(), None]
