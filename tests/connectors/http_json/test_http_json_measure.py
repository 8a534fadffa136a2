"""What becomes of an API's answers: a number, an unknown with its reason, or a failure named by its remedy."""

import contextlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from connectors.answer import Answer
from connectors.contract import Measurement, Window
from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.http import create_client, parse_policy, toolbox
from connectors.http_json import HTTP_JSON, HttpJsonConfig, HttpJsonQuery
from connectors.http_json.connector import browse, check, measure, open_http_json
from connectors.http_json.payloads import answer_of, words_of
from connectors.paths import parse_path
from connectors.secrets import bind

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
URL = "https://crm.acme.example/api"
QUARTER = Window(datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC), "Europe/Berlin")
UNBOUNDED = Window(None, None)
KEY = "crm-key-4711"


async def session(call: Any, config: dict[str, Any] | None = None) -> Any:
    given = HttpJsonConfig.model_validate({"url": URL} | (config or {}))
    async with (
        create_client(parse_policy(""), transport=httpx.AsyncHTTPTransport()) as client,
        open_http_json(bind(given, lambda _: KEY), toolbox(client, lambda: NOW)) as opened,
    ):
        return await call(opened)


async def measured(window: Window = UNBOUNDED, config: dict[str, Any] | None = None, **query: Any) -> Measurement:
    found = await session(lambda one: measure(one, HttpJsonQuery.model_validate(query), window), config)
    assert isinstance(found, Measurement)
    return found


@respx.mock
async def test_a_window_is_asked_for_in_the_forms_that_apis_take() -> None:
    asked = respx.get(url__startswith=URL).respond(json={"data": {"open": 17}})
    path = "/stats?a={from}&b={to:date}&c={from:unix}&d={to:ms}&e={last}&f={from:date}"
    found = await measured(QUARTER, path=path, value="body.data.open")
    filled = "/stats?a=2026-09-30T22:00:00Z&b=2027-01-01&c=1790805600&d=1798758000000&e=2026-12-31&f=2026-10-01"
    assert str(asked.calls.last.request.url) == URL + filled
    assert (found.value, found.observed_at, found.link) == (Decimal(17), NOW, URL + filled)
    assert found.query == f"GET {URL}{filled} → body.data.open"
    assert (found.digest or "").startswith("sha256:")


@respx.mock
async def test_what_is_posted_is_json_with_the_window_in_its_texts() -> None:
    asked = respx.post(f"{URL}/search").respond(json={"total": 3})
    post = {"since": "{from:date}", "ratio": Decimal("0.10"), "gql": "{ open }", "tags": ["{to:date}", 1, None]}
    found = await measured(QUARTER, path="/search", post=post, value="body.total")
    sent = b'{"since":"2026-10-01","ratio":0.10,"gql":"{ open }","tags":["2027-01-01",1,null]}'
    assert asked.calls.last.request.content == sent
    assert asked.calls.last.request.headers["content-type"] == "application/json"
    assert (found.value, found.link) == (Decimal(3), None)
    assert found.query == f"POST {URL}/search {sent.decode()} → body.total"


@respx.mock
@pytest.mark.parametrize(
    ("config", "header", "sent"),
    [
        ({"token": {"env": "K"}}, "authorization", f"Bearer {KEY}"),
        ({"username": "okr", "password": {"env": "K"}}, "authorization", "Basic b2tyOmNybS1rZXktNDcxMQ=="),
        ({"headers": {"X-Api-Key": {"env": "K"}}}, "x-api-key", KEY),
        ({"headers": {"Accept-Version": "2"}}, "accept-version", "2"),
        ({"headers": {"accept": "application/vnd.acme+json"}}, "accept", "application/vnd.acme+json"),
    ],
)
async def test_the_account_goes_along(config: dict[str, Any], header: str, sent: str) -> None:
    asked = respx.get(URL).respond(json={"n": 1})
    await measured(config=config, value="body.n")
    assert asked.calls.last.request.headers[header] == sent


