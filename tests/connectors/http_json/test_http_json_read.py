"""Lists as records: every way in which APIs cut them into pages, and nothing of a list that ends early."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.boundary import check_page
from connectors.contract import Cursor, Page
from connectors.errors import AuthenticationError, UnavailableError, UnexpectedResponseError
from connectors.http import create_client, parse_policy, toolbox
from connectors.http_json import HttpJsonConfig, HttpJsonDataset
from connectors.http_json.connector import browse, open_http_json
from connectors.http_json.reading import fetch, read, sweep
from connectors.secrets import bind

URL = "https://crm.acme.example/api"
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DEALS = [{"id": number, "amount": Decimal(number) / 4} for number in range(1, 8)]


class Api:
    """An API with seven deals, three a page, in the way of cutting them that its path names."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(str(request.url).removeprefix(URL))
        query, place = request.url.params, request.url.path.removeprefix("/api/")
        if place == "broken" and query.get("page") == "2":
            return httpx.Response(503)
        start = int(query.get("start") or 0) if "page" not in query else (int(query["page"]) - 1) * 3
        if place == "last-again":
            start = min(start, 6)
        if request.method == "POST":
            start = int(_json(request)["after"] or 0)
        deals = [{"id": deal["id"], "amount": str(deal["amount"])} for deal in DEALS[start : start + 3]]
        after = start + 3 if start + 3 < len(DEALS) else None
        said = {"deals": deals, "next": None if after is None else f"?start={after}", "cursor": after}
        links = {
            "linked": f'<{URL}/linked?start={after}>; rel="next"',
            "elsewhere": '<https://other.example/x>; rel="next"',
            "circle": f'<{URL}/circle?start=0>; rel="next"',
        }
        headers = {"link": links[place]} if place in links and after is not None else {}
        return httpx.Response(200, json=said, headers=headers)


def _json(request: httpx.Request) -> Any:
    return httpx.Response(200, content=request.content).json()


async def session(site: Any, call: Any, **config: Any) -> Any:
    bound = bind(HttpJsonConfig.model_validate({"url": URL} | config), lambda _: "token-0815")
    async with (
        create_client(parse_policy(""), transport=httpx.MockTransport(site)) as client,
        open_http_json(bound, toolbox(client, lambda: NOW)) as opened,
    ):
        return await call(opened)


async def pages(site: Any, dataset: dict[str, Any], cursor: Cursor | None = None, **config: Any) -> list[Page]:
    asked = HttpJsonDataset.model_validate({"items": "body.deals", "id": "item.id"} | dataset)

    async def call(opened: Any) -> list[Page]:
        return [check_page(page) async for page in read(opened, asked, cursor)]

    found = await session(site, call, **config)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("dataset", "asked"),
    [
        ({"path": "/linked"}, ["/linked", "/linked?start=3", "/linked?start=6"]),
        ({"path": "/paged?page={page}"}, ["/paged?page=1", "/paged?page=2", "/paged?page=3", "/paged?page=4"]),
        ({"path": "/told", "next": "body.next"}, ["/told", "/told?start=3", "/told?start=6"]),
        ({"path": "/token?start={next}", "next": "body.cursor"}, ["/token?start=", "/token?start=3", "/token?start=6"]),
        ({"path": "/post", "post": {"after": "{next}"}, "next": "body.cursor"}, ["/post", "/post", "/post"]),
    ],
)
async def test_a_list_is_read_to_its_end(dataset: dict[str, Any], asked: list[str]) -> None:
    api = Api()
    *some, last = await pages(api, dataset)
    assert [change.entity for page in some for change in page.changes] == list("1234567")
    assert some[0].changes[3].fields == {"id": 4, "amount": "1"}
    assert last.cursor is not None
    assert api.requests == asked


async def test_one_page_alone_is_a_list_too() -> None:
    api = Api()
    await pages(api, {"path": "/alone"})
    assert api.requests == ["/alone"]


async def test_a_list_that_breaks_off_gives_nothing() -> None:
    with pytest.raises(UnavailableError):
        await pages(Api(), {"path": "/broken?page={page}"})


