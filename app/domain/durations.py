"""Durations: the time between two moments of one entity, as it could be told at every moment since."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from app.domain.calendar import BusinessCalendar
from app.domain.edges import Moment, StatusHistory, edge_moments
from app.domain.expression import Rule, RuleError
from app.domain.language import DurationSource, format_timedelta
from app.domain.records import EntityHistory, History
from app.domain.timeline import Outcome, Timeline
from app.domain.views import EntityView, EventsView, fields_read

_MICROSECOND = timedelta(microseconds=1)


def wall_seconds(start: datetime, end: datetime) -> Decimal:
    """The exact seconds from one moment to another by the wall clock."""
    return Decimal((end - start) // _MICROSECOND) / 1_000_000


@dataclass(frozen=True, slots=True)
class Durations:
    """One subject per entity: its duration in seconds, and from when on it was so.

    The start is chosen first: the first or the last moment of `from`. Then the end: with `pick: first` the first moment
    of `to` that is not before the start, with `pick: last` the last moment of `to` of all. Equal moments give 0, in
    whatever order they came. What is left out, and why:

    * `not started`: no moment of `from` yet.
    * `not finished`: no moment of `to` yet; or, with `pick: last`, the entity was done and is done no more. Reopened
      work is unfinished until it is done again, while `pick: first` keeps the first time it was done. This looks at
      the category done alone: going on from a status like In Review is no reopening. Events have no leaving, there
      the last one wins.
      With `open: include` an unfinished one is not left out: it counts from its start on.
    * `end before start`: there are moments of `to`, all of them before the start.
    * `longer than 180d`: by the wall clock, whatever clock the duration is counted in. An unfinished one grows longer
      with the clock, so its age is judged when it is read.
    * `where is false`: on the record as it was then.
    """

    source: DurationSource
    where: Rule | None
    calendar: BusinessCalendar | None

    def timelines(self, history: History) -> Iterator[Timeline]:
        """The one timeline of this entity."""
        if isinstance(history, EntityHistory):
            label, link = history.name, history.link
        else:
            if not history.events:
                return
            label, link = history.entity, history.events[-1].link
        yield Timeline(history.entity, history.entity, label, link, self._steps(history))

    def _steps(self, history: History) -> Iterator[tuple[datetime | None, Outcome]]:
        view: EntityView | EventsView
        if isinstance(history, EntityHistory):
            statuses: StatusHistory | None = StatusHistory(history)
            view = EntityView(history, fields_read([self.where]))
        else:
            statuses, view = None, EventsView(history, fields_read([self.where]))
        starts = edge_moments(self.source.from_, history, statuses)
        ends = edge_moments(self.source.to, history, statuses)
        boundaries = {moment.at for moment in (*starts, *ends)} | (view.boundaries() if self.where else set())
        if statuses is not None and any(end.is_done for end in ends):
            boundaries.update(statuses.moments)
        measure = partial(self._outcome, [m.at for m in starts], ends, [m.at for m in ends], statuses)
        steps = [view.start, *sorted(b for b in boundaries if view.start is None or b > view.start)]
        return ((step, self._filtered(measure, view, step)) for step in steps)

    def _filtered(
        self, measure: Callable[[datetime | None], Outcome], view: EntityView | EventsView, as_of: datetime | None
    ) -> Outcome:
        outcome = measure(as_of)
        if self.where is None:
            return outcome
        reason = view.objection(as_of) or where_reason(self.where, view.record(as_of))
        return outcome if reason is None else Outcome(outcome.at, reason=reason)

    def _outcome(
        self,
        starts: list[datetime],
        ends: list[Moment],
        end_moments: list[datetime],
        statuses: StatusHistory | None,
        as_of: datetime | None,
    ) -> Outcome:
        started = 0 if as_of is None else bisect_right(starts, as_of)
        ended = 0 if as_of is None else bisect_right(end_moments, as_of)
        if as_of is None or started == 0:
            return Outcome(None, reason="not started")
        start = starts[0] if self.source.from_.pick == "first" else starts[started - 1]
        placed_at_start = start if self.source.attribute == "from" else None
        last = ended - 1
        is_last = self.source.to.pick == "last"
        is_reopened = is_last and ended and ends[last].is_done and _category(statuses, as_of) != "done"
        if ended == 0 or is_reopened:
            if self.source.open == "include":
                return Outcome(placed_at_start, since=start)
            return Outcome(placed_at_start, reason="not finished")
        chosen = last if is_last else min(bisect_left(end_moments, start), last)
        end = end_moments[chosen]
        at = placed_at_start or end
        if end < start:
            return Outcome(at, reason="end before start")
        if self.source.within is not None and end - start > self.source.within:
            return Outcome(at, reason=f"longer than {format_timedelta(self.source.within)}")
        seconds = self.calendar.seconds_between(start, end) if self.calendar else wall_seconds(start, end)
        return Outcome(at, value=seconds)


def _category(statuses: StatusHistory | None, as_of: datetime) -> str | None:
    return statuses.category(as_of) if statuses is not None else None


def where_reason(where: Rule | None, record: dict[str, Any]) -> str | None:
    """Why a record is left out by its condition, None where it is not."""
    if where is None:
        return None
    try:
        return None if where.matches({"record": record}) else "where is false"
    except RuleError as error:
        return f"where failed: {error.message}"
