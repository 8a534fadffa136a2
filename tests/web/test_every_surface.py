"""After whatever was done: the list, the single read, the explanation, the history, the objective, the health check,
CSV, the gauges, the badge, the card and the pages say the same of each key result."""

import copy
import csv
import html
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.services.build import build_revisions
from app.services.clockwork import evaluate_due
from app.services.deliveries import apply_pending
from tests.api.conftest import TEAM_FILE
from tests.api.test_hooks import SECRET, signed
from tests.conftest import FakeClock
from tests.web.conftest import Window, World, window

Json = dict[str, Any]

FILE: Json = TEAM_FILE | {
    "metrics": {
        "satisfaction": {"unit": "score", "manual": {"every": "14d"}},
        "placed": {"unit": "orders", "records": {"dataset": "orders"}, "window": {"to_date": "quarter"}},
        "spent": {
            "unit": "EUR",
            "records": {"dataset": "orders", "value": "record.body.total"},
            "aggregate": "sum",
            "window": {"to_date": "quarter"},
        },
        "per_order": {"unit": "EUR/orders", "formula": "spent / placed"},
    },
    "objectives": {
        "happy_desk": {
            "title": "People like asking us",
            "cycle": "2026-Q4",
            "key_results": {
                "satisfied": {"metric": "satisfaction", "baseline": 6, "target": 8},
                "orders": {"metric": "placed", "baseline": 0, "target": 4},
                "budget": {"metric": "spent", "baseline": 1000, "target": 500},
                "each_order": {"metric": "per_order", "target": {"maintain": "<= 99.99"}},
            },
        },
        "calm_desk": {"title": "We are calm", "cycle": "2026-Q4", "key_results": {}},
    },
}


async def order(world: World, number: int, total: str) -> None:
    body = json.dumps({"id": f"PO-{number}", "event": "placed", "at": f"2026-11-{number:02}T09:00:00Z", "total": 0})
    sent = body.replace('"total": 0', f'"total": {total}').encode()
    headers = signed(sent, world.services.clock(), identity=f"m{number}")
    assert (await world.http.post("/v1/hooks/operations/erp", content=sent, headers=headers)).status_code == 202


async def asserted(world: World, day: str, value: str, **more: Any) -> None:
    path = f"/v1/metrics/operations/satisfaction/values/{day}"
    answer = await world.http.put(path, json={"value": value, **more}, headers=await world.as_("write"))
    assert answer.status_code == 200, answer.text


async def what_happens(world: World) -> AsyncIterator[str]:
    """One thing after another, by its name."""
    file = copy.deepcopy(FILE)
    goals = file["objectives"]["happy_desk"]["key_results"]

    async def applied(**query: str) -> None:
        path, headers = "/v1/teams/operations/apply", await world.as_("write")
        answer = await world.http.post(path, json=file, headers=headers, params=query)
        assert answer.status_code == 200, answer.text

    await applied()
    yield "nothing has come"
    for number, total in ((2, "99.99"), (3, "99.9904"), (4, "99.99")):
        await order(world, number, total)
    yield "deliveries"
    await asserted(world, "2026-11-20", "7.9996")
    yield "a value is given"
    await asserted(world, "2026-11-20", "7.5")
    yield "it is given again"
    goals["orders"]["guardrails"] = [{"metric": "spent", "must": "<= 299.97"}]
    goals["orders"]["target"] = 3
    await applied()
    yield "a target and a guardrail are changed"
    file["metrics"]["placed"]["records"]["where"] = "record.body.total < 99.9902"
    await applied()
    yield "a rule is changed"
    file["metrics"]["outlay"] = file["metrics"].pop("spent") | {"renamed_from": "spent"}
    file["metrics"]["per_order"]["formula"] = "outlay / placed"
    goals["expenses"] = goals.pop("budget") | {"metric": "outlay", "renamed_from": "budget"}
    goals["orders"]["guardrails"][0]["metric"] = "outlay"
    await applied()
    yield "a metric and a key result are renamed"
    file["objectives"]["calm_desk"]["key_results"]["orders"] = goals.pop("orders")
    await applied()
    yield "a key result is moved"
    file["timezone"] = "Pacific/Auckland"
    await applied()
    yield "the team moves"
    goals["satisfied"]["paused"] = "Nobody is asked in August."
    await applied()
    yield "a key result is paused"
    del goals["satisfied"]["paused"]
    file["private"] = True
    await applied()
    yield "the team is private"
    since = {"since": "2026-10-01"}
    answer = await world.http.post("/v1/teams/operations/backfill", json=since, headers=await world.as_("write"))
    assert answer.status_code == 202, answer.text
    yield "its history is told"
    del goals["each_order"]
    await applied(prune="true")
    yield "a key result is dropped"


