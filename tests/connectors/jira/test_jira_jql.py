"""JQL as text: bounds in the account's zone, orders, quotes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.jira.jql import in_stable_order, in_window, local_minute, lower_bound, updated_since, without_order

NEW_YORK = ZoneInfo("America/New_York")
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=15_000)).map(lambda span: datetime(2000, 1, 1, tzinfo=UTC) + span)
ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Kiritimati", "Etc/GMT+12"]


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
    moment = datetime(2026, 7, 1, 12, 34, 56, tzinfo=UTC)
    assert updated_since("a = 1 OR b = 2 ORDER BY rank", moment, NEW_YORK) == (
        '(a = 1 OR b = 2) AND updated >= "2026-07-01 08:34" ORDER BY created ASC, key ASC'
    )


def test_in_the_hour_that_comes_twice_the_bound_steps_back_before_it() -> None:
    # On 1 November 2026 New York has 01:00 to 02:00 twice, from 05:00 and from 06:00 UTC.
    for moment in (datetime(2026, 11, 1, 5, 0, tzinfo=UTC), datetime(2026, 11, 1, 6, 59, tzinfo=UTC)):
        assert lower_bound(moment, NEW_YORK) < "2026-11-01 01:00"
    assert lower_bound(datetime(2026, 11, 1, 7, 0, tzinfo=UTC), NEW_YORK) == "2026-11-01 02:00"


@given(
    moment=MOMENTS,
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    fold=st.sampled_from([0, 1]),
)
def test_a_lower_bound_is_never_late_and_never_far(moment: datetime, zone: ZoneInfo, fold: int) -> None:
    read = datetime.strptime(lower_bound(moment, zone), "%Y-%m-%d %H:%M").replace(tzinfo=zone, fold=fold)
    assert timedelta(0) <= moment - read.astimezone(UTC) <= timedelta(hours=2, minutes=1)


@given(
    moment=MOMENTS,
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
def test_a_lower_bound_is_the_minute_itself_outside_that_hour(moment: datetime, zone: ZoneInfo) -> None:
    local = moment.astimezone(zone)
    is_double = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    assert is_double or lower_bound(moment, zone) == local_minute(moment, zone)
