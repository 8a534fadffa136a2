"""The one word for how a key result stands: bands around what is expected, and what outranks them.

A band reaches from its own bound, which belongs to it, to the next better one: half-open, without gaps. No float
decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from app.domain.freshness import FreshnessLevel
from app.domain.language import ExpectedPoints, ExpectedShares, PresetSpec

KeyResultStatus: TypeAlias = Literal["not_started", "on_track", "behind", "at_risk", "met", "missed", "void", "unknown"]
Band: TypeAlias = Literal["on_track", "behind", "at_risk"]
Lifecycle: TypeAlias = Literal["active", "paused", "dropped"]
Tone: TypeAlias = Literal["good", "warning", "bad", "neutral", "silent"]


@dataclass(frozen=True, slots=True)
class StatusPreset:
    """From where a key result is on track, or merely behind.

    In `share`, parts of the expected progress: on track from `on_track` × expected. In `points`, the distance below it
    (0.10 is ten percentage points): behind from `on_track` below, at risk from `behind` below; at or above the
    expectation is always on track.
    """

    on_track: Fraction = Fraction(95, 100)
    behind: Fraction = Fraction(85, 100)
    measure: Literal["share", "points"] = "share"

    def band(self, reached: Fraction, expected: Fraction) -> Band:
        """The band of a progress against what is expected by now."""
        if self.measure == "points":
            gap = expected - reached
            if gap <= 0 or gap < self.on_track:
                return "on_track"
            return "behind" if gap < self.behind else "at_risk"
        if reached >= _part(self.on_track, expected):
            return "on_track"
        return "behind" if reached >= _part(self.behind, expected) else "at_risk"


def _part(share: Fraction, expected: Fraction) -> Fraction:
    # A checkpoint may lie on the far side of the baseline: a part of a negative expectation is below it, not above.
    return expected - (1 - share) * abs(expected)


DEFAULT_PRESET = StatusPreset()
POINTS_PRESET = StatusPreset(Fraction(10, 100), Fraction(25, 100), "points")
ZONES_PRESET = StatusPreset(Fraction(7, 10), Fraction(3, 10))
"""A score is heading for its target zone from 0.7 of what is expected by now, and for what was committed from 0.3."""

PRESETS: Mapping[str, StatusPreset] = {"default": DEFAULT_PRESET, "points": POINTS_PRESET, "zones": ZONES_PRESET}


def status_preset(spec: PresetSpec | None, own: Mapping[str, PresetSpec] | None = None) -> StatusPreset:
    """The preset that is meant: nothing is `default`, a word one of the built-in or the organisation's own.

    An organisation may redefine a built-in word. KeyError for a word that nobody defined.
    """
    found: PresetSpec = "default" if spec is None else spec
    defined = dict(own or {})
    while isinstance(found, str) and found in defined:
        found = defined.pop(found)
    if isinstance(found, ExpectedShares):
        return StatusPreset(Fraction(found.on_track), Fraction(found.behind))
    if isinstance(found, ExpectedPoints):
        return StatusPreset(Fraction(found.on_track_points) / 100, Fraction(found.behind_points) / 100, "points")
    return PRESETS[found]


@dataclass(frozen=True, slots=True)
class Headline:
    """What is shown where there is room for one word or one mark: the word, and the tone of its colour."""

    word: str
    tone: Tone


_TONES: dict[str, Tone] = {
    "met": "good",
    "on_track": "good",
    "behind": "warning",
    "at_risk": "bad",
    "missed": "bad",
    "void": "bad",
    "not_started": "neutral",
    "unknown": "silent",
}


def headline(status: KeyResultStatus, freshness: FreshnessLevel, lifecycle: Lifecycle = "active") -> Headline:
    """The one word: paused or dropped first, then what is wrong with the data, then the status.

    Silence is never green: `error`, `no_data` and `stale` outrank every status.
    """
    if lifecycle != "active":
        return Headline(lifecycle, "neutral")
    if freshness != "fresh":
        return Headline(freshness, "bad" if freshness == "error" else "silent")
    return Headline(status, _TONES[status])
