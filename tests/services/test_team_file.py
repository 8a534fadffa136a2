"""The team file, checked whole: every problem at once, at its place, in a plain sentence."""

import copy
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, TypeAlias

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from app.domain.document import read_yaml
from app.services.suggest import closest
from app.services.team_file import (
    CheckedTeamFile,
    KnownNames,
    Problem,
    check_team_file,
    format_problem,
    pointer,
    team_file_schema,
)
from connectors.contract import Connector, Ignored, InboundDelivery, Measurement, Page, Parsed, Window
from connectors.registry import connectors as registered
from connectors.secrets import Secret

EXAMPLE = FilePath(__file__).parents[2] / "examples" / "operations.yaml"
STRICT = ConfigDict(extra="forbid")

# --- two small connectors: a tool that is asked, and one that only tells ---------------------------------------------


class TrackerConfig(BaseModel):
    model_config = STRICT
    url: Annotated[str, Field(pattern="^https://")]
    token: Secret


class TrackerQuery(BaseModel):
    model_config = STRICT
    jql: Annotated[str, Field(min_length=1)]
    exact: bool = True

    def windowed(self) -> bool:
        return "{from}" in self.jql


class TrackerDataset(BaseModel):
    model_config = STRICT
    jql: str
    stream: str | None = None


class Signed(BaseModel):
    model_config = STRICT
    scheme: Literal["signed"]
    secret: Secret
    header: str = "x-signature"


class Bearer(BaseModel):
    model_config = STRICT
    scheme: Literal["bearer"]
    token: Secret


class HookConfig(BaseModel):
    model_config = STRICT
    verify: Annotated[Signed | Bearer, Field(discriminator="scheme")]


async def measure(session: Any, query: TrackerQuery, window: Window) -> Measurement:
    return Measurement(value=None, observed_at=datetime(2026, 1, 1, tzinfo=UTC), query=query.jql)


async def read(session: Any, dataset: Any, cursor: Any) -> AsyncIterator[Page]:
    yield Page(changes=())


def parse(config: Any, delivery: InboundDelivery) -> Parsed:
    return Ignored("nothing is read here")


CONNECTORS = {
    connector.key: connector
    for connector in (
        Connector(
            key="tracker",
            title="Tracker",
            config=TrackerConfig,
            query=TrackerQuery,
            dataset=TrackerDataset,
            measure=measure,
            read=read,
        ),
        Connector(key="hook", title="Hook", config=HookConfig, parse=parse),
        Connector(key="mute", title="Mute", config=HookConfig),
    )
}

TEAM: dict[str, Any] = {
    "version": 1,
    "team": "ops",
    "timezone": "Europe/Berlin",
    "calendar": {"holidays": "DE-BE"},
    "connections": {
        "jira": {"connector": "tracker", "url": "https://jira.example", "token": {"env": "TOKEN"}},
        "erp": {"connector": "hook", "verify": {"scheme": "signed", "secret": {"env": "SECRET"}}},
    },
    "datasets": {
        "issues": {"connection": "jira", "jql": "project = A"},
        "orders": {"connection": "erp", "entity": "body.id", "at": "body.at", "event": "body.event"},
    },
    "metrics": {
        "open": {"unit": "issues", "query": {"connection": "jira", "jql": "open"}},
        "created": {
            "unit": "issues",
            "query": {"connection": "jira", "jql": "created >= {from}"},
            "window": {"trailing": "7d"},
        },
        "lead": {
            "unit": "days",
            "duration": {"dataset": "issues", "from": {"status": "Open"}, "to": {"category": "done"}},
            "aggregate": "avg",
            "window": {"trailing": "30d"},
        },
        "spend": {
            "unit": "EUR",
            "records": {"dataset": "orders", "where": "record.event == 'paid'", "value": "record.body.total"},
            "aggregate": "sum",
            "window": {"to_date": "quarter"},
        },
        "right": {
            "unit": "percent",
            "ratio": {
                "good": {"records": {"dataset": "orders", "per": "entity", "where": "'ok' in record.events"}},
                "total": {"records": {"dataset": "orders", "per": "entity"}},
            },
        },
        "mood": {"unit": "score", "manual": {}},
    },
    "objectives": {
        "grow": {
            "title": "Grow",
            "cycle": "2026-Q4",
            "supports": ["company/win", "ops/save"],
            "key_results": {
                "faster": {
                    "metric": "lead",
                    "baseline": 15,
                    "target": 5,
                    "guardrails": [{"metric": "mood", "must": ">= 7"}],
                },
                "fewer": {"metric": "open", "baseline": {"measure": "2026-Q3"}, "target": {"change": "-25%"}},
            },
        },
        "save": {
            "title": "Save",
            "cycle": "2026",
            "key_results": {"spending": {"metric": "spend", "target": {"maintain": "<= 1000"}}},
        },
    },
}

