"""How the sources of a metric are doing: when they last succeeded, what is wrong, how old a value may be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from app.domain.freshness import Freshness, freshness
from app.services.definitions import Definition
from app.services.views import SourceView
from app.store import evidence
from app.store.database import Session
from app.store.organisation import SourceRow
from app.store.tables import Connection

#: How old a value may be where nobody said so.
DEFAULT_FRESH_WITHIN = timedelta(hours=24)
#: How old an asserted value may be where its metric names no `every`.
DEFAULT_MANUAL_EVERY = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class SourcesThen:
    """How sources were doing by a past moment, as far as runs, deliveries and events tell: by plan the last success and
    what was wrong, by connection the last delivery. What has come since `as_of` leaves nothing open about it."""

    as_of: datetime
    pulled: Mapping[int, tuple[datetime | None, str | None]]
    delivered: Mapping[int, datetime]


Health = Literal["ok", "waiting", "failing", "paused"]


@dataclass(frozen=True, slots=True)
class SourceState:
    """The worst of a metric's sources: the oldest success, the first failure.

    `last_success_at` is the last complete pull, or for pushed data the last accepted delivery, or for a manual metric
    the last asserted value.
    """

    connection: str | None
    health: Health
    reason: str | None
    last_success_at: datetime | None
    failing_reason: str | None
    fresh_within: timedelta
    link: str | None = None

    def view(self) -> SourceView:
        return SourceView(connection=self.connection, health=self.health, reason=self.reason, link=self.link)

    def freshness(self, now: datetime) -> Freshness:
        return freshness(
            last_success_at=self.last_success_at,
            failing_reason=self.failing_reason,
            fresh_within=self.fresh_within,
            now=now,
        )


def connection_health(connection: Connection) -> tuple[Health, str | None]:
    """How a connection is doing, and why."""
    if connection.paused_code is not None:
        return "paused", connection.paused_reason
    if connection.failing_code is not None:
        return "failing", connection.failing_reason
    if connection.last_success_at is None and connection.last_delivery_at is None:
        return "waiting", "Nothing has come from it yet."
    return "ok", None


def source_state(
    team: str,
    sources: Sequence[SourceRow],
    definition: Definition | None,
    fresh_within: timedelta | None,
    *,
    asserted_at: datetime | None,
    then: SourcesThen | None = None,
) -> SourceState:
    """The state of what feeds a metric. `asserted_at` is the moment that a manual metric's value is about: a new rule
    or a late word about an old day makes it no younger. With `then` its age is that of a past moment; the health of
    the connection is always that of now."""
    if definition is not None and definition.is_asserted:
        every = None if definition.spec.manual is None else definition.spec.manual.every
        within = fresh_within or every or DEFAULT_MANUAL_EVERY
        return SourceState(None, "ok" if asserted_at else "waiting", None, asserted_at, None, within)
    within = fresh_within or DEFAULT_FRESH_WITHIN
    successes: list[datetime | None] = []
    failing: str | None = None
    health: Health = "ok"
    reason: str | None = None
    names: list[str] = []
    links: list[str] = []
    for source in sources:
        if source.connection is None:
            continue
        if f"{team}/{source.connection.name}" not in names:
            names.append(f"{team}/{source.connection.name}")
        if source.plan is not None and source.plan.link is not None:
            links.append(source.plan.link)
        if then is not None and source.plan is not None:
            success, wrong = then.pulled.get(source.plan.id, (None, None))
            successes.append(success)
            failing = failing or (wrong if success is None or success < then.as_of else None)
        elif then is not None:
            successes.append(then.delivered.get(source.connection.id))
        elif source.plan is not None:
            successes.append(source.plan.last_success_at)
            failing = failing or source.plan.failing_reason or source.connection.paused_reason
        else:
            successes.append(source.connection.last_delivery_at)
        found, why = connection_health(source.connection)
        if source.plan is not None and source.plan.failing_reason is not None and found == "ok":
            found, why = "failing", source.plan.failing_reason
        if _RANK[found] > _RANK[health]:
            health, reason = found, why
    oldest = None if not successes or None in successes else min(at for at in successes if at is not None)
    return SourceState(", ".join(names) or None, health, reason, oldest, failing, within, next(iter(links), None))


async def sources_then(
    session: Session, sources: Iterable[SourceRow], *, as_of: datetime, known_at: datetime
) -> SourcesThen:
    """How these sources were doing by `known_at`; a fixed number of questions, however many there are."""
    rows = list(sources)
    plans = {row.plan.id for row in rows if row.plan is not None}
    pushed = {row.connection.id for row in rows if row.connection is not None and row.plan is None}
    return SourcesThen(
        as_of, await evidence.runs_by(session, plans, known_at), await evidence.deliveries_by(session, pushed, known_at)
    )


def worst_state(states: Sequence[SourceState], fresh_within: timedelta | None) -> SourceState:
    """One state for what is fed by several: the worst health, the first failure, and the age of the source that turns
    stale first."""
    if not states:
        reason = "What it reads is being built."
        return SourceState(None, "waiting", reason, None, None, fresh_within or DEFAULT_FRESH_WITHIN)
    worst = max(states, key=lambda state: _RANK[state.health])
    never = datetime.min.replace(tzinfo=UTC)
    first = min(states, key=lambda state: never if (at := state.last_success_at) is None else at + state.fresh_within)
    names = dict.fromkeys(state.connection for state in states if state.connection is not None)
    return SourceState(
        connection=", ".join(names) or None,
        health=worst.health,
        reason=worst.reason,
        last_success_at=first.last_success_at,
        failing_reason=next((state.failing_reason for state in states if state.failing_reason is not None), None),
        fresh_within=first.fresh_within,
        link=next((state.link for state in states if state.link is not None), None),
    )


_RANK: dict[Health, int] = {"ok": 0, "waiting": 1, "failing": 2, "paused": 3}
