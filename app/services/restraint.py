"""Asking a tool no more than it, and its team, allow: over all workers and plans of a connection.

What is agreed on lies in the database: until when the tool is left alone (its own word, or ours while it is away), and
how many requests its runs made, or are expected to make, within an hour.
"""

from datetime import datetime, timedelta

import httpx

from app.domain.recovery import LONGEST_RETRY_AFTER, Recovery
from app.services.context import Services
from app.store import organisation, plans
from app.store.database import Session
from app.store.plans import AWAY_AT
from app.store.pull_health import requests_since
from app.store.tables import Connection
from connectors.errors import RateLimitedError, UnavailableError

HOUR = timedelta(hours=1)
#: When a connection whose own budget is used up looks whether some of it came back.
BUDGET_WAIT = timedelta(minutes=5)
#: A run looks that often whether another one was asked for silence.
LOOK_EVERY = timedelta(seconds=1)
#: What says that the tool itself is away, and no matter of one query.
AWAY = frozenset({UnavailableError.code, RateLimitedError.code, "transient"})


class SilencedError(RateLimitedError):
    """Another run was asked for silence: this one ends with it, and has nothing to add."""


class Restraint:
    """A hook before each request of a run, for httpx; SilencedError where the tool is to be left alone."""

    def __init__(self, services: Services, connection_id: int) -> None:
        self._services = services
        self._connection_id = connection_id
        self._looked: datetime | None = None
        self._until: datetime | None = None

    async def __call__(self, request: httpx.Request) -> None:
        now = self._services.clock()
        if self._looked is None or not timedelta(0) <= now - self._looked < LOOK_EVERY:
            self._looked = now
            async with self._services.database.reading() as session:
                self._until = await organisation.silent_until(session, self._connection_id)
        if self._until is not None and now < self._until:
            raise SilencedError("Another read was asked for silence; this one ends too.", retry_after=self._until - now)


async def reserve(
    session: Session, connection: Connection, plan_id: int, run_id: int, kind: str, now: datetime
) -> None:
    """Note what a run is expected to ask, in the transaction that sees whether there is room for it.

    RateLimitedError where the requests that the team allows in an hour do not suffice, by whichever worker and plan
    they were made. What a run asks beyond that is paid back: those that follow wait for it.
    """
    budget = connection.spec.get("requests_per_hour")
    if not isinstance(budget, int):
        return
    asked = await requests_since(session, connection.id, now - HOUR, but_run=run_id)
    expected = max(1, await plans.last_calls(session, plan_id, kind) or 1)
    # A run that needs more than there ever is has to begin some time: when nothing else was asked.
    if asked and asked + expected > budget:
        raise RateLimitedError(
            f"The connection's own budget of {budget} requests an hour is used up.", retry_after=BUDGET_WAIT
        )
    await plans.note_calls(session, run_id, expected)


async def keep_off(
    session: Session,
    connection_id: int,
    decision: Recovery,
    retry_after: timedelta | None,
    away_runs: int,
    now: datetime,
) -> None:
    """Nothing of the connection is asked before the tool's own `retry_after`, whoever wants it; nor, where the tool has
    been away for long, before the run that failed last tries again, alone."""
    if decision.due is None:
        return
    if retry_after is not None:
        await organisation.silence_connection(session, connection_id, now + min(retry_after, LONGEST_RETRY_AFTER))
    if away_runs >= AWAY_AT:
        await organisation.leave_alone(session, connection_id, decision.due)