Path = tuple[str | int, ...]
DELETE = object()

# Dotted path, code and suggestion.
Found: TypeAlias = list[tuple[str, str, str | None]]


def edited(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The valid file with values set (or deleted) at dotted paths."""
    team = copy.deepcopy(TEAM)
    for path, value in changes:
        *parents, last = path.split(".")
        here: Any = team
        for step in parents:
            here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
        if value is DELETE:
            del here[last]
        else:
            here[int(last) if isinstance(here, list) else last] = value
    return team


def check(value: Any, known: KnownNames | None = None) -> CheckedTeamFile:
    return check_team_file(value, connectors=CONNECTORS, known=known)


def found(value: Any) -> Found:
    """Dotted path, code and suggestion of each problem."""
    problems = check(value).problems
    return [(".".join(map(str, problem.path)), problem.code, problem.suggestion) for problem in problems]


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
        "ratio",
        "manual",
    }


def test_a_file_may_be_empty_but_for_its_head() -> None:
    assert check({"version": 1, "team": "ops"}).file is not None


# --- one problem, at its place ---------------------------------------------------------------------------------------

LONG = "x" * 5000
ENTRY: dict[str, Any] = {"metric": "lead", "baseline": 15, "target": 5}

PROBLEMS: dict[str, tuple[list[tuple[str, Any]], Found]] = {
    # the head
    "no version": ([("version", DELETE)], [("version", "missing", None)]),
    "another version": ([("version", 2)], [("version", "unknown_value", None)]),
    "a team's name": ([("team", "Ops Team")], [("team", "string_pattern_mismatch", None)]),
    "an unknown section": ([("metric", {})], [("metric", "unknown_key", "metrics")]),
    "a timezone": ([("timezone", "Europe/Berln")], [("timezone", "unknown_name", "Europe/Berlin")]),
    "a city": ([("timezone", "berlin")], [("timezone", "unknown_name", "Europe/Berlin")]),
    "a timezone that is a path": ([("timezone", "../../etc/passwd")], [("timezone", "unknown_name", None)]),
    "a timezone that is a folder": ([("timezone", "Europe")], [("timezone", "unknown_name", None)]),
    "a region without holidays": ([("calendar.holidays", "XX")], [("calendar", "calendar", None)]),
    "hours that end first": ([("calendar.hours", "17:00-09:00")], [("calendar", "calendar", None)]),
    "hours in words": ([("calendar.hours", "nine to five")], [("calendar.hours", "string_pattern_mismatch", None)]),
    "a weekday": ([("calendar.workweek", ["mon", "tuesday"])], [("calendar.workweek.1", "unknown_value", None)]),
    "its own parent": ([("parent", "ops")], [("parent", "circle", None)]),
    "a section that is a list": (
        [("metrics", [])],
        [("metrics", "dict_type", None)],
    ),
    "a name with capitals": (
        [("metrics.Open P1", {"unit": "x", "manual": {}})],
        [("metrics.Open P1", "name", "open_p1")],
    ),
    "an entry that is text": ([("metrics.open", "many")], [("metrics.open", "model_type", None)]),
    # connections
    "a connector misspelt": (
        [("connections.jira.connector", "traker")],
        [("connections.jira.connector", "unknown_name", "tracker")],
    ),
    "a connector to come": (
        [("connections.new", {"connector": "prometheus", "url": "x"})],
        [("connections.new.connector", "not_supported_yet", None)],
    ),
    "an unknown option": (
        [("connections.jira.tokn", {"env": "X"})],
        [("connections.jira.tokn", "unknown_key", "token")],
    ),
    "a missing option": ([("connections.jira.url", DELETE)], [("connections.jira.url", "missing", None)]),
    "an option's form": (
        [("connections.jira.url", "http://x")],
        [("connections.jira.url", "string_pattern_mismatch", None)],
    ),
    "a literal secret": (
        [("connections.jira.token", "hunter2")],
        [("connections.jira.token", "secret_reference", None)],
    ),
    "a literal secret inside": (
        [("connections.erp.verify.secret", "hunter2")],
        [("connections.erp.verify.secret", "secret_reference", None)],
    ),
    "no scheme": ([("connections.erp.verify.scheme", DELETE)], [("connections.erp.verify.scheme", "missing", None)]),
    "a scheme misspelt": (
        [("connections.erp.verify.scheme", "signd")],
        [("connections.erp.verify.scheme", "unknown_value", "signed")],
    ),
    "a scheme to come": (
        [("connections.erp.verify.scheme", "mutual-tls")],
        [("connections.erp.verify.scheme", "not_supported_yet", None)],
    ),
    "an option of a scheme": (
        [("connections.erp.verify.heeder", "x")],
        [("connections.erp.verify.heeder", "unknown_key", "header")],
    ),
    "webhooks of a pulled tool": (
        [("connections.jira.webhook_secret", {"env": "X"})],
        [("connections.jira.webhook_secret", "not_supported_yet", None)],
    ),
    # datasets
    "a connection misspelt": (
        [("datasets.issues.connection", "jria")],
        [("datasets.issues.connection", "unknown_name", "jira")],
    ),
    "a rule misspelt": ([("datasets.orders.evnt", "body.x")], [("datasets.orders.evnt", "unknown_key", "event")]),
    "an option misspelt": ([("datasets.issues.jqll", "x")], [("datasets.issues.jqll", "unknown_key", "jql")]),
    "rules for a tool that is asked": (
        [("datasets.issues.entity", "body.id")],
        [
            ("datasets.issues.entity", "not_applicable", None),
            ("metrics.lead.duration.from", "rule", None),
            ("metrics.lead.duration.to", "rule", None),
        ],
    ),
    "events without entity": (
        [("datasets.calls", {"connection": "erp", "at": "body.at"})],
        [("datasets.calls.entity", "missing", None)],
    ),
    "a connector that keeps nothing": (
        [
            ("connections.mute", {**TEAM["connections"]["erp"], "connector": "mute"}),
            ("datasets.x", {"connection": "mute"}),
        ],
        [("datasets.x.connection", "not_applicable", None)],
    ),
    "a rule that does not compile": (
        [("datasets.orders.where", "body.total >")],
        [("datasets.orders.where", "rule", None)],
    ),
    "a rule over what is not there": (
        [("datasets.orders.where", "record.total > 0")],
        [("datasets.orders.where", "rule", None)],
    ),
    "an empty rule": ([("datasets.orders.where", "")], [("datasets.orders.where", "string_too_short", None)]),
    "a preset": ([("datasets.orders.preset", "sap")], [("datasets.orders.preset", "not_supported_yet", None)]),
    "each": ([("datasets.orders.each", "body.items")], [("datasets.orders.each", "not_supported_yet", None)]),
    "redact": ([("datasets.orders.redact", ["body.iban"])], [("datasets.orders.redact", "not_supported_yet", None)]),
    "a stream": ([("datasets.orders.stream", "x")], [("datasets.orders.stream", "not_supported_yet", None)]),
    # metrics
    "no unit": ([("metrics.open.unit", DELETE)], [("metrics.open.unit", "missing", None)]),
    "a number as a unit": ([("metrics.open.unit", 5)], [("metrics.open.unit", "string_type", None)]),
    "no source": ([("metrics.mood.manual", DELETE)], [("metrics.mood", "source_form", None)]),
    "two sources": ([("metrics.mood.records", {"dataset": "orders"})], [("metrics.mood.manual", "source_form", None)]),
    "a source misspelt": (
        [("metrics.mood", {"unit": "x", "recrods": {}})],
        [("metrics.mood.recrods", "unknown_key", "records")],
    ),
    "a key inside a duration": (
        [("metrics.lead.duration.form", {})],
        [("metrics.lead.duration.form", "unknown_key", "from")],
    ),
    "an edge's key": (
        [("metrics.lead.duration.from", {"statis": "Open"})],
        [("metrics.lead.duration.from.statis", "unknown_key", "status")],
    ),
    "an edge's category": (
        [("metrics.lead.duration.to", {"category": "in progress"})],
        [("metrics.lead.duration.to.category", "unknown_value", "in_progress")],
    ),
    "two moments in an edge": (
        [("metrics.lead.duration.from.event", "x")],
        [("metrics.lead.duration.from", "edge", None)],
    ),
    "an event of entities": (
        [("metrics.lead.duration.from", {"event": "x"})],
        [("metrics.lead.duration.from", "rule", None)],
    ),
    "a status of events": (
        [("metrics.lead.duration.dataset", "orders"), ("metrics.lead.duration.to", {"event": "x"})],
        [("metrics.lead.duration.from", "rule", None)],
    ),
    "entities by entity": (
        [("metrics.right.ratio.good.records.dataset", "issues")],
        [("metrics.right.ratio.good.records.per", "not_applicable", None)],
    ),
    "open durations": (
        [("metrics.lead.duration.open", "include")],
        [("metrics.lead.duration.open", "not_supported_yet", None)],
    ),
    "a dataset misspelt": (
        [("metrics.lead.duration.dataset", "isues")],
        [("metrics.lead.duration.dataset", "unknown_name", "issues")],
    ),
    "a metric's rule": (
        [("metrics.spend.records.where", "body.x == 1")],
        [("metrics.spend.records.where", "rule", None)],
    ),
    "a value's rule": ([("metrics.spend.records.value", "record.")], [("metrics.spend.records.value", "rule", None)]),
    "a rule in a ratio": (
        [("metrics.right.ratio.total.records.where", "(")],
        [("metrics.right.ratio.total.records.where", "rule", None)],
    ),
    "what is distinct": (
        [("metrics.spend.aggregate", {"distinct": "body.x"}), ("metrics.spend.records.value", DELETE)],
        [("metrics.spend.aggregate.distinct", "rule", None)],
    ),
    "an aggregate": (
        [("metrics.spend.aggregate", "total")],
        [("metrics.spend.aggregate", "string_pattern_mismatch", None)],
    ),
    "a window's word": ([("metrics.lead.window", "cycel")], [("metrics.lead.window", "unknown_value", "cycle")]),
    "a window's form": ([("metrics.lead.window", {"last": "30d"})], [("metrics.lead.window", "form", None)]),
    "a window's span": (
        [("metrics.lead.window", {"trailing": "30 days"})],
        [("metrics.lead.window.trailing", "duration", None)],
    ),
    "a window's period": (
        [("metrics.lead.window", {"to_date": "quater"})],
        [("metrics.lead.window.to_date", "unknown_value", "quarter")],
    ),
    "a query to a webhook": (
        [("metrics.open.query", {"connection": "erp"})],
        [("metrics.open.query.connection", "not_applicable", None)],
    ),
    "a query's connection": (
        [("metrics.open.query.connection", "jra")],
        [("metrics.open.query.connection", "unknown_name", "jira")],
    ),
    "a query's option": ([("metrics.open.query.jlq", "x")], [("metrics.open.query.jlq", "unknown_key", "jql")]),
    "a query's type": ([("metrics.open.query.jql", 5)], [("metrics.open.query.jql", "string_type", None)]),
    "a window that is not asked for": (
        [("metrics.open.window", "cycle")],
        [("metrics.open.query", "not_windowed", None)],
    ),
    "a window that is not there": (
        [("metrics.created.window", DELETE)],
        [("metrics.created.query", "window_missing", None)],
    ),
    "a formula": (
        [("metrics.new", {"unit": "x", "formula": "open / created"})],
        [("metrics.new.formula", "not_supported_yet", None)],
    ),
    "milestones": (
        [("metrics.new", {"unit": "x", "milestones": []})],
        [("metrics.new.milestones", "not_supported_yet", None)],
    ),
    "a share of time": (
        [("metrics.new", {"unit": "x", "state_share": {}})],
        [("metrics.new.state_share", "not_supported_yet", None)],
    ),
    "a formula inside": (
        [("objectives.grow.key_results.new", {**ENTRY, "metric": {"unit": "x", "formula": "a"}})],
        [("objectives.grow.key_results.new.metric.formula", "not_supported_yet", None)],
    ),
    # objectives
    "a cycle": ([("objectives.grow.cycle", "2026-Q5")], [("objectives.grow.cycle", "string_pattern_mismatch", None)]),
    "a cycle beyond the calendar": ([("objectives.grow.cycle", "0000")], [("objectives.grow.cycle", "cycle", None)]),
    "a cycle of one's own": (
        [("objectives.grow.cycle", "launch")],
        [("objectives.grow.cycle", "not_supported_yet", None)],
    ),
    "contribution": (
        [("objectives.grow.contributes_to", [])],
        [("objectives.grow.contributes_to", "not_supported_yet", None)],
    ),
    "no title": ([("objectives.grow.title", DELETE)], [("objectives.grow.title", "missing", None)]),
    "a key of an objective": (
        [("objectives.grow.keyresults", {})],
        [("objectives.grow.keyresults", "unknown_key", "key_results")],
    ),
    "support without team": (
        [("objectives.grow.supports", ["save"])],
        [("objectives.grow.supports.0", "unknown_name", "ops/save")],
    ),
    "support of what is not there": (
        [("objectives.grow.supports", ["ops/sav"])],
        [("objectives.grow.supports.0", "unknown_name", "ops/save")],
    ),
    "support of itself": ([("objectives.grow.supports", ["ops/grow"])], [("objectives.grow.supports", "circle", None)]),
    "support in a circle": (
        [("objectives.save.supports", ["ops/grow"])],
        [("objectives.save.supports", "circle", None)],
    ),
    # key results
    "a metric misspelt": (
        [("objectives.grow.key_results.faster.metric", "laed")],
        [("objectives.grow.key_results.faster.metric", "unknown_name", "lead")],
    ),
    "another team's metric": (
        [("objectives.grow.key_results.faster.metric", "hr.lead")],
        [("objectives.grow.key_results.faster.metric", "not_supported_yet", None)],
    ),
    "this team's metric in full": (
        [("objectives.grow.key_results.faster.metric", "ops/lead")],
        [("objectives.grow.key_results.faster.metric", "unknown_name", "lead")],
    ),
    "a guardrail's metric": (
        [("objectives.grow.key_results.faster.guardrails.0.metric", "mod")],
        [("objectives.grow.key_results.faster.guardrails.0.metric", "unknown_name", "mood")],
    ),
    "a guardrail's bound": (
        [("objectives.grow.key_results.faster.guardrails.0.must", "above 7")],
        [("objectives.grow.key_results.faster.guardrails.0.must", "string_pattern_mismatch", None)],
    ),
    "nothing to reach": (
        [("objectives.grow.key_results.faster.target", 15)],
        [("objectives.grow.key_results.faster.target", "baseline_is_target", None)],
    ),
    "no baseline": (
        [("objectives.grow.key_results.faster.baseline", DELETE)],
        [("objectives.grow.key_results.faster.baseline", "missing", None)],
    ),
    "a baseline's period": (
        [("objectives.grow.key_results.fewer.baseline", {"measure": "last"})],
        [("objectives.grow.key_results.fewer.baseline.measure", "string_pattern_mismatch", None)],
    ),
    "a target's form": (
        [("objectives.grow.key_results.faster.target", {"reduce": 3})],
        [("objectives.grow.key_results.faster.target", "form", None)],
    ),
    "a change's form": (
        [("objectives.grow.key_results.fewer.target", {"change": "a bit"})],
        [("objectives.grow.key_results.fewer.target.change", "string_pattern_mismatch", None)],
    ),
    "a kind": (
        [("objectives.grow.key_results.faster.kind", "commited")],
        [("objectives.grow.key_results.faster.kind", "unknown_value", "committed")],
    ),
    "a key of a key result": (
        [("objectives.grow.key_results.faster.wieght", 2)],
        [("objectives.grow.key_results.faster.wieght", "unknown_key", "weight")],
    ),
    "paused": (
        [("objectives.grow.key_results.faster.paused", True)],
        [("objectives.grow.key_results.faster.paused", "not_supported_yet", None)],
    ),
    "a name twice in the team": (
        [("objectives.save.key_results.faster", ENTRY)],
        [("objectives.save.key_results.faster", "duplicate_name", None)],
    ),
    "a metric inside": (
        [("objectives.grow.key_results.faster.metric", {**TEAM["metrics"]["spend"], "unti": "x"})],
        [("objectives.grow.key_results.faster.metric.unti", "unknown_key", "unit")],
    ),
    "a metric's dataset inside": (
        [("objectives.grow.key_results.faster.metric", {"unit": "x", "records": {"dataset": "order"}})],
        [("objectives.grow.key_results.faster.metric.records.dataset", "unknown_name", "orders")],
    ),
    "a query inside": (
        [("objectives.grow.key_results.faster.metric", TEAM["metrics"]["open"])],
        [("objectives.grow.key_results.faster.metric", "inline_metric", None)],
    ),
}


@pytest.mark.parametrize(("changes", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_mistake_is_one_problem_at_its_place(changes: list[tuple[str, Any]], expected: Found) -> None:
    assert found(edited(*changes)) == expected


def test_all_problems_come_at_once() -> None:
    changes = [
        ("timezone", "Mars/Base"),
        ("connections.jira.token", "hunter2"),
        ("connections.jira.url", 5),
        ("datasets.orders.where", "body."),
        ("metrics.open.query.connection", "jria"),
        ("metrics.lead.window.trailing", "x"),
        ("metrics.lead.unit", 1),
        ("objectives.grow.title", ""),
        ("objectives.grow.key_results.faster.target", 15),
        ("objectives.grow.key_results.fewer.kind", "x"),
    ]
    assert {path for path, _, _ in found(edited(*changes))} == {path for path, _ in changes}


@pytest.mark.parametrize("value", [None, [], "x", 5, True])
def test_what_is_no_mapping_is_one_problem(value: Any) -> None:
    assert found(value) == [("", "model_type", None)]


def test_what_depends_on_the_unsupported_is_listed_too() -> None:
    changes = [
        ("connections.jira", {"connector": "sql", "dsn": {"env": "X"}}),
        ("datasets.issues", {"connection": "jira"}),
    ]
    assert {path for path, code, _ in found(edited(*changes)) if code == "not_supported_yet"} == {
        "connections.jira.connector",
        "datasets.issues.connection",
        "metrics.open.query.connection",
        "metrics.created.query.connection",
        "metrics.lead.duration.dataset",
        "objectives.grow.key_results.faster.metric",
        "objectives.grow.key_results.fewer.metric",
    }


def test_what_depends_on_a_mistake_is_not_a_mistake() -> None:
    changes = [("connections.jira.url", 5), ("datasets.issues.at", 5), ("metrics.lead.unit", 5)]
    assert [path for path, _, _ in found(edited(*changes))] == [path for path, _ in changes]


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
        "ops.yaml:4:3: metrics.open.window: warning: 'window' is missing"
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
        (("objectives", "grow", "supports", 0), "warning"),
        (("objectives", "save", "key_results"), "warning"),
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


def test_everything_that_is_to_come_is_refused_where_it_stands() -> None:
    document = read_yaml(FilePath(__file__).with_name("language_example.yaml").read_bytes())
    checked = check_team_file(document.value, connectors=registered())
    assert {problem.code for problem in checked.problems} == {"not_supported_yet"}
    assert {".".join(map(str, problem.path)) for problem in checked.problems} == {
        "connections.jira.webhook_secret",
        "connections.prometheus.connector",
        "connections.warehouse.connector",
        "connections.github.connector",
        "datasets.pulls.connection",
        "datasets.pulls.stream",
        "metrics.erp_uptime.state_share",
        "metrics.erp_uptime_prometheus.ratio.good.query.connection",
        "metrics.erp_uptime_prometheus.ratio.total.query.connection",
        "metrics.overhead.query.connection",
        "metrics.headcount.query.connection",
        "metrics.overhead_per_head.formula",
        "metrics.review_rate.ratio.good.records.dataset",
        "metrics.review_rate.ratio.total.records.dataset",
        "metrics.cutover.milestones",
        "objectives.fast_start.contributes_to",
        "objectives.fast_start.key_results.erp_available.metric",
        "objectives.fast_start.key_results.overhead_down.metric",
        "objectives.fast_start.key_results.overhead_down.guardrails.0.metric",
    }


def test_without_what_is_to_come_the_example_is_accepted() -> None:
    value: Any = read_yaml(FilePath(__file__).with_name("language_example.yaml").read_bytes()).value
    for section, names in {
        "connections": ["prometheus", "warehouse", "github"],
        "datasets": ["pulls"],
        "metrics": [
            "erp_uptime",
            "erp_uptime_prometheus",
            "overhead",
            "headcount",
            "overhead_per_head",
            "review_rate",
            "cutover",
        ],
    }.items():
        for name in names:
            del value[section][name]
    objective = value["objectives"]["fast_start"]
    del value["connections"]["jira"]["webhook_secret"], objective["contributes_to"]
    del objective["key_results"]["erp_available"], objective["key_results"]["overhead_down"]
    checked = check_team_file(value, connectors=registered())
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


# --- any input -------------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "version",
        "team",
        "connections",
        "datasets",
        "metrics",
        "objectives",
        "key_results",
        "connection",
        "dataset",
        "query",
        "records",
        "duration",
        "ratio",
        "good",
        "total",
        "manual",
        "window",
        "trailing",
        "30d",
        "from",
        "to",
        "status",
        "aggregate",
        "distinct",
        "p90",
        "metric",
        "target",
        "baseline",
        "measure",
        "change",
        "maintain",
        "jira",
        "erp",
        "orders",
        "issues",
        "open",
        "lead",
        "tracker",
        "hook",
        "2026-Q4",
        "verify",
        "scheme",
        "signed",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=True) | WORDS | st.text(max_size=8)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


def assert_is_answered(value: Any) -> None:
    checked = check(value)
    assert (checked.file is None) == bool(checked.problems)
    document = read_yaml(b"a: 1")
    for problem in checked.problems + checked.warnings:
        assert format_problem("f", document, problem).isprintable()
        assert pointer(problem.path).count("/") >= len(problem.path)
        assert problem.message


@given(TREES)
def test_any_tree_is_answered(tree: Any) -> None:
    assert_is_answered(tree)


@given(st.dictionaries(st.sampled_from(sorted(TEAM)), TREES))
def test_any_section_is_answered(sections: dict[str, Any]) -> None:
    assert_is_answered({**TEAM, **sections})


def places(value: Any, path: Path = ()) -> list[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def replaced(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copied = copy.copy(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], change)
    return copied


PLACES = places(TEAM)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), TREES), min_size=1, max_size=3), st.booleans())
def test_any_change_of_a_sound_file_is_answered(changes: list[tuple[Path, Any]], is_added: bool) -> None:
    team: Any = TEAM
    for place, tree in changes:
        if place in places(team):
            team = replaced(team, place, partial(_merged if is_added else _taken, new=tree))
    assert_is_answered(team)


def _taken(_: Any, new: Any) -> Any:
    return new


def _merged(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def test_a_file_that_is_wrong_throughout_is_answered_within_bounds() -> None:
    keys = {f"unknown_{index}": index for index in range(2000)}
    metrics = {f"m{index}": {"unit": 5, "recrds": {}, "query": {"connection": f"c{index}"}} for index in range(500)}
    checked = check(edited(("metrics", metrics), ("objectives.grow.key_results", {"x": keys}), *keys.items()))
    assert checked.file is None
    assert len(checked.problems) == 200
    assert check(edited(("metrics", {f"m{i}": {} for i in range(501)}))).problems[0].code == "too_many"
    rule = "body.a == '" + "x" * 3900 + "'"
    datasets = {f"d{i}": {"connection": "erp", "entity": rule} for i in range(30)}
    assert "too_many" in {code for _, code, _ in found(edited(("datasets", datasets)))}
