"""The linter: every warning has a code that the page explains, a file that brings it about, and a way to silence it."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from app.domain.document import read_yaml
from app.services.team_file import CheckedTeamFile, check_team_file, format_problem
from app.services.team_file.queries import is_unbounded, normal_form
from app.services.team_file.rules import RULES, UNNEEDED
from connectors.registry import connectors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "linter.md").read_text(encoding="utf-8")

#: Sound, and nothing to say of it.
FILE = """
version: 1
team: support
connections:
  jira: {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN}}
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  tickets: {connection: jira, jql: "project = HELP"}
  orders: {connection: erp, entity: body.po, at: body.at, event: body.event}
metrics:
  open_now: {unit: tickets, query: {connection: jira, jql: "project = HELP AND resolution IS EMPTY"}}
  days: {unit: days, duration: {dataset: tickets, from: {status: Open}, to: {category: done}}, aggregate: avg, window: {trailing: 30d}}
  spent: {unit: EUR, records: {dataset: orders, value: record.body.total}, aggregate: sum, window: {to_date: quarter}}
  mood: {unit: score, manual: {every: 14d}}
objectives:
  service:
    title: Service
    cycle: 2026-Q4
    owner: dana@acme.example
    key_results:
      fewer: {metric: open_now, baseline: 40, target: 10, fresh_within: 1h}
      quick: {metric: days, baseline: 10, target: 5}
      cheap: {metric: spent, baseline: 1000, target: 900, guardrails: [{metric: mood, must: ">= 3"}]}
