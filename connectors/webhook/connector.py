"""The hooks of the webhook connector. All are pure: a delivery and a config in, an answer or a ConnectorError out."""

import re

from connectors.contract import Connector, Event, InboundDelivery, Parsed
from connectors.decoding import decode
from connectors.errors import UnexpectedResponseError
from connectors.webhook.models import BearerToken, HmacSha256, StandardWebhooks, WebhookConfig
from connectors.webhook.signatures import verify_bearer, verify_hmac_sha256, verify_standard_webhooks

# A rule sees a delivery's headers and they are stored: nothing in them may prove who somebody is.
_CONFIDENTIAL = re.compile(
    r"auth(?!or)|authori[sz]|cookie|signature|secret|token|password|passwd|api-?key|credential|jwt|session"
)
_IDENTITY = re.compile(r"[!-~]{1,255}")


def verify(config: WebhookConfig, delivery: InboundDelivery) -> None:
    """Return for a delivery whose sender is proven by the connection's scheme, else raise SignatureError."""
    match config.verify:
        case StandardWebhooks() as proof:
            verify_standard_webhooks(proof, delivery)
        case HmacSha256() as proof:
            verify_hmac_sha256(proof, delivery)
        case BearerToken() as proof:
            verify_bearer(proof, delivery)


def identify(config: WebhookConfig, delivery: InboundDelivery) -> str | None:
    """The sender's id of the delivery, or None where it gives none that can be relied on.

    Standard Webhooks: `webhook-id`, which is signed. The other schemes: the header the config names. `x-request-id` is
    never taken by itself: proxies make a new one for each attempt.
    """
    proof = config.verify
    name = "webhook-id" if isinstance(proof, StandardWebhooks) else proof.id_header
    value = delivery.header(name) if name else None
    return value if value and _IDENTITY.fullmatch(value) else None


def parse(config: WebhookConfig, delivery: InboundDelivery) -> Parsed:
    """The delivery as an Event: its JSON object and its headers, without those that carry a proof or a session."""
    body = decode(delivery.body, source="The body of the delivery")
    if not isinstance(body, dict):
        raise UnexpectedResponseError("The body of the delivery is not a JSON object: send one event in each.")
    hidden = config.verify.header if isinstance(config.verify, HmacSha256) else None
    headers: dict[str, str] = {}
    for name, value in delivery.headers:
        if name == hidden or _CONFIDENTIAL.search(name):
            continue
        headers[name] = f"{headers[name]}, {value}" if name in headers else value  # RFC 9110, 5.3
    return Event(body=body, headers=headers)


WEBHOOK = Connector(
    key="webhook",
    title="Webhook",
    config=WebhookConfig,
    verify=verify,
    identify=identify,
    parse=parse,
)
