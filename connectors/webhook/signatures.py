"""Who sent this: the raw bytes against the secret, in constant time, before anything is parsed.

Every function returns, or raises SignatureError; no message holds a secret, a signature or any of the body.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from connectors.contract import InboundDelivery
from connectors.errors import AuthenticationError, SignatureError
from connectors.webhook.models import BearerToken, HmacSha256, StandardWebhooks

TOLERANCE = timedelta(minutes=5)

_VISIBLE = re.compile(r"[!-~]{1,255}")
_SECONDS = re.compile(r"[0-9]{1,12}")


def verify_standard_webhooks(proof: StandardWebhooks, delivery: InboundDelivery) -> None:
    """Standard Webhooks v1: base64 HMAC-SHA256 over `id.timestamp.body`; any one signature of several may match.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    identity = _one_header(delivery, "webhook-id")
    timestamp = _one_header(delivery, "webhook-timestamp")
    signatures = _one_header(delivery, "webhook-signature").split(" ")
    if not _VISIBLE.fullmatch(identity):
        raise SignatureError("The webhook-id header is not 1 to 255 visible ASCII characters.")
    if not _SECONDS.fullmatch(timestamp):
        raise SignatureError("The webhook-timestamp header is not a number of seconds.")
    if not all(_is_visible(signature) for signature in signatures):
        raise SignatureError("The webhook-signature header is not a list of signatures.")
    _check_age(int(timestamp), delivery.received_at)
    content = f"{identity}.{timestamp}.".encode() + delivery.body
    given = [value for version, _, value in (entry.partition(",") for entry in signatures) if version == "v1"]
    if not given:
        raise SignatureError("The webhook-signature header holds no v1 signature.")
    keys = (_standard_key(secret) for secret in _secrets(proof))
    expected = [base64.b64encode(hmac.digest(key, content, "sha256")) for key in keys if key]
    if not expected:
        raise SignatureError("The secret of this connection is not whsec_ followed by base64.")
    if not _any_equal(expected, [value.encode() for value in given]):
        raise SignatureError("No signature of the delivery matches.")


def verify_hmac_sha256(proof: HmacSha256, delivery: InboundDelivery) -> None:
    """HMAC-SHA256 of the body, after `prefix` in one header, as hex (either case) or padded base64."""
    signature = _one_header(delivery, proof.header)
    if not signature.isascii() or not signature.startswith(proof.prefix):
        raise SignatureError(f"The {proof.header} header does not hold a signature of this connection's form.")
    given = signature[len(proof.prefix) :].encode()
    digests = [hmac.digest(secret.encode(), delivery.body, "sha256") for secret in _secrets(proof)]
    if proof.encoding == "hex":
        given = given.lower()
        expected = [digest.hex().encode() for digest in digests]
    else:
        expected = [base64.b64encode(digest) for digest in digests]
    if not _any_equal(expected, [given]):
        raise SignatureError("The signature of the delivery does not match.")


def verify_bearer(proof: BearerToken, delivery: InboundDelivery) -> None:
    """The token after `Bearer ` in the Authorization header (RFC 6750, 2.1)."""
    scheme, space, token = _one_header(delivery, "authorization").partition(" ")
    if scheme.lower() != "bearer" or not space or not _is_visible(token):
        raise SignatureError("The Authorization header is not `Bearer` and a token.")
    if not _any_equal([secret.encode() for secret in _secrets(proof)], [token.encode()]):
        raise SignatureError("The token of the delivery does not match.")


def _one_header(delivery: InboundDelivery, name: str) -> str:
    value = delivery.header(name)
    if not value:
        raise SignatureError(f"The {name} header is absent, empty or given more than once.")
    return value


def _is_visible(text: str) -> bool:
    return bool(text) and all("!" <= letter <= "~" for letter in text)


def _check_age(seconds: int, received_at: datetime) -> None:
    try:
        age = received_at - datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise SignatureError("The webhook-timestamp header is out of range.") from None
    if abs(age) > TOLERANCE:
        raise SignatureError("The webhook-timestamp header is more than five minutes from now.")


def _secrets(proof: StandardWebhooks | HmacSha256 | BearerToken) -> Iterator[str]:
    """The secrets that are there, the current one first; SignatureError where there is none (empty is none)."""
    found = False
    for secret in (proof.secret, proof.previous):
        try:
            value = secret.reveal() if secret is not None else ""
        except AuthenticationError:  # not bound: in a rotation the other one may still be
            value = ""
        if value and _is_encodable(value):
            found = True
            yield value
    if not found:
        raise SignatureError("The secret of this connection is not available or is empty.")


def _is_encodable(value: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _standard_key(secret: str) -> bytes:
    """The key of a `whsec_` secret; empty where it is not base64. Padding may be missing, as the reference allows."""
    text = secret.removeprefix("whsec_").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _any_equal(expected: list[bytes], given: list[bytes]) -> bool:
    """Whether any pair is equal; every pair is compared, so the time tells nothing of which."""
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    return any(matches)
