"""Who may send: every scheme against its reference, and every signature that must be refused."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from connectors.contract import InboundDelivery
from connectors.errors import SignatureError
from connectors.secrets import bind
from connectors.webhook import WEBHOOK, WebhookConfig
from connectors.webhook.connector import identify, verify

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
BODY = '{"event": "po.approved", "note": "Größe ✓"}'.encode()
CURRENT = "whsec_" + base64.b64encode(b"current secret of 24 byt").decode()
PREVIOUS = "whsec_" + base64.b64encode(b"previous secret of 24 by").decode()
SECRETS = {"CURRENT": CURRENT, "PREVIOUS": PREVIOUS, "EMPTY": "", "NOT_BASE64": "whsec_!!!", "PLAIN": "pässword"}


def config(scheme: str, secret: str = "CURRENT", **options: object) -> WebhookConfig:
    given = WebhookConfig.model_validate({"verify": {"scheme": scheme, "secret": {"env": secret}, **options}})
    return bind(given, lambda reference: SECRETS.get(reference.name))


def delivery(*headers: tuple[str, str], body: bytes = BODY) -> InboundDelivery:
    return InboundDelivery(headers=headers, body=body, received_at=NOW)


def standard_headers(
    *, secret: str = CURRENT, at: datetime = NOW, identity: str = "msg_1", body: bytes = BODY
) -> list[tuple[str, str]]:
    """Signed by the reference library."""
    signature = Webhook(secret).sign(identity, at, body.decode())
    seconds = str(int(at.timestamp()))
    return [("webhook-id", identity), ("webhook-timestamp", seconds), ("webhook-signature", signature)]


def with_header(headers: Sequence[tuple[str, str]], name: str, value: str) -> list[tuple[str, str]]:
    return [(key, value if key == name else old) for key, old in headers]


def hub(body: bytes = BODY, secret: str = CURRENT) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


# --- Standard Webhooks -----------------------------------------------------------------------------------------------


def test_a_delivery_signed_by_the_reference_is_accepted() -> None:
    verify(config("standard-webhooks"), delivery(*standard_headers()))


def test_a_secret_without_prefix_or_padding_is_the_same_secret() -> None:
    SECRETS["BARE"] = CURRENT.removeprefix("whsec_").rstrip("=")

    verify(config("standard-webhooks", "BARE"), delivery(*standard_headers()))


def test_a_body_that_is_no_text_is_verified_as_bytes() -> None:
    body = b"\xff\x00 not text"
    key = base64.b64decode(CURRENT.removeprefix("whsec_"))
    seconds = str(int(NOW.timestamp()))
    signature = base64.b64encode(hmac.digest(key, f"m.{seconds}.".encode() + body, "sha256")).decode()
    headers = [("webhook-id", "m"), ("webhook-timestamp", seconds), ("webhook-signature", f"v1,{signature}")]

    verify(config("standard-webhooks"), delivery(*headers, body=body))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_matching_signature_of_several_is_enough(position: int) -> None:
    signed = standard_headers()
    entries = ["v1a,c2lnbmF0dXJl", "v1,AAAA"]
    entries.insert(position, signed[2][1])

    verify(config("standard-webhooks"), delivery(*with_header(signed, "webhook-signature", " ".join(entries))))


@pytest.mark.parametrize("secret", [CURRENT, PREVIOUS])
def test_both_secrets_are_accepted_while_one_is_rotated(secret: str) -> None:
    rotating = config("standard-webhooks", previous={"env": "PREVIOUS"})

    verify(rotating, delivery(*standard_headers(secret=secret)))


def test_the_old_secret_is_refused_after_the_rotation() -> None:
    with pytest.raises(SignatureError, match="No signature"):
        verify(config("standard-webhooks"), delivery(*standard_headers(secret=PREVIOUS)))


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_timestamp_within_five_minutes_is_accepted(seconds: int) -> None:
    verify(config("standard-webhooks"), delivery(*standard_headers(at=NOW + timedelta(seconds=seconds))))


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_timestamp_301_seconds_away_is_refused_though_signed(seconds: int) -> None:
    with pytest.raises(SignatureError, match="five minutes"):
        verify(config("standard-webhooks"), delivery(*standard_headers(at=NOW + timedelta(seconds=seconds))))


SIGNED = standard_headers()
SIGNATURE = SIGNED[2][1]
SHA1 = base64.b64encode(hmac.new(b"current secret of 24 byt", BODY, hashlib.sha1).digest()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no signature"),
        pytest.param(SIGNED[:2], id="no signature header"),
        pytest.param(SIGNED[1:], id="no id"),
        pytest.param([SIGNED[0], SIGNED[2]], id="no timestamp"),
        pytest.param([*SIGNED, SIGNED[2]], id="duplicated signature"),
        pytest.param([*SIGNED, SIGNED[0]], id="duplicated id"),
        pytest.param([*SIGNED, SIGNED[1]], id="duplicated timestamp"),
        pytest.param(with_header(SIGNED, "webhook-id", "msg_2"), id="another id"),
        pytest.param(with_header(SIGNED, "webhook-id", "msg 1"), id="id with a space"),
        pytest.param(with_header(SIGNED, "webhook-id", "m" * 256), id="long id"),
        *(
            pytest.param(with_header(SIGNED, "webhook-timestamp", value), id=f"timestamp {value!r}")
            for value in [
                *("nan", "inf", "-1", "+1795339800", "1795339800.0", " 1795339800", "1e9", "9" * 12, "9" * 400),
                *("", "１７９５", "0x6b", "1_795_339_800"),
            ]
        ),
        *(
            pytest.param(with_header(SIGNED, "webhook-signature", value), id=f"signature {value!r}")
            for value in [
                *(f" {SIGNATURE}", f"{SIGNATURE} ", f"{SIGNATURE}  {SIGNATURE}", f"\t{SIGNATURE}", f"{SIGNATURE}\n"),
                *("", " ", "v1", "v1,", "v1,=", "v1,!!!", "v1,AAAA", f"v2,{SIGNATURE[3:]}", SIGNATURE[3:]),
                *(SIGNATURE[:-1], SIGNATURE + "=", SIGNATURE.lower(), "v1,é", f"v1,{SIGNATURE[3:]}é", f"v1,{SHA1}"),
                *(f"sha1,{SHA1}", SIGNATURE.replace(",", ", ")),
            ]
        ),
    ],
)
def test_anything_but_the_right_signature_is_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(SignatureError):
        verify(config("standard-webhooks"), delivery(*headers))


def test_another_body_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify(config("standard-webhooks"), delivery(*SIGNED, body=BODY + b" "))


@pytest.mark.parametrize("secret", ["EMPTY", "ABSENT", "NOT_BASE64"])
def test_a_secret_that_is_empty_absent_or_no_base64_refuses_everybody(secret: str) -> None:
    """An empty key signs too: whoever guesses that it is empty must not get in."""
    with pytest.raises(SignatureError, match="secret of this connection"):
        verify(config("standard-webhooks", secret), delivery(*SIGNED))


def test_a_missing_new_secret_leaves_the_previous_one_working() -> None:
    rotating = config("standard-webhooks", "ABSENT", previous={"env": "PREVIOUS"})

    verify(rotating, delivery(*standard_headers(secret=PREVIOUS)))


# --- HMAC-SHA256 -----------------------------------------------------------------------------------------------------


def test_the_example_of_github_is_accepted() -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    SECRETS["GITHUB"] = "It's a Secret to Everybody"
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    verify(config("hmac-sha256", "GITHUB"), delivery(("x-hub-signature-256", signature), body=b"Hello, World!"))


def test_hex_digits_may_be_of_either_case() -> None:
    prefix, _, digits = hub().partition("=")

    verify(config("hmac-sha256"), delivery(("x-hub-signature-256", f"{prefix}={digits.upper()}")))


def test_a_sender_with_its_own_header_prefix_and_encoding() -> None:
    custom = config("hmac-sha256", "PLAIN", header="X-Acme-Hmac", prefix="", encoding="base64")
    signature = base64.b64encode(hmac.digest("pässword".encode(), BODY, "sha256")).decode()

    verify(custom, delivery(("x-acme-hmac", signature)))


@pytest.mark.parametrize("secret", [CURRENT, PREVIOUS])
def test_both_keys_are_accepted_while_one_is_rotated(secret: str) -> None:
    rotating = config("hmac-sha256", previous={"env": "PREVIOUS"})

    verify(rotating, delivery(("x-hub-signature-256", hub(secret=secret))))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("x-hub-signature-256", "")],
        [("x-hub-signature-256", hub()), ("x-hub-signature-256", hub())],
        [("x-hub-signature", hub())],
        [("x-hub-signature-256", hub(b"another body"))],
        [("x-hub-signature-256", hub(secret="another secret"))],
        [("x-hub-signature-256", "sha1=" + hmac.new(CURRENT.encode(), BODY, hashlib.sha1).hexdigest())],
        [("x-hub-signature-256", "sha256=" + hmac.new(CURRENT.encode(), BODY, hashlib.sha1).hexdigest())],
        [("x-hub-signature-256", " " + hub())],
        [("x-hub-signature-256", hub() + " ")],
        [("x-hub-signature-256", hub().replace("=", "= "))],
        [("x-hub-signature-256", hub()[:-1])],
        [("x-hub-signature-256", hub() + "é")],
        [("x-hub-signature-256", "sha256=" + "é" * 64)],
        [("x-hub-signature-256", hub().removeprefix("sha256="))],
        [("x-hub-signature-256", hub().upper())],
        [("x-hub-signature-256", "sha256=")],
    ],
)
def test_anything_but_the_right_hmac_is_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(SignatureError):
        verify(config("hmac-sha256"), delivery(*headers))


def test_an_empty_key_refuses_a_delivery_signed_with_it() -> None:
    with pytest.raises(SignatureError, match="empty"):
        verify(config("hmac-sha256", "EMPTY"), delivery(("x-hub-signature-256", hub(secret=""))))


# --- bearer ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [f"Bearer {CURRENT}", f"bearer {CURRENT}", f"Bearer {PREVIOUS}"])
def test_the_right_token_is_accepted(value: str) -> None:
    verify(config("bearer", previous={"env": "PREVIOUS"}), delivery(("authorization", value)))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", CURRENT)],
        [("authorization", f"Basic {CURRENT}")],
        [("authorization", f"Bearer  {CURRENT}")],
        [("authorization", f" Bearer {CURRENT}")],
        [("authorization", f"Bearer {CURRENT} ")],
        [("authorization", f"Bearer {CURRENT[:-1]}")],
        [("authorization", f"Bearer {PREVIOUS}")],
        [("authorization", f"Bearer {CURRENT}é")],
        [("authorization", f"Bearer {CURRENT}"), ("authorization", f"Bearer {CURRENT}")],
        [("x-authorization", f"Bearer {CURRENT}")],
    ],
)
def test_anything_but_the_right_token_is_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(SignatureError):
        verify(config("bearer"), delivery(*headers))


@pytest.mark.parametrize("secret", ["EMPTY", "ABSENT"])
def test_an_empty_or_absent_token_refuses_everybody(secret: str) -> None:
    with pytest.raises(SignatureError, match="secret of this connection"):
        verify(config("bearer", secret), delivery(("authorization", "Bearer x")))


# --- identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "headers", "expected"),
    [
        (config("standard-webhooks"), [("webhook-id", "msg_1"), ("idempotency-key", "k")], "msg_1"),
        (config("standard-webhooks"), [("idempotency-key", "k")], None),
        (config("hmac-sha256"), [("webhook-id", "msg_1"), ("idempotency-key", "k"), ("x-request-id", "r")], None),
        (config("hmac-sha256", id_header="X-Delivery"), [("x-delivery", "d-1")], "d-1"),
        (config("bearer"), [("idempotency-key", "k"), ("x-request-id", "r")], "k"),
        (config("bearer"), [("x-request-id", "r")], None),
        (config("bearer", id_header=None), [("idempotency-key", "k")], None),
        (config("bearer"), [("idempotency-key", "k"), ("idempotency-key", "k")], None),
        (config("bearer"), [("idempotency-key", "k" * 256)], None),
        (config("bearer"), [("idempotency-key", "ké")], None),
        (config("bearer"), [("idempotency-key", "")], None),
    ],
)
def test_the_id_is_one_that_the_sender_keeps_on_a_redelivery(
    given: WebhookConfig, headers: list[tuple[str, str]], expected: str | None
) -> None:
    assert identify(given, delivery(*headers)) == expected


@pytest.mark.parametrize("length", [1, 63, 64, 65, 300])
def test_a_secret_may_be_shorter_and_longer_than_a_block(length: int) -> None:
    SECRETS["SIZED"] = secret = "é" + "k" * (length - 1)
    for body in (b"", BODY, bytes(10_000)):
        verify(config("hmac-sha256", "SIZED"), delivery(("x-hub-signature-256", hub(body, secret)), body=body))
        with pytest.raises(SignatureError, match="does not match"):
            verify(
                config("hmac-sha256", "SIZED"), delivery(("x-hub-signature-256", hub(body + b" ", secret)), body=body)
            )


def test_the_connector_has_the_hooks_of_a_push_only_tool() -> None:
    assert WEBHOOK.capabilities == ("verify", "parse")
    assert WEBHOOK.identify is identify
