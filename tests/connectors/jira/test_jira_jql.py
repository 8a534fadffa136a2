"""JQL as text: bounds in the account's zone, orders, quotes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors.jira.jql import among, in_stable_order, in_window, quoted, updated_since, without_order
from tests.fakes import jira_jql

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("jql", "conditions"),
    [
        ("project = A ORDER BY created DESC", "project = A"),
        ("project = A order\n by Rank", "project = A"),
        ('summary ~ "order by x" ORDER BY rank', 'summary ~ "order by x"'),
        ("summary ~ 'order by' AND x = 'it\\'s order by'", "summary ~ 'order by' AND x = 'it\\'s order by'"),
        ('summary ~ "say \\"order by\\""', 'summary ~ "say \\"order by\\""'),
        ("project = reorder AND by = x", "project = reorder AND by = x"),
        ("ORDER BY key", ""),
    ],
)
def test_the_users_order_is_taken_off_and_quotes_are_left_alone(jql: str, conditions: str) -> None:
    assert without_order(jql) == conditions
    assert in_stable_order(jql) == f"{conditions} ORDER BY created ASC, key ASC".strip()


@pytest.mark.parametrize(
    ("jql", "sent"),
    [
        ("created >= {from} AND created < {to}", 'created >= "2026-09-30 20:00" AND created < "2026-12-31 19:00"'),
        ("created >= '{from}'", 'created >= "2026-09-30 20:00"'),
        ('created >= "{from}"', 'created >= "2026-09-30 20:00"'),
        ("summary ~ '{team}' AND created < {to}", "summary ~ '{team}' AND created < \"2026-12-31 19:00\""),
        ("a = {From} AND b = { from }", "a = {From} AND b = { from }"),
    ],
)
def test_only_the_placeholders_become_local_minutes(jql: str, sent: str) -> None:
    start, end = datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 59, tzinfo=UTC)
    assert in_window(jql, start, end, NEW_YORK) == sent


def test_an_open_side_is_a_date_beyond_all() -> None:
    assert in_window("a >= {from} AND a < {to}", None, None, NEW_YORK) == (
        'a >= "1970-01-02 00:00" AND a < "3000-01-01 00:00"'
    )


def test_changes_since_a_moment_keep_an_or_together() -> None:
    assert updated_since("a = 1 OR b = 2 ORDER BY rank", 1_782_909_296_123) == (
        "(a = 1 OR b = 2) AND updated >= 1782909296123 ORDER BY created ASC, key ASC"
    )
    assert updated_since("ORDER BY rank", 7) == "updated >= 7 ORDER BY created ASC, key ASC"


def test_ids_are_asked_for_within_the_whole_query() -> None:
    assert among("a = 1 OR b = 2 ORDER BY rank", ["7", "8"]) == "(a = 1 OR b = 2) AND id in (7, 8)"


@pytest.mark.parametrize("text", ["ERP", 'the "big" one', "back\\slash", "order by x", "值"])
def test_a_quoted_value_is_read_back_as_it_was(text: str) -> None:
    site = jira_jql.Site(ZoneInfo("UTC"), datetime(2026, 1, 1, tzinfo=UTC), frozenset(), frozenset())
    issue = {"id": "1", "key": "A-1", "fields": {"priority": {"name": text}}}
    assert jira_jql.parse(f"priority = {quoted(text)}", site).matches(issue)
    assert without_order(f"priority = {quoted(text)}") == f"priority = {quoted(text)}"
