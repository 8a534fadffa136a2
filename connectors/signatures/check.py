"""The raw bytes against the secrets, in constant time, before anything is parsed.

Every function returns, or raises SignatureError; no message holds a secret, a signature or any of the body.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.contract import InboundDelivery
from connectors.errors import SignatureError
from connectors.signatures.fields import body_field
from connectors.signatures.schemes import TOLERANCE, Basic, Bearer, HmacSigned, Scheme, Standard, Token, TokenOrStandard

_VISIBLE = re.compile(r"[!-~]{1,255}")
_TOKEN = re.compile(r"[!-~]+")
_SECONDS = re.compile(r"[0-9]{1,12}")
_PUBLIC = "whpk_"
_PRIVATE = "whsec_"
_MOST_SIGNATURES = 20
#: SHA-256's block in bytes, and RFC 2104's two pads.
_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def verify(scheme: Scheme, secrets: Sequence[str], delivery: InboundDelivery) -> None:
    """Return for a delivery that one of the secrets proves (two of them while one is rotated), else SignatureError.
    Empty secrets prove nothing."""
    usable = [secret for secret in secrets if secret and _is_encodable(secret)]
    if not usable:
        raise SignatureError("The secret of this connection is not available or is empty.")
    match scheme:
        case HmacSigned():
            _hmac(scheme, usable, delivery)
        case Standard():
            _standard(usable, delivery)
        case TokenOrStandard():
            if delivery.header("webhook-signature") and any(secret.startswith(_PRIVATE) for secret in usable):
                _standard([secret for secret in usable if secret.startswith(_PRIVATE)], delivery)
            else:
                # A signing secret is never sent, so it can not be the token.
                _token(scheme.header, [secret for secret in usable if not secret.startswith(_PRIVATE)], delivery)
        case Token():
            _token(scheme.header, usable, delivery)
        case Bearer():
            _token_of("bearer", usable, delivery)
        case Basic():
            pairs = [base64.b64encode(f"{scheme.username}:{secret}".encode()).decode() for secret in usable]
            _token_of("basic", pairs, delivery)


# --- each kind of proof ----------------------------------------------------------------------------------------------


def _hmac(scheme: HmacSigned, secrets: Sequence[str], delivery: InboundDelivery) -> None:
    text = _one_header(delivery, scheme.header)
    if not text.isascii():
        raise SignatureError(f"The {scheme.header} header is not ASCII.")
    prefix, separator = scheme.prefix, scheme.separator
    parts = [text]
    if separator is not None:
        if text != text.strip():
            raise SignatureError(f"The {scheme.header} header begins or ends with a space.")
        parts = [part.strip() for part in text.split(separator)]
    given = [part[len(prefix) :].encode() for part in parts if part.startswith(prefix)][:_MOST_SIGNATURES]
    if not given:
        raise SignatureError(f"The {scheme.header} header does not hold a signature of this connection's form.")
    content = delivery.body
    timestamp = _timestamp(scheme, parts, delivery)
    if timestamp is not None:
        _check_age(timestamp, delivery.received_at, scheme.tolerance)
        before, _, after = scheme.content.replace("{timestamp}", timestamp).partition("{body}")
        content = before.encode() + content + after.encode()
    is_hex, is_proven = scheme.encoding == "hex", False
    for secret in secrets:
        digest = _digest(secret, content)
        expected = digest.hex().encode() if is_hex else base64.b64encode(digest)
        for value in given:  # each is compared, so the time tells nothing of which it was
            is_proven = hmac.compare_digest(expected, value.lower() if is_hex else value) or is_proven
    if not is_proven:
        raise SignatureError("The signature of the delivery does not match.")
    if scheme.timestamp_field is not None:
        # In what is signed: read once the signature holds.
        milliseconds = body_field(delivery.body, (scheme.timestamp_field,))
        if not isinstance(milliseconds, int) or isinstance(milliseconds, bool):
            raise SignatureError(f"The body does not hold {scheme.timestamp_field} as a number of milliseconds.")
        _check_age(str(milliseconds // 1_000), delivery.received_at, scheme.tolerance)


def _timestamp(scheme: HmacSigned, parts: Sequence[str], delivery: InboundDelivery) -> str | None:
    if scheme.timestamp_header is not None:
        return _one_header(delivery, scheme.timestamp_header)
    if scheme.timestamp_prefix is None:
        return None
    found = [part[len(scheme.timestamp_prefix) :] for part in parts if part.startswith(scheme.timestamp_prefix)]
    if len(found) != 1:
        raise SignatureError(f"The {scheme.header} header does not hold one timestamp.")
    return found[0]


def _standard(secrets: Sequence[str], delivery: InboundDelivery) -> None:
    identity = _one_header(delivery, "webhook-id")
    timestamp = _one_header(delivery, "webhook-timestamp")
    signatures = _one_header(delivery, "webhook-signature").split(" ")[:_MOST_SIGNATURES]
    if not _VISIBLE.fullmatch(identity):
        raise SignatureError("The webhook-id header is not 1 to 255 visible ASCII characters.")
    if not all(_TOKEN.fullmatch(signature) for signature in signatures):
        raise SignatureError("The webhook-signature header is not a list of signatures.")
    _check_age(timestamp, delivery.received_at)
    content = f"{identity}.{timestamp}.".encode() + delivery.body
    given: dict[str, list[bytes]] = {"v1": [], "v1a": []}
    for signature in signatures:
        version, _, value = signature.partition(",")
        given.get(version, []).append(value.encode())
    publics = [public for secret in secrets if (public := _public_key(secret)) is not None]
    keys = [key for secret in secrets if not secret.startswith(_PUBLIC) and (key := _standard_key(secret))]
    if not publics and not keys:
        raise SignatureError("The secret of this connection is not whsec_ or whpk_ followed by base64.")
    expected = [base64.b64encode(hmac.digest(key, content, "sha256")) for key in keys]
    is_proven = _any_equal(expected, given["v1"])
    for public in publics:
        for signed in given["v1a"]:
            is_proven = _is_signed(public, signed, content) or is_proven
    if not is_proven:
        raise SignatureError("No signature of the delivery matches.")


def _token(header: str, secrets: Sequence[str], delivery: InboundDelivery) -> None:
    given = _one_header(delivery, header)
    if not secrets:
        raise SignatureError("The secret of this connection signs; the delivery is not signed.")
    if not _TOKEN.fullmatch(given) or not _any_equal([secret.encode() for secret in secrets], [given.encode()]):
        raise SignatureError("The token of the delivery does not match.")


def _token_of(kind: str, expected: Sequence[str], delivery: InboundDelivery) -> None:
    scheme, space, given = _one_header(delivery, "authorization").partition(" ")
    if scheme.lower() != kind or not space or not _TOKEN.fullmatch(given):
        raise SignatureError(f"The Authorization header is not `{kind.title()}` and a token.")
    if not _any_equal([value.encode() for value in expected], [given.encode()]):
        raise SignatureError("The token of the delivery does not match.")


# --- parts -----------------------------------------------------------------------------------------------------------


def _one_header(delivery: InboundDelivery, name: str) -> str:
    value = delivery.header(name)
    if not value:
        raise SignatureError(f"The {name} header is absent, empty or given more than once.")
    return value


def _check_age(text: str, received_at: datetime, tolerance: timedelta = TOLERANCE) -> None:
    if not _SECONDS.fullmatch(text):
        raise SignatureError("The timestamp of the delivery is not a number of seconds.")
    try:
        age = received_at - datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise SignatureError("The timestamp of the delivery is out of range.") from None
    if abs(age) > tolerance:
        minutes = {1: "a minute", 5: "five minutes"}.get(tolerance // timedelta(minutes=1), str(tolerance))
        raise SignatureError(f"The timestamp of the delivery is more than {minutes} from now.")


def _digest(secret: str, content: bytes) -> bytes:
    """HMAC-SHA256 under the secret's UTF-8 bytes (RFC 2104), the key being taken in once for all deliveries: that is a
    third of what it costs at 4 KB."""
    started, finishing = _keyed(secret)
    inner, outer = started.copy(), finishing.copy()
    inner.update(content)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=256)
def _keyed(secret: str) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    key = secret.encode()
    key = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return hashlib.sha256(key.translate(_INNER)), hashlib.sha256(key.translate(_OUTER))


@lru_cache(maxsize=256)
def _is_encodable(value: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


@lru_cache(maxsize=256)
def _standard_key(secret: str) -> bytes:
    """The key of a `whsec_` secret; empty where it is not base64. Padding may be missing, as the reference allows."""
    return _decoded(secret.removeprefix(_PRIVATE))


@lru_cache(maxsize=256)
def _public_key(secret: str) -> Ed25519PublicKey | None:
    if not secret.startswith(_PUBLIC):
        return None
    try:
        return Ed25519PublicKey.from_public_bytes(_decoded(secret.removeprefix(_PUBLIC)))
    except ValueError:
        return None


def _decoded(text: str) -> bytes:
    text = text.rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_signed(public: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        public.verify(_decoded(signature.decode()), content)
    except InvalidSignature:
        return False
    return True


def _any_equal(expected: Sequence[bytes], given: Sequence[bytes]) -> bool:
    """Whether any pair is equal; every pair is compared, so the time tells nothing of which."""
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    return any(matches)
