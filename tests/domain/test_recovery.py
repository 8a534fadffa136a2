"""After a failed pull: retry politely, or pause and tell a person."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.recovery import LONGEST_DELAY, LONGEST_RETRY_AFTER, PAUSED_PLAN_AGAIN, recover
from connectors.errors import ConnectorError

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
RETRIED = ("transient", "rate_limited", "unavailable", "unexpected_response", "signature", "connector_error", "crashed")
PAUSED = {"authentication": "pause_connection", "access_denied": "pause_connection", "query": "pause_plan"}
waits = st.none() | st.timedeltas(timedelta(days=-400), timedelta(days=400))


def codes(error: type[ConnectorError] = ConnectorError) -> Iterator[str]:
    """The codes of the tree that connectors.errors defines; connectors may add kinds of their own to it."""
    yield error.code
    for kind in error.__subclasses__():
        if kind.__module__ == ConnectorError.__module__:
            yield from codes(kind)


def test_every_failure_that_a_connector_can_name_has_a_remedy() -> None:
    assert {*codes()} | {"crashed"} == {*RETRIED, *PAUSED}


@pytest.mark.parametrize(("kind", "action"), PAUSED.items())
def test_what_a_person_must_mend_is_paused(kind: str, action: str) -> None:
    decision = recover(kind, timedelta(minutes=5), failures=1, now=NOW)
    # A query may be right again without us; a credential that is asked with again locks the account.
    due = NOW + PAUSED_PLAN_AGAIN if action == "pause_plan" else None
    assert (decision.action, decision.due) == (action, due)
    assert decision.reason


@pytest.mark.parametrize("kind", [*RETRIED, "a_code_of_tomorrow"])
def test_everything_else_is_tried_again(kind: str) -> None:
    decision = recover(kind, None, failures=1, now=NOW)
    assert decision.action == "retry"
    assert decision.due is not None
    assert NOW < decision.due <= NOW + timedelta(minutes=1)
    assert decision.reason


@given(st.sampled_from(RETRIED), waits, st.integers(0, 10**9), st.text(max_size=10))
def test_never_before_the_tool_says_nor_later_than_a_cap(
    kind: str, retry_after: timedelta | None, failures: int, seed: str
) -> None:
    decision = recover(kind, retry_after, failures, NOW, jitter_seed=seed)
    asked = min(retry_after or timedelta(0), LONGEST_RETRY_AFTER)
    assert decision.due is not None
    assert decision.due > NOW
    assert decision.due >= NOW + asked
    assert decision.due <= NOW + max(asked, LONGEST_DELAY)
    assert recover(kind, retry_after, failures, NOW, jitter_seed=seed) == decision


@pytest.mark.parametrize(
    ("retry_after", "delay"),
    [
        (timedelta(hours=2), timedelta(hours=2)),
        (timedelta(hours=24), timedelta(hours=24)),
        (timedelta(days=3650), timedelta(hours=24)),
    ],
)
def test_the_tools_own_word_is_kept_exactly_up_to_a_day(retry_after: timedelta, delay: timedelta) -> None:
    assert recover("rate_limited", retry_after, 1, NOW).due == NOW + delay


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(1, 10), (2, 20), (3, 40), (6, 320), (9, 2560), (10, 3600), (1000, 3600)]
)
def test_delays_double_up_to_an_hour_and_spread_over_all_of_it(failures: int, ceiling: int) -> None:
    seeds = [f"plan {number}" for number in range(400)]
    dues = [recover("unavailable", None, failures, NOW, jitter_seed=seed).due for seed in seeds]
    delays = [due - NOW for due in dues if due is not None]
    assert len(delays) == len(seeds)
    assert max(delays) <= timedelta(seconds=ceiling)
    assert max(delays) > timedelta(seconds=ceiling) * 0.9
    assert min(delays) >= timedelta(seconds=1)
    assert min(delays) < timedelta(seconds=ceiling) * 0.15


def test_every_failure_draws_its_own_delay() -> None:
    delays = {recover("unavailable", None, failures, NOW, jitter_seed="plan").due for failures in range(10, 30)}
    assert len(delays) == 20
    earlier, later = recover("unavailable", None, 10, NOW), recover("unavailable", None, 10, NOW + timedelta(seconds=1))
    assert earlier.due is not None
    assert later.due != earlier.due + timedelta(seconds=1)
