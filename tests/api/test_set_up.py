"""Setting up a webhook connection: the address, a secret shown once, and waiting for the first delivery."""

import hashlib
import hmac
from typing import Any

import pytest

from app.services.deliveries import apply_pending
from tests.api.conftest import World, on_sqlite


async def test_a_webhook_connection_is_set_up_with_an_address_and_a_secret_shown_once(world: World) -> None:
    await world.apply()
    headers = await world.as_("write", "read")
    path = "/v1/connections/operations/shop"
    body = {"connector": "webhook", "verify": {"scheme": "github"}}
    created = await world.http.put(f"{path}?generate_secret=true", json=body, headers=headers)
    assert created.status_code == 200, created.text
    answer = created.json()
    secret = answer["generated_secret"]
    assert answer["hook_url"] == "/v1/hooks/operations/shop"
    assert answer["paste"] == "http://krsync.test/v1/hooks/operations/shop"
    assert secret.startswith("whsec_")
    seen = await world.http.get(path, headers=headers)
    assert seen.json()["definition"]["verify"] == {"scheme": "github", "secret": {"sealed": "hook"}}
    assert seen.json()["health"] == "waiting"
    assert secret not in seen.text
    delivery = b'{"action": "opened"}'
    signature = "sha256=" + hmac.new(secret.encode(), delivery, hashlib.sha256).hexdigest()
    sent = {"content-type": "application/json", "x-github-delivery": "d1", "x-hub-signature-256": signature}
    assert (await world.http.post(answer["hook_url"], content=delivery, headers=sent)).status_code == 202
    await apply_pending(world.services)
    seen = await world.http.get(path, headers=headers)
    assert seen.json()["health"] == "ok"
    assert seen.json()["last_delivery_at"] is not None


@on_sqlite
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"connector": "webhook", "verify": {"scheme": "github", "secret": {"env": "X"}}}, "/verify/secret"),
        ({"connector": "webhook", "verify": {"scheme": "none", "i_accept": "forged deliveries"}}, "/verify"),
        ({"connector": "webhook"}, "/verify"),
    ],
)
async def test_no_secret_is_generated_where_none_can_be_sealed(world: World, body: Any, pointer: str) -> None:
    await world.apply()
    headers = await world.as_("write")
    answer = await world.http.put("/v1/connections/operations/shop?generate_secret=true", json=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
