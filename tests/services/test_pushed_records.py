"""A tool whose webhooks hold whole records: they are taken as they are, between the reads of the same tool."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from pydantic import BaseModel, ConfigDict

from app.services.deliveries import delivery_views, replay
from app.services.try_delivery import Sample, try_delivery
from connectors.contract import (
    Changed,
    Connector,
    Cursor,
    InboundDelivery,
    JsonValue,
    Page,
    Parsed,
    Pushed,
    RecordChange,
    Toolbox,
)
from tests.services.story import TEAM, Story

MADE = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
FILE = """
version: 1
team: support
connections:
  till: {connector: till}
datasets:
  sales: {connection: till, kind: sale}
  refunds: {connection: till, kind: refund}
metrics:
  taken: {unit: EUR, records: {dataset: sales, value: record.amount}, aggregate: sum, window: all}
  returned: {unit: EUR, records: {dataset: refunds, value: record.amount}, aggregate: sum, window: all}
objectives:
  shop:
    title: A busy shop
    cycle: 2026-Q4
    key_results:
      revenue: {metric: taken, baseline: 0, target: 1000}
      refunded: {metric: returned, baseline: 100, target: 0}
"""


class TillConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TillDataset(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: str


def bill(number: str, amount: int, version: int = 1, *, is_deleted: bool = False) -> RecordChange:
    fields: dict[str, JsonValue] = {"amount": amount}
    return RecordChange(number, f"bill {number}", version, MADE, fields, (), None, is_deleted=is_deleted)


@dataclass
class Till:
    """The tool: what it holds, and its connector."""

    bills: dict[str, RecordChange] = field(default_factory=dict)

    def connector(self) -> Connector:
        @asynccontextmanager
        async def open_till(config: TillConfig, toolbox: Toolbox) -> AsyncIterator["Till"]:
            yield self

        async def read(session: "Till", dataset: TillDataset, cursor: Cursor | None) -> AsyncIterator[Page]:
            yield Page([one for one in self.bills.values() if _is_of(dataset, one.entity)], cursor={})

        return Connector(
            key="till",
            title="Till",
            config=TillConfig,
            dataset=TillDataset,
            open=open_till,
            read=read,
            verify=lambda config, delivery: None,
            parse=_parse,
            relevant=_relevant,
        )


def _is_of(dataset: TillDataset, number: str) -> bool:
    return number.startswith("R") == (dataset.kind == "refund")


def _relevant(dataset: TillDataset, changed: Changed) -> Changed | None:
    kept = Changed(
        tuple(one for one in changed.entities if _is_of(dataset, one)),
        tuple(one for one in changed.deleted if _is_of(dataset, one)),
    )
    return kept if kept.entities or kept.deleted else None


def _parse(config: TillConfig, delivery: InboundDelivery) -> Parsed:
    return Pushed([bill(*told[:3], is_deleted=told[3]) for told in json.loads(delivery.body)])


def pushed(*bills: RecordChange) -> bytes:
    return json.dumps([(one.entity, one.fields["amount"], one.version, one.is_deleted) for one in bills]).encode()


@pytest.fixture
def till() -> Till:
    return Till({one.entity: one for one in (bill("S1", 100), bill("S2", 20), bill("R1", 5))})


@pytest_asyncio.fixture
async def shop(story: Story, till: Till) -> Story:
    """The team's file applied; nothing was read yet."""
    shop = story.with_connectors(till.connector())
    await shop.apply(FILE)
    return shop


async def outcomes(shop: Story) -> list[dict[str, tuple[str, str | None]]]:
    """By dataset, what became of each delivery, oldest first."""
    async with shop.services.database.reading() as session:
        found = await delivery_views(session)
    return [{one.dataset: (one.outcome, one.reason) for one in view.intakes} for view in reversed(found)]


async def send(shop: Story, *bodies: bytes) -> None:
    await shop.send(bodies, connection="till")
    await shop.work()


async def test_records_in_a_delivery_move_the_values_at_once(shop: Story) -> None:
    await shop.pull()
    assert (await shop.value("revenue"), await shop.value("refunded")) == (120, 5)
    await send(shop, pushed(bill("S3", 30), bill("S2", 25, version=2)), pushed(bill("R1", 5, 2, is_deleted=True)))
    assert (await shop.value("revenue"), await shop.value("refunded")) == (155, 0)
    taken = ("applied", "It holds the records: they are taken once the dataset has been read whole.")
    nothing = ("ignored", "It is about nothing that this dataset keeps.")
    assert await outcomes(shop) == [
        {"sales": taken, "refunds": nothing},
        {"sales": nothing, "refunds": taken},
    ]
    assert [one.label for one in (await shop.explain("revenue")).included] == ["bill S1", "bill S2", "bill S3"]
    assert await shop.claim() == [], "what is known has not to be read again"


async def test_an_older_version_and_a_replay_change_nothing(shop: Story) -> None:
    await shop.pull()
    await send(shop, pushed(bill("S1", 900, version=0)), pushed(bill("S1", 110, version=3)), pushed(bill("S1", 7, 2)))
    assert await shop.value("revenue") == 130
    samples = await shop.count("sample")
    async with shop.services.database.reading() as session:
        for view in await delivery_views(session):
            await replay(shop.services, view.id, "dana")
    await shop.work()
    assert await shop.value("revenue") == 130
    assert await shop.count("sample") == samples


async def test_the_newest_of_several_in_one_batch_counts_in_any_order(shop: Story) -> None:
    await shop.pull()
    await send(
        shop, pushed(bill("S1", 3, version=4)), pushed(bill("S1", 1, version=2)), pushed(bill("S1", 2, version=3))
    )
    assert await shop.value("revenue") == 23


async def test_before_the_first_read_it_is_only_a_hint(shop: Story, till: Till) -> None:
    await send(shop, pushed(bill("S3", 30)))
    found = await shop.key_result("revenue")
    assert found.value is None, "one of who knows how many"
    assert await shop.count("record") == 0
    till.bills["S3"] = bill("S3", 30)
    await shop.later(seconds=10)
    assert await shop.value("revenue") == 150


async def test_a_read_finds_what_no_delivery_told_of_and_keeps_what_one_did(shop: Story, till: Till) -> None:
    await shop.pull()
    await send(shop, pushed(bill("S1", 200, version=2)))
    till.bills |= {"S1": bill("S1", 200, version=2), "S4": bill("S4", 1)}
    await shop.later(hours=25)
    assert await shop.value("revenue") == 221


async def test_a_delivery_that_is_tried_says_which_dataset_takes_it(shop: Story) -> None:
    await shop.pull()
    before = await shop.count("record")
    view = await try_delivery(shop.services, TEAM, "till", Sample((), pushed(bill("S9", 30))))
    assert view.kind == "records"
    assert {one.dataset: one.outcome for one in view.datasets} == {"sales": "applied", "refunds": "ignored"}
    assert await shop.count("record") == before


async def test_rows_that_can_not_be_stored_bury_their_delivery_alone(shop: Story) -> None:
    await shop.pull()
    await send(shop, pushed(bill("S8", 1, version=-1)), pushed(bill("S9", 1)))
    first, second = await outcomes(shop)
    assert {outcome for outcome, _ in first.values()} == {"dead"}
    assert second["sales"][0] == "applied"
    assert await shop.value("revenue") == 121