async def work(world: World) -> None:
    while await apply_pending(world.services):
        pass
    await build_revisions(world.services)
    while await evaluate_due(world.services):
        pass


async def test_every_surface_says_the_same_whatever_was_done(world: World, clock: FakeClock) -> None:
    clock.advance(timedelta(seconds=37))  # all judge at the start of the minute
    world.environ["ERP_SECRET"] = SECRET
    seen: list[str] = []
    async for done in what_happens(world):
        await work(world)
        seen += [f"{done}: {wrong}" for wrong in await contradictions(world)]
    assert not seen, "\n".join(seen)


async def contradictions(world: World) -> list[str]:
    """What any surface says otherwise than the list of key results does."""
    headers = await world.as_("admin")
    reader = await window(world, "admin")

    async def get(path: str) -> Any:
        answer = await world.http.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.text)
        return answer

    listed = (await get("/v1/key-results")).json()["items"]
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO((await get("/v1/key-results?format=csv")).text))}
    gauges = _gauges((await get("/metrics")).text)
    objectives = (await get("/v1/objectives")).json()["items"]
    parts = {part["id"]: part for one in objectives for part in one["roll_up"]["parts"]}
    health = (await get("/v1/teams/operations/health-check")).json()["key_results"]
    checked = {one["id"]: one for one in health}
    found = (
        [] if rows.keys() == parts.keys() == checked.keys() == {one["id"] for one in listed} else ["which there are"]
    )
    overview = await text_of(reader, "/")
    for one in listed:
        said: dict[str, Mapping[str, Any]] = {
            "single": (await get(f"/v1/key-results/{one['id']}")).json(),
            "explain": (await get(f"/v1/key-results/{one['id']}/explain")).json(),
            "health check": checked[one["id"]],
            "csv": _typed(rows[one["id"]]),
        }
        found += [
            f"{one['id']}, {where}: {key} {other[key]!r}, listed {one[key]!r}"
            for where, other in said.items()
            for key in ("title", "value", "progress", "status", "forecast", "guardrails", "objective")
            if key in other and other[key] != one[key]
        ]
        value, _ = gauges.get(("krsync_key_result_value", one["id"]), (None, {}))
        if value != (None if one["value"] is None else float(one["value"])):
            found.append(f"{one['id']}: its gauge is at {value}")
        if gauges["krsync_key_result_status", one["id"]][1]["status"] != one["status"]:
            found.append(f"{one['id']}: its gauge has another status")
        if one["progress"] is not None and parts[one["id"]]["progress"] != min(max(one["progress"], 0), 1):
            found.append(f"{one['id']}: its part in the objective is {parts[one['id']]['progress']}")
        history = (await get(f"/v1/key-results/{one['id']}/history?limit=1000")).json()["items"]
        told = max((at for at in history if at["quality"] != "reconstructed"), key=lambda at: at["id"], default=None)
        if told is not None and told["value"] != one["value"]:
            found.append(f"{one['id']}: its history ends at {told['value']}")
        word = one["headline"]["word"].replace("_", " ").capitalize()
        for path in (
            f"/key-results/{one['id']}",
            f"/fragments/key-results/{one['id']}",
            f"/key-results/{one['id']}/why",
        ):
            page = await text_of(reader, path)
            if word not in page or one["title"] not in page:
                found.append(f"{one['id']}: {path} has no {word}")
        if one["title"] not in overview:
            found.append(f"{one['id']}: not in the overview")
        for kind in ("svg", "html"):
            shown = (await get(f"/badge/{one['id']}.{kind}")).text
            if word.lower() not in shown or html.escape(one["title"]) not in shown:
                found.append(f"{one['id']}: its {kind} has no {word}")
    return found


def _typed(row: Mapping[str, str]) -> Json:
    """A row of the CSV as the JSON has it."""
    return {key: row[key] or None for key in ("title", "value", "status", "objective")} | {
        "progress": float(row["progress"]) if row["progress"] else None
    }


def _gauges(text: str) -> dict[tuple[str, str], tuple[float, Mapping[str, str]]]:
    """(gauge, key result) → its value and labels."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        (sample.name, f"{sample.labels['team']}/{sample.labels['name']}"): (sample.value, sample.labels)
        for sample in samples
        if sample.name.startswith("krsync_key_result_")
    }


async def text_of(reader: Window, path: str) -> str:
    """A page without its markup."""
    answer = await reader.get(path)
    assert answer.status_code == 200, path
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.text))