@respx.mock
@pytest.mark.parametrize(
    ("body", "value", "expected"),
    [
        (b'{"n": 0.1}', "body.n", "0.1"),
        (b'{"n": 12345678901234567890.123456789}', "body.n", "12345678901234567890.123456789"),
        (b'{"n": "1200.50"}', "body.n", "1200.50"),
        (b'{"n": 0}', "body.n", "0"),
        (b'{"n": -3}', "body.n", "-3"),
        (b"42", "body", "42"),
        (b'[{"n": 1}, {"n": 7}]', "body[1].n", "7"),
        (b'{"open tickets": {"x-y": 5}}', 'body["open tickets"].x-y', "5"),
    ],
)
async def test_numbers_are_exact(body: bytes, value: str, expected: str) -> None:
    respx.get(URL).respond(content=body)
    assert str((await measured(value=value)).value) == expected


@respx.mock
@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {}}, {"data": {"open": None}}, {"data": [1]}, []])
async def test_what_is_not_there_is_unknown_and_not_zero(body: Any) -> None:
    respx.get(URL).respond(json=body)
    found = await measured(value="body.data.open")
    assert (found.value, found.reason) == (None, "the answer has nothing at body.data.open")


@respx.mock
@pytest.mark.parametrize("open_", ["17 tickets", "", "1,200", "NaN", "0x1F", True, {"n": 1}, [1]])
async def test_what_is_no_number_is_an_error_that_says_what_it_is(open_: Any) -> None:
    respx.get(URL).respond(json={"open": open_})
    with pytest.raises(QueryError, match=r"at body\.open where a number is asked for"):
        await measured(value="body.open")


@respx.mock
@pytest.mark.parametrize(
    ("how", "expected"),
    [("sum", "8.25"), ("count", "4"), ("avg", "2.0625"), ("median", "1.75"), ("min", "0.25"), ("max", "4.5")],
)
async def test_several_numbers_become_one(how: str, expected: str) -> None:
    items = [{"h": 1}, {"h": "2.5"}, {"h": None}, {"h": 4.5}, {"h": 0.25}]
    respx.get(URL).respond(json={"items": items})
    assert (await measured(value="body.items[*].h", aggregate=how)).value == Decimal(expected)


@respx.mock
@pytest.mark.parametrize(
    ("body", "how", "expected"),
    [
        ({"items": []}, "sum", Decimal(0)),
        ({"items": []}, "count", Decimal(0)),
        ({"items": []}, "avg", None),
        ({}, "sum", None),
        ({"items": None}, "count", None),
        ({"items": {"h": 1}}, "count", None),
        ({"items": [{"hours": 3}]}, "sum", None),  # the field goes by another name by now
        ({"items": [{"hours": 3}]}, "count", None),
    ],
)
async def test_nothing_is_zero_only_where_an_empty_list_says_so(body: Any, how: str, expected: Decimal | None) -> None:
    respx.get(URL).respond(json=body)
    found = await measured(value="body.items[*].h", aggregate=how)
    assert found.value == expected
    assert (found.reason is None) == (expected is not None)


@respx.mock
async def test_a_number_may_be_in_a_header() -> None:
    respx.get(URL).respond(json=[], headers={"X-Total-Count": "123"})
    found = await measured(value='headers["X-Total-Count"]')
    assert found.value == 123
    assert (await measured(value="headers.x-count")).reason == "the answer has nothing at headers.x-count"
    respx.get(URL).respond(json=[], headers={"X-Total-Count": "124"})
    assert (await measured(value='headers["X-Total-Count"]')).digest != found.digest


@respx.mock
async def test_one_page_of_several_is_no_aggregate() -> None:
    link = f'<{URL}?page=1>; rel="prev", <{URL}?page=3>; rel="next"'
    respx.get(URL).respond(json={"items": [1]}, headers={"Link": link})
    with pytest.raises(QueryError, match="one page of several"):
        await measured(value="body.items[*]", aggregate="sum")
    assert (await measured(value="body.items[0]")).value == 1


