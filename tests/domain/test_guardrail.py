"""Guardrails: what must hold beside a key result."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.guardrail import Breach, Guardrail, breached, breaches, guardrail_standing
from app.domain.language import GuardrailSpec, Maintain

D = Decimal
DAY_0 = datetime(2026, 10, 1, tzinfo=UTC)
VALUES = ["40", "39", None, "30", "35", "41", "39.9"]


@pytest.mark.parametrize(
    ("must", "value", "baseline", "verdict", "reason"),
    [
        (">= 40", "40", None, True, None),
        (">= 40", "39.9", None, False, "39.9 is not >= 40"),
        ("<= 8", "12.96296296296296296296296296", None, False, "12.963 is not <= 8"),
        ("<= 8", "8.00000000000000000000000001", None, False, "8.00000000000000000000000001 is not <= 8"),
        (">= 97% of baseline", "2", "14.33333333333333", False, "2 is not >= 97% of baseline (14.3333)"),
        (">= 97% of baseline", "212", "215", True, None),
        (">= 97% of baseline", "208", "215", False, "208 is not >= 97% of baseline (215)"),
        (">= 97% of baseline", "212", None, None, "the baseline is not known yet"),
        (">= 40", None, None, None, "the credential is refused"),
    ],
)
def test_standings(
    must: str, value: str | None, baseline: str | None, verdict: bool | None, reason: str | None
) -> None:
    standing = guardrail_standing(
        Guardrail(
            metric="operations/headcount",
            must=must,
            value=None if value is None else D(value),
            baseline=None if baseline is None else D(baseline),
            unknown_reason="the credential is refused" if value is None else None,
        )
    )
    assert (standing.metric, standing.must) == ("operations/headcount", must)
    assert (standing.holds, standing.reason) == (verdict, reason)


def test_only_what_is_known_to_be_broken_is_breached() -> None:
    standings = [
        guardrail_standing(Guardrail(metric=name, must=">= 1", value=value))
        for name, value in (("holds", D(1)), ("broken", D(0)), ("unknown", None))
    ]
    assert [standing.metric for standing in breached(standings)] == ["broken"]
    assert standings[2].reason == "there is no value yet"


@pytest.mark.parametrize(
    ("must", "value", "baseline", "verdict"),
    [
        ("between 5 and 10", "5", None, True),
        ("between 5 and 10", "10", None, True),
        ("between 5 and 10", "4.999", None, False),
        ("between 5 and 10", "10.001", None, False),
        ("between -1 and 1", "0", None, True),
        ("between 90 and 110% of baseline", "225", "250", True),
        ("between 90% and 110% of baseline", "224.9", "250", False),
        ("between 90% and 110% of baseline", "-250", "-250", True),
        ("between 90% and 110% of baseline", "-280", "-250", False),
        ("between 90% and 110% of baseline", "-220", "-250", False),
        ("between 90% and 110% of baseline", "225", None, None),
    ],
)
def test_between_includes_both_ends(must: str, value: str, baseline: str | None, verdict: bool | None) -> None:
    known = Guardrail(metric="m", must=must, value=D(value), baseline=None if baseline is None else D(baseline))
    standing = guardrail_standing(known)
    assert standing.holds is verdict
    assert (standing.reason is None) == (verdict is True)


@pytest.mark.parametrize(
    "must", ["between 10 and 5", "between 5% and 10", "between 5", "5 to 10", ">= 97% of base", "between a and b"]
)
def test_what_is_no_bound_is_refused(must: str) -> None:
    with pytest.raises(ValueError, match=r"bound|nothing"):
        guardrail_standing(Guardrail(metric="m", must=must, value=D(1)))
    with pytest.raises(ValidationError):
        GuardrailSpec(metric="m", must=must)


@pytest.mark.parametrize(
    "must", [">= 40", "<40", "between 5 and 10", "between 90 and 110% of baseline", "between 90% and 110% of baseline"]
)
def test_the_team_file_takes_every_form(must: str) -> None:
    assert GuardrailSpec(metric="m", must=must).must == must


def test_maintain_takes_a_corridor_and_no_baseline() -> None:
    assert Maintain(maintain="between 5 and 10").maintain == "between 5 and 10"
    with pytest.raises(ValidationError, match="nothing lies between"):
        Maintain(maintain="between 10 and 5")
    with pytest.raises(ValidationError, match="pattern"):
        Maintain(maintain="between 90 and 110% of baseline")


def test_a_breach_has_its_moments_and_its_evidence() -> None:
    history = [(DAY_0 + timedelta(days=day), None if v is None else D(v)) for day, v in enumerate(VALUES)]
    assert breaches("m", ">= 40", history) == (
        Breach(
            metric="m",
            must=">= 40",
            since=DAY_0 + timedelta(days=1),
            until=DAY_0 + timedelta(days=5),
            value=D(39),
            worst=D(30),
        ),
        Breach(metric="m", must=">= 40", since=DAY_0 + timedelta(days=6), until=None, value=D("39.9"), worst=D("39.9")),
    )


def test_nothing_is_breached_before_the_baseline_is_known() -> None:
    history = [(DAY_0, D(1))]
    assert breaches("m", ">= 97% of baseline", history) == ()
    assert [item.value for item in breaches("m", ">= 97% of baseline", history, D(2))] == [1]


@given(st.lists(st.none() | st.decimals(0, 80, places=1), max_size=12))
def test_breaches_are_apart_and_in_order(values: list[Decimal | None]) -> None:
    found = breaches("m", ">= 40", [(DAY_0 + timedelta(days=day), value) for day, value in enumerate(values)])
    for before, after in pairwise(found):
        assert before.until is not None
        assert before.since < before.until < after.since
    known = [value for value in values if value is not None]
    assert bool(found and found[-1].until is None) == bool(known and known[-1] < 40)
