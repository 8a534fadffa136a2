"""Each tool's deliveries, signed by its own or another's library where there is one, verified by ours."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from slack_sdk.signature import Clock, SignatureVerifier
from standardwebhooks import Webhook

from connectors.contract import InboundDelivery
from connectors.errors import SignatureError
from connectors.secrets import bind
from connectors.signatures import PROVIDERS
from connectors.webhook import WebhookConfig
from connectors.webhook.connector import identify, verify

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SENT = int(NOW.timestamp()) * 1000
BODY = f'{{"type": "po.approved", "note": "Größe ✓", "webhookTimestamp": {SENT}}}'.encode()
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
OTHER = "whsec_" + base64.b64encode(b"another one of thirty-two bytes!").decode()
TOKEN, OTHER_TOKEN = "gl-token-1", "gl-token-2"

Headers = list[tuple[str, str]]
Signer = Callable[[bytes, str, datetime], Headers]


def hex_hmac(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def _slack(body: bytes, secret: str, at: datetime) -> Headers:
    class _Then(Clock):
        def now(self) -> float:
            return at.timestamp()

    seconds = str(int(at.timestamp()))
    signature = SignatureVerifier(secret, _Then()).generate_signature(timestamp=seconds, body=body)
    assert signature is not None
    return [("x-slack-request-timestamp", seconds), ("x-slack-signature", signature)]


def _stripe(body: bytes, secret: str, at: datetime) -> Headers:
    seconds = int(at.timestamp())
    signature = stripe.WebhookSignature._compute_signature(f"{seconds}.{body.decode()}", secret)
    return [("stripe-signature", f"t={seconds},v1={signature},v0=6ffbb59b2300aae63f272406069a9788598b792a")]


def _standard(body: bytes, secret: str, at: datetime) -> Headers:
    return [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", str(int(at.timestamp()))),
        ("webhook-signature", Webhook(secret).sign("msg_1", at, body.decode())),
    ]


def _hub(header: str, prefix: str = "sha256=") -> Signer:
    return lambda body, secret, at: [(header, prefix + hex_hmac(secret, body))]


SIGNERS: dict[str, Signer] = {
    "jira": _hub("x-hub-signature"),
    "github": _hub("x-hub-signature-256"),
    "gitlab": _standard,
    "slack": _slack,
    "stripe": _stripe,
    "pagerduty": lambda body, secret, at: [
        ("x-pagerduty-signature", f"v1={'0' * 64},v1={hex_hmac(secret, body)}"),
    ],
    "linear": _hub("linear-signature", ""),
    "sentry": _hub("sentry-hook-signature", ""),
    "alertmanager": lambda body, secret, at: [("authorization", f"Bearer {secret}")],
    "standard-webhooks": _standard,
}
TIMED = ("gitlab", "slack", "stripe", "standard-webhooks")


def config(scheme: str, *, secret: str = SECRET, previous: str | None = None, **options: Any) -> WebhookConfig:
    given: dict[str, Any] = {"scheme": scheme, "secret": {"env": "NEW"}, **options}
    if previous is not None:
        given["previous"] = {"env": "OLD"}
    found = WebhookConfig.model_validate({"verify": given})
    return bind(found, lambda reference: {"NEW": secret, "OLD": previous}[reference.name])


def delivery(headers: Headers, body: bytes = BODY) -> InboundDelivery:
    return InboundDelivery(headers=headers, body=body, received_at=NOW)


def is_accepted(given: WebhookConfig, headers: Headers, body: bytes = BODY) -> bool:
    refusal = None
    try:
        verify(given, delivery(headers, body))
    except SignatureError as error:
        refusal = str(error)
    assert refusal is None or SECRET not in refusal
    return refusal is None


def test_every_provider_has_a_signer_here_and_names_its_source() -> None:
    assert set(SIGNERS) == set(PROVIDERS)
    assert all(provider.source.startswith("https://") for provider in PROVIDERS.values())


@pytest.mark.parametrize("scheme", sorted(SIGNERS))
def test_a_signed_delivery_is_accepted_and_nothing_else(scheme: str) -> None:
    given, sign = config(scheme), SIGNERS[scheme]
    headers = sign(BODY, SECRET, NOW)
    assert is_accepted(given, headers)
    assert not is_accepted(given, sign(BODY, OTHER, NOW))
    assert not is_accepted(given, [])
    for position, (name, value) in enumerate(headers):
        if name == "webhook-id":
            continue
        assert not is_accepted(given, [*headers, (name, value)]), "doubled"
        for changed in (f" {value}", f"{value} ", value[:-1], f"{value}é", "", "nan"):
            if scheme == "stripe" and changed == value[:-1]:
                continue  # cuts the v0 signature, which nobody reads
            replaced = [*headers[:position], (name, changed), *headers[position + 1 :]]
            assert not is_accepted(given, replaced), changed
    if scheme != "alertmanager":
        assert not is_accepted(given, headers, BODY + b" ")


@pytest.mark.parametrize("scheme", sorted(SIGNERS))
def test_both_secrets_count_while_one_is_rotated(scheme: str) -> None:
    rotating = config(scheme, secret=SECRET, previous=OTHER)
    assert is_accepted(rotating, SIGNERS[scheme](BODY, SECRET, NOW))
    assert is_accepted(rotating, SIGNERS[scheme](BODY, OTHER, NOW))
    assert not is_accepted(config(scheme), SIGNERS[scheme](BODY, OTHER, NOW))


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize(("seconds", "accepted"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_signed_time_is_bounded_both_ways(scheme: str, seconds: int, accepted: bool) -> None:
    headers = SIGNERS[scheme](BODY, SECRET, NOW + timedelta(seconds=seconds))
    assert is_accepted(config(scheme), headers) is accepted


@pytest.mark.parametrize("scheme", ["jira", "github"])
def test_sha1_is_refused(scheme: str) -> None:
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()
    for header in ("x-hub-signature", "x-hub-signature-256"):
        assert not is_accepted(config(scheme), [(header, f"sha1={digest}")])
        assert not is_accepted(config(scheme), [(header, f"sha256={digest}")])


@pytest.mark.parametrize(
    ("sent", "accepted"),
    [
        *((str(SENT + seconds * 1000), abs(seconds) <= 60) for seconds in (-61, -60, 0, 60, 61)),
        *((text, False) for text in ("null", "true", f'"{SENT}"', f"{SENT}.0", "1e999", "-1", "9" * 400, "{}")),
        ('1, "webhookTimestamp": 2', False),
    ],
)
def test_linears_time_in_the_body_is_bounded_by_a_minute(sent: str, accepted: bool) -> None:
    """As its own SDK does: https://linear.app/developers/webhooks#securing-webhooks"""
    body = f'{{"action": "update", "webhookTimestamp": {sent}}}'.encode()
    assert is_accepted(config("linear"), SIGNERS["linear"](body, SECRET, NOW), body) is accepted