@pytest.mark.parametrize(
    ("window", "path", "said"),
    [
        (QUARTER, "/n", "a window that its query ignores"),
        (Window(None, NOW - timedelta(days=1)), "/n", "tells of now"),
        (Window(NOW - timedelta(days=9), NOW - timedelta(days=1)), "/n?since={from}", "tells of now"),
        (UNBOUNDED, "/n?since={from}", "has no such edge"),
    ],
)
async def test_a_window_that_can_not_be_asked_for_is_an_error_and_asks_nothing(
    window: Window, path: str, said: str
) -> None:
    with pytest.raises(QueryError, match=said), respx.mock:
        await measured(window, path=path, value="body.n")


@respx.mock
@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (401, {}, AuthenticationError),
        (403, {}, AccessDeniedError),
        (403, {"retry-after": "5"}, RateLimitedError),
        (404, {}, QueryError),
        (422, {}, QueryError),
        (429, {"retry-after": "5"}, RateLimitedError),
        (500, {}, UnavailableError),
        (503, {"retry-after": "5"}, UnavailableError),
        (301, {"location": "https://other.example/"}, UnexpectedResponseError),
    ],
)
async def test_a_refusal_is_named_by_its_remedy_in_the_apis_own_words(
    status: int, headers: dict[str, str], expected: type[ConnectorError]
) -> None:
    said = {"error": {"message": f"no such\nreport for {KEY}"}}
    respx.get(URL).respond(status, json=said, headers=headers)
    with pytest.raises(expected, match=r"crm\.acme\.example .*: no such report for \[credential\]") as caught:
        await measured(config={"headers": {"x-api-key": {"env": "K"}}}, value="body.n")
    if "retry-after" in headers and isinstance(caught.value, RateLimitedError | UnavailableError):
        assert caught.value.retry_after == timedelta(seconds=5)


@respx.mock
async def test_an_answer_that_is_too_large_is_no_value() -> None:
    respx.get(URL).respond(content=b"[" + b"1," * 20_000_000 + b"1]")
    with pytest.raises(UnexpectedResponseError, match="is larger than"):
        await measured(value="body[0]")


@respx.mock
async def test_a_check_asks_the_path_that_it_is_told() -> None:
    respx.get(f"{URL}/me").respond(json={"me": "okr"})
    respx.get(URL).respond(404, json={})
    assert (await session(check, {"check": "/me"})).summary == f"{URL}/me answers JSON."
    with pytest.raises(QueryError, match="Name a path that answers beside the url: check: /me"):
        await session(check)


def test_what_a_person_may_open() -> None:
    config = HttpJsonConfig(url=URL)
    assert browse(config, HttpJsonQuery(path="/stats", value="body.n")) == f"{URL}/stats"
    assert browse(config, HttpJsonQuery(path="/stats?since={from}", value="body.n")) is None
    assert browse(config, HttpJsonQuery(post={}, value="body.n")) is None
    assert HTTP_JSON.capabilities == ("check", "measure", "read")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "too  wide", "title": "Bad"}, "too wide"),
        ({"error": "invalid_request", "error_description": "no scope"}, "no scope"),
        ({"errors": [{"message": "first"}, {"message": "second"}]}, "first"),
        ({"error": {"code": 5}}, None),
        (["x"], "x"),
        ({}, None),
        (7, None),
    ],
)
def test_where_apis_say_what_is_wrong(body: Any, words: str | None) -> None:
    assert words_of(body) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
)


@given(document=JSON, path=st.sampled_from(["body.a", "body.a[0].b", "body.a[*]", "body[*].b[*]", "body[2]"]))
def test_any_answer_is_a_number_an_unknown_or_a_failure(document: Any, path: str) -> None:
    steps = parse_path(path)
    with contextlib.suppress(ConnectorError):
        found = answer_of(document, steps, "sum" if None in steps else None, path)
        assert isinstance(found, Answer)
        assert (found.value is None) != (found.reason is None)
        assert found.value is None or found.value.is_finite()
