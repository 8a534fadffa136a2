"""What a verified delivery says: an exact JSON object and headers that prove nothing."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.contract import Event, InboundDelivery
from connectors.errors import UnexpectedResponseError
from connectors.webhook import WebhookConfig
from connectors.webhook.connector import parse

CONFIG = WebhookConfig.model_validate(
    {"verify": {"scheme": "hmac-sha256", "secret": {"env": "S"}, "header": "x-acme-hmac", "prefix": ""}}
)


def delivered(body: bytes, *headers: tuple[str, str]) -> InboundDelivery:
    return InboundDelivery(headers=headers, body=body, received_at=datetime(2026, 11, 22, tzinfo=UTC))


def test_numbers_stay_exact() -> None:
    parsed = parse(CONFIG, delivered(b'{"total": 0.10, "count": 9007199254740993, "tiny": 1e-30}'))

    assert isinstance(parsed, Event)
    assert parsed.body == {"total": Decimal("0.10"), "count": 9007199254740993, "tiny": Decimal("1e-30")}
    assert isinstance(parsed.body, dict)
    assert str(parsed.body["total"]) == "0.10"


def test_headers_come_without_proofs_and_sessions() -> None:
    parsed = parse(
        CONFIG,
        delivered(
            b"{}",
            ("content-type", "application/json"),
            ("x-acme-event", "po.approved"),
            ("x-author", "dana"),
            ("accept", "a"),
            ("accept", "b"),
            ("x-acme-hmac", "00"),
            ("authorization", "Bearer x"),
            ("proxy-authorization", "Basic x"),
            ("cookie", "a=b"),
            ("webhook-signature", "v1,x"),
            ("x-hub-signature-256", "sha256=x"),
            ("x-gitlab-token", "x"),
            ("x-api-key", "x"),
        ),
    )

    assert isinstance(parsed, Event)
    assert parsed.headers == {
        "content-type": "application/json",
        "x-acme-event": "po.approved",
        "x-author": "dana",
        "accept": "a, b",
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n", "is empty", id="blank"),
        pytest.param(b"a=1&b=2", "well-formed", id="form"),
        pytest.param(b"<po><id>7</id></po>", "HTML or XML", id="XML"),
        pytest.param(b'{"a": 1', "well-formed", id="truncated"),
        pytest.param(b'{"a": 1} {"a": 2}', "well-formed", id="two values"),
        pytest.param(b"[" * 100_000, "deeper than 64", id="100 000 arrays"),
        pytest.param(b'{"a":' * 100_000, "deeper than 64", id="100 000 objects"),
        pytest.param(b'{"a": "' + b'\\"' * 100_000, "well-formed", id="a string without end"),
        pytest.param(b'{"n": ' + b"9" * 5_000 + b"}", "more than 100 digits", id="5 000 digits"),
        pytest.param(b'{"n": 0.' + b"9" * 5_000 + b"}", "more than 100 digits", id="5 000 decimals"),
        pytest.param(b'{"n": 1e300000}', "out of range", id="1e300000"),
        pytest.param(b'{"n": 1e-300000}', "out of range", id="1e-300000"),
        pytest.param(b'{"n": 0e300000}', "out of range", id="0e300000"),
        pytest.param(b'{"n": 1e99999999999999999999}', "out of range", id="an exponent beyond Decimal"),
        pytest.param(b'{"n": NaN}', "NaN", id="NaN"),
        pytest.param(b'{"n": -Infinity}', "NaN", id="Infinity"),
        pytest.param(b'{"a": 1, "a": 1}', "key twice", id="duplicate key"),
        pytest.param(b'{"a": {"b": 1, "\\u0062": 2}}', "key twice", id="duplicate key, escaped"),
        pytest.param(b'{"a": "\\ud800"}', "surrogate", id="lone surrogate"),
        pytest.param(b'{"\\udc00": 1}', "surrogate", id="lone surrogate in a key"),
        pytest.param(b'{"a": "\\u0000"}', "NUL", id="NUL"),
        pytest.param(b'{"a": "\x00"}', "well-formed", id="raw NUL"),
        pytest.param(b'{"a": "\xff"}', "UTF-8", id="invalid UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', "UTF-8", id="a surrogate in UTF-8"),
        pytest.param('{"a": 1}'.encode("utf-16"), "UTF-8", id="UTF-16"),
        pytest.param(b'[{"a": 1}]', "not a JSON object", id="array root"),
        pytest.param(b'"text"', "not a JSON object", id="string root"),
        pytest.param(b"null", "not a JSON object", id="null root"),
    ],
)
def test_what_is_no_strict_json_object_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnexpectedResponseError, match=reason):
        parse(CONFIG, delivered(body))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a": "\\ud83d\\ude00 \\\\ud800 \\\\u0000"}', id="surrogate pair, escaped backslashes"),
        pytest.param(b'{"a": "' + b"[{" * 1_000 + b'"}', id="brackets in a string"),
        pytest.param(b'{"a": ' + b"[" * 62 + b"]" * 62 + b"}", id="63 levels"),
        pytest.param(b'{"a": [' + b"[]," * 1_000 + b"[]]}", id="wide, not deep"),
        pytest.param(b'{"n": 1.7976931348623157e308, "m": 5e-324}', id="the extremes of a double"),
    ],
)
def test_unusual_but_proper_json_is_taken(body: bytes) -> None:
    assert isinstance(parse(CONFIG, delivered(body)), Event)


def test_a_refusal_repeats_nothing_of_the_body() -> None:
    with pytest.raises(UnexpectedResponseError) as caught:
        parse(CONFIG, delivered(b'{"password": "hunter2", "x": }'))

    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
