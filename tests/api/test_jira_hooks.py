"""Jira's recorded webhooks through the real door: signed, stored, applied, and followed to the issue they tell of."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.services.deliveries import apply_pending
from app.store.database import Database
from tests.api.conftest import TEAM_FILE, World, on_sqlite

SECRET = "jira-hook-canary-77"
PATH = "/v1/hooks/operations/jira"
FILE = {
    "connections": {
        **TEAM_FILE["connections"],
        "jira": {**TEAM_FILE["connections"]["jira"], "webhook_secret": {"env": "JIRA_HOOK"}},
    },
    "datasets": {**TEAM_FILE["datasets"], "issues": {"connection": "jira", "jql": "project = TES"}},
}


def headers(body: bytes, identity: str, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-hub-signature": f"sha256={digest}",
        "x-atlassian-webhook-identifier": identity,
    }


async def opened(world: World) -> None:
    world.environ.update(ERP_SECRET="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", DESK_SECRET="x", JIRA_HOOK=SECRET)
    world.environ["JIRA_TOKEN"] = "a-token"
    await world.apply(**FILE)


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.reading() as session:
        return [tuple(row) for row in await session.execute(text(query))]


async def test_every_recorded_webhook_ends_as_what_it_is(world: World, shared_data: Path) -> None:
    await opened(world)
    expected: dict[str, tuple[str, str | None]] = {}
    for file in sorted((shared_data / "jira" / "webhooks").glob("webhook-*.json")):
        body = file.read_bytes()
        told = json.loads(body)
        is_talk = "comment" in told or "comment" in (told.get("issue_event_type_name") or "")
        expected[file.stem] = ("ignored", None) if is_talk else ("applied", told["issue"]["id"])
        for _ in range(2):  # Jira sends what it has no answer to again, under the same id
            answer = await world.http.post(PATH, content=body, headers=headers(body, file.stem))
            assert answer.status_code == 202, (file.stem, answer.text)
    assert len(expected) == 37
    database = world.services.database
    while await apply_pending(world.services):
        pass
    found = await rows(
        database,
        "SELECT delivery.dedupe_key, intake.outcome, dataset.name FROM delivery "
        "JOIN intake ON intake.delivery_id = delivery.id JOIN dataset ON dataset.id = intake.dataset_id",
    )
    assert {name for _, _, name in found} == {"issues"}
    assert {key.partition(":")[2] or key: outcome for key, outcome, _ in found} == {
        stem: outcome for stem, (outcome, _) in expected.items()
    }
    assert len(found) == 37
    hinted = await rows(database, "SELECT entity, is_deleted FROM hint")
    assert {entity for entity, _ in hinted} == {issue for _, issue in expected.values() if issue is not None}
    assert not any(is_deleted for _, is_deleted in hinted)


@on_sqlite
async def test_a_webhook_that_is_not_jiras_is_not_taken(world: World) -> None:
    await opened(world)
    body = b'{"webhookEvent": "jira:issue_deleted", "issue": {"id": "1"}}'
    answers: list[httpx.Response] = [
        await world.http.post(PATH, content=body, headers=headers(body, "1", "another")),
        await world.http.post(PATH, content=body, headers={"content-type": "application/json"}),
        await world.http.post(PATH, content=body + b" ", headers=headers(body, "1")),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert await rows(world.services.database, "SELECT count(*) FROM delivery") == [(0,)]


@on_sqlite
async def test_a_connection_without_a_secret_takes_none(world: World) -> None:
    world.environ.update(JIRA_TOKEN="a-token")
    await world.apply()
    body = b"{}"
    assert (await world.http.post(PATH, content=body, headers=headers(body, "1"))).status_code in (401, 404)


@on_sqlite
async def test_a_drop_that_nobody_held_is_confirmed_without_effect(world: World) -> None:
    await opened(world)
    writer = await world.as_("write")
    path = "/v1/datasets/operations/issues/confirm-drop"
    answer = await world.http.post(path, headers=writer)
    assert (answer.status_code, answer.json()) == (202, {"held": 0})
    missing = await world.http.post(path.replace("issues", "nothing"), headers=writer)
    assert missing.status_code == 404
    assert (await world.http.post(path, headers=await world.as_("read"))).status_code == 403
