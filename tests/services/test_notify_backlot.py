"""A Slack that is not ours: backlot's, served on loopback, posted to and read by the real outbound client."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.notify import SlackSpec
from app.services.notify.messages import section
from app.services.notify.slack import call_slack, find_posted
from connectors.contract import Toolbox
from connectors.errors import AuthenticationError, QueryError
from connectors.http import create_client, parse_policy, toolbox
from tests.services_fixtures.backlot import Backlot


@dataclass(frozen=True, slots=True)
class Peer:
    api: str
    token: str
    channel: str
    box: Toolbox


@pytest.fixture
async def peer(backlot: Backlot) -> AsyncIterator[Peer]:
    api = f"{backlot.url}/slack/api"
    users: Any = backlot.tokens.get("users", [])
    token = next((item["token"] for item in users if "token" in item), backlot.admin_token)
    async with create_client(parse_policy("127.0.0.1")) as client:
        box = toolbox(client, lambda: datetime.now(UTC))
        listed = await call_slack(box, api, "conversations.list", token, {"limit": "100"}, is_form=True)
        channel = next(item["id"] for item in listed["channels"] if item["name"] == "general")
        yield Peer(api, token, channel, box)


async def test_a_notice_is_posted_and_found_again_by_its_id(peer: Peer) -> None:
    spec = SlackSpec.model_validate({"channel": peer.channel, "token": {"env": "T"}, "api": peer.api})
    assert await find_posted(peer.box, spec, peer.token, "krsync_notice", "0123") is None
    content = {
        "channel": peer.channel,
        "text": "Happy: on track → at risk",
        "blocks": [section("*Happy*: on track → at risk")],
        "unfurl_links": False,
        "unfurl_media": False,
        "metadata": {"event_type": "krsync_notice", "event_payload": {"id": "0123"}},
    }
    answer = await call_slack(peer.box, peer.api, "chat.postMessage", peer.token, content)
    assert isinstance(answer["ts"], str)


async def test_its_refusals_are_named_by_remedy(peer: Peer) -> None:
    with pytest.raises(AuthenticationError, match="invalid_auth"):
        await call_slack(peer.box, peer.api, "chat.postMessage", "xoxb-nobody", {"channel": "C1", "text": "x"})
    with pytest.raises(QueryError, match="channel_not_found"):
        await call_slack(peer.box, peer.api, "chat.postMessage", peer.token, {"channel": "C0NOWHERE", "text": "x"})
