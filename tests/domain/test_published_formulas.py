"""The formulas of others that ours agree with, each with its source.

Where vendors differ on which band a bound belongs to (or contradict themselves), ours are as `app.domain.status` says,
and the tables stay off those bounds.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from app.domain.grade import objective_score, recommended_grade
from app.domain.judgement import KeyResultStatus, Standing, judge
from app.domain.pace import Pace, checkpoint
from app.domain.progress import progress
from app.domain.rollup import Part, rollup
from app.domain.status import StatusPreset
from app.domain.window import TimeSpan

D, F = Decimal, Fraction
START = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = TimeSpan(START, datetime(2027, 1, 1, tzinfo=UTC))
HUNDRED_DAYS = TimeSpan(START, START + timedelta(days=100))
PERCENT = Standing(
    target_rule=D(100),
    baseline=D(0),
    value=None,
    cycle=HUNDRED_DAYS,
    fresh_within=timedelta(days=1),
    last_success_at=START,
)


def after(days: int, reached: str, preset: StatusPreset) -> KeyResultStatus:
    """The status at a percent reached after so many of a hundred days."""
    return judge(replace(PERCENT, value=D(reached), preset=preset), START + timedelta(days=days)).status


@pytest.mark.parametrize(
    ("kind", "base", "target", "actual"),
    [("maximize", 0, 1000000, 700000), ("maximize", 40, 60, 45), ("minimize", 15, 5, 8), ("minimize", 50, 10, 60)],
)
def test_servicenow_progress(kind: str, base: int, target: int, actual: int) -> None:
    """https://www.servicenow.com/docs/r/zurich/it-business-management/goal-framework/target-form.html"""
    published = F(actual - base, target - base) if kind == "maximize" else F(base - actual, base - target)
    assert progress(D(actual), D(base), D(target)) == published


@pytest.mark.parametrize(
    ("quarter", "actual", "status"),
    [(1, 220_000, "behind"), (2, 480_000, "on_track"), (3, 710_000, "on_track")],
)
def test_servicenow_cumulative_breakdowns(quarter: int, actual: int, status: str) -> None:
    """Green from 90 % of what is planned to date, yellow from 75 %: its worked example of quarterly check-ins.

    https://www.servicenow.com/docs/r/australia/it-business-management/goal-framework/target-status-calculation-examples.html
    """
    ends = {1: date(2026, 3, 31), 2: date(2026, 6, 30), 3: date(2026, 9, 30)}
    planned = [
        checkpoint(ends[number], ZoneInfo("UTC"), value=D(250_000 * number), baseline=D(0), target=D(1_000_000))
        for number in ends
    ]
    known = replace(
        PERCENT,
        cycle=YEAR,
        target_rule=D(1_000_000),
        value=D(actual),
        pace=Pace(checkpoints=tuple(point for point in planned if point is not None)),
        preset=StatusPreset(F(90, 100), F(75, 100)),
    )
    now = datetime.combine(ends[quarter] + timedelta(days=1), datetime.min.time(), UTC)
    result = judge(known, now)
    assert result.progress is not None
    assert result.expected_progress == F(quarter, 4)
    assert result.progress / result.expected_progress == F(actual, 250_000 * quarter)
    assert result.status == status


def test_servicenow_goal_progress_is_the_weighted_mean_of_sub_goals_and_targets() -> None:
    """https://www.servicenow.com/docs/r/fr-FR/environmental-social-governance/goal-progress-value-calculation.html"""
    weighed = [("0.5", "2"), ("0.2", "1"), ("0.9", "3"), ("0.1", "0")]
    parts = [Part(progress=F(part), weight=D(weight), status="on_track") for part, weight in weighed]
    assert rollup(parts).progress == (F("0.5") * 2 + F("0.2") + F("0.9") * 3) / 6
    assert rollup([replace(part, weight=D(1)) for part in parts]).progress == F("1.7") / 4


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [(["on_track", "at_risk"], "at_risk"), (["behind", "at_risk", "behind"], "at_risk"), (["met", "behind"], "behind")],
)
def test_an_objectives_status_is_its_weakest(statuses: list[KeyResultStatus], worst: str) -> None:
    """Perdoo, "the weakest Key Result": https://support.perdoo.com/en/articles/4640875-goal-statuses; ServiceNow,
    "worst-wins": the examples above."""
    assert rollup([Part(progress=F(1, 2), weight=D(1), status=status) for status in statuses]).status == worst


