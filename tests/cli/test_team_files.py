"""Team files on the command line: problems at their places, offline and from the service."""

import json
import os
import subprocess
import sys
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
      happy: {metric: satisfaction, baseline: 5, target: 8, owner: dana}
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


# --- warnings --------------------------------------------------------------------------------------------------------


def test_warnings_have_a_place_and_a_code_and_silenced_ones_are_listed_when_asked(krsync: Krsync, small: Path) -> None:
    small.write_text(SMALL.replace(", owner: dana", ""))
    outcome = krsync("validate", small)
    assert outcome.code == 0
    warning, fine = outcome.out.splitlines()
    assert warning.startswith(f"{small}:8:3: objectives.better: warning: nobody owns")
    assert warning.endswith("[no_owner]")
    assert fine == f"{small}: ok"
    small.write_text(
        SMALL.replace(", owner: dana", "").replace("team: ops\n", "team: ops\nsilence: {no_owner: two of us}\n")
    )
    assert krsync("validate", small).out == f"{small}: ok\n"
    listed = krsync("validate", "--all", small).out.splitlines()[0]
    assert "silenced: " in listed
    assert listed.endswith("[no_owner] because: two of us")


def test_the_services_warnings_are_shown_once_at_their_place(krsync: Krsync, serving: Serving, small: Path) -> None:
    small.write_text(SMALL.replace(", owner: dana", ""))

    def answer(request: httpx.Request) -> httpx.Response:
        warnings = [
            {"pointer": "/objectives/better", "code": "no_owner", "detail": "nobody owns", "silenced": None},
            {"pointer": "/metrics/satisfaction", "code": "unused_metric", "detail": "unread", "silenced": None},
            {"pointer": "/objectives/better", "code": "sandbagging", "detail": "met", "silenced": "we know"},
        ]
        return httpx.Response(200, json={"team": "ops", "is_applied": False, "changes": [], "warnings": warnings})

    serving(answer)
    lines = krsync("plan", small).out.splitlines()
    assert sum("[no_owner]" in line for line in lines) == 1
    assert f"{small}:6:3: metrics.satisfaction: warning: unread [unused_metric]" in lines
    assert not any("sandbagging" in line for line in lines)
    assert any(
        line.endswith("silenced: met [sandbagging] because: we know")
        for line in krsync("plan", "--all", small).out.splitlines()
    )


# --- a plan in numbers -----------------------------------------------------------------------------------------------

PLAN = {
    "team": "ops",
    "is_applied": False,
    "changes": [
        {"kind": "metric", "id": "ops/mood", "action": "rename", "fields": ["window"], "reason": "was ops/satisfaction"}
    ],
    "drift": [
        {"kind": "key_result", "id": "ops/happy", "field": "target", "file": "8", "service": {"change": "+3"}},
    ],
    "effects": [
        {
            "id": "ops/happy",
            "unit": "score",
            "value_before": "6.333333333333333333333333333",
            "value_after": "6.5",
            "progress_before": 0.444,
            "progress_after": 0.5,
            "status_before": "behind",
            "status_after": "on_track",
        },
        {"id": "ops/close", "unit": "score", "value_before": "1.0001", "value_after": "1.0002"},
    ],
    "records": [
        {
            "metric": "ops/mood",
            "cycle": "2026-Q4",
            "is_new": False,
            "entering": 1,
            "leaving": 1022,
            "changing": 3,
            "entered": [
                {
                    "part": "value",
                    "label": "A-1",
                    "at": "2026-11-02T08:00:00Z",
                    "value": "1.5",
                    "reason": "outside the window",
                    "link": "https://x/A-1",
                }
            ],
            "left": [{"part": "value", "label": "A-2", "at": None, "value": None, "reason": "no value", "link": None}],
            "key_results": ["ops/happy"],
        }
    ],
    "requests": [{"connection": "ops/jira", "per_hour_before": "4.0", "per_hour_after": "12.5"}],
    "asks": [
        {
            "connection": "ops/jira",
            "dataset": "ops/tickets",
            "query": None,
            "reason": "fields that were never fetched",
            "fields": ["Cost"],
            "requests": 1200,
        },
    ],
    "baselines": [
        {"key_result": "ops/happy", "guardrail": None, "value": "5.25"},
        {"key_result": "ops/close", "guardrail": None, "value": None},
    ],
    "building": [],
    "warnings": [],
}


