"""Milestones: weighted steps, each done where a person ticked it or where its query counts more than nothing."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from app.domain.aggregate import rounded
from app.domain.language import Milestone, QuerySource
from app.domain.window import UNBOUNDED
from app.services.computed import Computed
from app.services.definitions import definition_of
from app.store import milestones, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric


@dataclass(frozen=True, slots=True)
class StepState:
    """A step at a moment: done, not done, or unknown (None) with the reason. `at` is when that was said or counted."""

    step: Milestone
    is_done: bool | None
    at: datetime | None
    reason: str | None = None
    author: str | None = None
    note: str | None = None
    query: str | None = None
    link: str | None = None
    is_exact: bool = True
    digest: str | None = None


async def step_states(
    session: Session, item: RevisedMetric, *, as_of: datetime, known_at: datetime | None
) -> list[StepState]:
    """Every step of a metric as it was at `as_of`, as known by `known_at`. A step that nobody ticked is not done."""
    ticks = await milestones.latest_ticks(session, item.metric.id, as_of=as_of, known_at=known_at)
    found = []
    for step in definition_of(item.revision).spec.milestones or ():
        if isinstance(step.done, QuerySource):
            found.append(await _counted(session, item, step, as_of=as_of, known_at=known_at))
            continue
        tick = ticks.get(step.name)
        found.append(
            StepState(step, is_done=False, at=None)
            if tick is None
            else StepState(step, tick.is_done, tick.effective_at, author=tick.author, note=tick.note)
        )
    return found


async def _counted(
    session: Session, item: RevisedMetric, step: Milestone, *, as_of: datetime, known_at: datetime | None
) -> StepState:
    part = item.parts.get(step.name)
    digest = None if part is None else part.query_digest
    measured = await samples.latest_measurement(session, digest or "", "", as_of=as_of, known_at=known_at)
    if measured is None:
        return StepState(step, None, None, "not measured yet")
    return StepState(
        step,
        None if measured.value is None else measured.value > 0,
        measured.observed_at,
        measured.reason,
        query=measured.query,
        link=measured.link,
        is_exact=measured.is_exact,
        digest=measured.digest,
    )


async def compute_milestones(
    session: Session, item: RevisedMetric, *, as_of: datetime, known_at: datetime | None
) -> Computed:
    """The weight of the steps that are done, in percent of those that are known; `coverage` is the part that is."""
    states = await step_states(session, item, as_of=as_of, known_at=known_at)
    known = [state for state in states if state.is_done is not None]
    weight = sum((Fraction(state.step.weight) for state in known), Fraction(0))
    done = sum((Fraction(state.step.weight) for state in known if state.is_done), Fraction(0))
    total = sum((Fraction(state.step.weight) for state in states), Fraction(0))
    asked = [state.at for state in states if isinstance(state.step.done, QuerySource) and state.at is not None]
    said = [state.at for state in states if state.step.done == "manual" and state.at is not None]
    is_asked = any(isinstance(state.step.done, QuerySource) for state in states)
    # What a person said holds until the next word; what a tool counted is as old as its answer.
    first = min(item.revision.created_at, as_of)
    observed_at = min(asked, default=as_of) if is_asked else max(said, default=first)
    unknown = next((state for state in states if state.is_done is None), None)
    reason = f"no step is known: {unknown.step.name}: {unknown.reason}" if not known and unknown is not None else None
    return Computed(
        rounded(100 * done / weight) if weight else None,
        reason,
        UNBOUNDED,
        observed_at,
        len(known),
        rounded(done),
        rounded(weight),
        _quality(states, is_asked=is_asked),
        rounded(weight / total) if total else Decimal(0),
    )


def _quality(states: list[StepState], *, is_asked: bool) -> str:
    if not is_asked:
        return "asserted"
    return "measured" if all(state.is_exact for state in states) else "estimated"
