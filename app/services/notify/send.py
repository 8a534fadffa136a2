"""Sending a notice through a channel: Slack, a signed webhook, e-mail. Each carries the notice's id, by which a
receiver knows it when it comes again."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

import msgspec

from app.domain.notify import NotifySpec, SlackSpec
from app.services.context import Services
from app.services.definitions import team_zone
from app.services.notify.channels import secret_value
from app.services.notify.messages import Message, message
from app.services.notify.owners import KIND as OWNERS
from app.services.notify.slack import call_slack, find_posted, post_webhook
from app.store import outbox
from app.store.outbox import Sending
from connectors.errors import AuthenticationError, ConnectorError, QueryError
from connectors.http import raise_for_status

#: Our vendor-neutral name for what a message is about, in Slack's metadata.
EVENT_TYPE = "krsync_notice"


class WithdrawnError(ConnectorError):
    """The team is not told through this channel any more."""

    code = "withdrawn"


async def send(services: Services, spec: NotifySpec | None, sending: Sending) -> str | None:
    """Send it; what the channel gave in return, for later notices to refer to. Raises ConnectorError."""
    if sending.notice.kind == OWNERS:  # it names its receivers, whatever the team is told
        words = message(OWNERS, sending.notice.payload, team_zone(sending.team))
        await _email(services, sending.notice.payload["to"], sending, words)
        return None
    if spec is None or sending.channel not in spec.channels:
        raise WithdrawnError(f"The team is not told by {sending.channel} any more.")
    if sending.channel == "webhook":
        await _webhook(services, spec, sending)
        return None
    words = message(sending.notice.kind, sending.notice.payload, team_zone(sending.team))
    if sending.channel == "slack":
        assert spec.slack is not None
        return await _slack(services, spec.slack, sending, words)
    assert spec.email is not None
    await _email(services, spec.email.to, sending, words)
    return None


# --- Slack -----------------------------------------------------------------------------------------------------------


async def _slack(services: Services, spec: SlackSpec, sending: Sending, words: Message) -> str | None:
    toolbox, team, uid = services.toolbox(), sending.team.name, sending.notice.uid
    text = words.subject.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    content: dict[str, Any] = {"text": text, "blocks": list(words.blocks), "unfurl_links": False, "unfurl_media": False}
    if spec.webhook is not None:
        await post_webhook(toolbox, await secret_value(services, team, spec.webhook), content)
        return None
    assert spec.token is not None
    assert spec.channel is not None
    token = await secret_value(services, team, spec.token)
    if sending.is_repeat and (posted := await find_posted(toolbox, spec, token, EVENT_TYPE, uid)) is not None:
        return posted  # the attempt before got through, and ended before it could say so
    if sending.notice.resolves is not None:
        async with services.database.reading() as session:
            thread = await outbox.receipt_of(session, sending.notice.resolves, "slack")
        if thread is not None:
            # Beside the notice that it resolves, and in the channel too, as the others are.
            content |= {"thread_ts": thread, "reply_broadcast": True}
    content |= {
        "channel": spec.channel,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"id": uid}},
    }
    answer = await call_slack(toolbox, spec.api, "chat.postMessage", token, content)
    stamp = answer.get("ts")
    return stamp if isinstance(stamp, str) else None


# --- webhooks --------------------------------------------------------------------------------------------------------


def webhook_body(sending: Sending) -> bytes:
    """What is sent, the same bytes at each attempt."""
    notice = sending.notice
    data = {**notice.payload, "team": sending.team.name, "resolves": _message_id(notice.resolves)}
    return msgspec.json.encode(
        {"type": notice.kind, "timestamp": notice.at.isoformat().replace("+00:00", "Z"), "data": data}
    )


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of Standard Webhooks; AuthenticationError for a secret that is none.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise AuthenticationError("The webhook's secret is not whsec_ and base64.")
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


async def _webhook(services: Services, spec: NotifySpec, sending: Sending) -> None:
    assert spec.webhook is not None
    toolbox = services.toolbox()
    now = toolbox.now()
    secret = await secret_value(services, sending.team.name, spec.webhook.secret)
    body, identity = webhook_body(sending), f"msg_{sending.notice.uid}"
    timestamp = int(now.timestamp())
    response = await toolbox.http.post(
        spec.webhook.url,
        content=body,
        headers={
            "Content-Type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secret, identity, timestamp, body),
        },
    )
    if response.status_code == 410:
        raise WithdrawnError("The receiver says that it is gone for good (HTTP 410).")
    raise_for_status(response, tool="The receiver", now=now)


def _message_id(uid: str | None) -> str | None:
    return None if uid is None else f"msg_{uid}"


# --- e-mail ----------------------------------------------------------------------------------------------------------


async def _email(services: Services, to: Sequence[str], sending: Sending, words: Message) -> None:
    if services.mail is None:
        raise QueryError("The operator has set no mail server (KRSYNC_SMTP_URL).")
    mail = EmailMessage()
    mail["Subject"] = words.subject
    mail["From"] = services.mail.sender
    mail["To"] = ", ".join(to)
    mail["Date"] = sending.notice.at
    domain = services.mail.sender.rpartition("@")[2]
    mail["Message-ID"] = f"<{sending.notice.uid}@{domain}>"
    if sending.notice.resolves is not None:
        mail["In-Reply-To"] = mail["References"] = f"<{sending.notice.resolves}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(words.text)
    await services.mail.send(mail)
