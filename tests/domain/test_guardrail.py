"""Guardrails: what must hold beside a key result."""

from decimal import Decimal

import pytest

from app.domain.guardrail import Guardrail, breached, guardrail_standing

D = Decimal


@pytest.mark.parametrize(
    ("must", "value", "baseline", "verdict", "reason"),
    [
        (">= 40", "40", None, True, None),
        (">= 40", "39.9", None, False, "39.9 is not >= 40"),
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