"""  # noqa: E501

ENTRY = "{metric: mood, baseline: 1, target: 2}"
#: An edit of that file for each warning that the file alone tells, and the place of the warning.
KEY_RESULTS = "objectives.service.key_results"
BREAKS: dict[str, tuple[tuple[str, str], str]] = {
    "many_key_results": (
        ("      quick:", f"      a: {ENTRY}\n      b: {ENTRY}\n      quick:"),
        KEY_RESULTS,
    ),
    "no_owner": (("    owner: dana@acme.example\n", ""), "objectives.service"),
    "no_fresh_within": (
        ("baseline: 10, target: 5", "baseline: 10, target: 5, kind: committed"),
        f"{KEY_RESULTS}.quick",
    ),
    "no_guardrail": ((', guardrails: [{metric: mood, must: ">= 3"}]', ""), f"{KEY_RESULTS}.cheap"),
    "output_not_outcome": (
        (
            "      quick:",
            "      more: {title: Number of articles written, metric: open_now, baseline: 0, target: 9}\n      quick:",
        ),
        f"{KEY_RESULTS}.more",
    ),
    "unbounded_query": (("project = HELP AND resolution IS EMPTY", "resolution IS EMPTY"), "metrics.open_now.query"),
    "near_identical_queries": (
        (
            "  mood:",
            "  opened: {unit: tickets, query: {connection: jira, "
            "jql: 'resolution is empty and  project=HELP order by created'}}\n  mood:",
        ),
        "metrics.opened",
    ),
    "window_without_bounds": ((", aggregate: sum, window: {to_date: quarter}", ", aggregate: sum"), "metrics.spent"),
    "refresh_too_costly": (("fresh_within: 1h", "fresh_within: 90s"), f"{KEY_RESULTS}.fewer.fresh_within"),
    "unused_dataset": (
        ("metrics:\n", "  spare: {connection: jira, jql: 'project = SPARE'}\nmetrics:\n"),
        "datasets.spare",
    ),
    "unused_connection": (
        ("datasets:\n", "  old: {connector: webhook, verify: {scheme: bearer, secret: {env: OLD}}}\ndatasets:\n"),
        "connections.old",
    ),
}


def checked(file: str) -> CheckedTeamFile:
    found = check_team_file(read_yaml(file.encode()).value, connectors=connectors())
    assert found.problems == []
    return found


def places(found: CheckedTeamFile) -> list[tuple[str, str]]:
    return [(warning.code, ".".join(map(str, warning.path))) for warning in found.warnings]


def test_a_good_file_is_left_in_peace() -> None:
    found = checked(FILE)
    assert (found.warnings, found.silenced) == ([], [])


@pytest.mark.parametrize("code", BREAKS)
def test_each_warning_comes_about_at_its_place_and_can_be_silenced_anywhere_around(code: str) -> None:
    (before, after), place = BREAKS[code]
    assert before in FILE
    broken = FILE.replace(before, after, 1)
    found = checked(broken)
    assert (code, place) in places(found)
    for warning in found.warnings:
        line = format_problem("f.yaml", read_yaml(broken.encode()), warning)
        assert re.fullmatch(r"f\.yaml:\d+:\d+: [\w.]+: warning: .+ \[\w+\]", line)

    steps = place.split(".")
    for length in (0, 2, 4):
        if length > len(steps):
            continue
        value: Any = read_yaml(broken.encode()).value
        here = value
        for step in steps[:length]:
            here = here[step]
        here["silence"] = {code: "we know"}
        settled = check_team_file(value, connectors=connectors())
        assert settled.problems == []
        assert code not in {warning.code for warning in settled.warnings}
        assert {(warning.code, warning.silenced) for warning in settled.silenced} == {(code, "we know")}


def test_every_rule_of_the_file_is_broken_above_or_elsewhere() -> None:
    elsewhere = {"not_applicable"}  # paces of bounds: test_team_file*
    assert {code for code, rule in RULES.items() if rule.stage == "file"} == BREAKS.keys() | elsewhere


def test_every_code_is_on_the_page_and_no_other() -> None:
    assert set(re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)) == {*RULES, UNNEEDED}
    for code, rule in RULES.items():
        section = PAGE.partition(f"### `{code}`\n")[2].partition("\n### ")[0]
        assert ("`krsync plan`" in section) == (rule.stage == "service"), code


def test_every_code_that_is_given_is_a_rule() -> None:
    given = set()
    for file in (*(ROOT / "app/services/team_file").glob("*.py"), ROOT / "app/services/stored_lint.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "warn":
                assert isinstance(node.args[1], ast.Constant), f"{file.name}:{node.lineno}"
                given.add(node.args[1].value)
    assert given == set(RULES)


# --- silences --------------------------------------------------------------------------------------------------------


def test_a_silence_of_nothing_is_a_warning() -> None:
    found = checked(FILE.replace("team: support\n", 'team: support\nsilence: {no_owner: "small team"}\n'))
    assert places(found) == [(UNNEEDED, "silence.no_owner")]


def test_what_only_the_service_can_tell_is_not_called_unneeded_offline() -> None:
    found = checked(FILE.replace("team: support\n", 'team: support\nsilence: {sandbagging: "a first cycle"}\n'))
    assert found.warnings == []


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (("team: support\n", "team: support\nsilence: {no_ownr: x}\n"), ("silence", "no_ownr")),
        (("  mood: {", "  mood: {silence: {no_ownr: x}, "), ("metrics", "mood", "silence", "no_ownr")),
        (("  jira: {", "  jira: {silence: {no_ownr: x}, "), ("connections", "jira", "silence", "no_ownr")),
        (("  tickets: {", "  tickets: {silence: {no_ownr: x}, "), ("datasets", "tickets", "silence", "no_ownr")),
    ],
)
def test_an_unknown_code_is_an_error_with_a_suggestion(edit: tuple[str, str], path: tuple[str, ...]) -> None:
    found = check_team_file(read_yaml(FILE.replace(*edit, 1).encode()).value, connectors=connectors())
    (problem,) = found.problems
    assert (problem.path, problem.code, problem.suggestion) == (path, "unknown_name", "no_owner")


def test_a_silence_without_a_reason_is_an_error() -> None:
    found = check_team_file(
        read_yaml(FILE.replace("team: support\n", 'team: support\nsilence: {no_owner: ""}\n').encode()).value,
        connectors=connectors(),
    )
    assert [problem.path for problem in found.problems] == [("silence", "no_owner")]


def test_a_silence_is_no_option_of_the_connector() -> None:
    file = FILE.replace("  jira: {", '  jira: {silence: {too_many_requests: "agreed"}, ').replace(
        '  tickets: {connection: jira, jql: "project = HELP"}',
        '  tickets: {connection: jira, jql: "resolution is empty", silence: {unbounded_query: "small site"}}',
    )
    found = checked(file)
    assert found.file is not None
    assert "silence" not in found.file.connections["jira"].options
    assert "silence" not in found.file.datasets["tickets"].options
    assert [warning.code for warning in found.silenced] == ["unbounded_query"]


# --- queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"jql": ""}, True),
        ({"jql": "order by created DESC"}, True),
        ({"jql": "resolution IS EMPTY"}, True),
        ({"jql": "status != Done AND resolution is not empty"}, True),
        ({"jql": "NOT status = Done"}, True),
        ({"jql": "project = A OR status != Done"}, True),
        ({"jql": "status not in (Done, Closed)"}, True),
        ({"jql": "project = A"}, False),
        ({"jql": "priority = P1 AND resolution IS EMPTY"}, False),
        ({"jql": "created >= {from} AND created < {to}"}, False),
        ({"jql": '"Epic Link" = A-1'}, False),
        ({"jql": "text ~ 'project'"}, False),
        ({"jql": "(resolution is empty or project = A) and status != Done"}, False),
        ({"jql": "issueHistory()"}, False),
        ({"sql": "select count(*) from employees"}, True),
        ({"sql": "select count(*) from employees -- where"}, True),
        ({"sql": "select sum(x) from t where a = 'from'"}, False),
        ({"sql": "select 1"}, False),
        ({"promql": "sum(up)"}, False),
    ],
)
def test_what_bounds_a_query(options: dict[str, str], expected: bool) -> None:
    assert is_unbounded(options) is expected


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("project = A AND status = Open", "status=open and project = a ORDER BY rank", True),
        ("project = A", "project = 'A'", True),
        ("project in (A, B)", "project in (A,B)", True),
        ("priority = P1", "priority = P2", False),
        ("a = 1 or b = 2", "b = 2 or a = 1", False),
        ("status = Done", "status != Done", False),
    ],
)
def test_queries_that_ask_the_same(one: str, other: str, is_same: bool) -> None:
    assert (normal_form({"jql": one}) == normal_form({"jql": other})) is is_same


@pytest.mark.parametrize(
    ("key_result", "is_output"),
    [
        ("launched: {title: Launch the new portal, metric: made, baseline: 0, target: 1}", True),
        ("tickets_closed: {metric: made, baseline: 0, target: 100}", True),
        ("tickets_closed: {metric: made, baseline: 100, target: 10}", False),
        ("reopened: {title: Tickets reopened, metric: made, baseline: 100, target: 10}", False),
        ("customers: {title: Customers who come back, metric: made, baseline: 0, target: 100}", False),
        ("releases: {title: Releases without an incident, metric: made, baseline: 0, target: 10}", False),
    ],
)
def test_outputs_are_told_from_outcomes(key_result: str, is_output: bool) -> None:
    file = FILE.replace(
        "  mood: {", "  made: {unit: tickets, query: {connection: jira, jql: 'project = X'}}\n  mood: {", 1
    )
    found = checked(file.replace("      quick:", f"      {key_result}\n      quick:"))
    assert ("output_not_outcome" in {warning.code for warning in found.warnings}) is is_output


def test_a_metric_that_is_written_twice_inside_key_results_asks_twice() -> None:
    inline = "{unit: tickets, records: {dataset: tickets, where: \"record.status == 'Open'\"}, window: all}"
    twice = FILE.replace(
        "      cheap:", f"      one: {{metric: {inline}, baseline: 9, target: 1}}\n      cheap:"
    ).replace("quick: {metric: days,", f"quick: {{metric: {inline},")
    found = checked(twice.replace("metrics:\n", f"metrics:\n  named: {inline}\n", 1))
    assert places(found) == [
        ("near_identical_queries", f"{KEY_RESULTS}.quick.metric"),
        ("near_identical_queries", f"{KEY_RESULTS}.one.metric"),
    ]
    assert {one.message for one in found.warnings} == {
        "this asks the same as the metric 'named': give it a name, and read it from both"
    }
    silent = twice.replace(
        "unit: tickets, records", "silence: {near_identical_queries: two owners}, unit: tickets, records"
    )
    assert [one.silenced for one in checked(silent).silenced] == ["two owners"]
