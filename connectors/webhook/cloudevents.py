"""CloudEvents 1.0 over HTTP, structured and binary, seen as one shape: the structured one; and batches of those.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from urllib.parse import unquote

from connectors.contract import InboundDelivery, JsonValue
from connectors.errors import UnexpectedResponseError

_PREFIX = "ce-"
_REQUIRED = ("specversion", "id", "source", "type")
_KNOWN_VERSION = "1.0"
_BATCH = "application/cloudevents-batch+json"
#: No attribute of an event can have this name: theirs have no underscore.
_BATCHED = "cloud_events"


def is_binary(delivery: InboundDelivery) -> bool:
    """Whether the event's attributes are in `ce-` headers and its data is the body."""
    return delivery.header("ce-specversion") == _KNOWN_VERSION and all(
        delivery.header(f"{_PREFIX}{name}") for name in _REQUIRED
    )


def structured(delivery: InboundDelivery, data: JsonValue) -> dict[str, JsonValue]:
    """A binary event as a structured one: attributes by name (percent-decoded, 3.1.3.2), its data under `data`."""
    event: dict[str, JsonValue] = {}
    for name, value in delivery.headers:
        if name.startswith(_PREFIX):
            text = unquote(value, encoding="utf-8", errors="replace")
            if "\0" in text:
                raise UnexpectedResponseError("An attribute of the CloudEvent holds a NUL, which is not text.")
            event[name.removeprefix(_PREFIX)] = text
    event["data"] = data
    return event


def is_batch(delivery: InboundDelivery) -> bool:
    """Whether the body is a list of structured events (3.3)."""
    return (delivery.header("content-type") or "").partition(";")[0].strip().lower() == _BATCH


def batch(events: JsonValue) -> dict[str, JsonValue]:
    """A batch as an object, its events under `cloud_events`."""
    if not isinstance(events, list):
        raise UnexpectedResponseError("The body of the batch is not a list of CloudEvents.")
    return {_BATCHED: events}