def test_quantive_averages_key_results() -> None:
    """75 % and 25 % make 50 %: https://help.gtmhub.com/en/articles/2904856-aggregated-progress-of-objectives"""
    parts = [Part(progress=F(part), weight=D(1), status="on_track") for part in ("0.75", "0.25")]
    assert rollup(parts).progress == F(1, 2)


UPRAISE = StatusPreset(F(95, 100), F(75, 100))
ENGAGEDLY = StatusPreset(F(165, 1000), F(33, 100), "points")
VIVA = StatusPreset(F(1), F(0))
RECRUITERFLOW = StatusPreset(F(99, 100), F(81, 100))


@pytest.mark.parametrize(
    ("preset", "days", "reached", "status"),
    [
        # https://amoeboids.atlassian.net/wiki/spaces/USA/pages/1566736458 : 0.95 and 0.75 of the ideal progress
        pytest.param(UPRAISE, 60, "57", "on_track", id="UpRaise, 0.95 of ideal"),
        pytest.param(UPRAISE, 60, "56.9", "behind", id="UpRaise, less"),
        pytest.param(UPRAISE, 60, "45.1", "behind", id="UpRaise, more than 0.75"),
        pytest.param(UPRAISE, 60, "44.9", "at_risk", id="UpRaise, less than 0.75"),
        # https://help.engagedly.com/automatic-status-updates-for-goals : 16.5 and 33 points below
        pytest.param(ENGAGEDLY, 50, "33.6", "on_track", id="Engagedly, less than 16.5 below"),
        pytest.param(ENGAGEDLY, 50, "33.4", "behind", id="Engagedly, more than 16.5 below"),
        pytest.param(ENGAGEDLY, 50, "17.1", "behind", id="Engagedly, less than 33 below"),
        pytest.param(ENGAGEDLY, 50, "16.9", "at_risk", id="Engagedly, more than 33 below"),
        pytest.param(ENGAGEDLY, 50, "100", "met", id="Engagedly, achieved"),
        # https://support.microsoft.com/en-gb/topic/phased-targets-8d0587f7-016c-4e00-9c5d-9fc411c219e2
        pytest.param(VIVA, 33, "33", "on_track", id="Viva Goals, as expected"),
        pytest.param(VIVA, 33, "32.9", "behind", id="Viva Goals, below"),
        # http://help.recruiterflow.com/en/articles/12808961-understanding-goal-progress-and-status
        pytest.param(RECRUITERFLOW, 50, "49.6", "on_track", id="Recruiterflow, 99 % of pro-rated"),
        pytest.param(RECRUITERFLOW, 50, "41", "behind", id="Recruiterflow, 82 %"),
        pytest.param(RECRUITERFLOW, 50, "40.4", "at_risk", id="Recruiterflow, less than 81 %"),
    ],
)
def test_status_rules_of_others_are_presets(
    preset: StatusPreset, days: int, reached: str, status: KeyResultStatus
) -> None:
    assert after(days, reached, preset) == status


@pytest.mark.parametrize(
    ("value", "target", "kind", "score"),
    [
        pytest.param("3", "6", "aspirational", "0.5", id="three of six features"),
        pytest.param("1", "1", "committed", "1", id="launched"),
        pytest.param("0", "1", "committed", "0", id="not launched"),
        pytest.param("7", "10", "aspirational", "0.7", id="the sweet spot"),
    ],
)
def test_google_grades(value: str, target: str, kind: Literal["committed", "aspirational"], score: str) -> None:
    """https://rework.withgoogle.com/guides/set-goals-with-okrs/steps/grade-OKRs/"""
    known = replace(PERCENT, value=D(value), target_rule=D(target), kind=kind, is_closed=True)
    assert recommended_grade(judge(known, START + timedelta(days=100)), kind).score == D(score)


@pytest.mark.parametrize(("reached", "is_good"), [("1.0", True), ("0.7", True), ("0.6", False), ("0.3", False)])
def test_seven_tenths_are_green_at_google(reached: str, is_good: bool) -> None:
    """0.7 to 1.0 is green: "we delivered" (John Doerr, Measure What Matters, 2018, chapter 10)."""
    known = replace(PERCENT, value=D(reached) * 100, kind="aspirational", is_closed=True)
    assert recommended_grade(judge(known, START + timedelta(days=100)), "aspirational").is_good is is_good


def test_an_objectives_grade_is_the_average_of_its_key_results() -> None:
    """Each key result is graded, and their average is the objective's grade (Google, above)."""
    assert objective_score([(D("0.7"), D(1)), (D("0.5"), D(1)), (D("1"), D(1)), (D("0.2"), D(1))]) == D("0.6")
