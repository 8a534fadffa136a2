"""The config of a webhook connection: how its sender proves who it is."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from connectors.secrets import Secret

# A field name of RFC 9110, 5.1; compared in lower case.
HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=100, to_lower=True, strict=True)
]


class _Proof(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: Secret
    previous: Secret | None = Field(default=None, description="Accepted beside `secret` while it is being rotated.")


class StandardWebhooks(_Proof):
    """Signed id, time and body (https://www.standardwebhooks.com): the scheme to choose where there is a choice.

    The secret is `whsec_` and base64. A delivery older or newer than five minutes is refused.
    """

    scheme: Literal["standard-webhooks"]


class HmacSha256(_Proof):
    """HMAC-SHA256 of the body in one header, as GitHub, Shopify and many others send it.

    The secret's UTF-8 bytes are the key. Neither time nor id is signed: name an `id_header` only if the sender keeps
    it on a redelivery; else the digest of the body tells deliveries apart, so two equal bodies are one delivery.
    """

    scheme: Literal["hmac-sha256"]
    header: HeaderName = "x-hub-signature-256"
    prefix: Annotated[str, StringConstraints(pattern=r"^[!-~]*$", max_length=50, strict=True)] = "sha256="
    encoding: Literal["hex", "base64"] = "hex"
    id_header: HeaderName | None = None


class BearerToken(_Proof):
    """`Authorization: Bearer <secret>`, for senders that can not sign."""

    scheme: Literal["bearer"]
    id_header: HeaderName | None = "idempotency-key"


class WebhookConfig(BaseModel):
    """A webhook connection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verify: Annotated[StandardWebhooks | HmacSha256 | BearerToken, Field(discriminator="scheme")]