@pytest.mark.parametrize(
    ("path", "said"), [("/elsewhere", "would be elsewhere"), ("/circle", r"of crm\.acme\.example does not end")]
)
async def test_a_list_that_leads_astray_is_not_followed(path: str, said: str) -> None:
    api = Api()
    with pytest.raises(UnexpectedResponseError, match=said):
        await pages(api, {"path": path}, token={"env": "CRM"})
    assert len(api.requests) <= 2


async def test_a_page_that_is_the_one_before_is_no_end() -> None:
    api = Api()
    with pytest.raises(UnexpectedResponseError, match="page 4 with the page before"):
        await pages(api, {"path": "/last-again?page={page}"})
    assert len(api.requests) == 4


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, r"no list at body\.deals"),
        ({"deals": {"id": 1}}, r"no list at body\.deals"),
        ({"deals": [{"name": "x"}]}, r"nothing at item\.id"),
        ({"deals": [{"id": ""}]}, r"nothing at item\.id"),
        ({"deals": [{"id": 1.5}]}, r"nothing at item\.id"),
        ({"deals": [7]}, r"nothing at item\.id"),
    ],
)
async def test_what_is_no_list_of_objects_with_ids_is_nothing(body: Any, said: str) -> None:
    with pytest.raises(UnexpectedResponseError, match=said):
        await pages(lambda _: httpx.Response(200, json=body), {})


async def test_a_list_that_did_not_change_is_not_handed_over_again() -> None:
    first = await pages(Api(), {"path": "/linked"})
    (again,) = await pages(Api(), {"path": "/linked"}, first[-1].cursor)
    assert (again.changes, again.cursor) == ((), first[-1].cursor)
    assert len(await pages(Api(), {"path": "/linked?x=1"}, first[-1].cursor)) == 2


async def test_a_run_reads_a_list_once() -> None:
    api, dataset = Api(), HttpJsonDataset(path="/linked", items="body.deals", id="item.id")

    async def call(opened: Any) -> Any:
        async for _ in read(opened, dataset, None):
            pass
        ids = [entity async for batch in sweep(opened, dataset) for entity in batch]
        (page,) = [page async for page in fetch(opened, dataset, {"2": "", "9": "9"}, None)]
        return ids, [change.entity for change in page.changes], dict(page.absent)

    assert await session(api, call) == (list("1234567"), ["2"], {"9": "deleted"})
    assert len(api.requests) == 3


@pytest.mark.parametrize(
    ("at", "created"),
    [
        ("2026-10-01T08:00:00+02:00", datetime(2026, 10, 1, 6, tzinfo=UTC)),
        ("2026-10-01T08:00:00Z", datetime(2026, 10, 1, 8, tzinfo=UTC)),
        ("2026-10-01", datetime(2026, 10, 1, tzinfo=UTC)),
        (1790841600, datetime(2026, 10, 1, 8, tzinfo=UTC)),
        (1790841600500, datetime(2026, 10, 1, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("soon", None),
        (10**30, None),
        (True, None),
        (None, None),
    ],
)
async def test_an_item_has_its_moment_its_page_and_its_parts(at: Any, created: datetime | None) -> None:
    item = {"key": {"id": "D-1"}, "at": at, "url": "https://crm.acme.example/d/1", "tags": ["a", 0.5]}
    dataset = {"items": "body", "id": "item.key.id", "created": "item.at", "page": "item.url"}
    first, _ = await pages(lambda _: httpx.Response(200, json=[item]), dataset)
    (record,) = first.changes
    assert (record.entity, record.created, record.link) == ("D-1", created, "https://crm.acme.example/d/1")
    assert record.fields["tags"] == ["a", Decimal("0.5")]


async def test_a_page_that_is_no_address_is_no_link() -> None:
    items = [{"id": 1, "url": "javascript:alert(1)"}]
    first, _ = await pages(lambda _: httpx.Response(200, json=items), {"items": "body", "page": "item.url"})
    assert first.changes[0].link is None


async def test_a_refused_credential_pauses_the_connection() -> None:
    with pytest.raises(AuthenticationError):
        await pages(lambda _: httpx.Response(401), {})


def test_what_a_person_may_open_of_a_list() -> None:
    config = HttpJsonConfig(url=URL)
    assert browse(config, HttpJsonDataset(path="/deals?page={page}", id="item.id")) == f"{URL}/deals?page=1"
    assert browse(config, HttpJsonDataset(path="/deals", post={}, id="item.id")) is None
