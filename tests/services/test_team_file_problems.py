"""Every mistake in a team file is one problem, in the right place, with what was meant."""

from typing import Any

import pytest

from app.domain.alignment import Edge
from app.services.team_file import KnownNames
from tests.services.team_file_case import (
    DELETE,
    ENTRY,
    TEAM,
    Found,
    check,
    edited,
    found,
)

# What it is, where a value is set (or deleted), the value, and the problem there: code and suggestion.
IN_PLACE: list[tuple[str, str, Any, str, str | None]] = [
    ("no version", "version", DELETE, "missing", None),
    ("another version", "version", 2, "unknown_value", None),
    ("a team's name", "team", "Ops Team", "string_pattern_mismatch", None),
    ("an unknown section", "metric", {}, "unknown_key", "metrics"),
    ("a timezone", "timezone", "Europe/Berln", "unknown_name", "Europe/Berlin"),
    ("a city", "timezone", "berlin", "unknown_name", "Europe/Berlin"),
    ("a timezone that is a path", "timezone", "../../etc/passwd", "unknown_name", None),
    ("a timezone that is a folder", "timezone", "Europe", "unknown_name", None),
    ("hours in words", "calendar.hours", "nine to five", "string_pattern_mismatch", None),
    ("its own parent", "parent", "ops", "circle", None),
    ("a section that is a list", "metrics", [], "dict_type", None),
    ("a name with capitals", "metrics.Open P1", {"unit": "x", "manual": {}}, "name", "open_p1"),
    ("an entry that is text", "metrics.open", "many", "model_type", None),
    ("a connector misspelt", "connections.jira.connector", "traker", "unknown_name", "tracker"),
    ("an unknown option", "connections.jira.tokn", {"env": "X"}, "unknown_key", "token"),
    ("a missing option", "connections.jira.url", DELETE, "missing", None),
    ("an option's form", "connections.jira.url", "http://x", "string_pattern_mismatch", None),
    ("a literal secret", "connections.jira.token", "hunter2", "secret_reference", None),
    ("a literal secret inside", "connections.erp.verify.secret", "hunter2", "secret_reference", None),
    ("no scheme", "connections.erp.verify.scheme", DELETE, "missing", None),
    ("a scheme misspelt", "connections.erp.verify.scheme", "signd", "unknown_value", "signed"),
    ("a scheme to come", "connections.erp.verify.scheme", "mutual-tls", "not_supported_yet", None),
    ("an option of a scheme", "connections.erp.verify.heeder", "x", "unknown_key", "header"),
    ("webhooks of a pulled tool", "connections.jira.webhook_secret", {"env": "X"}, "not_supported_yet", None),
    ("a connection misspelt", "datasets.issues.connection", "jria", "unknown_name", "jira"),
    ("a rule misspelt", "datasets.orders.evnt", "body.x", "unknown_key", "event"),
    ("an option misspelt", "datasets.issues.jqll", "x", "unknown_key", "jql"),
    ("a rule that does not compile", "datasets.orders.where", "body.total >", "rule", None),
    ("a rule over what is not there", "datasets.orders.where", "record.total > 0", "rule", None),
    ("an empty rule", "datasets.orders.where", "", "string_too_short", None),
    ("a preset that is none", "datasets.orders.preset", "sap", "unknown_name", None),
    ("each does not compile", "datasets.orders.each", "body.items[", "rule", None),
    ("an item without each", "datasets.orders.entity", "item.id", "rule", None),
    ("redact beside the rules", "datasets.orders.redact", ["body.iban"], "not_applicable", None),
    ("a stream", "datasets.orders.stream", "x", "not_supported_yet", None),
    ("no unit", "metrics.open.unit", DELETE, "missing", None),
    ("a number as a unit", "metrics.open.unit", 5, "string_type", None),
    ("a key inside a duration", "metrics.lead.duration.form", {}, "unknown_key", "from"),
    ("an event of entities", "metrics.lead.duration.from", {"event": "x"}, "rule", None),
    ("half-open durations", "metrics.lead.duration.open", "maybe", "unknown_value", None),
    ("a dataset misspelt", "metrics.lead.duration.dataset", "isues", "unknown_name", "issues"),
    ("a metric's rule", "metrics.spend.records.where", "body.x == 1", "rule", None),
    ("a value's rule", "metrics.spend.records.value", "record.", "rule", None),
    ("a rule in a ratio", "metrics.right.ratio.total.records.where", "(", "rule", None),
    ("an aggregate", "metrics.spend.aggregate", "total", "string_pattern_mismatch", None),
    ("a window's word", "metrics.lead.window", "cycel", "unknown_value", "cycle"),
    ("a window's form", "metrics.lead.window", {"last": "30d"}, "form", None),
    ("a query's connection", "metrics.open.query.connection", "jra", "unknown_name", "jira"),
    ("a query's option", "metrics.open.query.jlq", "x", "unknown_key", "jql"),
    ("a query's type", "metrics.open.query.jql", 5, "string_type", None),
    ("a cycle", "objectives.grow.cycle", "2026-Q5", "string_pattern_mismatch", None),
    ("a cycle beyond the calendar", "objectives.grow.cycle", "0000", "cycle", None),
    ("a cycle of no team", "objectives.grow.cycle", "launch", "unknown_name", None),
    ("contribution to itself", "objectives.grow.contributes_to", ["ops/grow"], "circle", None),
    ("contribution in a circle", "objectives.save.contributes_to", ["ops/grow"], "circle", None),
    ("two paces", "objectives.grow.key_results.faster.curve", "wavy", "unknown_value", None),
    ("no title", "objectives.grow.title", DELETE, "missing", None),
    ("a key of an objective", "objectives.grow.keyresults", {}, "unknown_key", "key_results"),
    ("support of itself", "objectives.grow.supports", ["ops/grow"], "circle", None),
    ("support in a circle", "objectives.save.supports", ["ops/grow"], "circle", None),
    ("a metric misspelt", "objectives.grow.key_results.faster.metric", "laed", "unknown_name", "lead"),
    ("this team's metric in full", "objectives.grow.key_results.faster.metric", "ops/lead", "unknown_name", "lead"),
    ("a guardrail's metric", "objectives.grow.key_results.faster.guardrails.0.metric", "mod", "unknown_name", "mood"),
    (
        "a guardrail's bound",
        "objectives.grow.key_results.faster.guardrails.0.must",
        "above 7",
        "string_pattern_mismatch",
        None,
    ),
    ("nothing to reach", "objectives.grow.key_results.faster.target", 15, "baseline_is_target", None),
    ("no baseline", "objectives.grow.key_results.faster.baseline", DELETE, "missing", None),
    ("a target's form", "objectives.grow.key_results.faster.target", {"reduce": 3}, "form", None),
    ("a kind", "objectives.grow.key_results.faster.kind", "commited", "unknown_value", "committed"),
    ("a key of a key result", "objectives.grow.key_results.faster.wieght", 2, "unknown_key", "weight"),
    ("paused", "objectives.grow.key_results.faster.paused", True, "string_type", None),
    ("a name twice in the team", "objectives.save.key_results.faster", ENTRY, "duplicate_name", None),
    ("a query inside", "objectives.grow.key_results.faster.metric", TEAM["metrics"]["open"], "inline_metric", None),
]


