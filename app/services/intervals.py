"""What is measured with the clock: shares of time in a state, and durations that are not finished yet.

Stored facts say when a stretch or a duration began; how long it is, is told here, for a window and a moment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from app.domain.aggregate import ratio, rounded
from app.domain.durations import wall_seconds
from app.domain.language import DurationSource, format_timedelta
from app.domain.window import MICROSECOND, SUB_DAY_STEP
from app.services.definitions import Definition
from app.store import facts as fact_store
from app.store.database import Session
from app.store.facts import Stretch, Window
from app.store.tables import Fact


def passed_until(window: Window) -> datetime:
    """Up to when time has passed: the last moment of a half-open window stands for its end."""
    if window.end is not None and window.as_of + MICROSECOND == window.end:
        return window.end
    return window.as_of


# --- shares of time --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch as far as it lies in the window and has passed: aware UTC, `[start, end)`, possibly empty.

    `is_open`: it went on at the moment of evaluation.
    """

    stretch: Stretch
    start: datetime
    end: datetime
    is_open: bool

    @property
    def microseconds(self) -> int:
        return (self.end - self.start) // MICROSECOND

    @property
    def seconds(self) -> Decimal:
        return wall_seconds(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Share:
    """A share of measured time: `value` in percent, None with a reason where nothing was measured.

    `good` and `measured` are seconds, of all entities together; `entities` counts the measured ones. `coverage` is the
    measured part (0 to 1) of all time that had passed in the window, of a window without a beginning since each
    entity's first known state. `changes_at` is when the clock alone moves the value, None when it does not.
    """

    value: Decimal | None
    reason: str | None
    good: Decimal
    measured: Decimal
    coverage: Decimal | None
    entities: int
    changes_at: datetime | None


async def cut_stretches(session: Session, revision_id: int, part: str, window: Window) -> list[Cut]:
    """The stretches in the window, cut to it, in order of their beginning."""
    return cut(await fact_store.stretches_in(session, revision_id, part, window), window)


def cut(stretches: Iterable[Stretch], window: Window) -> list[Cut]:
    """Stretches cut at the window's edges and at the moment of evaluation; what lies outside is left out."""
    until, limit = passed_until(window), _limit(window)
    cuts = []
    for stretch in stretches:
        is_open = stretch.until is None or stretch.until > until
        start = stretch.since if window.start is None else max(stretch.since, window.start)
        end = limit if stretch.until is None else min(stretch.until, limit)
        is_before_the_end = window.end is None or stretch.since < window.end
        if start <= end and is_before_the_end:
            cuts.append(Cut(stretch, start, end, is_open))
    return cuts


async def current_share(session: Session, revision_id: int, part: str, window: Window) -> Share:
    """The share at the moment of evaluation. What has ended is added up by the database: only what reaches beyond the
    moment, a stretch for each entity, is read one by one."""
    limit = _limit(window)
    ended = await fact_store.ended_stretches(session, revision_id, part, window, limit)
    beyond = await fact_store.stretches_in(session, revision_id, part, replace(window, start=limit))
    return share(cut(beyond, window), window, ended)


def _limit(window: Window) -> datetime:
    """The moment up to which the window is measured."""
    until = passed_until(window)
    return until if window.end is None else min(until, window.end)


def share(cuts: Sequence[Cut], window: Window, ended: Iterable[tuple[str, Decimal | None, int]] = ()) -> Share:
    """The share of measured time in good states, of stretches cut to the window and, beside them, of `ended` ones that
    are added up already: (entity, value, microseconds)."""
    spans = [*ended, *((one.stretch.entity, one.stretch.value, one.microseconds) for one in cuts)]
    known = sum(lasted for _, _, lasted in spans)
    measured = sum(lasted for _, value, lasted in spans if value is not None)
    good = sum(lasted for _, value, lasted in spans if value)
    passed = known
    if window.start is not None:
        # Of an entity that nothing is known of, the whole window is not measured.
        entities = len({entity for entity, _, _ in spans}) or 1
        passed = entities * max((_limit(window) - window.start) // MICROSECOND, 0)
    value = ratio(Decimal(good), Decimal(measured), percent=True)
    reason = None
    if value is None:
        reason = "no measured state in the window" if known else "no known state in the window"
    return Share(
        value=value,
        reason=reason,
        good=Decimal(good) / 1_000_000,
        measured=Decimal(measured) / 1_000_000,
        coverage=rounded(Fraction(measured, passed)) if passed else None,
        entities=len({entity for entity, value, lasted in spans if value is not None and lasted}),
        changes_at=_share_changes_at(cuts, window, good, measured),
    )


def _share_changes_at(cuts: Sequence[Cut], window: Window, good: int, measured: int) -> datetime | None:
    """When the clock alone moves the value. What was good all along stays so however long it lasts."""
    if window.end is not None and window.as_of > window.end:
        return None
    moments = []
    for one in cuts:
        if not one.is_open:
            continue
        if one.stretch.until is not None:
            moments.append(one.stretch.until)
        is_moving = good < measured if one.stretch.value else good > 0
        if one.stretch.value is not None and (is_moving or not measured):
            moments.append(window.as_of + SUB_DAY_STEP)
    return min(moments, default=None)


# --- durations, the unfinished ones included -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenDuration:
    """An unfinished duration: its seconds by the metric's clock up to the moment of evaluation or, if that came first,
    the end of the window that it is placed in by `at`; or the reason that it is left out."""

    fact: Fact
    at: datetime
    seconds: Decimal
    reason: str | None


async def open_durations(
    session: Session, revision_id: int, part: str, definition: Definition, window: Window
) -> list[OpenDuration]:
    """The unfinished durations of a metric that counts them, at the moment of evaluation."""
    source = definition.spec.duration
    if source is None or source.open != "include":
        return []
    by_start = source.attribute == "from"
    facts = await fact_store.open_durations(session, revision_id, part, window, by_start=by_start)
    return opened(facts, definition, window)


def opened(facts: Iterable[Fact], definition: Definition, window: Window) -> list[OpenDuration]:
    """Facts of unfinished durations as they are at the moment of evaluation; those outside the window are left out."""
    source = definition.spec.duration
    if source is None:
        return []
    first, end = open_starts(source, window)
    found = []
    for fact in facts:
        at = fact.at or end
        if fact.since is None or fact.since > end or (window.start is not None and at < window.start):
            continue
        is_too_long = first is not None and fact.since < first
        reason = f"longer than {format_timedelta(source.within)}" if is_too_long and source.within else None
        found.append(OpenDuration(fact, at, definition.elapsed(fact.since, end), reason))
    return found


def open_starts(source: DurationSource, window: Window) -> tuple[datetime | None, datetime]:
    """The first (None: any) and the last moment at which a duration that is unfinished and counts has begun."""
    end = passed_until(window) if source.attribute == "from" else _limit(window)
    return None if source.within is None else end - source.within, end


async def durations(
    session: Session, revision_id: int, part: str, window: Window, unfinished: Iterable[OpenDuration]
) -> list[Decimal]:
    """The seconds of every duration in the window, finished or not, in order of moment."""
    finished = await fact_store.finished_durations(session, revision_id, part, window)
    placed = [(at, False, subject, seconds) for at, subject, seconds in finished]
    placed += [(one.at, True, one.fact.subject, one.seconds) for one in unfinished if one.reason is None]
    return [seconds for *_, seconds in sorted(placed)]


def durations_change_at(unfinished: Iterable[OpenDuration], window: Window) -> datetime | None:
    """When the clock alone moves a number with unfinished durations in it, None when it does not."""
    is_over = window.end is not None and window.as_of > window.end
    is_moving = any(one.reason is None and not (is_over and one.fact.at is None) for one in unfinished)
    return window.as_of + SUB_DAY_STEP if is_moving else None
