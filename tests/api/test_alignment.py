"""The cascade over HTTP: contributions across teams, what does not weigh, the graph, circles."""

from typing import Any

import pytest

from tests.api.conftest import World
from tests.api.judged_case import MANUAL, NOBODY, get, key_result, objective, one, say


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


async def test_what_judging_needs_is_exported_and_applying_that_changes_nothing(world: World) -> None:
    await cascade(world, stand_alone=True)
    await world.apply(
        **NOBODY,
        private=True,
        preset="points",
        cycles={"launch": {"start": "2026-11-01", "end": "2026-12-24"}},
        metrics={"mood": MANUAL},
        objectives={
            "run": objective(
                cycle="launch",
                contributes_to=[{"objective": "company/win", "weight": "2.5"}, "sales/sell"],
                preset={"on_track": "0.9", "behind": "0.8"},
                key_results={
                    "happy": key_result(
                        checkpoints=[{"on": "2026-11-20", "value": 4}, {"on": "2026-12-01", "progress": "0.7"}]
                    ),
                    "later": key_result(curve="s_curve", steps="week", preset="zones", paused="Until the move is over"),
                    "never": key_result(dropped="Nobody needs it"),
                },
            )
        },
    )
    headers = {**await world.as_("write", "admin"), "Content-Type": "application/yaml"}
    for team in ("operations", "company"):
        text = (await world.http.get(f"/v1/teams/{team}/export", headers=headers)).text
        again = await world.http.post(f"/v1/teams/{team}/apply", content=text, headers=headers)
        assert again.status_code == 200, again.text
        assert {change["action"] for change in again.json()["changes"]} == {"unchanged"}, text
