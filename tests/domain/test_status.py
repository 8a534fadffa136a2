"""Bands around what is expected, and the one word that is shown."""

from decimal import Decimal
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.language import ExpectedPoints, ExpectedShares, PresetSpec
from app.domain.status import (
    DEFAULT_PRESET,
    POINTS_PRESET,
    PRESETS,
    ZONES_PRESET,
    Headline,
    StatusPreset,
    headline,
    status_preset,
)

F = Fraction
ORDER = ["at_risk", "behind", "on_track"]
LEVELS = ("fresh", "stale", "no_data", "error")
STATUSES = ("not_started", "on_track", "behind", "at_risk", "met", "missed", "void", "unknown")


@pytest.mark.parametrize(
    ("preset", "expected", "reached", "band"),
    [
        pytest.param("default", "0.5", "0.475", "on_track", id="0.95 of expected belongs to on track"),
        pytest.param("default", "0.5", "0.4749", "behind", id="a breath less"),
        pytest.param("default", "0.5", "0.425", "behind", id="0.85 belongs to behind"),
        pytest.param("default", "0.5", "0.4249", "at_risk", id="a breath less than that"),
        pytest.param("default", "0", "0", "on_track", id="nothing expected"),
        pytest.param("default", "0", "-0.0001", "at_risk", id="the wrong way"),
        pytest.param("default", "-0.2", "-0.2", "on_track", id="expected to get worse first, as it did"),
        pytest.param("default", "-0.2", "-0.21", "on_track", id="0.95 of a step back"),
        pytest.param("default", "-0.2", "-0.24", "at_risk", id="worse than that"),
        pytest.param("points", "0.5", "0.4001", "on_track", id="less than ten points below"),
        pytest.param("points", "0.5", "0.4", "behind", id="ten points below"),
        pytest.param("points", "0.5", "0.2501", "behind", id="less than 25 points below"),
        pytest.param("points", "0.5", "0.25", "at_risk", id="25 points below"),
        pytest.param("points", "0.05", "0", "on_track", id="early on nothing is lost"),
        pytest.param("zones", "1", "0.7", "on_track", id="the target zone at the end"),
        pytest.param("zones", "0.5", "0.35", "on_track", id="the target zone, scaled by the pace"),
        pytest.param("zones", "0.5", "0.3499", "behind", id="what was committed is in reach"),
        pytest.param("zones", "0.5", "0.15", "behind", id="exactly what was committed"),
        pytest.param("zones", "0.5", "0.1499", "at_risk", id="less than was committed"),
    ],
)
def test_a_band_begins_at_its_own_bound(preset: str, expected: str, reached: str, band: str) -> None:
    assert PRESETS[preset].band(F(reached), F(expected)) == band


presets = st.sampled_from([DEFAULT_PRESET, POINTS_PRESET, ZONES_PRESET]) | st.builds(
    lambda low, more, measure: (
        StatusPreset(low, low + more, "points") if measure == "points" else StatusPreset(low + more, low, "share")
    ),
    st.fractions(0, 1),
    st.fractions(0, 1),
    st.sampled_from(["points", "share"]),
)


@given(presets, st.fractions(-1, 2), st.fractions(-3, 3), st.fractions(0, 3))
def test_more_is_never_worse(preset: StatusPreset, expected: Fraction, reached: Fraction, more: Fraction) -> None:
    assert ORDER.index(preset.band(reached + more, expected)) >= ORDER.index(preset.band(reached, expected))


@given(presets, st.fractions(0, 1))
def test_what_is_expected_of_a_strict_preset_is_on_track(preset: StatusPreset, expected: Fraction) -> None:
    if preset.measure == "points" or preset.on_track <= 1:
        assert preset.band(expected, expected) == "on_track"


OWN: dict[str, PresetSpec] = {
    "strict": ExpectedShares(on_track=Decimal(1), behind=Decimal("0.9")),
    "ours": "strict",
    "loose": ExpectedPoints(on_track_points=Decimal("16.5"), behind_points=Decimal(33)),
    "round": "trip",
    "trip": "round",
}


@pytest.mark.parametrize(
    ("spec", "own", "preset"),
    [
        (None, {}, DEFAULT_PRESET),
        ("default", {}, DEFAULT_PRESET),
        ("points", {}, POINTS_PRESET),
        ("zones", {}, ZONES_PRESET),
        ("strict", OWN, StatusPreset(F(1), F(9, 10))),
        ("ours", OWN, StatusPreset(F(1), F(9, 10))),
        ("loose", OWN, StatusPreset(F(165, 1000), F(33, 100), "points")),
        (OWN["loose"], {}, StatusPreset(F(165, 1000), F(33, 100), "points")),
        (None, {"default": OWN["strict"]}, StatusPreset(F(1), F(9, 10))),
        ("default", {"default": "default"}, DEFAULT_PRESET),
    ],
)
def test_presets_by_word_and_by_number(
    spec: PresetSpec | None, own: dict[str, PresetSpec], preset: StatusPreset
) -> None:
    assert status_preset(spec, own) == preset


@pytest.mark.parametrize("word", ["unheard_of", "round"])
def test_a_word_that_nobody_defined_is_refused(word: str) -> None:
    with pytest.raises(KeyError):
        status_preset(word, OWN)


@pytest.mark.parametrize(("status", "level"), [*product(STATUSES, LEVELS)])
def test_silence_outranks_every_status_and_is_never_green(status: str, level: str) -> None:
    shown = headline(status, level)  # type: ignore[arg-type]
    assert shown.word == (status if level == "fresh" else level)
    if level != "fresh" or status not in ("met", "on_track"):
        assert shown.tone != "good"
    for lifecycle in ("paused", "dropped"):
        assert headline(status, level, lifecycle) == Headline(lifecycle, "neutral")  # type: ignore[arg-type]
