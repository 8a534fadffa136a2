"""What to do after a failed pull: try again, or stop and tell a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from app.domain.schedule import scaled, unit_interval

RecoveryAction: TypeAlias = Literal["retry", "pause_connection", "pause_plan"]

FIRST_DELAY = timedelta(seconds=10)
FIRST_DELAY_RATE_LIMITED = timedelta(minutes=1)
SHORTEST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(hours=1)
LONGEST_RETRY_AFTER = timedelta(hours=24)
#: A query that was wrong may be right again without us: a sheet is mended, a file is back, a project is restored.
PAUSED_PLAN_AGAIN = timedelta(hours=1)

# By the codes of connectors.errors; a code that is not here is tried again.
_PAUSES: dict[str, tuple[RecoveryAction, str]] = {
    "authentication": ("pause_connection", "the tool refuses the credential"),
    "access_denied": ("pause_connection", "the credential lacks a right, or the address is not allowed"),
    "query": ("pause_plan", "the tool says that the query is wrong"),
}
_RETRIES = {
    "rate_limited": "the tool asks for fewer requests",
    "unavailable": "the tool did not answer",
    "transient": "the tool could not answer for now",
    "unexpected_response": "the tool answered in an unknown shape",
    "crashed": "the run ended by a fault of ours",
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """What happens next. `due` is the moment to retry; None where a connection is paused until something is changed."""

    action: RecoveryAction
    due: datetime | None
    reason: str


def recover(
    failure_kind: str, retry_after: timedelta | None, failures: int, now: datetime, *, jitter_seed: str = ""
) -> Recovery:
    """The decision after `failures` (≥ 1) failed runs in a row, the last of them of a kind.

    Exponential backoff with full jitter up to an hour, never before the tool's own `retry_after` (up to a day).
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if failure_kind in _PAUSES:
        action, reason = _PAUSES[failure_kind]
        return Recovery(action, now + PAUSED_PLAN_AGAIN if action == "pause_plan" else None, reason)
    delay = max(_backoff(failure_kind, failures, f"{jitter_seed}/{failures}@{now.timestamp()}"), SHORTEST_DELAY)
    if retry_after is not None:
        delay = max(delay, min(retry_after, LONGEST_RETRY_AFTER))
    return Recovery("retry", now + delay, _RETRIES.get(failure_kind, "the run failed"))


def _backoff(failure_kind: str, failures: int, seed: str) -> timedelta:
    first = FIRST_DELAY_RATE_LIMITED if failure_kind == "rate_limited" else FIRST_DELAY
    # Doubling beyond the cap changes nothing and would overflow.
    doublings = min(max(failures, 1) - 1, 16)
    return scaled(min(first * 2**doublings, LONGEST_DELAY), unit_interval(seed))
