"""The hooks of the webhook connector. All are pure: a delivery and a config in, an answer or a ConnectorError out."""

import hashlib
import re
from collections.abc import Iterator

import msgspec

from connectors.contract import Connector, Event, InboundDelivery, JsonValue, Parsed
from connectors.decoding import decode
from connectors.errors import AuthenticationError, UnexpectedResponseError
from connectors.secrets import Secret
from connectors.signatures import PROVIDERS, Provider, body_field
from connectors.signatures import verify as verify_proof
from connectors.webhook.cloudevents import batch, is_batch, is_binary, structured
from connectors.webhook.models import BasicPassword, BearerToken, NamedProvider, Proof, Unverified, WebhookConfig
from connectors.webhook.presets import PRESETS
from connectors.webhook.redaction import redacted

# A rule sees a delivery's headers and they are stored: nothing in them may prove who somebody is.
_CONFIDENTIAL = re.compile(
    r"auth(?!or)|authori[sz]|cookie|signature|secret|token|password|passwd|api-?key|credential|jwt|session"
)
_IDENTITY = re.compile(r"[!-~]{1,255}")
_SOURCE = "The body of the delivery"
#: Where senders that are not known by name put the word for what happened.
_USUAL = ("event", "type", "event_type", "eventType", "action")
_LONGEST_EVENT = 200


def verify(config: WebhookConfig, delivery: InboundDelivery) -> None:
    """Return for a delivery whose sender is proven by the connection's scheme, else raise SignatureError."""
    proof = config.verify
    if not isinstance(proof, Unverified):
        verify_proof(proof.proof, list(_secrets(proof.secret, proof.previous)), delivery)


def identify(config: WebhookConfig, delivery: InboundDelivery) -> str | None:
    """The sender's id of the delivery, or None where it gives none that can be relied on.

    Known tools have a header or a field of theirs (`connectors.signatures.providers`); for the others it is the header
    that the config names. `x-request-id` is never taken by itself: proxies make a new one for each attempt.
    """
    proof = config.verify
    provider = PROVIDERS.get(proof.scheme)
    if provider is not None and provider.id_field:
        value = _text(body_field(delivery.body, provider.id_field))
    else:
        value = delivery.header(proof.identity) if proof.identity else None
    if value is None and _is_binary_cloud_event(proof, delivery):
        # CloudEvents: source and id together are unique, and the same when it comes again.
        value = f"{delivery.header('ce-source')} {delivery.header('ce-id')}"
        return hashlib.sha256(value.encode("utf-8", "backslashreplace")).hexdigest()
    if value and _IDENTITY.fullmatch(value):
        return value
    if isinstance(proof, BearerToken | BasicPassword | Unverified) and proof.without_id == "every":
        digest = hashlib.sha256(delivery.body).hexdigest()
        return f"{delivery.received_at.isoformat()}-{digest[:16]}"
    return None


def greet(config: WebhookConfig, delivery: InboundDelivery) -> bytes | None:
    """Slack's URL verification: the challenge back, once the signature holds; None for a delivery.

    https://api.slack.com/events/url_verification
    """
    if config.verify.scheme != "slack" or b"url_verification" not in delivery.body:
        return None
    body = decode(delivery.body, source=_SOURCE)
    if not isinstance(body, dict) or body.get("type") != "url_verification":
        return None
    challenge = body.get("challenge")
    return msgspec.json.encode({"challenge": challenge}) if isinstance(challenge, str) else None


def redact(config: WebhookConfig, delivery: InboundDelivery) -> bytes:
    """The body as it may be kept; UnexpectedResponseError where fields are to be dropped of what is no JSON."""
    return redacted(delivery.body, config.redacted) if config.redact else delivery.body


def parse(config: WebhookConfig, delivery: InboundDelivery) -> Parsed:
    """The delivery as an Event: its JSON object and its headers, without those that carry a proof or a session. A
    CloudEvent looks the same whether it came structured or binary; a batch of them is the list `cloud_events`."""
    body = decode(delivery.body, source=_SOURCE)
    if _is_binary_cloud_event(config.verify, delivery):
        body = structured(delivery, body)
    elif is_batch(delivery):
        body = batch(body)
    if not isinstance(body, dict):
        raise UnexpectedResponseError("The body of the delivery is not a JSON object: send one event in each.")
    hidden = () if isinstance(config.verify, Unverified) else config.verify.proof.proofs
    headers: dict[str, str] = {}
    for name, value in delivery.headers:
        if name in hidden or _CONFIDENTIAL.search(name):
            continue
        headers[name] = f"{headers[name]}, {value}" if name in headers else value  # RFC 9110, 5.3
    return Event(body=body, headers=headers, name=_event_name(config.verify, body, headers))


def _is_binary_cloud_event(proof: Proof, delivery: InboundDelivery) -> bool:
    """The known tools send none, and sign no header: who has read a delivery of theirs must not make another of it."""
    return not isinstance(proof, NamedProvider) and is_binary(delivery)


def _secrets(*secrets: Secret | None) -> Iterator[str]:
    """The secrets that are bound, the current one first: in a rotation one of them may not be."""
    for secret in secrets:
        if secret is not None:
            try:
                yield secret.reveal()
            except AuthenticationError:
                continue


def _event_name(proof: Proof, body: dict[str, JsonValue], headers: dict[str, str]) -> str | None:
    """The tool's own word for what happened, to count by."""
    provider: Provider | None = PROVIDERS.get(proof.scheme)
    if provider is not None and provider.event:
        words = [_found(path, body, headers) for path in provider.event]
        if any(words):
            return ".".join(word for word in words if word)[:_LONGEST_EVENT]
    return next((word[:_LONGEST_EVENT] for name in _USUAL if (word := _text(body.get(name)))), None)


def _found(path: str, body: dict[str, JsonValue], headers: dict[str, str]) -> str | None:
    root, _, rest = path.partition(".")
    if root == "headers":
        return headers.get(rest)
    value: JsonValue = body
    for name in rest.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return _text(value)


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


WEBHOOK = Connector(
    key="webhook",
    title="Webhook",
    config=WebhookConfig,
    verify=verify,
    identify=identify,
    greet=greet,
    redact=redact,
    parse=parse,
    presets=PRESETS,
)
