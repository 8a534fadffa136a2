"""What tells one delivery of a connection from another: the sender's id, or the digest of the raw bytes."""

import hashlib
from typing import Any

from connectors.contract import Connector, InboundDelivery

_LONGEST_ID = 255


def dedupe_key(connector: Connector, config: Any, delivery: InboundDelivery, digest: str | None = None) -> str:
    """`id:` and the sender's id, or `sha256:` and the digest of the body (where it is known already): two kinds, so
    that no sender can name a body by its digest."""
    identity = None if connector.identify is None else connector.identify(config, delivery)
    if not identity:
        return f"sha256:{digest or hashlib.sha256(delivery.body).hexdigest()}"
    if len(identity) > _LONGEST_ID:
        identity = hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()
    return f"id:{identity}"
