"""Ticking milestones through the front door, and metrics taken apart by themselves."""

from typing import Any

import pytest

from app.store.audit import list_audit
from tests.api.conftest import TEAM_FILE, World, on_sqlite

METRICS: dict[str, Any] = {
    **TEAM_FILE["metrics"],
    "cutover": {
        "unit": "percent",
        "milestones": [
            {"name": "data migrated", "weight": 3, "done": {"connection": "jira", "jql": "key = ERP-12"}},
            {"name": "go-live: all sites", "weight": 2, "done": "manual"},
        ],
    },
    "content_each": {"unit": "score", "formula": "satisfaction * 2 - satisfaction"},
}
STEP = "/v1/metrics/operations/cutover/milestones/go-live%3A%20all%20sites"


async def test_a_tick_is_the_value_of_the_metric_and_its_evidence(world: World) -> None:
    await world.apply(metrics=METRICS)
    script, reader = await world.as_("ingest", team="operations"), await world.as_("read")
    answer = await world.http.post(STEP, json={"done": True, "note": "Monday night"}, headers=script)
    assert (answer.status_code, answer.json()["value"]) == (200, "100")
    why = (await world.http.get("/v1/metrics/operations/cutover/explain", headers=reader)).json()
    assert (why["id"], why["value"], why["coverage"]) == ("operations/cutover", "100", 0.4)
    migrated, live = why["steps"]
    assert (migrated["done"], migrated["reason"], migrated["weight"]) == (None, "not measured yet", "3")
    assert (live["done"], live["source"], live["note"]) == (True, "manual", "Monday night")
    async with world.services.database.reading() as session:
        newest = (await list_audit(session, team="operations", kind="metric", before=None, limit=1))[0]
    assert (newest.action, newest.object_id) == ("tick", "operations/cutover")
    assert newest.after == {"step": "go-live: all sites", "done": True, "note": "Monday night"}


@on_sqlite
async def test_a_tick_sent_twice_with_its_key_has_no_second_effect(world: World) -> None:
    await world.apply(metrics=METRICS)
    headers = {**await world.as_("write"), "Idempotency-Key": "tick-1"}
    first = await world.http.post(STEP, json={"done": True}, headers=headers)
    again = await world.http.post(STEP, json={"done": True}, headers=headers)
    assert (again.content, again.headers.get("idempotency-replayed")) == (first.content, "true")
    reused = await world.http.post(STEP, json={"done": False}, headers=headers)
    assert (reused.status_code, reused.json()["errors"][0]["code"]) == (422, "idempotency_key_reused")


@on_sqlite
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (STEP, {}, 422),
        (STEP, {"done": 1}, 422),
        (STEP, {"done": "true"}, 422),
        (STEP, {"done": True, "by": "me"}, 422),
        ("/v1/metrics/operations/cutover/milestones/data%20migrated", {"done": True}, 422),
        ("/v1/metrics/operations/cutover/milestones/go-live", {"done": True}, 404),
        ("/v1/metrics/operations/satisfaction/milestones/x", {"done": True}, 404),
        ("/v1/metrics/operations/nothing/milestones/x", {"done": True}, 404),
        (f"/v1/metrics/operations/cutover/milestones/{'x' * 100}", {"done": True}, 422),
    ],
)
async def test_what_is_no_tick_is_refused(world: World, path: str, body: dict[str, Any], status: int) -> None:
    await world.apply(metrics=METRICS)
    answer = await world.http.post(path, json=body, headers=await world.as_("write"))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@on_sqlite
async def test_who_may_not_assert_may_not_tick(world: World) -> None:
    await world.apply(metrics=METRICS)
    for headers, status in (
        ({}, 401),
        (await world.as_("read"), 403),
        (await world.as_("write", team="operations") | {"Authorization": "Bearer okr_x"}, 401),
    ):
        assert (await world.http.post(STEP, json={"done": True}, headers=headers)).status_code == status


@on_sqlite
async def test_a_formulas_inputs_lead_to_their_own_explanation(world: World) -> None:
    await world.apply(metrics=METRICS)
    headers = await world.as_("write", "read")
    await world.http.put(
        "/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": "7.5"}, headers=headers
    )
    why = (await world.http.get("/v1/metrics/operations/content_each/explain", headers=headers)).json()
    assert why["formula"] == "satisfaction * 2 - satisfaction: 7.5 * 2 - 7.5 = 7.5 score"
    (satisfaction,) = why["inputs"]
    leaf = (await world.http.get(satisfaction["explain"], headers=headers)).json()
    assert (leaf["id"], leaf["value"]) == ("operations/satisfaction", satisfaction["value"])
    assert (await world.http.get("/v1/metrics/operations/none/explain", headers=headers)).status_code == 404
