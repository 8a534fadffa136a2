"""The health check: what it finds, why, and what it proposes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from app.domain.forecast import Forecast, NotEnough
from app.domain.guardrail import Guardrail
from app.domain.health_check import (
    EarlierCycle,
    KeyResultFacts,
    KeyResultHealth,
    ObjectiveFacts,
    health_check,
)
from app.domain.health_detectors import first_met
from app.domain.judgement import Standing, judge
from app.domain.language import Change, Maintain
from app.domain.window import TimeSpan

D = Decimal
START = datetime(2026, 10, 1, tzinfo=UTC)
CYCLE = TimeSpan(START, START + timedelta(days=92))
NOW = START + timedelta(days=46)
HEADCOUNT = Guardrail(metric="operations/headcount", must=">= 97% of baseline", value=D(200), baseline=D(215))


def on(day: float) -> datetime:
    return START + timedelta(days=day)


def outlook(chance: str, value: str = "7") -> Forecast:
    return Forecast(
        value_at_end=D(value), low=D(6), high=D(9), chance_of_target=D(chance), days=90, method="pulled to its mean"
    )


#: What belongs to the judgement, everything else being a fact of its own.
JUDGED = frozenset(
    ("target_rule", "guardrails", "paused", "dropped", "last_success_at", "failing_reason", "cycle", "now", "preset")
)


def facts(value: str | None = "9", **changes: object) -> KeyResultFacts:
    """Onboarding from 15 days to 5, six tenths of the way at half-time, moved and spoken of a few days ago."""
    judged = {name: changes.pop(name) for name in list(changes) if name in JUDGED}
    now = judged.pop("now", NOW)
    assert isinstance(now, datetime)
    baseline = changes.get("baseline", D(15))
    assert baseline is None or isinstance(baseline, Decimal)
    standing = Standing(
        target_rule=D(5),
        baseline=baseline,
        value=None if value is None else D(value),
        cycle=CYCLE,
        fresh_within=timedelta(days=1),
        last_success_at=now,
        unit=str(changes.get("unit", "business_days")),
    )
    known = KeyResultFacts(
        name="operations/onboarding_time",
        title="Onboarding time",
        unit="business_days",
        form="duration",
        kind="committed",
        judgement=judge(replace(standing, **judged), now),  # type: ignore[arg-type]
        value=standing.value,
        baseline=D(15),
        value_since=on(-100),
        last_changed_at=on(44),
        last_check_in_at=on(40),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def checked(known: KeyResultFacts, now: datetime = NOW) -> KeyResultHealth:
    objective = ObjectiveFacts(name="operations/fast_start", title="Fast start", key_results=(known,))
    (result,) = health_check("operations", [objective], cycle=CYCLE, now=now).key_results
    return result


def test_a_healthy_key_result_is_kept_and_says_why() -> None:
    result = checked(facts(forecast=outlook("0.31")))
    assert (result.name, result.findings, result.proposal) == ("operations/onboarding_time", (), "keep")
    assert result.reason == "60 % of the way, 50 % expected; heading for 7 (6 to 9), a chance of 31 %"


MET_BEFORE = (EarlierCycle(name="2026-Q2", value=D("4.8")), EarlierCycle(name="2026-Q3", value=D("5.1")))


@pytest.mark.parametrize(
    ("known", "code", "message", "severity", "proposal"),
    [
        pytest.param(
            facts(earlier=MET_BEFORE),
            "sandbagging",
            "the target of 5 was met before: 2026-Q2 (4.8)",
            "warning",
            "re_scope",
            id="met in an earlier cycle",
        ),
        pytest.param(
            facts("4", first_met_at=on(19)),
            "sandbagging",
            "the target of 5 was reached on day 20 of 92, in the first third",
            "warning",
            "re_scope",
            id="reached in the first third",
        ),
        pytest.param(
            facts("100", baseline=D(104), target_rule=D(100)),
            "sandbagging",
            "the target of 100 lies 3.8 % from the baseline of 104",
            "warning",
            "re_scope",
            id="next to its baseline",
        ),
        pytest.param(
            facts(formula_depth=3),
            "over_engineering",
            "its formula is 3 metrics deep: more than 2 are hard to trust",
            "warning",
            "re_scope",
            id="a deep formula",
        ),
        pytest.param(
            facts(sources=4),
            "over_engineering",
            "it is fed by 4 sources: each of more than 3 can be the one that is wrong",
            "warning",
            "re_scope",
            id="many sources",
        ),
        pytest.param(
            facts(last_changed_at=on(20)),
            "dead",
            "it has stood at 9 for 3 weeks, since 2026-10-21",
            "warning",
            "re_scope",
            id="still for weeks",
        ),
        pytest.param(
            facts(last_changed_at=on(-60)),
            "dead",
            "it has stood at 9 for 6 weeks, since the cycle began",
            "problem",
            "drop",
            id="never moved in this cycle",
        ),
        pytest.param(
            facts("9", form="milestones", unit="percent"),
            "output_as_outcome",
            "it counts steps that are done: that is an output, not what it changes",
            "info",
            "keep",
            id="milestones",
        ),
        pytest.param(
            facts("6", title="Launch 12 workshops", baseline=D(0), target_rule=D(12)),
            "output_as_outcome",
            'its title begins with "Launch": that is an output, not what it changes',
            "info",
            "keep",
            id="a verb",
        ),
        pytest.param(
            facts("6", title="Enablement", unit="workshops", form="records", baseline=D(0), target_rule=D(12)),
            "output_as_outcome",
            "it counts workshops up to 12: that is an output, not what it changes",
            "info",
            "keep",
            id="a unit",
        ),
        pytest.param(
            facts(last_success_at=on(43)),
            "stale_data",
            "its data is stale, 3 days old: the last complete read is older than 1d",
            "warning",
            "keep",
            id="stale",
        ),
        pytest.param(
            facts(last_success_at=on(43), failing_reason="the credential is refused"),
            "failing_data",
            "its source fails, 3 days old: the credential is refused",
            "problem",
            "keep",
            id="failing",
        ),
        pytest.param(
            facts(None, last_success_at=None),
            "no_data",
            "there is no data: nothing has come from the source yet",
            "problem",
            "keep",
            id="no data",
        ),
        pytest.param(
            facts(guardrails=(HEADCOUNT,)),
            "guardrail_breached",
            "guardrail operations/headcount does not hold: 200 is not >= 97% of baseline (215)",
            "problem",
            "keep",
            id="a broken guardrail",
        ),
        pytest.param(
            facts("10.6"), "off_pace", "44 % of the way, 50 % expected", "warning", "keep", id="behind, no forecast"
        ),
        pytest.param(
            facts("12", forecast=outlook("0.25")),
            "off_pace",
            "30 % of the way, 50 % expected; heading for 7 (6 to 9), a chance of 25 %",
            "warning",
            "keep",
            id="at risk, with a chance",
        ),
        pytest.param(
            facts("12", forecast=outlook("0.10")),
            "off_pace",
            "30 % of the way, 50 % expected; heading for 7 (6 to 9), a chance of 10 %",
            "problem",
            "re_scope",
            id="at risk, and unlikely",
        ),
        pytest.param(
            facts("15", forecast=outlook("0.02", "15")),
            "off_pace",
            "0 % of the way, 50 % expected; heading for 15 (6 to 9), a chance of 2 %",
            "problem",
            "drop",
            id="nowhere, and hopeless",
        ),
        pytest.param(
            facts("12.6", forecast=NotEnough("less than 21 days", "short_history")),
            "off_pace",
            "24 % of the way, 50 % expected",
            "problem",
            "re_scope",
            id="less than half of what is expected",
        ),
        pytest.param(
            facts(forecast=outlook("0.05")),
            "off_pace",
            "60 % of the way, 50 % expected; heading for 7 (6 to 9), a chance of 5 %",
            "warning",
            "re_scope",
            id="on track now, and heading away",
        ),
        pytest.param(
            facts(last_check_in_at=on(31)),
            "no_check_in",
            "no check-in for 15 days, since 2026-11-01",
            "info",
            "keep",
            id="nobody says a word",
        ),
        pytest.param(
            facts(last_check_in_at=None),
            "no_check_in",
            "no check-in for 46 days, since the cycle began",
            "info",
            "keep",
            id="nobody ever did",
        ),
        pytest.param(
            facts(edits=3),
            "edited",
            "its target, baseline or metric was changed 3 times since the cycle began",
            "warning",
            "keep",
            id="edited",
        ),
        pytest.param(
            facts(paused="waiting for the ERP"), "paused", "paused: waiting for the ERP", "info", "keep", id="paused"
        ),
    ],
)
def test_findings_say_why_with_numbers(
    known: KeyResultFacts, code: str, message: str, severity: str, proposal: str
) -> None:
    result = checked(known)
    assert [(item.code, item.message, item.severity) for item in result.findings] == [(code, message, severity)]
    assert result.findings[0].subject == "operations/onboarding_time"
    assert result.proposal == proposal
    if proposal != "keep":
        assert result.reason == message


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(facts(earlier=(EarlierCycle(name="2026-Q3", value=D("5.1")),)), id="nearly met before"),
        pytest.param(facts(earlier=(EarlierCycle(name="2026-Q3", value=None),)), id="unknown before"),
        pytest.param(facts("4", first_met_at=on(31)), id="reached after the first third"),
        pytest.param(
            facts("99.7", unit="percent", baseline=D("99.5"), target_rule=D("99.9")), id="a little of 100 is a lot"
        ),
        pytest.param(
            facts("99.95", target_rule=Maintain(maintain=">= 99.9"), baseline=None, earlier=MET_BEFORE),
            id="a bound to hold",
        ),
        pytest.param(facts(formula_depth=2, sources=3), id="no more than is good"),
        pytest.param(facts(last_changed_at=on(26)), id="still for less than three weeks"),
        pytest.param(
            facts("11", last_changed_at=on(1), moves_every=timedelta(days=31), judgement=facts("9").judgement),
            id="moves by the month only",
        ),
        pytest.param(facts("4", last_changed_at=on(1)), id="still since it was met"),
        pytest.param(
            facts("99.95", target_rule=Maintain(maintain=">= 99.9"), last_changed_at=on(1)), id="still, as it should"
        ),
        pytest.param(facts(title="Launch time of new stores"), id="launch, going down"),
        pytest.param(facts("60", unit="tickets", form="query", baseline=D(90), target_rule=D(40)), id="fewer tickets"),
        pytest.param(facts(title="Runway in months", baseline=D(0), target_rule=D(15)), id="a word that begins alike"),
        pytest.param(facts(guardrails=(replace(HEADCOUNT, value=None),)), id="a guardrail that is not known"),
        pytest.param(facts(edits=2), id="two edits"),
        pytest.param(facts(last_check_in_at=on(32)), id="two weeks to the day"),
        pytest.param(facts(forecast=outlook("0.11")), id="a small chance"),
    ],
)
def test_nothing_is_found_where_nothing_is(known: KeyResultFacts) -> None:
    result = checked(known)
    assert (result.findings, result.proposal) == ((), "keep")


def test_before_half_time_a_slow_start_without_a_forecast_is_no_reason_to_change_the_goal() -> None:
    now = on(30)
    result = checked(facts("14", now=now, last_changed_at=on(29), last_check_in_at=on(29)), now)
    assert [(item.code, item.severity) for item in result.findings] == [("off_pace", "warning")]
    assert result.proposal == "keep"


def test_silence_is_not_taken_for_standing_still() -> None:
    result = checked(facts(last_changed_at=on(1), last_success_at=on(10)))
    assert [item.code for item in result.findings] == ["stale_data"]


def test_findings_come_worst_first_and_the_boldest_proposal_wins_with_its_reasons() -> None:
    known = facts("15", last_changed_at=on(-60), last_check_in_at=None, edits=5, formula_depth=4)
    result = checked(replace(known, forecast=outlook("0.01")))
    assert [item.severity for item in result.findings] == ["problem", "problem", "warning", "warning", "info"]
    assert result.proposal == "drop"
    assert result.reason == (
        "it has stood at 15 for 6 weeks, since the cycle began; "
        "0 % of the way, 50 % expected; heading for 7 (6 to 9), a chance of 1 %"
    )


def test_what_is_paused_is_only_blamed_for_what_it_is_and_what_is_dropped_for_nothing() -> None:
    quiet = {"last_changed_at": on(-60), "last_check_in_at": None, "formula_depth": 4}
    paused = checked(facts("15", paused="later", **quiet))
    assert [item.code for item in paused.findings] == ["over_engineering", "paused"]
    dropped = checked(facts("15", dropped="merged", **quiet))
    assert (dropped.findings, dropped.proposal, dropped.reason) == ((), "drop", "dropped: merged")


@pytest.mark.parametrize("day", [-10, 0, 92, 200])
def test_before_after_and_at_the_edges_of_the_cycle_nothing_is_called_dead_or_late_too_soon(day: int) -> None:
    now = on(day)
    known = facts("15", now=now, last_changed_at=on(-100), last_check_in_at=None)
    codes = [item.code for item in checked(known, now).findings]
    assert codes == ([] if day <= 0 else ["dead"])


def test_a_key_result_without_baseline_or_way_is_kept_with_its_reason() -> None:
    unknown = checked(facts(baseline=None, target_rule=Change(change="-25%")))
    assert (unknown.findings, unknown.reason) == ((), "the baseline is not measured yet")
    flat = checked(facts(baseline=D(5)))
    assert (flat.findings, flat.reason) == ((), "baseline and target are equal: there is nothing to reach")


def test_too_many_key_results_and_objectives_are_no_focus() -> None:
    five = tuple(facts(name=f"operations/kr{index}") for index in range(5))
    busy = ObjectiveFacts(name="operations/busy", title="Busy", key_results=five)
    calm = ObjectiveFacts(name="operations/calm", title="Calm", key_results=(*five[:4], facts(dropped="merged")))
    result = health_check("operations", [busy, calm], cycle=CYCLE, now=NOW)
    assert [(item.code, item.subject, item.severity) for item in result.findings] == [
        ("metric_overload", "operations/busy", "warning")
    ]
    assert result.findings[0].message.startswith("5 key results: more than 4")
    assert len(result.key_results) == 10
    many = health_check("operations", [calm] * 6, cycle=CYCLE, now=NOW)
    assert [(item.code, item.subject) for item in many.findings] == [("objective_overload", "operations")]
    assert many.findings[0].message.startswith("6 objectives")


def test_a_team_without_objectives_has_a_health_check_with_nothing_in_it() -> None:
    empty = health_check("operations", [], cycle=CYCLE, now=NOW)
    assert (empty.key_results, empty.findings, empty.elapsed, empty.at) == ((), (), Fraction(1, 2), NOW)
    with pytest.raises(ValueError, match="cycle"):
        health_check("operations", [], cycle=TimeSpan(START, START), now=NOW)


@pytest.mark.parametrize(
    ("days", "met"),
    [
        ([(-5, "9"), (3, "5"), (9, "8")], 3),
        ([(-5, "4"), (3, "9")], 0),
        ([(-5, "4")], 0),
        ([(-5, "4"), (-2, "9"), (8, "6")], None),
        ([(0, "5")], 0),
        ([], None),
    ],
)
def test_when_a_target_was_first_met(days: list[tuple[int, str]], met: int | None) -> None:
    history = [(on(day), D(value)) for day, value in days]
    assert first_met(history, D(5), D(15), START) == (None if met is None else on(met))
    mirrored = [(at, -value) for at, value in history]
    assert first_met(mirrored, D(-5), D(-15), START) == (None if met is None else on(met))