@pytest.mark.parametrize("body", [b"{}", b"[]", b"not json", b"\xff", b"[" * 100_000, b'{"a": ' + b"[" * 100_000])
def test_a_linear_body_without_a_time_is_refused(body: bytes) -> None:
    assert not is_accepted(config("linear"), SIGNERS["linear"](body, SECRET, NOW), body)


def test_stripes_library_accepts_what_ours_accepts() -> None:
    ((_, header),) = _stripe(BODY, SECRET, NOW)
    assert stripe.WebhookSignature.verify_header(BODY.decode(), header, SECRET, tolerance=None)


@pytest.mark.parametrize("header", ["t={t},v1={s},t={t}", "v1={s}", "t=,v1={s}", "t=1e9,v1={s}", "t={t}", "t={t},v1="])
def test_a_stripe_header_that_is_ambiguous_or_incomplete_is_refused(header: str) -> None:
    seconds = int(NOW.timestamp())
    signature = hex_hmac(SECRET, f"{seconds}.".encode() + BODY)
    assert not is_accepted(config("stripe"), [("stripe-signature", header.format(t=seconds, s=signature))])


def test_gitlab_takes_its_token_where_nothing_is_signed() -> None:
    given = config("gitlab", secret=TOKEN, previous=OTHER_TOKEN)
    assert is_accepted(given, [("x-gitlab-token", TOKEN)])
    assert is_accepted(given, [("x-gitlab-token", OTHER_TOKEN)])
    assert not is_accepted(given, [("x-gitlab-token", TOKEN[:-1])])
    assert not is_accepted(config("gitlab"), [("x-gitlab-token", SECRET)]), "a signing secret is no token"


