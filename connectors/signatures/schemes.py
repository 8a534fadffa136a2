"""The kinds of proof that senders give, as values."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

#: How far a signed timestamp may be from our clock, either way: what Slack, Stripe and Standard Webhooks recommend.
TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacSigned:
    """HMAC-SHA256 in a header, keyed with the secret's UTF-8 bytes.

    `prefix` stands before each signature; with `separator` there may be several, and any one may match, while parts
    with another prefix are ignored. `content` is what is signed, `{timestamp}` and `{body}` filled in. The timestamp
    (seconds, signed) is the value of `timestamp_header`, or the part of the signature's header that begins with
    `timestamp_prefix`, or (milliseconds) the number under `timestamp_field` of the body. It may be `tolerance` away
    from our clock, either way.
    """

    header: str
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    separator: str | None = None
    content: str = "{body}"
    timestamp_header: str | None = None
    timestamp_prefix: str | None = None
    timestamp_field: str | None = None
    tolerance: timedelta = TOLERANCE

    @property
    def proofs(self) -> tuple[str, ...]:
        return (self.header,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """Standard Webhooks: `v1` HMAC-SHA256 with a `whsec_` secret, `v1a` Ed25519 with a `whpk_` public key, over
    `id.timestamp.body`. https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

    proofs: tuple[str, ...] = ("webhook-signature",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The secret itself in a header."""

    header: str

    @property
    def proofs(self) -> tuple[str, ...]:
        return (self.header,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOrStandard:
    """Standard Webhooks where the secret is a `whsec_` one, else the secret itself in a header."""

    header: str

    @property
    def proofs(self) -> tuple[str, ...]:
        return (self.header, "webhook-signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """`Authorization: Bearer <secret>` (RFC 6750, 2.1)."""

    proofs: tuple[str, ...] = ("authorization",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """`Authorization: Basic base64(username:secret)` in UTF-8 (RFC 7617)."""

    username: str
    proofs: tuple[str, ...] = ("authorization",)


Scheme: TypeAlias = HmacSigned | Standard | Token | TokenOrStandard | Bearer | Basic
"""`proofs` names the headers that carry the proof: they are never kept."""
