"""A team that is told things, and those who hear of it: a Slack, a receiver of webhooks, a mailbox."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs

import httpx
from standardwebhooks.webhooks import Webhook

from app.services.assert_value import assert_value
from app.services.notify.dispatch import dispatch_due
from app.services.notify.watch import watch
from connectors.errors import UnavailableError
from connectors.http import create_client, parse_policy, toolbox
from tests.conftest import FakeClock
from tests.services.story import TEAM, Story, open_story

SECRETS = {
    "OKR_HOOK": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "SLACK_TOKEN": "xoxb-canary-token",
    "SLACK_WEBHOOK": "https://hooks.slack.com/services/T0/B0/canary-hook",
    "SLACK_SIGNING": "canary-signing-secret",
}
EVERYWHERE = """
notify:
  slack: {channel: C1, token: {env: SLACK_TOKEN}, signing_secret: {env: SLACK_SIGNING}}
  webhook: {url: "https://receiver.test/okr", secret: {env: OKR_HOOK}}
  email: {to: [ops@acme.example]}
"""
FILE = """
version: 1
team: support
title: Support
timezone: Europe/Berlin
NOTIFY
metrics:
  mood: {unit: score, manual: {every: 31d}}
  staff: {unit: people, manual: {every: 31d}}
objectives:
  people:
    title: People & <places>
    cycle: 2026-Q4
    key_results:
      happy: {metric: mood, baseline: 0, target: 10, fresh_within: 90d, guardrails: [{metric: staff, must: ">= 40"}]}
"""


def file_with(notify: str = EVERYWHERE) -> str:
    return FILE.replace("NOTIFY", notify.strip())


@dataclass
class Mailbox:
    """A mail server in name only: what is handed over is kept."""

    sender: str = "okr@acme.example"
    mails: list[EmailMessage] = field(default_factory=list)
    is_away: bool = False

    async def send(self, mail: EmailMessage) -> None:
        if self.is_away:
            raise UnavailableError("The mail server does not answer.")
        self.mails.append(mail)


@dataclass
class Outside:
    """Slack's Web API and a webhook receiver: `answers` are given first, one for each request of a path.

    With a `pace`, Slack takes one message a channel in that time, as it does
    (https://api.slack.com/apis/rate-limits): `hasty` counts what came too soon, `ignored` what came before the moment
    that the answer had named."""

    clock: FakeClock
    requests: list[httpx.Request] = field(default_factory=list)
    answers: list[tuple[str, httpx.Response | Exception]] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)
    received: dict[str, dict[str, Any]] = field(default_factory=dict)
    views: list[dict[str, Any]] = field(default_factory=list)
    pace: timedelta | None = None
    hasty: int = 0
    ignored: int = 0
    _free_at: dict[str, datetime] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path
        for index, (wanted, answer) in enumerate(self.answers):
            if path.endswith(wanted):
                del self.answers[index]
                if isinstance(answer, Exception):
                    raise answer
                return answer
        if request.url.host == "receiver.test":
            self._verify(request)
            self.received[request.headers["webhook-id"]] = json.loads(request.content)
            return httpx.Response(204)
        if path.startswith("/services/"):
            self.posted.append(json.loads(request.content))
            return httpx.Response(200, text="ok")
        if request.headers.get("authorization") != f"Bearer {SECRETS['SLACK_TOKEN']}":
            return httpx.Response(200, json={"ok": False, "error": "invalid_auth"})
        if (wait := self._too_soon(path, request)) is not None:
            return httpx.Response(429, headers={"Retry-After": str(wait)}, json={"ok": False, "error": "ratelimited"})
        return httpx.Response(200, json=self._slack(path.rpartition("/")[2], request))

    def _too_soon(self, path: str, request: httpx.Request) -> int | None:
        if self.pace is None or not path.endswith("chat.postMessage"):
            return None
        channel, now = json.loads(request.content)["channel"], self.clock()
        free = self._free_at.get(channel, now)
        if now < free:
            self.hasty += 1
            self.ignored += channel in self._refused
            self._refused.add(channel)
            return math.ceil((free - now).total_seconds())
        self._refused.discard(channel)
        self._free_at[channel] = now + self.pace
        return None

    def _verify(self, request: httpx.Request) -> None:
        """As the receivers' library does; that one looks at the wall clock, here the clock is turned by hand."""
        headers = request.headers
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        assert abs(at - self.clock()) < timedelta(minutes=5)
        expected = Webhook(SECRETS["OKR_HOOK"]).sign(headers["webhook-id"], at, request.content.decode())
        assert headers["webhook-signature"] == expected

    def _slack(self, method: str, request: httpx.Request) -> dict[str, Any]:
        if method == "conversations.history":
            assert parse_qs(request.content.decode())["include_all_metadata"] == ["true"]
            return {"ok": True, "messages": self.posted[::-1]}
        body = json.loads(request.content)
        if method == "views.open":
            self.views.append(body)
            return {"ok": True, "view": {"id": "V1"}}
        assert method == "chat.postMessage"
        stamp = f"1700000000.{len(self.posted):06}"
        self.posted.append({**body, "ts": stamp})
        return {"ok": True, "channel": body["channel"], "ts": stamp}


@dataclass
class Told:
    """A story whose team is told things."""

    story: Story
    outside: Outside
    mailbox: Mailbox

    @property
    def clock(self) -> FakeClock:
        return self.story.clock

    async def begin(self, notify: str = EVERYWHERE, value: str = "9") -> None:
        """Apply the file, give a value, and look for the first time."""
        await self.story.apply(file_with(notify))
        await self.say(value)
        await self.say("50", "staff")
        await watch(self.story.services)

    async def say(self, value: str, metric: str = "mood") -> None:
        today: date = self.clock().date()
        await assert_value(self.story.services, TEAM, metric, today, Decimal(value), actor="dana")
        await self.story.work()

    async def look(self, **later: float) -> int:
        """Let time pass and look."""
        self.clock.advance(timedelta(**later))
        return await watch(self.story.services)

    async def send(self) -> None:
        while await dispatch_due(self.story.services):
            pass

    async def states(self) -> dict[str, str]:
        return dict(await self.story.rows("SELECT channel, state FROM outbox"))


@asynccontextmanager
async def open_told(database_url: str, clock: FakeClock) -> AsyncIterator[Told]:
    outside, mailbox = Outside(clock), Mailbox()
    client = create_client(parse_policy(""), transport=httpx.MockTransport(outside))
    async with open_story(database_url, clock) as story:
        secrets = story.services.secrets
        secrets.values.update(SECRETS)  # type: ignore[attr-defined]
        services = replace(story.services, toolbox=lambda: replace(toolbox(client, clock), guard=None), mail=mailbox)
        yield Told(replace(story, services=services), outside, mailbox)
    await client.aclose()
