"""Objectives judged: alignment across teams, check-ins, paces and presets, forecasts, guardrails, and edge cases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import World, on_sqlite
from tests.conftest import FakeClock

MANUAL = {"unit": "score", "manual": {"every": "14d"}}
NOBODY: dict[str, Any] = {"connections": {}, "datasets": {}}


def key_result(metric: str = "mood", **more: Any) -> dict[str, Any]:
    return {"metric": metric, "baseline": 0, "target": 10, **more}


def objective(*, cycle: str = "2026-Q4", key_results: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"title": "O", "cycle": cycle, "key_results": key_results or {}, **more}


async def say(world: World, team: str, metric: str, value: str, day: str = "2026-11-20") -> None:
    response = await world.http.put(
        f"/v1/metrics/{team}/{metric}/values/{day}", json={"value": value}, headers=await world.as_("write")
    )
    assert response.status_code == 200, response.text


async def get(world: World, path: str, **more: Any) -> Any:
    response = await world.http.get(path, headers=more.pop("headers", None) or await world.as_("read"), **more)
    assert response.status_code == 200, response.text
    return response.json()


async def one(world: World, name: str, team: str = "operations") -> dict[str, Any]:
    found: dict[str, Any] = await get(world, f"/v1/key-results/{team}/{name}")
    return found


# --- alignment -------------------------------------------------------------------------------------------------------


async def cascade(world: World, **parent: Any) -> None:
    """company/win (own key result at 40 %) ← operations/run (80 %, weight 3), sales/sell (unknown)."""
    await world.apply(
        team="company",
        **NOBODY,
        metrics={"brand": MANUAL},
        objectives={"win": objective(cycle="2026", key_results={"known": key_result("brand")}, **parent)},
    )
    up = [{"objective": "company/win", "weight": 3}]
    await world.apply(
        **NOBODY,
        metrics={"mood": MANUAL},
        objectives={"run": objective(key_results={"happy": key_result()}, contributes_to=up)},
    )
    await world.apply(
        team="sales",
        **NOBODY,
        metrics={"leads": MANUAL},
        objectives={
            "sell": objective(key_results={"more": key_result("leads")}, contributes_to=["company/win"]),
            "cheer": objective(supports=["operations/run"]),
        },
    )
    await say(world, "company", "brand", "4")
    await say(world, "operations", "mood", "8")


async def test_contributions_weigh_across_teams_and_unknown_ones_are_left_out_with_the_coverage(world: World) -> None:
    await cascade(world)
    found = await get(world, "/v1/objectives/company/win")
    # (0.4 × 1 + 0.8 × 3) ÷ 4; of the weights 1 + 3 + 1, one is unknown.
    assert found["roll_up"]["progress"] == pytest.approx(0.7)
    assert found["roll_up"]["coverage"] == pytest.approx(0.8)
    assert [
        (part["id"], part["kind"], part["weight"], part["share"], part["progress"], part["reason"])
        for part in found["roll_up"]["parts"]
    ] == [
        ("company/known", "key_result", "1", 0.25, 0.4, None),
        ("operations/run", "objective", "3", 0.75, 0.8, None),
        ("sales/sell", "objective", "1", 0.0, None, "its progress is not known"),
    ]
    assert [(item["objective"], item["weight"], item["progress"]) for item in found["contributions"]] == [
        ("operations/run", "3", 0.8),
        ("sales/sell", "1", None),
    ]
    child = await get(world, "/v1/objectives/operations/run")
    assert child["contributes_to"] == [{"objective": "company/win", "weight": "3"}]
    assert (child["roll_up"]["progress"], child["contributions"]) == (0.8, [])


async def test_a_parent_that_stands_alone_shows_contributions_and_does_not_add_them(world: World) -> None:
    await cascade(world, stand_alone=True)
    found = await get(world, "/v1/objectives/company/win")
    assert (found["stand_alone"], found["roll_up"]["progress"], found["roll_up"]["coverage"]) == (True, 0.4, 1.0)
    parts = {part["id"]: part for part in found["roll_up"]["parts"]}
    assert parts["operations/run"]["share"] == 0
    assert "stands alone" in parts["operations/run"]["reason"]


async def test_what_is_paused_or_dropped_does_not_weigh(world: World) -> None:
    await world.apply(
        **NOBODY,
        metrics={"mood": MANUAL, "pace": MANUAL},
        objectives={
            "run": objective(
                key_results={"happy": key_result(), "fast": key_result("pace", paused="Until the move is over")}
            ),
            "walk": objective(dropped="The office is sold", key_results={"slow": key_result("pace")}),
        },
    )
    await say(world, "operations", "mood", "8")
    await say(world, "operations", "pace", "1")
    found = await get(world, "/v1/objectives/operations/run")
    assert (found["roll_up"]["progress"], found["roll_up"]["coverage"]) == (0.8, 1.0)
    fast = await one(world, "fast")
    assert (fast["lifecycle"], fast["lifecycle_reason"]) == ("paused", "Until the move is over")
    assert fast["headline"] == {"word": "paused", "tone": "neutral"}
    slow = await one(world, "slow")
    assert (slow["lifecycle"], slow["lifecycle_reason"]) == ("dropped", "The office is sold")
    walk = await get(world, "/v1/objectives/operations/walk")
    assert (walk["lifecycle"], walk["roll_up"]["progress"]) == ("dropped", None)


async def test_the_cascade_is_a_graph(world: World) -> None:
    await cascade(world)
    found = await get(world, "/v1/alignment")
    assert {node["id"]: (node["progress"], node["cycle"]["name"]) for node in found["nodes"]} == {
        "company/win": (pytest.approx(0.7), "2026"),
        "operations/run": (0.8, "2026-Q4"),
        "sales/cheer": (None, "2026-Q4"),
        "sales/sell": (None, "2026-Q4"),
    }
    assert found["edges"] == [
        {"from": "operations/run", "to": "company/win", "kind": "contributes_to", "weight": "3"},
        {"from": "sales/cheer", "to": "operations/run", "kind": "supports", "weight": "1"},
        {"from": "sales/sell", "to": "company/win", "kind": "contributes_to", "weight": "1"},
    ]
    company = await get(world, "/v1/alignment?team=company")
    assert {node["id"] for node in company["nodes"]} == {"company/win", "operations/run", "sales/sell"}
    year = await get(world, "/v1/alignment?cycle=2026")
    assert {node["id"] for node in year["nodes"]} == {"company/win", "operations/run", "sales/sell"}
    own = await get(world, "/v1/alignment", headers=await world.as_("read", team="sales"))
    assert {node["id"] for node in own["nodes"]} == {"sales/sell", "sales/cheer"}
    assert own["edges"] == []


async def test_a_circle_across_teams_is_refused(world: World) -> None:
    await cascade(world)
    body = {"title": "Win", "cycle": "2026", "supports": ["sales/cheer"], "contributes_to": []}
    refused = await world.http.put("/v1/objectives/company/win", json=body, headers=await world.as_("write"))
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/supports", "circle")


# --- check-ins -------------------------------------------------------------------------------------------------------


async def check_in(world: World, name: str, body: dict[str, Any], **headers: str) -> Any:
    return await world.http.post(
        f"/v1/key-results/operations/{name}/check-ins", json=body, headers={**await world.as_("write"), **headers}
    )


async def test_a_check_in_is_kept_shown_and_a_value_becomes_todays(world: World, clock: FakeClock) -> None:
    await world.apply()
    first = await check_in(world, "orders_up", {"note": "Slow start", "confidence": 0.6, "blockers": ["Supplier"]})
    assert first.status_code == 201
    clock.advance(timedelta(days=1))
    second = await check_in(world, "orders_up", {"confidence": "0.75"})
    listed = await get(world, "/v1/key-results/operations/orders_up/check-ins")
    assert [(item["note"], item["confidence"], item["blockers"]) for item in listed["items"]] == [
        (None, 0.75, []),
        ("Slow start", 0.6, ["Supplier"]),
    ]
    shown = (await one(world, "orders_up"))["check_in"]
    assert shown == second.json()
    page = await get(world, "/v1/key-results/operations/orders_up/check-ins?limit=1")
    rest = await get(world, f"/v1/key-results/operations/orders_up/check-ins?limit=1&after={page['next']}")
    assert (rest["items"], rest["next"]) == ([first.json()], None)

    assert (await check_in(world, "satisfaction_up", {"note": "Survey", "value": "7.25"})).status_code == 201
    happy = await one(world, "satisfaction_up")
    assert (happy["value"], happy["progress"], happy["check_in"]["value"]) == ("7.25", 0.625, "7.25")


@on_sqlite
@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "", "empty"),
        ({"confidence": 1.01}, "/confidence", "less_than_equal"),
        ({"confidence": -0.01}, "/confidence", "greater_than_equal"),
        ({"confidence": True}, "/confidence", "number"),
        ({"note": ""}, "/note", "string_too_short"),
        ({"note": "x", "value": 3}, "/value", "not_manual"),
        ({"note": "x", "mood": 3}, "/mood", "extra_forbidden"),
        ({"blockers": ["x"] * 21}, "/blockers", "too_long"),
    ],
)
async def test_a_check_in_that_says_nothing_or_too_much_is_refused(
    world: World, body: dict[str, Any], pointer: str, code: str
) -> None:
    await world.apply()
    refused = await check_in(world, "orders_up", body)
    assert refused.status_code == 422
    assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [(pointer, code)]
    assert (await get(world, "/v1/key-results/operations/orders_up/check-ins"))["items"] == []


@on_sqlite
async def test_a_check_in_sent_twice_with_its_key_is_one(world: World) -> None:
    await world.apply()
    headers = {**await world.as_("write"), "Idempotency-Key": "slack-881"}
    path = "/v1/key-results/operations/orders_up/check-ins"
    answers = [await world.http.post(path, json={"note": "Yes"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len((await get(world, path))["items"]) == 1
    nobody = await world.http.post(path.replace("orders_up", "nobody"), json={"note": "Yes"}, headers=headers)
    assert nobody.status_code in (404, 422)


# --- pace, presets, forecasts, guardrails ----------------------------------------------------------------------------


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


# --- edge cases ------------------------------------------------------------------------------------------------------


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
        "weightless": (None, rolled["weightless"][1], 0.0),
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
