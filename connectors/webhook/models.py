"""The config of a webhook connection: how its sender proves who it is, and what of a body is never kept."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.headers import HeaderName
from connectors.paths import FieldPath, parse_path
from connectors.secrets import Secret
from connectors.signatures import PROVIDERS, Basic, Bearer, HmacSigned, Scheme, Standard

_Marks = Annotated[str, StringConstraints(pattern=r"^[!-~]*$", max_length=50, strict=True)]

_SCHEME = "How the sender proves itself."
_ID_HEADER = "The header with the sender's id of a delivery: one that comes again is stored once."
_WITHOUT_ID = "What tells deliveries without an id apart: their bytes, or nothing (`every` one counts)."


class _Proof(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: Secret = Field(description="What the sender proves itself with.")
    previous: Secret | None = Field(default=None, description="Accepted beside `secret` while it is being rotated.")


class _Unsigned(_Proof):
    """A proof without a signature: whoever has read a delivery can send another."""

    id_header: HeaderName | None = Field(default="idempotency-key", description=_ID_HEADER)
    without_id: Literal["digest", "every"] = Field(default="digest", description=_WITHOUT_ID)


class StandardWebhooks(_Proof):
    """Signed id, time and body (https://www.standardwebhooks.com): the scheme to choose where there is a choice.

    The secret is `whsec_` and base64, or a public key `whpk_` and base64 (Ed25519). A delivery older or newer than five
    minutes is refused.
    """

    scheme: Literal["standard-webhooks"] = Field(description=_SCHEME)

    @property
    def proof(self) -> Scheme:
        return Standard()

    @property
    def identity(self) -> str | None:
        return "webhook-id"


class NamedProvider(_Proof):
    """A tool whose headers, signed text, tolerance and delivery ids are known: `connectors.signatures.providers`."""

    scheme: Literal["jira", "github", "gitlab", "slack", "stripe", "pagerduty", "linear", "sentry", "alertmanager"] = (
        Field(description=_SCHEME)
    )

    @property
    def proof(self) -> Scheme:
        return PROVIDERS[self.scheme].scheme

    @property
    def identity(self) -> str | None:
        return PROVIDERS[self.scheme].id_header


class HmacSha256(_Proof):
    """HMAC-SHA256 in one header, for a sender that is not known by name.

    The secret's UTF-8 bytes are the key. `signed` says what is signed; with `{timestamp}` in it, `timestamp_header`
    names where the seconds are, and they may be five minutes from our clock. Else neither time nor id is signed: name
    an `id_header` only if the sender keeps it on a redelivery; without one the digest of the body tells deliveries
    apart, so two equal bodies are one delivery.
    """

    scheme: Literal["hmac-sha256"] = Field(description=_SCHEME)
    header: HeaderName = Field(default="x-hub-signature-256", description="The header with the signature.")
    prefix: _Marks = Field(default="sha256=", description="What stands before the signature in its header.")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="How the signature is written.")
    timestamp_header: HeaderName | None = Field(
        default=None, description="The header with the seconds, where they are signed."
    )
    signed: Annotated[str, StringConstraints(max_length=100, strict=True)] = Field(
        default="{body}", description="What is signed.", examples=["{timestamp}.{body}"]
    )
    id_header: HeaderName | None = Field(default=None, description=_ID_HEADER)

    @model_validator(mode="after")
    def _readable(self) -> "HmacSha256":
        if self.signed.count("{body}") != 1:
            raise PydanticCustomError("signed", "'signed' has {body} in it once")
        if ("{timestamp}" in self.signed) is not (self.timestamp_header is not None):
            raise PydanticCustomError("signed", "'timestamp_header' and {timestamp} in 'signed' go together")
        return self

    @cached_property
    def proof(self) -> Scheme:
        return HmacSigned(
            header=self.header,
            prefix=self.prefix,
            encoding=self.encoding,
            content=self.signed,
            timestamp_header=self.timestamp_header,
        )

    @property
    def identity(self) -> str | None:
        return self.id_header


class BearerToken(_Unsigned):
    """`Authorization: Bearer <secret>`, for senders that can not sign."""

    scheme: Literal["bearer"] = Field(description=_SCHEME)

    @property
    def proof(self) -> Scheme:
        return Bearer()

    @property
    def identity(self) -> str | None:
        return self.id_header


class BasicPassword(_Unsigned):
    """`Authorization: Basic`, the secret being the password, for senders that can nothing else."""

    scheme: Literal["basic"] = Field(description=_SCHEME)
    username: Annotated[str, StringConstraints(pattern=r"^[^:\x00-\x1f]+$", max_length=200, strict=True)] = Field(
        description="The name beside the password."
    )

    @property
    def proof(self) -> Scheme:
        return Basic(username=self.username)

    @property
    def identity(self) -> str | None:
        return self.id_header


class Unverified(BaseModel):
    """No proof at all: whoever knows the address can send anything. Only with these words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheme: Literal["none"] = Field(description=_SCHEME)
    i_accept: Literal["forged deliveries"] = Field(description="That you know what this means.")
    id_header: HeaderName | None = Field(default="idempotency-key", description=_ID_HEADER)
    without_id: Literal["digest", "every"] = Field(default="digest", description=_WITHOUT_ID)

    @property
    def identity(self) -> str | None:
        return self.id_header


Proof = StandardWebhooks | NamedProvider | HmacSha256 | BearerToken | BasicPassword | Unverified


def _path(text: str) -> str:
    parse_path(text)
    return text


class WebhookConfig(BaseModel):
    """A webhook connection. What `redact` names is dropped before anything is stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verify: Annotated[Proof, Field(discriminator="scheme")] = Field(description="How a sender proves who it is.")
    redact: tuple[Annotated[str, StringConstraints(max_length=200, strict=True), AfterValidator(_path)], ...] = Field(
        default=(),
        max_length=100,
        description="What is never stored: paths such as `body.user.email` or `body.alerts[*].annotations`.",
    )

    @property
    def redacted(self) -> tuple[FieldPath, ...]:
        return tuple(parse_path(text) for text in self.redact)
