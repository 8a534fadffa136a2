"""Key results judged over HTTP: paces, presets, forecasts, guardrails, filters, and edge cases."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import World, on_sqlite
from tests.api.judged_case import MANUAL, NOBODY, get, key_result, objective, one, say
from tests.conftest import FakeClock


async def test_paces_and_presets_decide_what_is_expected_and_what_it_is_called(world: World) -> None:
    # Half of November is over at the clock's moment; the values are all at 50 %.
    await world.apply(
        **NOBODY,
        timezone="UTC",
        metrics={"mood": MANUAL},
        objectives={
            "november": objective(
                cycle="2026-11",
                key_results={
                    "straight": key_result(),
                    "late": key_result(curve="late"),
                    "points": key_result(preset="points"),
                    "own": key_result(preset={"on_track": "0.5", "behind": "0.4"}),
                    "planned": key_result(checkpoints=[{"on": "2026-11-20", "value": 9}]),
                    "monthly": key_result(steps="month"),
                },
            )
        },
    )
    await say(world, "operations", "mood", "5")
    now = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert world.services.clock() == now
    elapsed = (now - datetime(2026, 11, 1, tzinfo=UTC)) / timedelta(days=30)
    found = {item["id"].partition("/")[2]: item for item in (await get(world, "/v1/key-results"))["items"]}
    expected = {name: pytest.approx(item["expected_progress"]) for name, item in found.items()}
    assert expected == {
        "straight": elapsed,
        "late": elapsed**2,
        "points": elapsed,
        "own": elapsed,
        "planned": 0.9 + 0.1 * ((now - datetime(2026, 11, 21, tzinfo=UTC)) / timedelta(days=10)),
        "monthly": 0,
    }
    assert {name: item["status"] for name, item in found.items()} == {
        "straight": "at_risk",  # 0.5 of 0.71 expected
        "late": "on_track",  # 0.5 of 0.51
        "points": "behind",  # 21 percentage points short
        "own": "on_track",
        "planned": "at_risk",
        "monthly": "on_track",
    }


async def test_silence_outranks_the_status_where_one_word_is_shown(world: World, clock: FakeClock) -> None:
    await world.apply()
    await say(world, "operations", "satisfaction", "8")
    happy = await one(world, "satisfaction_up")
    assert (happy["status"], happy["headline"]) == ("met", {"word": "met", "tone": "good"})
    clock.advance(timedelta(days=20))
    happy = await one(world, "satisfaction_up")
    assert (happy["status"], happy["headline"]) == ("met", {"word": "stale", "tone": "silent"})
    assert (await one(world, "orders_up"))["headline"]["tone"] != "good"


async def test_a_forecast_needs_history_and_says_so_without(world: World, clock: FakeClock) -> None:
    await world.apply()
    bare = await one(world, "satisfaction_up")
    assert bare["forecast"] is None
    assert bare["forecast_reason"]
    start = datetime(2026, 9, 1, tzinfo=UTC)
    for day in range(80):
        at = start + timedelta(days=day)
        await say(world, "operations", "satisfaction", f"{6 + day * 0.015 + (day % 3) * 0.01:.3f}", f"{at:%Y-%m-%d}")
    clock.advance(timedelta(minutes=2))
    found = await one(world, "satisfaction_up")
    assert found["forecast_reason"] is None or found["forecast"] is None
    assert found["forecast"] is not None, found["forecast_reason"]
    assert found["forecast"].keys() == {"value_at_end", "low", "high", "chance_of_target"}
    low, middle, high = (float(found["forecast"][key]) for key in ("low", "value_at_end", "high"))
    assert low <= middle <= high
    assert 0 <= found["forecast"]["chance_of_target"] <= 1
    listed = {item["id"]: item for item in (await get(world, "/v1/key-results"))["items"]}
    assert listed["operations/satisfaction_up"]["forecast"] == found["forecast"]


async def test_a_breached_guardrail_shows_since_when_by_which_value_and_the_worst(
    world: World, clock: FakeClock
) -> None:
    await world.apply(
        **NOBODY,
        metrics={"mood": MANUAL, "staff": MANUAL},
        objectives={
            "run": objective(key_results={"happy": key_result(guardrails=[{"metric": "staff", "must": ">= 40"}])})
        },
    )
    await say(world, "operations", "mood", "10")
    broken_at = None
    for day, value in (("2026-11-02", "41"), ("2026-11-09", "39"), ("2026-11-16", "37"), ("2026-11-20", "38")):
        await say(world, "operations", "staff", value, day)
        if value == "39":
            broken_at = datetime(2026, 11, 9, 23, tzinfo=UTC)  # the end of that day in Berlin
    happy = await one(world, "happy")
    (guardrail,) = happy["guardrails"]
    assert happy["status"] == "void"
    assert (guardrail["holds"], guardrail["value"]) == (False, "38")
    assert datetime.fromisoformat(guardrail["since"]) == broken_at
    assert (guardrail["value_then"], guardrail["worst_value"]) == ("39", "37")
    await say(world, "operations", "staff", "40", "2026-11-21")
    (guardrail,) = (await one(world, "happy"))["guardrails"]
    assert (guardrail["holds"], guardrail["since"], guardrail["value_then"]) == (True, None, None)


@on_sqlite
@pytest.mark.parametrize(
    ("must", "broken", "since", "value_then", "worst"),
    [
        (">= 97% of baseline", True, "2026-11-10", "38.7", "38"),  # of 40: 38.8
        ("between 38.5 and 41", True, "2026-11-17", "38", "38"),
        ("between 95% and 110% of baseline", False, None, None, None),
        ("<= 39", False, None, None, None),
    ],
)
async def test_guardrails_are_absolute_relative_or_corridors(
    world: World, must: str, broken: bool, since: str | None, value_then: str | None, worst: str | None
) -> None:
    guard = {"metric": "staff", "must": must, "baseline": 40}
    await world.apply(
        **NOBODY,
        timezone="UTC",
        metrics={"mood": MANUAL, "staff": MANUAL},
        objectives={"run": objective(key_results={"happy": key_result(guardrails=[guard])})},
    )
    await say(world, "operations", "mood", "10")
    for day, value in (("2026-11-02", "39"), ("2026-11-09", "38.7"), ("2026-11-16", "38")):
        await say(world, "operations", "staff", value, day)
    happy = await one(world, "happy")
    (guardrail,) = happy["guardrails"]
    assert (happy["status"], guardrail["holds"]) == ("void" if broken else "met", not broken)
    assert (guardrail["since"] and guardrail["since"][:10]) == since
    assert (guardrail["value_then"], guardrail["worst_value"]) == (value_then, worst)


# --- edge cases -------------------------------------------------------------------------------------------------------


async def test_edge_cases_have_sane_answers(world: World) -> None:
    await world.apply(
        **NOBODY,
        cycles={"day": {"start": "2026-11-22", "end": "2026-11-23"}},
        metrics={"mood": MANUAL, "silent": MANUAL},
        objectives={
            "weightless": objective(key_results={"light": key_result(weight=0)}),
            "empty": objective(),
            "today": objective(cycle="day", key_results={"quick": key_result()}),
            "ahead": objective(cycle="2027-Q1", key_results={"early": key_result()}),
            "beyond": objective(key_results={"over": key_result(target=5)}),
            "quiet": objective(key_results={"nothing": key_result("silent")}),
        },
    )
    await say(world, "operations", "mood", "8")
    rolled = {
        item["id"].partition("/")[2]: (
            item["roll_up"]["progress"],
            item["roll_up"]["status"],
            item["roll_up"]["coverage"],
        )
        for item in (await get(world, "/v1/objectives"))["items"]
    }
    assert rolled == {
        "weightless": (None, "on_track", 0.0),  # nothing to divide by; the key result's own status stands
        "empty": (None, "unknown", 0.0),
        "today": (0.8, "on_track", 1.0),
        "ahead": (0.8, "not_started", 1.0),
        "beyond": (1.0, "met", 1.0),
        "quiet": (None, "unknown", 0.0),
    }
    quick = await one(world, "quick")
    assert (quick["cycle"]["start"], quick["cycle"]["end"]) == ("2026-11-22", "2026-11-23")
    assert 0 < quick["expected_progress"] < 1
    early = await one(world, "early")
    assert (early["status"], early["expected_progress"]) == ("not_started", 0)
    over = await one(world, "over")
    assert (over["progress"], over["status"]) == (1.6, "met")  # unclamped, and clamped in the roll-up
    nothing = await one(world, "nothing")
    assert (nothing["value"], nothing["progress"], nothing["status"], nothing["forecast"]) == (
        None,
        None,
        "unknown",
        None,
    )
    assert nothing["forecast_reason"]


@on_sqlite
async def test_a_baseline_that_is_the_target_is_refused(world: World) -> None:
    await world.apply()
    body = {"objective": "happy_desk", "metric": "satisfaction", "baseline": 8, "target": "8.0"}
    refused = await world.http.put(
        "/v1/key-results/operations/satisfaction_up", json=body, headers=await world.as_("write")
    )
    assert [error["code"] for error in refused.json()["errors"]] == ["baseline_is_target"]


@on_sqlite
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("team=operations", ["orders_up", "satisfaction_up"]),
        ("team=nobody", []),
        ("cycle=2026-Q4&kind=committed", ["orders_up", "satisfaction_up"]),
        ("cycle=2026-Q3", []),
        ("objective=operations/happy_desk&owner=dana@acme.example", ["satisfaction_up"]),
        ("status=met", ["satisfaction_up"]),
        ("freshness=no_data", ["orders_up"]),
        ("metric=operations/orders_placed", ["orders_up"]),
        ("q=SATIS", ["satisfaction_up"]),
        ("kind=aspirational", []),
        ("as_of=2026-11-20T00:00:00Z&status=met", []),
    ],
)
async def test_the_list_has_every_filter(world: World, query: str, expected: list[str]) -> None:
    await world.apply()
    await say(world, "operations", "satisfaction", "8")
    found = await get(world, f"/v1/key-results?{query}")
    assert [item["id"].partition("/")[2] for item in found["items"]] == expected