def test_standard_webhooks_take_ed25519_with_a_public_key() -> None:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"fixed").digest())
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    seconds = str(int(NOW.timestamp()))

    def headers(key: Ed25519PrivateKey, version: str = "v1a") -> Headers:
        signature = base64.b64encode(key.sign(f"msg_1.{seconds}.".encode() + BODY)).decode()
        return [
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", seconds),
            ("webhook-signature", f"v1,AAAA {version},{signature}"),
        ]

    given = config("standard-webhooks", secret=public)
    assert is_accepted(given, headers(private))
    assert not is_accepted(given, headers(private), BODY + b" ")
    assert not is_accepted(given, headers(private, "v1"))
    assert not is_accepted(given, headers(Ed25519PrivateKey.from_private_bytes(bytes(32))))
    # The public key is no HMAC key: who knows it must not be able to sign with it.
    raw = base64.b64decode(public.removeprefix("whpk_"))
    forged = base64.b64encode(hmac.digest(raw, f"msg_1.{seconds}.".encode() + BODY, "sha256")).decode()
    assert not is_accepted(given, [*headers(private)[:2], ("webhook-signature", f"v1,{forged}")])
    rotating = config("standard-webhooks", secret=SECRET, previous=public)
    assert is_accepted(rotating, headers(private))
    assert is_accepted(rotating, _standard(BODY, SECRET, NOW))


def test_a_sender_with_a_timestamp_of_its_own() -> None:
    given = config(
        "hmac-sha256", header="x-acme-signature", prefix="", timestamp_header="x-acme-time", signed="{timestamp}:{body}"
    )
    seconds = str(int(NOW.timestamp()))
    headers = [("x-acme-time", seconds), ("x-acme-signature", hex_hmac(SECRET, f"{seconds}:".encode() + BODY))]
    assert is_accepted(given, headers)
    old = str(int(NOW.timestamp()) - 301)
    stale = [("x-acme-time", old), ("x-acme-signature", hex_hmac(SECRET, f"{old}:".encode() + BODY))]
    assert not is_accepted(given, stale)
    assert not is_accepted(given, headers[1:])


@pytest.mark.parametrize(
    "options", [{"signed": "{timestamp}"}, {"signed": "{timestamp}.{body}"}, {"timestamp_header": "x-time"}]
)
def test_a_signed_text_and_its_timestamp_go_together(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="signed"):
        config("hmac-sha256", **options)


def test_a_password_is_checked_with_its_user() -> None:
    given = config("basic", secret="pässword", username="erp")

    def basic(text: str) -> Headers:
        return [("authorization", "Basic " + base64.b64encode(text.encode()).decode())]

    assert is_accepted(given, basic("erp:pässword"))
    for wrong in ("erp:password", "other:pässword", "erp:", ":pässword", "erp:pässword "):
        assert not is_accepted(given, basic(wrong))
    assert not is_accepted(given, [("authorization", "Bearer pässword")])


@pytest.mark.parametrize("given", [{}, {"i_accept": True}, {"i_accept": "yes"}])
def test_nobody_is_let_in_unverified_without_the_words(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="i_accept"):
        WebhookConfig.model_validate({"verify": {"scheme": "none", **given}})


def test_unverified_deliveries_are_taken_where_that_is_accepted() -> None:
    given = WebhookConfig.model_validate({"verify": {"scheme": "none", "i_accept": "forged deliveries"}})
    assert is_accepted(given, [])


@pytest.mark.parametrize(
    ("scheme", "header"),
    [
        ("jira", "x-atlassian-webhook-identifier"),
        ("github", "x-github-delivery"),
        ("gitlab", "idempotency-key"),
        ("linear", "linear-delivery"),
        ("standard-webhooks", "webhook-id"),
    ],
)
def test_a_tools_own_id_tells_its_deliveries_apart(scheme: str, header: str) -> None:
    assert identify(config(scheme), delivery([(header, "d-1")])) == "d-1"


