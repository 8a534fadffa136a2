"""Judgements: what a key result's numbers mean at a moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.guardrail import Guardrail
from app.domain.judgement import Standing, StatusPreset, headline, judge
from app.domain.language import Change, Maintain
from app.domain.pace import Curve, Pace
from app.domain.status import PRESETS
from app.domain.window import TimeSpan

D = Decimal
START = datetime(2026, 10, 1, tzinfo=UTC)
CYCLE = TimeSpan(START, START + timedelta(days=100))
HEADCOUNT = Guardrail(metric="operations/headcount", must=">= 97% of baseline", value=D(212), baseline=D(215))
BROKEN = replace(HEADCOUNT, value=D(200))


def on(day: float) -> datetime:
    return START + timedelta(days=day)


def standing(value: str | None = "8", /, **changes: object) -> Standing:
    """Onboarding from 15 days to 5, read a moment ago."""
    known = Standing(
        target_rule=D(5),
        baseline=D(15),
        value=None if value is None else D(value),
        cycle=CYCLE,
        fresh_within=timedelta(hours=24),
        last_success_at=on(0),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("day", "value", "status"),
    [
        pytest.param(57, "8.7", "on_track", id="ahead of the pace"),
        pytest.param(-1, "15", "not_started", id="before the cycle"),
        pytest.param(-1, "4", "not_started", id="before the cycle, whatever the value"),
        pytest.param(0, "15", "on_track", id="nothing expected yet, nothing lost"),
        pytest.param(0, "15.1", "at_risk", id="nothing expected yet, and going the wrong way"),
        pytest.param(100 / 2, "10.25", "on_track", id="exactly 0.95 of what is expected"),
        pytest.param(100 / 2, "10.2500000001", "behind", id="a breath less"),
        pytest.param(100 / 2, "10.75", "behind", id="exactly 0.85"),
        pytest.param(100 / 2, "10.7500000001", "at_risk", id="a breath less than that"),
        pytest.param(50, "5", "met", id="met early"),
        pytest.param(50, "4.2", "met", id="more than met"),
        pytest.param(99.9, "5.0000000001", "on_track", id="nearly there"),
        pytest.param(100, "5", "met", id="met at the end"),
        pytest.param(100, "5.0000000001", "missed", id="missed by a breath"),
        pytest.param(50, None, "unknown", id="no value"),
    ],
)
def test_status(day: float, value: str | None, status: str) -> None:
    assert judge(standing(value), on(day)).status == status
    assert judge(standing(value, kind="aspirational"), on(day)).status == status


@given(st.decimals(-50, 50, places=6), st.floats(-20, 120))
def test_up_and_down_are_judged_alike(value: Decimal, day: float) -> None:
    down = judge(standing(str(value)), on(day))
    up = judge(standing(str(-value), baseline=D(-15), target_rule=D(-5)), on(day))
    assert (up.status, up.progress, up.expected_progress) == (down.status, down.progress, down.expected_progress)


def test_the_whole_of_a_judgement() -> None:
    result = judge(standing("8.7", last_success_at=on(57) - timedelta(seconds=340), guardrails=(HEADCOUNT,)), on(57))
    assert result.target == 5
    assert result.progress == Fraction(63, 100)
    assert result.expected_progress == Fraction(57, 100)
    assert (result.freshness.level, result.freshness.age_seconds) == ("fresh", 340)
    assert [(item.metric, item.holds) for item in result.guardrails] == [("operations/headcount", True)]
    assert (result.projected_value, result.compliance, result.reason) == (None, None, None)


def test_progress_is_not_clamped() -> None:
    assert judge(standing("3"), on(50)).progress == Fraction(12, 10)
    assert judge(standing("17"), on(50)).progress == Fraction(-2, 10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": None, "unknown_reason": "only 3 of 5 samples"}, "only 3 of 5 samples"),
        ({"value": None}, "there is no value yet"),
        ({"baseline": None}, "the baseline is not measured yet"),
        ({"baseline": None, "target_rule": Change(change="-25%")}, "the baseline is not measured yet"),
        ({"baseline": D(0), "target_rule": Change(change="-25%")}, "baseline and target are equal"),
    ],
)
@pytest.mark.parametrize("day", [50, 150])
def test_what_is_not_known_is_unknown_with_its_reason(changes: dict[str, object], reason: str, day: int) -> None:
    result = judge(standing(**changes), on(day))
    assert (result.status, result.progress) == ("unknown", None)
    assert reason in (result.reason or "")


def test_a_change_is_resolved_against_the_baseline() -> None:
    result = judge(standing("70", baseline=D(80), target_rule=Change(change="-25%")), on(50))
    assert (result.target, result.progress, result.status) == (D(60), Fraction(1, 2), "on_track")


@pytest.mark.parametrize(
    ("day", "value", "status"),
    [
        (-1, "99.9", "not_started"),
        (50, "99.9", "on_track"),
        (50, "99.89", "at_risk"),
        (100, "99.9", "met"),
        (100, "99.89", "missed"),
        (50, None, "unknown"),
    ],
)
def test_a_bound_is_held_until_the_end(day: int, value: str | None, status: str) -> None:
    result = judge(standing(value, baseline=None, target_rule=Maintain(maintain=">= 99.9"), unit="percent"), on(day))
    assert result.status == status
    assert (result.target, result.progress, result.expected_progress) == (None, None, None)
    assert (result.compliance is None) == (value is None)


def test_a_bound_reports_its_error_budget() -> None:
    result = judge(standing("99.975", baseline=None, target_rule=Maintain(maintain=">= 99.9"), unit="percent"), on(50))
    assert result.compliance is not None
    assert result.compliance.remaining_budget == Fraction(3, 4)


@pytest.mark.parametrize(
    ("day", "value", "guardrail", "status", "word"),
    [
        (100, "5", HEADCOUNT, "met", None),
        (100, "5", BROKEN, "void", "operations/headcount: 200 is not >= 97% of baseline (215)"),
        (50, "4", BROKEN, "void", "operations/headcount"),
        (100, "6", BROKEN, "missed", "operations/headcount"),
        (50, "8", BROKEN, "on_track", "operations/headcount"),
        (100, "5", replace(HEADCOUNT, value=None), "met", None),
    ],
)
def test_a_target_reached_over_a_broken_guardrail_is_void(
    day: int, value: str, guardrail: Guardrail, status: str, word: str | None
) -> None:
    result = judge(standing(value, guardrails=(guardrail,)), on(day))
    assert result.status == status
    assert (result.reason is None) == (word is None)
    assert (word or "") in (result.reason or "")


def test_an_unknown_value_keeps_its_own_reason_over_a_broken_guardrail() -> None:
    result = judge(standing(None, guardrails=(BROKEN,)), on(50))
    assert (result.status, result.reason) == ("unknown", "there is no value yet")
    assert [item.holds for item in result.guardrails] == [False]


def test_a_bound_kept_over_a_broken_guardrail_is_void() -> None:
    rule = Maintain(maintain="<= 10")
    assert judge(standing("5", target_rule=rule, guardrails=(BROKEN,)), on(100)).status == "void"


def test_a_total_that_should_grow_progresses_as_it_accumulates() -> None:
    growing = standing("40", baseline=D(0), target_rule=D(100), is_cumulative=True, window=CYCLE)
    result = judge(growing, on(50))
    assert (result.progress, result.projected_value, result.status) == (Fraction(2, 5), None, "at_risk")
    assert judge(replace(growing, value=D(48)), on(50)).status == "on_track"


@pytest.mark.parametrize(
    ("day", "value", "projected", "progress", "status"),
    [
        pytest.param(50, "480", "960", Fraction(1, 3), "at_risk", id="heading for too much"),
        pytest.param(50, "460", "920", Fraction(2, 3), "on_track", id="heading well"),
        pytest.param(50, "440", "880", 1, "on_track", id="heading for the target, not there yet"),
        pytest.param(10, "95", "950", Fraction(5, 12), "on_track", id="a tenth has passed"),
        pytest.param(9, "20", None, None, "unknown", id="too early"),
        pytest.param(-1, "0", None, None, "not_started", id="before the cycle"),
        pytest.param(100, "880", None, 1, "met", id="the end is a fact"),
        pytest.param(100, "881", None, Fraction(119, 120), "missed", id="the end is a fact, and too much"),
    ],
)
def test_a_total_that_should_stay_low_is_judged_on_where_it_is_heading(
    day: int, value: str, projected: str | None, progress: Fraction | None, status: str
) -> None:
    overhead = standing(value, baseline=D(1000), target_rule=Change(change="-12%"), is_cumulative=True, window=CYCLE)
    result = judge(overhead, on(day))
    assert result.projected_value == (None if projected is None else D(projected))
    assert (result.progress, result.status) == (progress, status)
    assert (result.reason is not None) == (status == "unknown")


def test_a_total_without_a_window_says_that_it_cannot_be_projected() -> None:
    result = judge(standing("8", is_cumulative=True), on(50))
    assert (result.status, result.reason) == ("unknown", "there is no window to project to the end of")


def test_status_and_freshness_stand_side_by_side() -> None:
    late = judge(standing("8", last_success_at=on(40)), on(50))
    assert (late.status, late.freshness.level) == ("on_track", "stale")
    failing = judge(standing("8", last_success_at=on(40), failing_reason="revoked"), on(50))
    assert (failing.status, failing.freshness.level, failing.freshness.reason) == ("on_track", "error", "revoked")
    assert judge(standing(None, last_success_at=None), on(50)).freshness.level == "no_data"


def test_a_closed_key_result_is_judged_as_at_the_end() -> None:
    closed = standing("8", is_closed=True, last_success_at=on(99.5))
    for day in (60, 100, 400):
        result = judge(closed, on(day))
        assert result.status == "missed"
        assert result.expected_progress == 1
    assert judge(closed, on(400)).freshness.level == "fresh"
    assert judge(replace(closed, is_closed=False), on(400)).freshness.level == "stale"


def test_a_preset_moves_the_thresholds() -> None:
    strict = standing("10.2", preset=StatusPreset(on_track=Fraction(1), behind=Fraction(98, 100)))
    assert judge(standing("10.2"), on(50)).status == "on_track"
    assert judge(strict, on(50)).status == "at_risk"


@given(st.decimals(-50, 50, places=4), st.decimals(-50, 50, places=4), st.floats(-20, 120))
def test_a_better_value_never_makes_a_status_worse(one: Decimal, other: Decimal, day: float) -> None:
    order = ["met", "on_track", "behind", "at_risk", "missed", "not_started"]
    better, worse = sorted((one, other))
    ranks = [order.index(judge(standing(str(value)), on(day)).status) for value in (better, worse)]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("changes", "word"), [({"paused": "waiting for the new ERP"}, "paused"), ({"dropped": "merged"}, "dropped")]
)
@pytest.mark.parametrize("value", ["8", "4", None])
def test_what_is_paused_or_dropped_keeps_its_numbers_and_has_no_status(
    changes: dict[str, object], word: str, value: str | None
) -> None:
    plain, result = judge(standing(value), on(50)), judge(standing(value, **changes), on(50))
    assert (result.status, result.lifecycle) == ("unknown", word)
    assert result.reason == f"{word}: {changes[word]}"
    assert (result.progress, result.expected_progress) == (plain.progress, plain.expected_progress)
    assert headline(result).word == word


@pytest.mark.parametrize(
    ("value", "day", "changes", "word"),
    [
        ("8.7", 57, {"last_success_at": on(57)}, "on_track"),
        ("8.7", 57, {"last_success_at": on(50)}, "stale"),
        ("4", 57, {"last_success_at": on(50)}, "stale"),
        ("8.7", 57, {"last_success_at": on(50), "failing_reason": "revoked"}, "error"),
        (None, 57, {"last_success_at": None}, "no_data"),
        (None, 57, {"last_success_at": on(57)}, "unknown"),
        ("4", 100, {"last_success_at": on(50), "is_closed": True}, "stale"),
        ("4", 400, {"last_success_at": on(100), "is_closed": True}, "met"),
    ],
)
def test_the_one_word_is_never_green_in_silence(
    value: str | None, day: int, changes: dict[str, object], word: str
) -> None:
    assert headline(judge(standing(value, **changes), on(day))).word == word


def test_a_pace_moves_what_is_expected() -> None:
    late = judge(standing("12.5", pace=Pace(curve="late")), on(50))
    assert (late.expected_progress, late.progress, late.status) == (Fraction(1, 4), Fraction(1, 4), "on_track")
    assert judge(standing("12.5"), on(50)).status == "at_risk"
    assert judge(standing("12.5", pace=Pace(curve="late")), on(-1)).status == "not_started"
    assert judge(standing("12.5", pace=Pace(curve="late")), on(100)).status == "missed"


def test_an_expectation_that_is_not_known_makes_the_status_unknown_unless_the_target_is_reached() -> None:
    result = judge(standing("8", pace=None), on(50))
    assert (result.status, result.expected_progress) == ("unknown", None)
    assert result.reason == "what is expected by now is not known"
    assert judge(standing("5", pace=None), on(50)).status == "met"
    assert judge(standing("8", pace=None), on(100)).status == "missed"


@pytest.mark.parametrize(("preset", "status"), [("default", "at_risk"), ("points", "behind"), ("zones", "on_track")])
def test_presets_look_at_the_same_numbers_differently(preset: str, status: str) -> None:
    # 0.36 of the way where half is expected: 0.72 of it, 14 points below it.
    assert judge(standing("11.4", preset=PRESETS[preset]), on(50)).status == status


@pytest.mark.parametrize("preset", sorted(PRESETS))
@given(
    value=st.decimals(-50, 50, places=4),
    other=st.decimals(-50, 50, places=4),
    day=st.floats(-20, 120),
    curve=st.sampled_from(["linear", "early", "late", "s_curve"]),
)
def test_a_better_value_is_never_worse_and_both_directions_are_alike_in_every_preset(
    preset: str, value: Decimal, other: Decimal, day: float, curve: Curve
) -> None:
    order = ["met", "on_track", "behind", "at_risk", "missed", "not_started"]
    known = standing(preset=PRESETS[preset], pace=Pace(curve=curve))
    better, worse = (judge(replace(known, value=item), on(day)) for item in sorted((value, other)))
    assert order.index(better.status) <= order.index(worse.status)
    mirrored = replace(known, value=-min(value, other), baseline=D(-15), target_rule=D(-5))
    assert judge(mirrored, on(day)).status == better.status


def test_a_budget_is_judged_on_its_projection_in_every_preset_and_pace() -> None:
    budget = standing(
        "480", baseline=D(1000), target_rule=D(880), is_cumulative=True, window=CYCLE, preset=PRESETS["points"]
    )
    result = judge(replace(budget, pace=Pace(curve="late")), on(50))
    # Heading for 960: a third of the way, 25 points expected.
    assert (result.progress, result.expected_progress, result.status) == (Fraction(1, 3), Fraction(1, 4), "on_track")
    early = judge(budget, on(9.9))
    assert (early.status, early.reason) == (
        "unknown",
        "less than a tenth of the window has passed: too early to project its end",
    )


def test_a_corridor_is_held_like_any_bound() -> None:
    rule = Maintain(maintain="between 5 and 10")
    inside, outside = (judge(standing(value, target_rule=rule, baseline=None), on(50)) for value in ("10", "10.01"))
    assert (inside.status, outside.status) == ("on_track", "at_risk")


def test_a_cycle_of_one_day_is_judged_from_its_first_moment_to_its_end() -> None:
    day = TimeSpan(START, START + timedelta(days=1))
    assert judge(standing("15", cycle=day), START).status == "on_track"
    assert judge(standing("10", cycle=day), on(0.5)).status == "on_track"
    assert judge(standing("10.1", cycle=day), on(1)).status == "missed"