def test_a_file_that_can_be_read_once_is_sent_as_it_was_checked(krsync: Krsync, serving: Serving) -> None:
    sent: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(200, json=PLAN)

    serving(answer)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(SMALL)
    try:
        assert krsync("plan", f"/dev/fd/{reading}").code == 0
    finally:
        os.close(reading)
    assert sent == [SMALL.encode()]


def test_a_plan_is_shown_in_numbers_that_people_read(krsync: Krsync, serving: Serving, small: Path) -> None:
    serving(lambda request: httpx.Response(200, json=PLAN))
    outcome = krsync("plan", small)
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"{small}: planned: 1 rename",
        "ACTION\tWHAT\tNAME\tDETAIL",
        "rename\tmetric\tops/mood\twas ops/satisfaction; window",
        "",
        "changed through the API since, which the file will take back:",
        "WHAT\tNAME\tFIELD\tFILE SAYS\tSERVICE HAS",
        'key result\tops/happy\ttarget\t8\t{"change": "+3"}',
        "",
        "KEY RESULT\tVALUE\tPROGRESS\tSTATUS",
        "ops/happy\t6.33 → 6.5 score\t44 % → 50 %\tbehind → on_track",
        "ops/close\t1.0001 → 1.0002 score\t–\t–",
        "",
        "records of ops/mood (2026-Q4): 1 enter, 1,022 leave, 3 change; for ops/happy",
        "\tRECORD\tAT\tVALUE\tWHY NOT BEFORE / ANY MORE\tLINK",
        "+\tA-1\t2026-11-02 08:00Z\t1.5\toutside the window\thttps://x/A-1",
        "-\tA-2\t–\t–\tno value\t–",
        "… and 1,021 more leaving",
        "",
        "CONNECTION\tREQUESTS AN HOUR",
        "ops/jira\t4 → 12.5 (+8.5)",
        "asks the tool (ops/jira): ops/tickets: fields that were never fetched: Cost (about 1,200 requests)",
        "baseline to be frozen: ops/happy at 5.25",
        "baseline to be measured and frozen: ops/close",
    ]
    assert json.loads(krsync("plan", "--json", small).out) == [PLAN]


def test_an_apply_says_what_is_still_being_built(krsync: Krsync, serving: Serving, small: Path) -> None:
    answer = {"team": "ops", "is_applied": True, "building": [{"metric": "ops/mood", "done": 0, "total": 120_000}]}
    serving(lambda request: httpx.Response(200, json=answer))
    line = krsync("apply", small).out.splitlines()[-1]
    assert line.startswith("being built: ops/mood, 0 of 120,000; ")
    assert "--wait" in line


# --- an editor's help ------------------------------------------------------------------------------------------------


def test_the_schema_can_be_written_beside_a_file(krsync: Krsync, tmp_path: Path) -> None:
    out = tmp_path / "krsync.schema.json"
    assert krsync("schema", "--out", out).code == 0
    assert json.loads(out.read_text()) == json.loads(krsync("schema").out)


def test_a_file_is_checked_without_what_only_a_service_needs() -> None:
    example = EXAMPLE.with_name("first.yaml")
    program = (
        "import sys; sys.argv = ['krsync', 'validate', sys.argv[1]]\n"
        "from app.cli import app\n"
        "try: app()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", program, str(example)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=EXAMPLE.parents[1])
    loaded = set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))
    assert "pydantic" in loaded
    assert loaded.isdisjoint({"sqlalchemy", "sqlmodel", "fastapi", "uvicorn", "arq", "redis", "holidays", "jira"})
