"""An API's number from the team file to the value: asked at a real server, kept with its evidence, missed by name."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest_asyncio

from connectors.http import create_client, parse_policy, toolbox
from tests.services.story import Story
from tests.services_fixtures.files import served

FILE = """
version: 1
team: support
connections:
  crm: {{connector: http_json, url: "{url}", check: /me.json}}
metrics:
  open_deals: {{unit: deals, query: {{connection: crm, path: /stats.json, value: body.data.open}}}}
  won: {{unit: EUR, query: {{connection: crm, path: /stats.json, value: "body.won[*].amount", aggregate: sum}}}}
  made:
    unit: deals
    query: {{connection: crm, path: "/stats.json?since={{from}}", value: body.made}}
    window: {{to_date: quarter}}
objectives:
  sell:
    title: More deals, sooner
    cycle: 2026-Q4
    key_results:
      fewer_open: {{metric: open_deals, baseline: 40, target: 10, fresh_within: 1h}}
      money: {{metric: won, baseline: 0, target: 10000}}
      deals: {{metric: made, baseline: 0, target: 10}}
"""


@pytest_asyncio.fixture
async def asking(story: Story) -> AsyncIterator[Story]:
    """The story with a client that reaches this computer."""
    async with create_client(parse_policy("127.0.0.0/8")) as client:
        yield replace(story, services=replace(story.services, toolbox=lambda: toolbox(client, story.clock)))


async def test_an_api_is_asked_and_its_number_explained(asking: Story, tmp_path: Path) -> None:
    answer = tmp_path / "stats.json"
    answer.write_text('{"data": {"open": 17}, "won": [{"amount": "1200.10"}, {"amount": 0.20}], "made": 3}')
    async with served(tmp_path) as url:
        await asking.apply(FILE.format(url=url))
        assert await asking.pull() == ["succeeded"] * 3
        found = await asking.key_result("fewer_open")
        assert (found.value, found.freshness.level) == (Decimal(17), "fresh")
        assert await asking.value("money") == Decimal("1200.3")
        assert await asking.value("deals") == Decimal(3)
        (part,) = (await asking.explain("fewer_open")).parts
        assert (part.query, part.link) == (f"GET {url}/stats.json → body.data.open", f"{url}/stats.json")

        answer.write_text('{"data": {}, "won": [], "made": null}')
        assert await asking.later(hours=1) == ["succeeded"] * 3
        assert [await asking.value(name) for name in ("fewer_open", "money", "deals")] == [None, Decimal(0), None]
        answer.unlink()
        assert await asking.later(hours=1) == ["failed"] * 3
        assert (await asking.runs())[-1].error == "127.0.0.1 could not do what it was asked (HTTP 404)."
        assert await asking.value("money") == Decimal(0)  # a failed read keeps what is known


DEALS = """
version: 1
team: support
connections:
  crm: {{connector: http_json, url: "{url}", check: /deals.json}}
datasets:
  deals: {{connection: crm, path: /deals.json, items: body.deals, id: item.id, created: item.made, page: item.url}}
metrics:
  won:
    unit: EUR
    records: {{dataset: deals, where: "record.stage.name == 'won'", value: record.amount}}
    aggregate: sum
    window: {{to_date: quarter}}
objectives:
  sell:
    title: More deals, sooner
    cycle: 2026-Q4
    key_results:
      money: {{metric: won, baseline: 0, target: 10000}}
"""
DEAL = (
    '{{"id": "D-{n}", "made": "2026-1{m}-01T08:00:00Z", "amount": {n}.10,'
    ' "stage": {{"name": "{stage}"}}, "url": "{url}"}}'
)


async def test_a_list_is_kept_item_by_item(asking: Story, tmp_path: Path) -> None:
    def listed(*deals: str) -> None:
        (tmp_path / "deals.json").write_text(f'{{"deals": [{", ".join(deals)}]}}')

    async with served(tmp_path) as url:
        first, second, third = (
            DEAL.format(n=n, m=m, stage=stage, url=f"{url}/{n}")
            for n, m, stage in ((1, 0, "won"), (2, 1, "won"), (3, 1, "open"))
        )
        listed(first, second, third)
        await asking.apply(DEALS.format(url=url))
        assert await asking.pull() == ["succeeded"]
        assert await asking.value("money") == Decimal("3.2")
        included = (await asking.explain("money")).included
        assert {(one.label, one.link) for one in included} == {("D-1", f"{url}/1"), ("D-2", f"{url}/2")}

        listed(first, third.replace("open", "won"))  # D-2 is gone, which two sweeps have to see
        for _ in range(4):
            assert await asking.later(hours=1) == ["succeeded"]
        assert await asking.value("money") == Decimal("4.2")
        assert {run.calls for run in await asking.runs()} == {1}
