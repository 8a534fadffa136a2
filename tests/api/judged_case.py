"""Teams with manual metrics, to say something of over HTTP and to see how it is judged."""

from typing import Any

from tests.api.conftest import World

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
