"""The outbox over HTTP: what was told, sending again, and what would be told."""

from datetime import timedelta

from app.services.notify.watch import watch
from tests.api.conftest import World
from tests.conftest import FakeClock

NOTIFY = {
    "webhook": {"url": "https://receiver.test/okr", "secret": {"env": "OKR_HOOK"}},
    "email": {"to": ["ops@acme.example"]},
    "digest": {"weekday": "mon", "at": "09:00"},
}


async def told(world: World, clock: FakeClock) -> None:
    world.environ["OKR_HOOK"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    await world.apply(notify=NOTIFY)
    headers = await world.as_("write")
    path = "/v1/metrics/operations/satisfaction/values/2026-11-21"
    await world.http.put(path, json={"value": 8}, headers=headers)
    await watch(world.services)
    await world.http.put(path.replace("-21", "-22"), json={"value": 6}, headers=headers)
    await watch(world.services)


async def test_a_preview_tells_what_whom_and_when_and_sends_nothing(world: World, clock: FakeClock) -> None:
    await told(world, clock)
    headers = await world.as_("read")
    ((found),) = (await world.http.get("/v1/notifications/preview", headers=headers)).json()["items"]
    assert found["destinations"] == {"webhook": "https://receiver.test", "email": "ops@acme.example"}
    (change,) = [one for one in found["changes"] if one["key_result"] == "operations/satisfaction_up"]
    assert change["summary"] == "Satisfaction up: met → at risk"
    assert change["told_at"] == "2026-11-22T09:35:00Z"
    assert found["digest"]["at"] == "2026-11-23T08:00:00Z"
    assert any("Satisfaction up: at risk" in line for line in found["digest"]["lines"])
    assert (await world.http.get("/v1/notifications", headers=headers)).json()["items"] == []
    assert world.outbound == []


async def test_what_was_told_is_listed_and_can_be_sent_again(world: World, clock: FakeClock) -> None:
    await told(world, clock)
    clock.advance(timedelta(minutes=5))
    await watch(world.services)
    reader, writer = await world.as_("read"), await world.as_("write")
    found = (await world.http.get("/v1/notifications?team=operations", headers=reader)).json()["items"]
    (notice,) = [one for one in found if one["subject"] == "operations/satisfaction_up"]
    assert notice["summary"] == "Satisfaction up: met → at risk"
    assert {way["channel"]: way["state"] for way in notice["channels"]} == {"webhook": "waiting", "email": "waiting"}
    because = writer | {"X-KRSync-Reason": "the receiver was away"}
    again = await world.http.post(f"/v1/notifications/{notice['id']}/replay", headers=because)
    assert (again.status_code, again.json()["message_id"]) == (202, notice["message_id"])
    log = await world.http.get("/v1/audit?kind=notification", headers=await world.as_("admin"))
    (entry,) = log.json()["items"]
    assert (entry["actor"], entry["action"]) == ("token:write", "replay")
    assert entry["object"] == f"operations/{notice['id']}"
    assert entry["reason"] == "the receiver was away"
    assert (await world.http.post("/v1/notifications/999999/replay", headers=writer)).status_code == 404
    assert (await world.http.get("/v1/notifications?state=dead", headers=reader)).json()["items"] == []
    await world.apply()
    assert (await world.http.post(f"/v1/notifications/{notice['id']}/replay", headers=writer)).status_code == 409


async def test_a_secret_that_the_operator_does_not_allow_is_no_teams(world: World) -> None:
    headers = await world.as_("write")
    from tests.api.conftest import TEAM_FILE

    notify = {"slack": {"webhook": {"env": "KRSYNC_SECRET_KEY"}}}
    refused = await world.http.post("/v1/teams/operations/apply", json={**TEAM_FILE, "notify": notify}, headers=headers)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/notify/slack/webhook", "secret_not_allowed")