@pytest.mark.parametrize(
    ("scheme", "body", "expected"),
    [
        ("stripe", {"id": "evt_1", "pending_webhooks": 2}, "evt_1"),
        ("slack", {"event_id": "Ev01", "id": "not this"}, "Ev01"),
        ("pagerduty", {"event": {"id": "01EV", "data": {"id": "P1"}}}, "01EV"),
        ("stripe", {"id": ""}, None),
        ("stripe", {"id": 7}, None),
        ("stripe", {"id": "a b"}, None),
        ("pagerduty", {"event": "01EV"}, None),
        ("slack", [], None),
    ],
)
def test_a_tools_own_id_in_the_body_tells_its_deliveries_apart(scheme: str, body: Any, expected: str | None) -> None:
    """It is signed, so nobody can make another delivery of one that was read; and a retry may differ elsewhere."""
    headers = [("idempotency-key", "k"), ("webhook-id", "w"), ("ce-specversion", "1.0"), ("ce-id", "1")]
    more = [("ce-source", "/forged"), ("ce-type", "forged")]
    assert identify(config(scheme), delivery(headers + more, json.dumps(body).encode())) == expected


@pytest.mark.parametrize(
    "body", [b"not json", b"\xff", b"[" * 100_000, b'{"id": ' + b"[" * 100_000, b'{"id": "\\ud800"}']
)
def test_a_body_that_can_not_be_read_has_no_id(body: bytes) -> None:
    assert identify(config("stripe"), delivery([], body)) is None


@pytest.mark.parametrize("scheme", ["slack", "stripe", "pagerduty", "sentry", "alertmanager"])
def test_without_an_id_the_digest_tells_deliveries_apart(scheme: str) -> None:
    headers = [*SIGNERS[scheme](BODY, SECRET, NOW), ("x-request-id", "r"), ("idempotency-key", "k")]
    assert identify(config(scheme), delivery(headers)) is None


def test_every_delivery_without_an_id_can_be_made_to_count() -> None:
    given = config("bearer", without_id="every")
    first = identify(given, delivery([]))
    later = InboundDelivery([], BODY, NOW + timedelta(seconds=1))
    assert first is not None
    assert first != identify(given, later)
    assert identify(given, delivery([("idempotency-key", "k")])) == "k"


# --- GitHub's own signer, where node has it --------------------------------------------------------------------------

_SIGN = """
import { sign, verify } from "@octokit/webhooks-methods";
const [secret, body, theirs] = JSON.parse(process.argv[1]);
console.log(JSON.stringify([await sign(secret, body), theirs ? await verify(secret, body, theirs) : null]));
"""


@pytest.fixture(scope="module")
def octokit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that node finds @octokit/webhooks-methods from: NODE_PATH's, or installed with npm, once a machine."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        pytest.skip("node is not installed: GitHub's own signer is not tried")
    places = [Path(path) for path in os.environ.get("NODE_PATH", "").split(os.pathsep) if path]
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "krsync-tests" / "octokit-6"
    places.append(cached / "node_modules")
    if not any((place / "@octokit" / "webhooks-methods").is_dir() for place in places):
        if npm is None:
            pytest.skip("npm is not installed: GitHub's own signer is not tried")
        cached.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--prefix", str(cached), "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]
        install += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
        done = subprocess.run(
            [*install, "@octokit/webhooks-methods@^6"], capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"npm could not install @octokit/webhooks-methods: {done.stderr.strip()[-200:]}")
    folder = tmp_path_factory.mktemp("octokit")
    found = next(place for place in places if (place / "@octokit" / "webhooks-methods").is_dir())
    (folder / "node_modules").symlink_to(found)
    return folder


def test_octokit_signs_and_we_verify(octokit: Path) -> None:
    theirs = "sha256=" + hex_hmac(SECRET, BODY)
    command = ["node", "--input-type=module", "-e", _SIGN, json.dumps([SECRET, BODY.decode(), theirs])]
    answer = subprocess.run(command, cwd=octokit, check=True, capture_output=True, text=True, timeout=60)
    signature, verified = json.loads(answer.stdout)
    assert verified is True
    assert is_accepted(config("github"), [("x-hub-signature-256", signature)])
    assert not is_accepted(config("github"), [("x-hub-signature-256", signature)], BODY + b" ")
