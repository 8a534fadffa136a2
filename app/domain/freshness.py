"""Whether a value is as young as its reader was promised. Beside the key result's status, never mixed with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from app.domain.language import format_timedelta

FreshnessLevel: TypeAlias = Literal["fresh", "stale", "no_data", "error"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """The age (whole seconds; None: never read) against the age allowed, and why it is not better."""

    level: FreshnessLevel
    age_seconds: int | None
    fresh_within_seconds: int
    reason: str | None


def freshness(
    *,
    last_success_at: datetime | None,
    failing_reason: str | None,
    fresh_within: timedelta,
    now: datetime,
) -> Freshness:
    """Age counts from the last complete successful run, or the last accepted delivery where data is only pushed.

    A failing source stays fresh, with its reason shown, until the last success is older than allowed.
    """
    allowed = int(fresh_within.total_seconds())
    if last_success_at is None:
        if failing_reason is not None:
            return Freshness("error", None, allowed, failing_reason)
        return Freshness("no_data", None, allowed, "nothing has come from the source yet")
    # A database clock a little ahead of ours must not make an age negative.
    age = max(now - last_success_at, timedelta(0))
    seconds = age // timedelta(seconds=1)
    if age <= fresh_within:
        return Freshness("fresh", seconds, allowed, failing_reason)
    if failing_reason is not None:
        return Freshness("error", seconds, allowed, failing_reason)
    return Freshness(
        "stale", seconds, allowed, f"the last complete read is older than {format_timedelta(fresh_within)}"
    )
