"""What a team may write for an address that answers JSON, and what is said of what it may not."""

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.http_json import HttpJsonConfig, HttpJsonDataset, HttpJsonQuery

URL = "https://crm.acme.example/api"


@pytest.mark.parametrize(
    "given",
    [
        {"url": URL},
        {"url": f"{URL}/"},
        {"url": "http://metrics:8080"},
        {"url": URL, "token": {"env": "CRM"}},
        {"url": URL, "username": "okr", "password": {"file": "/run/secrets/crm"}},
        {"url": URL, "headers": {"X-Api-Key": {"env": "CRM"}, "Accept-Version": "2"}},
        {"url": URL, "headers": {"Authorization": {"env": "CRM"}}, "check": "/me?deep=1"},
        {"url": "http://127.0.0.1:8080", "token": {"env": "CRM"}},
    ],
)
def test_a_connection(given: dict[str, Any]) -> None:
    config = HttpJsonConfig.model_validate(given)
    assert not config.url.endswith("/")
    assert all(name == name.lower() for name in config.headers)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "crm.acme.example"}, "a URL such as"),
        ({"url": f"{URL}?key=1"}, "no user, query or fragment"),
        ({"url": "https://okr:secret@crm.acme.example"}, "no user, query or fragment"),
        ({"url": URL, "token": "literal"}, "a secret is a reference"),
        ({"url": URL, "username": "okr"}, "go together"),
        ({"url": URL, "token": {"env": "A"}, "username": "okr", "password": {"env": "B"}}, "either a token"),
        ({"url": URL, "token": {"env": "A"}, "headers": {"Authorization": {"env": "B"}}}, "either a token"),
        ({"url": "http://crm:8080", "token": {"env": "A"}}, "over https:// only"),
        ({"url": "http://crm:8080", "headers": {"x-api-key": {"env": "A"}}}, "over https:// only"),
        ({"url": URL, "headers": {"X-Api-Key": "literal"}}, "the header x-api-key is a secret"),
        ({"url": URL, "headers": {"Host": "other.example"}}, "the client's own"),
        ({"url": URL, "headers": {"a b": "1"}}, "pattern"),
        ({"url": URL, "headers": {"a": "1\r\nb: 2"}}, "pattern"),
        ({"url": URL, "check": "me"}, "a path such as"),
        ({"url": URL, "check": "/me?at={to}"}, "a check has no window"),
    ],
)
def test_what_is_no_connection(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        HttpJsonConfig.model_validate(given)


@pytest.mark.parametrize(
    ("given", "edges"),
    [
        ({"value": "body"}, set()),
        ({"path": "/stats", "value": "body.data.open"}, set()),
        ({"path": "?what=open", "value": 'body["open tickets"][0]'}, set()),
        ({"path": "/t?from={from}&to={to:date}", "value": 'headers["X-Total-Count"]'}, {"from", "to"}),
        ({"path": "/t?until={last}", "value": "body.items[*].hours", "aggregate": "avg"}, {"to"}),
        ({"post": {"query": "{ a(since: $s) { n } }", "variables": {"s": ["{from:ms}"]}}, "value": "body.a"}, {"from"}),
    ],
)
def test_a_query(given: dict[str, Any], edges: set[str]) -> None:
    query = HttpJsonQuery.model_validate(given)
    assert query.edges == edges
    assert query.windowed() == bool(edges)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"value": "data.open"}, "a path such as body.user.email"),
        ({"value": "body."}, "a path such as body.user.email"),
        ({"value": "bodyopen"}, "a path such as body.user.email"),
        ({"value": "body.size()"}, "a path such as body.user.email"),
        ({"value": "headers"}, "a path such as"),
        ({"value": "headers.a.b"}, "a header such as"),
        ({"value": "body.items[*].hours"}, "say which aggregate"),
        ({"value": "body.hours", "aggregate": "sum"}, "a path with"),
        ({"path": "stats", "value": "body.n"}, "a path such as /stats"),
        ({"path": ".evil.example/", "value": "body.n"}, "a path such as /stats"),
        ({"path": "/a b", "value": "body.n"}, "without spaces"),
        ({"path": "/a#b", "value": "body.n"}, "without spaces"),
        ({"path": "/a?since={form}", "value": "body.n"}, "{form} stands for nothing: there are {from} and {to}"),
        ({"path": "/a?since={from", "value": "body.n"}, "{ stands for nothing"),
        ({"path": "/a?since={last:unix}", "value": "body.n"}, "stands for nothing"),
    ],
)
def test_what_is_no_query(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("{", r"\{")):
        HttpJsonQuery.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"id": "item.id"},
        {"path": "/deals?page={page}&per_page=100", "items": "body.deals", "id": "item.number"},
        {"path": "/deals?after={next}", "items": "body.deals", "id": "item.id", "next": "body.cursor"},
        {"path": "/deals", "id": "item.id", "next": "body.links.next", "created": "item.at", "page": "item.url"},
        {"post": {"query": "{ deals { id } }", "after": "{next}"}, "id": "item.id", "next": "body.end"},
    ],
)
def test_a_dataset(given: dict[str, Any]) -> None:
    assert HttpJsonDataset.model_validate(given).id.startswith("item.")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "id"),
        ({"id": "id"}, "a path such as"),
        ({"id": "item"}, "a path such as"),
        ({"id": "item.ids[*]"}, "a path to one value"),
        ({"id": "item.id", "items": "deals"}, "a path such as"),
        ({"id": "item.id", "path": "/deals?since={from}"}, "{from} stands for nothing: there are {page} and {next}"),
        ({"id": "item.id", "path": "/deals?after={next}"}, "next names where"),
        ({"id": "item.id", "path": "/deals?page={page}", "next": "body.next"}, "either counted or told of"),
        ({"id": "item.id", "post": {"a": 1}, "next": "body.next"}, "what is posted says"),
    ],
)
def test_what_is_no_dataset(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("{", r"\{")):
        HttpJsonDataset.model_validate(given)
