"""What tools answered: the number that a tool computed for a query over a window, as it holds at a point."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.language import ToDate
from app.domain.window import TimeSpan
from app.services.definitions import Definition
from app.store import samples
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import Measurement


@dataclass(frozen=True, slots=True)
class PastPeriod:
    """A period whose numbers a tool is asked for afterwards: the plan that asks, until when, and when we look."""

    plan: str
    end: datetime
    asked_at: datetime


async def tool_answer(
    session: Session,
    revised: RevisedMetric,
    definition: Definition,
    part: str,
    window: TimeSpan,
    *,
    cycle: str,
    as_of: datetime,
    known_at: datetime | None,
    past: PastPeriod | None = None,
) -> Measurement | None:
    """The newest answer for a part that a tool computes, None where it has not answered. What is asked by the period
    has an answer of its own in each: the last one's is none in the next."""
    by_period = definition.spec.window == "cycle" or isinstance(definition.spec.window, ToDate)
    return await samples.latest_measurement(
        session,
        revised.parts[part].query_digest or "",
        cycle if past is None else past.plan,
        as_of=as_of if past is None else past.asked_at,
        known_at=known_at,
        window=(window.start, window.end) if by_period else None,
    )


def answered(measured: Measurement) -> dict[str, Any]:
    """The evidence of an answer: the number, the query as it was sent, where it is seen in the tool, when it was so,
    and the digest of what the tool said: the same digest is the same answer, not only the same number."""
    return {
        "value": measured.value,
        "query": measured.query,
        "link": measured.link,
        "is_exact": measured.is_exact,
        "digest": measured.digest,
        "observed_at": measured.observed_at,
    }
