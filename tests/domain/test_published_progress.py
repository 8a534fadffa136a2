"""The worked examples that ServiceNow publishes for its targets, by our one formula.

"Status calculation specifications and examples" (Goal Framework, release Australia, updated 2026-10-09;
servicenow.com/docs/r/australia/it-business-management/goal-framework/target-status-calculation-examples.html) gives for
each quarter of a target with cumulative check-ins

    Achievement % (for period) = (actual − period start value) ÷ (planned target − period start value) × 100

and a table whose "Start value" carries the quarter before forward. Its "Achievement %" is not that formula's: the text
says that "the formula always uses cumulative amounts from the $0 baseline". For the third quarter

    by the formula     (710 − 480) / (750 − 480) = 230 / 270 = 85.2 %, its yellow
    in the table        710 / 750                            = 94.7 %, its green

The two answer two questions: how much of this quarter's way was made, and how much of the year's. A key result of ours
has one baseline and one target, and its progress is one function of them, wherever it is shown.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from app.domain.judgement import Standing, judge
from app.domain.progress import progress
from app.domain.window import TimeSpan

D = Decimal

#: Quarter, start value, planned target, actual; the table's percentage; the formula's.
TABLE = [
    ("Q1", 0, 250_000, 220_000, "88.0", "88.0"),
    ("Q2", 220_000, 500_000, 480_000, "96.0", "92.9"),
    ("Q3", 480_000, 750_000, 710_000, "94.7", "85.2"),
    ("Q4", 710_000, 1_000_000, 968_000, "96.8", "89.0"),
]


def percent(reached: Fraction | None) -> str:
    assert reached is not None
    return f"{D(reached.numerator * 100) / reached.denominator:.1f}"


@pytest.mark.parametrize(("quarter", "start", "planned", "actual", "shown", "by_formula"), TABLE)
def test_the_published_formula_and_the_published_table_are_two_baselines(
    quarter: str, start: int, planned: int, actual: int, shown: str, by_formula: str
) -> None:
    assert percent(progress(D(actual), D(start), D(planned))) == by_formula
    assert percent(progress(D(actual), D(0), D(planned))) == shown
    # With nothing carried forward there is nothing to disagree about.
    assert (shown == by_formula) == (start == 0)


def test_the_third_quarter_exactly() -> None:
    assert progress(D(710_000), D(480_000), D(750_000)) == Fraction(230, 270)
    assert progress(D(710_000), D(0), D(750_000)) == Fraction(710, 750)


@pytest.mark.parametrize(
    ("baseline", "reached"), [(480_000, Fraction(230, 270)), (0, Fraction(710, 750))], ids=["formula", "table"]
)
def test_what_is_judged_is_that_same_function(baseline: int, reached: Fraction) -> None:
    cycle = TimeSpan(datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))
    standing = Standing(
        target_rule=D(750_000),
        cycle=cycle,
        fresh_within=timedelta(days=1),
        value=D(710_000),
        baseline=D(baseline),
    )
    assert judge(standing, datetime(2026, 9, 30, tzinfo=UTC)).progress == reached


@pytest.mark.parametrize(
    ("start", "target", "actual", "shown"),
    [
        pytest.param(1_000_000, 1_500_000, 1_350_000, "70.0", id="maximize"),
        pytest.param(500_000, 400_000, 420_000, "80.0", id="minimize"),
        pytest.param(0, 1_000_000, 700_000, "70.0", id="without breakdowns"),
    ],
)
def test_the_published_examples_of_one_baseline_agree(start: int, target: int, actual: int, shown: str) -> None:
    """Minimize has a formula of its own there, with both differences turned around: it is the same number."""
    assert percent(progress(D(actual), D(start), D(target))) == shown
    assert percent(Fraction(start - actual, start - target)) == shown
