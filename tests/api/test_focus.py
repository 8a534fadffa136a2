"""Focus areas: served with objectives and in the cascade, and what objectives are found by."""

from copy import deepcopy
from typing import Any

from tests.api.conftest import TEAM_FILE, World


async def test_objectives_are_found_by_their_focus_area(world: World) -> None:
    await world.apply(objectives=objectives(happy_desk="service_levels", cheap_desk="cost_management", odd_desk=None))
    reader = await world.as_("read")

    async def found(**query: str) -> list[tuple[str, str | None]]:
        answer = await world.http.get("/v1/objectives", params=query, headers=reader)
        assert answer.status_code == 200, answer.text
        return [(item["id"].split("/")[1], item["focus"]) for item in answer.json()["items"]]

    assert await found() == [
        ("happy_desk", "service_levels"),
        ("cheap_desk", "cost_management"),
        ("odd_desk", None),
    ]
    assert await found(focus="cost_management") == [("cheap_desk", "cost_management")]
    assert await found(focus="service_levels", team="operations", cycle="2026-Q4") == [("happy_desk", "service_levels")]
    assert await found(focus="service_levels", cycle="2026-Q3") == []
    assert await found(focus="safety") == []

    graph = (await world.http.get("/v1/alignment", headers=reader)).json()
    assert {node["id"]: node["focus"] for node in graph["nodes"]} == {
        "operations/happy_desk": "service_levels",
        "operations/cheap_desk": "cost_management",
        "operations/odd_desk": None,
    }


async def test_pages_of_a_focus_area_leave_nothing_out(world: World) -> None:
    names = {f"desk_{number}": "own_word" if number % 3 == 0 else "service_levels" for number in range(9)}
    await world.apply(objectives=objectives(**names))
    reader = await world.as_("read")
    seen: list[str] = []
    query = {"focus": "own_word", "limit": "2"}
    while True:
        page = (await world.http.get("/v1/objectives", params=query, headers=reader)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == ["operations/desk_0", "operations/desk_3", "operations/desk_6"]


async def test_what_is_no_name_is_no_focus_area(world: World) -> None:
    answer = await world.http.get("/v1/objectives", params={"focus": "Service levels"}, headers=await world.as_("read"))
    assert answer.status_code == 422


def objectives(**focus: str | None) -> dict[str, Any]:
    """Objectives by name, each with one key result and its focus area."""
    made: dict[str, Any] = {}
    for name, area in focus.items():
        one = deepcopy(TEAM_FILE["objectives"]["happy_desk"])
        one["key_results"] = {f"{name}_up": one["key_results"]["satisfaction_up"]}
        made[name] = one if area is None else {**one, "focus": area}
    return made
