"""The team file, checked whole: what is accepted, how problems are said, and the schema."""

from typing import Any

import jsonschema
import pytest

from app.domain.document import read_yaml
from app.domain.strict_json import dumps, loads
from app.services.suggest import closest
from app.services.team_file import (
    KnownNames,
    Problem,
    check_team_file,
    format_problem,
    pointer,
    team_file_schema,
)
from connectors.registry import connectors as registered
from tests.services.team_file_case import CONNECTORS, ENTRY, EXAMPLE, LANGUAGE_EXAMPLE, LONG, TEAM, check, edited

# --- what is accepted ------------------------------------------------------------------------------------------------


def test_a_sound_file_is_accepted_as_its_models() -> None:
    checked = check(TEAM)
    assert (checked.problems, checked.warnings) == ([], [])
    assert checked.file is not None
    assert set(checked.file.metrics) == set(TEAM["metrics"])
    assert checked.file.connections["jira"].options == {"url": "https://jira.example", "token": {"env": "TOKEN"}}


def test_the_example_is_accepted_with_the_connectors_there_are() -> None:
    checked = check_team_file(read_yaml(EXAMPLE.read_bytes()).value, connectors=registered())
    assert (checked.problems, checked.warnings) == ([], [])
    assert checked.file is not None
    assert {metric.form for metric in checked.file.metrics.values()} == {
        "query",
        "records",
        "duration",
        "state_share",
        "ratio",
        "formula",
        "manual",
        "milestones",
    }


def test_a_file_that_is_written_back_is_accepted_as_the_same() -> None:
    for value, connectors in ((TEAM, CONNECTORS), (read_yaml(EXAMPLE.read_bytes()).value, registered())):
        first = check_team_file(value, connectors=connectors).file
        assert first is not None
        written = loads(dumps(first.model_dump(mode="json", by_alias=True, exclude_unset=True)))
        assert check_team_file(written, connectors=connectors).file == first


def test_a_file_may_be_empty_but_for_its_head() -> None:
    assert check({"version": 1, "team": "ops"}).file is not None


# --- how it is said --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "connections.jira.token",
        "connections.erp.verify.secret",
        "connections.erp.verify",
        "connections.jira",
        "connections.jira.url",
        "metrics.open.query.jql",
        "objectives.grow.key_results.faster.target",
        "timezone",
        "metrics.lead.window",
        "metrics.open.query.exact",
    ],
)
@pytest.mark.parametrize("value", [LONG, {"value": LONG}, [LONG], "hunter2 hunter2"])
def test_a_message_repeats_neither_secrets_nor_long_input(path: str, value: Any) -> None:
    for problem in check(edited((path, value))).problems:
        assert LONG[:100] not in problem.message
        assert len(problem.message) < 450
        assert "hunter2" not in problem.message or path == "timezone"


def test_a_rule_says_the_column() -> None:
    (problem,) = check(edited(("datasets.orders.where", "body.total > > 0"))).problems
    assert problem.message.startswith("column 14: ")
    assert "expecting" not in problem.message


def test_a_problem_reads_as_file_line_column_path_message() -> None:
    text = b"version: 1\nteam: ops\nmetrics:\n  open:\n    unit: issues\n    manul: {}\n"
    document = read_yaml(text)
    (problem,) = check(document.value).problems
    assert format_problem("ops.yaml", document, problem) == (
        "ops.yaml:6:5: metrics.open.manul: unknown key 'manul'; did you mean 'manual'?"
    )
    missing = Problem(("metrics", "open", "window"), "missing", "'window' is missing", severity="warning")
    assert format_problem("ops.yaml", document, missing) == (
        "ops.yaml:4:3: metrics.open.window: warning: 'window' is missing [missing]"
    )


def test_what_is_printed_is_one_line_without_control_characters() -> None:
    document = read_yaml(b"{}")
    nasty = "\x1b[31m\n\u202e" + LONG
    line = format_problem("f", document, Problem((nasty,), "unknown_key", "unknown key\n\u2028x", nasty))
    assert line.isprintable()
    assert len(line) < 300


def test_pointers_escape_as_rfc_6901_says() -> None:
    assert pointer(()) == ""
    assert pointer(("a/b", "m~n", 0)) == "/a~1b/m~0n/0"


def test_warnings_stop_nothing() -> None:
    many = {f"kr_{index}": ENTRY for index in range(5)}
    known = KnownNames(teams=frozenset({"company"}), objectives=frozenset({"company/other"}))
    checked = check(edited(("objectives.save.key_results", many), ("parent", "group")), known)
    assert checked.file is not None
    assert [(warning.path, warning.severity) for warning in checked.warnings] == [
        (("parent",), "warning"),
        (("objectives", "save", "key_results"), "warning"),
        (("objectives", "grow", "supports", 0), "warning"),
    ]


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("onbording", ["onboarding", "orders"], "onboarding"),
        ("Open-P1", ["open_p1"], "open_p1"),
        ("zzz", ["onboarding"], None),
        ("", ["a"], None),
        ("x" * 10_000, ["x" * 10_000], None),
        ("a", [], None),
    ],
)
def test_suggestions_are_close_or_none(word: str, candidates: list[str], expected: str | None) -> None:
    assert closest(word, candidates) == expected


# --- the language's own example --------------------------------------------------------------------------------------


def test_the_example_of_the_language_is_accepted_as_it_stands() -> None:
    checked = check_team_file(read_yaml(LANGUAGE_EXAMPLE.read_bytes()).value, connectors=registered())
    assert checked.problems == []
    assert checked.file is not None


# --- the schema ------------------------------------------------------------------------------------------------------


def as_json(value: Any) -> Any:
    """What a JSON reader would see of a YAML value."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def test_the_schema_accepts_what_the_check_accepts() -> None:
    schema = team_file_schema(CONNECTORS)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(TEAM, schema)
    jsonschema.validate(as_json(read_yaml(EXAMPLE.read_bytes()).value), team_file_schema())


@pytest.mark.parametrize(
    "change",
    [
        ("metric", {}),
        ("connections.jira.tokn", {"env": "X"}),
        ("connections.jira.connector", "traker"),
        ("connections.jira.token", "hunter2"),
        ("connections.erp.verify.scheme", "mutual-tls"),
        ("datasets.issues.jqll", "x"),
        ("metrics.open.query.jlq", "x"),
        ("metrics.lead.duration.from.statis", "x"),
        ("metrics.lead.window", {"trailing": "30 days"}),
        ("objectives.grow.cycle", "2026-Q5"),
        ("objectives.grow.key_results.faster.target", True),
    ],
)
def test_the_schema_refuses_what_an_editor_can_see(change: tuple[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(team_file_schema(CONNECTORS))
    assert not validator.is_valid(edited(change))
