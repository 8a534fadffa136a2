"""The detectors of the health check. Each looks at one key result and says what it sees, with the numbers.

Thresholds are named here with their reasons; none is decided by a float.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from app.domain.forecast import Forecast
from app.domain.health_facts import Clock, KeyResultFacts, Observation
from app.domain.progress import reaching
from app.domain.series import History
from app.domain.shown import whole_percent

FIRST_THIRD = Fraction(1, 3)
NEXT_TO = Fraction(5, 100)
"""A target nearer to its baseline than this part of it is hardly a change."""
DEEPEST_FORMULA = 2
MOST_SOURCES = 3
DEAD_AFTER = timedelta(weeks=3)
LOST_AFTER = timedelta(weeks=6)
CHECK_IN_WITHIN = timedelta(days=14)
"""Two weekly check-ins missed."""
MOST_EDITS = 2
LOW_CHANCE = Decimal("0.10")
HALFWAY = Fraction(1, 2)

# Verbs that say what is made, where an outcome says what becomes of it.
_OUTPUT_TITLE = re.compile(
    r"(?:build|complete|conduct|create|deliver|deploy|design|develop|document|finish|hold|host|implement|install"
    r"|introduce|launch|migrate|organi[sz]e|publish|release|roll out|run|set up|ship|train|write)\b",
    re.IGNORECASE,
)
_OUTPUT_UNIT = re.compile(
    r"articles|calls|campaigns|commits|deployments|documents|events|features|interviews|issues|meetings|pages|posts"
    r"|pull_requests|releases|reports|sessions|stories|story_points|tasks|tickets|trainings|workshops",
    re.IGNORECASE,
)


def sandbagging(facts: KeyResultFacts, clock: Clock) -> Iterator[Observation]:
    """A target that was never in doubt: met in earlier cycles, reached in the first third, or next to its baseline."""
    target, baseline = facts.judgement.target, facts.baseline
    if target is None or baseline is None or target == baseline:
        return
    must = reaching(target, baseline)
    met = [cycle for cycle in facts.earlier if cycle.value is not None and must.holds(cycle.value)]
    if met:
        cycles = ", ".join(f"{cycle.name} ({number(cycle.value)})" for cycle in met)
        message = f"the target of {number(target)} was met before: {cycles}"
        yield Observation("sandbagging", message, "warning", "re_scope")
    first = facts.first_met_at
    if first is not None and first - clock.start < (clock.end - clock.start) / 3:
        day, days = (first - clock.start) // timedelta(days=1) + 1, (clock.end - clock.start) // timedelta(days=1)
        message = f"the target of {number(target)} was reached on day {day} of {days}, in the first third"
        yield Observation("sandbagging", message, "warning", "re_scope")
    distance = Fraction(abs(target - baseline))
    # What is left of 100 is what counts where little is left: from 99.5 to 99.9 % is four fifths of the way.
    room = [Fraction(abs(baseline))]
    if facts.unit == "percent":
        room.append(Fraction(abs(100 - baseline)))
    if all(size and distance < NEXT_TO * size for size in room):
        message = (
            f"the target of {number(target)} lies {percent(distance / room[0], 1)} from the baseline of "
            f"{number(baseline)}"
        )
        yield Observation("sandbagging", message, "warning", "re_scope")


def over_engineering(facts: KeyResultFacts, _clock: Clock) -> Iterator[Observation]:
    """A number that nobody can check by hand any more."""
    if facts.formula_depth > DEEPEST_FORMULA:
        message = f"its formula is {facts.formula_depth} metrics deep: more than {DEEPEST_FORMULA} are hard to trust"
        yield Observation("over_engineering", message, "warning", "re_scope")
    if facts.sources > MOST_SOURCES:
        message = f"it is fed by {facts.sources} sources: each of more than {MOST_SOURCES} can be the one that is wrong"
        yield Observation("over_engineering", message, "warning", "re_scope")


def output_as_outcome(facts: KeyResultFacts, _clock: Clock) -> Iterator[Observation]:
    """What is produced, where a key result says what it changes."""
    target, baseline = facts.judgement.target, facts.baseline
    grows = target is not None and (baseline is None or target > baseline)
    verb = _OUTPUT_TITLE.match(facts.title.strip())
    reason = None
    if facts.form == "milestones":
        reason = "it counts steps that are done"
    elif verb is not None and grows:
        reason = f'its title begins with "{verb[0]}"'
    elif grows and _OUTPUT_UNIT.fullmatch(facts.unit) and facts.form in ("records", "query", "manual"):
        reason = f"it counts {facts.unit} up to {number(target)}"
    if reason is not None:
        yield Observation("output_as_outcome", f"{reason}: that is an output, not what it changes", "info", "keep")


def data(facts: KeyResultFacts, _clock: Clock) -> Iterator[Observation]:
    """Silence: stale, failing or missing data."""
    fresh = facts.judgement.freshness
    age = "" if fresh.age_seconds is None else f", {span(timedelta(seconds=fresh.age_seconds))} old"
    if fresh.level == "stale":
        yield Observation("stale_data", f"its data is stale{age}: {fresh.reason}", "warning", "keep")
    elif fresh.level == "error":
        yield Observation("failing_data", f"its source fails{age}: {fresh.reason}", "problem", "keep")
    elif fresh.level == "no_data":
        yield Observation("no_data", f"there is no data: {fresh.reason}", "problem", "keep")


def guardrails(facts: KeyResultFacts, _clock: Clock) -> Iterator[Observation]:
    """Guardrails that do not hold."""
    for item in facts.judgement.guardrails:
        if item.holds is False:
            message = f"guardrail {item.metric} does not hold: {item.reason}"
            yield Observation("guardrail_breached", message, "problem", "keep")


def dead(facts: KeyResultFacts, clock: Clock) -> Iterator[Observation]:
    """A value that has not moved for weeks, though it is read and not where it should be."""
    judgement = facts.judgement
    is_at_rest = judgement.compliance is not None or judgement.status in ("met", "void", "not_started")
    if is_at_rest or judgement.freshness.level != "fresh" or facts.value is None:
        return
    moved = facts.last_changed_at or facts.value_since
    if moved is None:
        return
    since = max(moved, clock.start)
    # The value may have rested for long before the cycle: what counts is that nobody has moved it since.
    still = clock.now - since
    patience = 2 * facts.moves_every if facts.moves_every is not None else timedelta(0)
    if still < max(DEAD_AFTER, patience):
        return
    is_lost = still >= max(LOST_AFTER, 2 * patience) and clock.elapsed >= HALFWAY
    where = "since the cycle began" if moved <= clock.start else f"since {moved:%Y-%m-%d}"
    message = f"it has stood at {number(facts.value)} for {still.days // 7} weeks, {where}"
    yield Observation("dead", message, "problem" if is_lost else "warning", "drop" if is_lost else "re_scope")


def off_pace(facts: KeyResultFacts, clock: Clock) -> Iterator[Observation]:
    """Behind what is expected by now, and how likely the target still is."""
    judgement, forecast = facts.judgement, facts.forecast
    chance = forecast.chance_of_target if isinstance(forecast, Forecast) else None
    if judgement.status not in ("behind", "at_risk", "on_track"):
        return
    is_late = judgement.status != "on_track"
    is_unlikely = chance is not None and chance <= LOW_CHANCE
    if not is_late and not is_unlikely:
        return
    words = standing_in_words(facts)
    progress, expected = judgement.progress, judgement.expected_progress
    if chance is None and progress is not None and expected is not None:
        # Nothing to forecast from: half of what is expected, with half of the time gone, is hard to make good.
        is_unlikely = clock.elapsed >= HALFWAY and progress < expected / 2
    is_hopeless = (
        is_unlikely and chance is not None and clock.elapsed >= HALFWAY and progress is not None and progress <= 0
    )
    yield Observation(
        "off_pace",
        words,
        "problem" if judgement.status == "at_risk" and is_unlikely else "warning",
        "drop" if is_hopeless else "re_scope" if is_unlikely else "keep",
    )


def check_ins(facts: KeyResultFacts, clock: Clock) -> Iterator[Observation]:
    """Nobody has said a word for two weeks."""
    if clock.now >= clock.end:
        return
    last = facts.last_check_in_at
    quiet = clock.now - (clock.start if last is None else max(last, clock.start))
    if quiet > CHECK_IN_WITHIN:
        where = "since the cycle began" if last is None or last < clock.start else f"since {last:%Y-%m-%d}"
        yield Observation("no_check_in", f"no check-in for {quiet.days} days, {where}", "info", "keep")


def edits(facts: KeyResultFacts, _clock: Clock) -> Iterator[Observation]:
    """Goalposts that move."""
    if facts.edits > MOST_EDITS:
        message = f"its target, baseline or metric was changed {facts.edits} times since the cycle began"
        yield Observation("edited", message, "warning", "keep")


Detector = Callable[[KeyResultFacts, Clock], Iterator[Observation]]
BY_DESIGN: tuple[Detector, ...] = (sandbagging, over_engineering, output_as_outcome)
"""What is wrong with a key result itself, whatever its value does."""
DETECTORS: tuple[Detector, ...] = (*BY_DESIGN, data, guardrails, dead, off_pace, check_ins, edits)


def standing_in_words(facts: KeyResultFacts) -> str:
    """How a key result stands, in numbers: progress against expectation, and the chance of its target."""
    judgement, forecast = facts.judgement, facts.forecast
    if judgement.compliance is not None:
        kept = judgement.compliance
        words = f"{number(facts.value)} {'keeps' if kept.holds else 'breaks'} {kept.bound}"
    elif judgement.progress is None:
        words = judgement.reason or "nothing can be said yet"
    elif judgement.expected_progress is None:
        words = f"{percent(judgement.progress)} of the way"
    else:
        words = f"{percent(judgement.progress)} of the way, {percent(judgement.expected_progress)} expected"
    if isinstance(forecast, Forecast) and forecast.chance_of_target is not None:
        chance = percent(Fraction(forecast.chance_of_target))
        words += (
            f"; heading for {number(forecast.value_at_end)} ({number(forecast.low)} to {number(forecast.high)}), "
            f"a chance of {chance}"
        )
    return words


def number(value: Decimal | None) -> str:
    """A value for a sentence: at most four decimals, no zeros at the end."""
    if value is None:
        return "nothing"
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -4:
        value = value.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(part: Fraction, places: int = 0) -> str:
    """A part as percent for a sentence, rounded half-even."""
    if not places:
        return f"{whole_percent(part)} %"
    return f"{number(Decimal(round(part * 100 * 10**places)).scaleb(-places))} %"


def span(length: timedelta) -> str:
    """A span in the largest unit that it fills: `3 days`, `5 hours`, `12 minutes`."""
    for size, unit in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        count = length // size
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "moments"


def first_met(history: History, target: Decimal, baseline: Decimal, start: datetime) -> datetime | None:
    """When a value first reached a target in a cycle; None while it has not. The value held at the start counts as
    reached then."""
    must = reaching(target, baseline)
    held: Decimal | None = None
    for at, value in history:
        if at <= start:
            held = value
            continue
        if held is not None and must.holds(held):
            return start
        held = None
        if must.holds(value):
            return at
    return start if held is not None and must.holds(held) else None
