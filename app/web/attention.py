"""What somebody has to look at first: the key results that are in danger or silent, why, and where to do something."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.domain.health_detectors import LOW_CHANCE
from app.services.views import KeyResultView
from app.web.format import amount, bound, guarded, percent, quantity, sentence, span, value_of, words

#: In danger before silent before late; what is on track comes last, and only where it will hardly end well.
_ORDER = ("error", "missed", "void", "at_risk", "stale", "no_data", "behind", "on_track")
_SILENT = ("error", "stale", "no_data")


@dataclass(frozen=True, slots=True)
class Need:
    """A key result that needs somebody, with as many `others` as are silent for the same reason: why, in a sentence,
    and the page where something can be done about it."""

    view: KeyResultView
    others: int
    why: str
    href: str
    act: str


def needs(views: Sequence[KeyResultView]) -> list[Need]:
    """The worst first; those that one source keeps silent are one need. Closed ones are nobody's any more."""
    grouped: dict[tuple[str, str], list[KeyResultView]] = {}
    for view in views:
        word = view.headline.word
        if word in _ORDER and view.cycle.state != "closed" and (word != "on_track" or is_unlikely(view)):
            source = view.source.connection if word in _SILENT else None
            grouped.setdefault((word, source or view.id), []).append(view)
    found = [_need(group) for group in grouped.values()]
    return sorted(found, key=lambda need: (_ORDER.index(need.view.headline.word), _ahead(need.view)))


def is_unlikely(view: KeyResultView) -> bool:
    """Whether a key result has the pace that is expected by now, and is foretold to miss its target all the same."""
    chance = None if view.forecast is None else view.forecast.chance_of_target
    return view.headline.word == "on_track" and chance is not None and Decimal(str(chance)) <= LOW_CHANCE


def _ahead(view: KeyResultView) -> float:
    """How far a key result is ahead of what is expected of it (negative: behind)."""
    if view.progress is None or view.expected_progress is None:
        return 0.0
    return view.progress - view.expected_progress


def _need(group: Sequence[KeyResultView]) -> Need:
    view = group[0]
    word, source = view.headline.word, view.source.connection
    page = f"/key-results/{view.id}"
    if word not in _SILENT:
        return Need(view, 0, reason(view), f"{page}/why", "See why")
    if source is None:
        return Need(view, len(group) - 1, reason(view), f"{page}#check-ins", "Give a number")
    return Need(view, len(group) - 1, reason(view), f"/connections/{source}", "See the connection")


def reason(view: KeyResultView) -> str:
    """Why a key result stands where it stands, in a sentence."""
    word, fresh, unit = view.headline.word, view.freshness, view.metric.unit
    if word == "error":
        return f"{_ended(sentence(fresh.reason or 'its source fails'))} The value is the last true one."
    if word == "stale":
        allowed = span(fresh.fresh_within_seconds)
        return (
            f"Nothing new for {span(fresh.age_seconds)}, where {allowed} are allowed. The value is the last true one."
        )
    if word == "no_data":
        return "Nothing has come from its source yet."
    breached = [guard for guard in view.guardrails if guard.holds is False]
    if word == "void" and breached:
        guard = breached[0]
        name = sentence(guard.metric.partition("/")[2])
        so = "until it is, the target does not count as met"
        return f"{name} is {guarded(guard)} and must be {bound(guard.must)}: {so}."
    if view.forecast is not None and is_unlikely(view):
        goal = quantity(view.target, unit) if view.compliance is None else bound(view.compliance.bound, unit)
        ahead, chance = amount(view.forecast.value_at_end), percent(view.forecast.chance_of_target)
        return f"As it should be by now, but heading for {ahead}: the chance of {goal} is {chance}."
    if view.compliance is not None and view.compliance.holds is False:
        return f"{value_of(view)}, and must be {bound(view.compliance.bound, unit)}."
    if view.progress is None:
        return _ended(sentence(view.reason or words(word)))
    told = f"{percent(view.progress)} of the way"
    if view.expected_progress is not None:
        told += f", {percent(view.expected_progress)} expected by now"
    if view.forecast is not None and view.target is not None:
        ahead = amount(view.forecast.value_at_end)
        return f"{told}; heading for {ahead}, the target is {quantity(view.target, unit)}."
    return f"{told}."


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
