"""Roll-up: the weighted mean of what is known, and the worst of how it stands."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.judgement import KeyResultStatus, Standing, judge
from app.domain.language import Maintain
from app.domain.rollup import BEST_TO_WORST, Part, RollUp, key_result_part, objective_part, rollup
from app.domain.window import TimeSpan

D = Decimal


def part(
    progress: Fraction | str | None, status: KeyResultStatus = "on_track", weight: str = "1", met: bool | None = None
) -> Part:
    return Part(
        progress=None if progress is None else Fraction(progress), weight=D(weight), status=status, is_maintain_met=met
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([part("0.5"), part("1", "met")], RollUp(Fraction(3, 4), "on_track", Fraction(1)), id="mean"),
        pytest.param(
            [part("0.5", weight="2"), part("0.2", "behind")],
            RollUp(Fraction(2, 5), "behind", Fraction(1)),
            id="weights, and the worst status",
        ),
        pytest.param(
            [part("1.7", "met"), part("-3", "at_risk")], RollUp(Fraction(1, 2), "at_risk", Fraction(1)), id="clamped"
        ),
        pytest.param(
            [part("0.5"), part(None, "unknown", weight="3")],
            RollUp(Fraction(1, 2), "on_track", Fraction(1, 4)),
            id="the unknown is left out and shown",
        ),
        pytest.param(
            [part(None, "on_track", met=True), part(None, "at_risk", met=False)],
            RollUp(Fraction(1, 2), "at_risk", Fraction(1)),
            id="bounds count 1 or 0",
        ),
        pytest.param([part(None, "unknown")] * 2, RollUp(None, "unknown", Fraction(0)), id="all unknown"),
        pytest.param([], RollUp(None, "unknown", Fraction(0)), id="nothing"),
        pytest.param([part("0.5", weight="0")], RollUp(None, "on_track", Fraction(0)), id="no weight at all"),
        pytest.param(
            [part("0.5", weight="0"), part("0.1", "met")],
            RollUp(Fraction(1, 10), "on_track", Fraction(1)),
            id="no weight, yet a status",
        ),
    ],
)
def test_roll_ups(parts: list[Part], expected: RollUp) -> None:
    assert rollup(parts) == expected


def test_thirds_add_up_to_a_whole() -> None:
    third = str(D(1) / 3)
    assert rollup([part("1", weight=third)] * 3).progress == 1
    assert rollup([part(Fraction(1, 3), weight="0.1")] * 3).progress == Fraction(1, 3)
    assert rollup([part("1", weight=third), part("0", weight=third), part("0", weight=third)]).progress == Fraction(
        1, 3
    )


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        rollup([part("1", weight="-1"), part("1", weight="2")])


statuses: st.SearchStrategy[KeyResultStatus] = st.sampled_from([*BEST_TO_WORST, "unknown"])
parts = st.lists(
    st.builds(
        Part,
        progress=st.none() | st.fractions(-2, 3, max_denominator=1000),
        weight=st.decimals(0, 100, places=3),
        status=statuses,
    ),
    max_size=8,
)


@given(parts)
def test_progress_lies_between_the_least_and_the_most(some: list[Part]) -> None:
    result = rollup(some)
    assert 0 <= result.coverage <= 1
    known = [item.contribution for item in some if item.contribution is not None and item.weight]
    if result.progress is None:
        assert not known
    else:
        assert min(known) <= result.progress <= max(known)


@given(parts, st.decimals("0.001", 1000, places=3))
def test_only_the_proportion_of_weights_matters(some: list[Part], factor: Decimal) -> None:
    scaled = [Part(progress=item.progress, weight=item.weight * factor, status=item.status) for item in some]
    assert rollup(scaled) == rollup(some)
    assert rollup(some[::-1]) == rollup(some)


@given(parts, statuses)
def test_another_part_never_makes_the_status_better(some: list[Part], status: KeyResultStatus) -> None:
    before = rollup(some).status
    after = rollup([*some, Part(progress=None, weight=D(1), status=status)]).status
    if before != "unknown":
        assert BEST_TO_WORST.index(after) >= BEST_TO_WORST.index(before)


def test_what_is_left_out_is_shown_and_neither_counts_nor_lowers_the_coverage() -> None:
    paused = Part(progress=Fraction(1), weight=D(5), status="unknown", name="later", left_out="paused: later")
    result = rollup([part("0.5"), paused])
    assert (result.progress, result.status, result.coverage) == (Fraction(1, 2), "on_track", Fraction(1))
    assert [(share.part.name, share.share, share.part.left_out) for share in result.parts] == [
        ("", Fraction(1), None),
        ("later", Fraction(0), "paused: later"),
    ]
    assert rollup([paused]) == RollUp(None, "unknown", Fraction(0))


def test_a_contributing_objective_brings_its_progress_and_its_own_coverage() -> None:
    child = rollup([part("0.5"), part(None, "unknown")])
    brought = objective_part("sales/growth", D(3), child)
    assert rollup([part("0.1", "behind"), brought]) == RollUp(Fraction(2, 5), "behind", Fraction(5, 8))


def test_a_judged_key_result_brings_progress_or_compliance() -> None:
    span = TimeSpan(datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    now = datetime(2026, 11, 16, tzinfo=UTC)
    known = Standing(
        target_rule=D(5), baseline=D(15), value=D(10), cycle=span, fresh_within=timedelta(days=1), last_success_at=now
    )
    reached = key_result_part("speed", D(2), judge(known, now))
    assert (reached.contribution, reached.status, reached.left_out) == (Fraction(1, 2), "on_track", None)
    kept = key_result_part("up", D(1), judge(replace(known, target_rule=Maintain(maintain="<= 9")), now))
    assert (kept.contribution, kept.progress) == (Fraction(0), None)
    paused = key_result_part("later", D(1), judge(replace(known, paused="moved"), now))
    assert paused.left_out == "paused: moved"


@given(parts)
def test_the_shares_add_up_to_the_progress(some: list[Part]) -> None:
    result = rollup(some)
    assert [share.part for share in result.parts] == some
    brought = sum(
        (item.share * item.contribution for item in result.parts if item.contribution is not None), Fraction()
    )
    assert sum(share.share for share in result.parts) == (1 if result.progress is not None else 0)
    assert brought == (result.progress or 0)