def share(**source: Any) -> dict[str, Any]:
    """A sound share of time, but for these keys of its source."""
    own = {"dataset": "orders", "good": ["up"], **source}
    return {"unit": "percent", "state_share": own, "window": {"trailing": "28d"}}


ELSEWHERE: dict[str, tuple[list[tuple[str, Any]], Found]] = {
    "a region without holidays": ([("calendar.holidays", "XX")], [("calendar", "calendar", None)]),
    "hours that end first": ([("calendar.hours", "17:00-09:00")], [("calendar", "calendar", None)]),
    "a weekday": ([("calendar.workweek", ["mon", "tuesday"])], [("calendar.workweek.1", "unknown_value", None)]),
    "a connector to come": (
        [("connections.new", {"connector": "slack", "url": "x"})],
        [("connections.new.connector", "not_supported_yet", None)],
    ),
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
    "no source": ([("metrics.mood.manual", DELETE)], [("metrics.mood", "source_form", None)]),
    "two sources": ([("metrics.mood.records", {"dataset": "orders"})], [("metrics.mood.manual", "source_form", None)]),
    "a source misspelt": (
        [("metrics.mood", {"unit": "x", "recrods": {}})],
        [("metrics.mood.recrods", "unknown_key", "records")],
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
    "a status of events": (
        [("metrics.lead.duration.dataset", "orders"), ("metrics.lead.duration.to", {"event": "x"})],
        [("metrics.lead.duration.from", "rule", None)],
    ),
    "entities by entity": (
        [("metrics.right.ratio.good.records.dataset", "issues")],
        [("metrics.right.ratio.good.records.per", "not_applicable", None)],
    ),
    "what is distinct": (
        [("metrics.spend.aggregate", {"distinct": "body.x"}), ("metrics.spend.records.value", DELETE)],
        [("metrics.spend.aggregate.distinct", "rule", None)],
    ),
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
    "a window that is not asked for": (
        [("metrics.open.window", "cycle")],
        [("metrics.open.query", "not_windowed", None)],
    ),
    "a window that is not there": (
        [("metrics.created.window", DELETE)],
        [("metrics.created.query", "window_missing", None)],
    ),
    "a share of nothing": (
        [("metrics.new", share()), ("metrics.new.state_share", {})],
        [("metrics.new.state_share.dataset", "missing", None), ("metrics.new.state_share.good", "missing", None)],
    ),
    "a share without a good state": (
        [("metrics.new", share(good=[]))],
        [("metrics.new.state_share.good", "states", None)],
    ),
    "a state that is good and excluded": (
        [("metrics.new", share(exclude=["off", "up"]))],
        [("metrics.new.state_share.exclude", "states", None)],
    ),
    "a status that is good and excluded": (
        [("metrics.new", share(dataset="issues", good=["A"], exclude=["a"]))],
        [("metrics.new.state_share.exclude", "rule", None)],
    ),
    "a share of events without a name": (
        [("metrics.new", share()), ("datasets.orders.event", DELETE)],
        [("metrics.new.state_share.dataset", "not_applicable", None)],
    ),
    "a share of a dataset that is not there": (
        [("metrics.new", share(dataset="order"))],
        [("metrics.new.state_share.dataset", "unknown_name", "orders")],
    ),
    "a share of a moment": (
        [("metrics.new", share()), ("metrics.new.window", DELETE)],
        [("metrics.new.window", "window", None)],
    ),
    "a share in days": (
        [("metrics.new", share()), ("metrics.new.unit", "days")],
        [("metrics.new.unit", "unit", None)],
    ),
    "a share inside": (
        [("objectives.grow.key_results.faster.metric", share())],
        [("objectives.grow.key_results.faster.metric", "inline_metric", None)],
    ),
    "a formula inside": (
        [("objectives.grow.key_results.new", {**ENTRY, "metric": {"unit": "x", "formula": "a"}})],
        [("objectives.grow.key_results.new.metric", "inline_metric", None)],
    ),
    "contribution to nothing": (
        [("objectives.grow.contributes_to", ["ops/sav"])],
        [("objectives.grow.contributes_to.0", "unknown_name", "ops/save")],
    ),
    "contribution without team": (
        [("objectives.grow.contributes_to", [{"objective": "save"}])],
        [("objectives.grow.contributes_to.0.objective", "unknown_name", "ops/save")],
    ),
    "contribution twice": (
        [("objectives.grow.contributes_to", ["a/b", {"objective": "a/b", "weight": 2}])],
        [("objectives.grow.contributes_to.1.objective", "duplicate_name", None)],
    ),
    "a contribution that takes away": (
        [("objectives.grow.contributes_to", [{"objective": "a/b", "weight": -1}])],
        [("objectives.grow.contributes_to.0.weight", "weight", None)],
    ),
    "a circle of both kinds": (
        [
            ("objectives.grow.supports", []),
            ("objectives.grow.contributes_to", ["ops/save"]),
            ("objectives.save.supports", ["ops/grow"]),
        ],
        [("objectives.save.supports", "circle", None)],
    ),
    "a checkpoint outside a month": (
        [
            ("objectives.grow.cycle", "2026-11"),
            (
                "objectives.grow.key_results.faster.checkpoints",
                [{"on": "2026-11-01", "value": 14}, {"on": "2026-11-30", "value": 9}, {"on": "2026-12-01", "value": 8}],
            ),
        ],
        [("objectives.grow.key_results.faster.checkpoints.2.on", "checkpoints", None)],
    ),
    "a checkpoint outside a cycle of one's own": (
        [
            ("cycles", {"launch": {"start": "2026-10-15", "end": "2026-12-01"}}),
            ("objectives.grow.cycle", "launch"),
            ("objectives.grow.key_results.faster.checkpoints", [{"on": "2026-10-14", "progress": "0.1"}]),
        ],
        [("objectives.grow.key_results.faster.checkpoints.0.on", "checkpoints", None)],
    ),
    "support without team": (
        [("objectives.grow.supports", ["save"])],
        [("objectives.grow.supports.0", "unknown_name", "ops/save")],
    ),
    "support of what is not there": (
        [("objectives.grow.supports", ["ops/sav"])],
        [("objectives.grow.supports.0", "unknown_name", "ops/save")],
    ),
    "a baseline's period": (
        [("objectives.grow.key_results.fewer.baseline", {"measure": "last"})],
        [("objectives.grow.key_results.fewer.baseline.measure", "unknown_name", None)],
    ),
    "a change's form": (
        [("objectives.grow.key_results.fewer.target", {"change": "a bit"})],
        [("objectives.grow.key_results.fewer.target.change", "string_pattern_mismatch", None)],
    ),
    "a metric inside": (
        [("objectives.grow.key_results.faster.metric", {**TEAM["metrics"]["spend"], "unti": "x"})],
        [("objectives.grow.key_results.faster.metric.unti", "unknown_key", "unit")],
    ),
    "a metric's dataset inside": (
        [("objectives.grow.key_results.faster.metric", {"unit": "x", "records": {"dataset": "order"}})],
        [("objectives.grow.key_results.faster.metric.records.dataset", "unknown_name", "orders")],
    ),
}


@pytest.mark.parametrize(
    ("path", "value", "code", "suggestion"), [row[1:] for row in IN_PLACE], ids=[row[0] for row in IN_PLACE]
)
def test_a_mistake_is_one_problem_where_it_was_made(path: str, value: Any, code: str, suggestion: str | None) -> None:
    assert found(edited((path, value))) == [(path, code, suggestion)]


@pytest.mark.parametrize(("changes", "expected"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_mistake_that_shows_elsewhere_is_told_there(changes: list[tuple[str, Any]], expected: Found) -> None:
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
        ("connections.jira", {"connector": "slack", "document": "X"}),
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


# --- what only the database knows ------------------------------------------------------------------------------------

ACROSS = KnownNames(
    teams=frozenset({"company", "sales"}),
    objectives=frozenset({"company/win", "sales/more", "sales/less"}),
    edges=(
        Edge("company/win", "sales/more", "contributes_to"),
        Edge("sales/less", "sales/more", "supports"),
        Edge("sales/more", "sales/less", "supports"),  # their own circle, and not for this team to mend
        Edge("ops/save", "ops/grow", "supports"),  # what this team's file said before counts no more
    ),
    presets=frozenset({"strict"}),
    fiscal_year_start=4,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], []),
        (
            [("objectives.save.supports", ["sales/more"]), ("objectives.save.contributes_to", ["company/win"])],
            [],
        ),
        ([("objectives.grow.preset", "strict"), ("preset", "points")], []),
        ([("objectives.grow.preset", "strikt")], [("objectives.grow.preset", "unknown_name", "strict")]),
        ([("preset", "zone")], [("preset", "unknown_name", "zones")]),
        (
            [("objectives.grow.key_results.faster.preset", "pionts")],
            [("objectives.grow.key_results.faster.preset", "unknown_name", "points")],
        ),
        # With a fiscal year from April, the fourth quarter of 2026 is January to March 2027.
        (
            [("objectives.grow.key_results.faster.checkpoints", [{"on": "2026-12-31", "value": 9}])],
            [("objectives.grow.key_results.faster.checkpoints.0.on", "checkpoints", None)],
        ),
        ([("objectives.grow.key_results.faster.checkpoints", [{"on": "2027-01-01", "value": 9}])], []),
    ],
)
def test_what_the_organisation_and_other_teams_have_counts(changes: list[tuple[str, Any]], expected: Found) -> None:
    problems = check(edited(*changes), ACROSS).problems
    assert [(".".join(map(str, one.path)), one.code, one.suggestion) for one in problems] == expected


def test_a_circle_across_teams_is_told_with_the_way_round() -> None:
    known = KnownNames(
        teams=frozenset({"company", "sales"}),
        objectives=frozenset({"company/win", "sales/more"}),
        edges=(Edge("company/win", "sales/more", "supports"), Edge("sales/more", "ops/grow", "contributes_to")),
    )
    (problem,) = check(TEAM, known).problems
    assert problem.path == ("objectives", "grow", "supports")
    assert problem.message == (
        "objectives depend on each other in a circle: company/win → sales/more → ops/grow → company/win"
    )
