"""A Slack that is not ours: backlot's, served on loopback, posted to and read by the real outbound client."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml

from app.domain.notify import SlackSpec
from app.services.notify.messages import section
from app.services.notify.slack import call_slack, find_posted
from connectors.contract import Toolbox
from connectors.errors import AuthenticationError, QueryError
from connectors.http import create_client, parse_policy, toolbox


@dataclass(frozen=True, slots=True)
class Peer:
    api: str
    token: str
    channel: str
    box: Toolbox


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """backlot's bundled company, imported."""
    pytest.importorskip("backlot", reason="backlot is not installed: no live peer for Slack")
    folder = tmp_path_factory.mktemp("backlot")
    done = subprocess.run(
        [sys.executable, "-m", "backlot", "import", "--bundled", "--data-dir", str(folder)],
        env={**os.environ, "BACKLOT_TELEMETRY": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"backlot could not import its company: {done.stderr[-300:]}")
    return folder


@pytest.fixture
async def peer(data_folder: Path) -> AsyncIterator[Peer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "backlot", "serve", "--disable-telemetry", "--port", str(port), "--data-dir", str(data_folder)),
        env={**os.environ, "BACKLOT_TELEMETRY": "false"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        api = f"http://127.0.0.1:{port}/slack/api"
        if not await _answers(f"{api}/api.test", process):
            pytest.skip("backlot did not start: no live peer for Slack")
        tokens = yaml.safe_load((data_folder / "tokens.yaml").read_text(encoding="utf-8"))
        token = next((item["token"] for item in tokens.get("users", []) if "token" in item), tokens["admin_token"])
        async with create_client(parse_policy("127.0.0.1")) as client:
            box = toolbox(client, lambda: datetime.now(UTC))
            listed = await call_slack(box, api, "conversations.list", token, {"limit": "100"}, is_form=True)
            channel = next(item["id"] for item in listed["channels"] if item["name"] == "general")
            yield Peer(api, token, channel, box)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(url: str, process: asyncio.subprocess.Process) -> bool:
    async with httpx.AsyncClient() as plain:
        for _ in range(200):
            if process.returncode is not None:
                return False
            try:
                if (await plain.post(url)).status_code == 200:
                    return True
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    return False


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
