"""A rule edit over a large dataset: how long the new revision takes to build from what is stored, with and without
roll-up in turn, and the longest of its steps, for which other writers wait."""

import argparse
import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

from sqlalchemy import Table, insert, select

from app.domain.aggregate import aggregate
from app.domain.language import MetricSpec, Trailing
from app.domain.window import resolve
from app.services import build
from app.services.context import Services
from app.services.definitions import Definition, dump, revision_definition
from app.store import tables
from app.store.database import Database
from bench.databases import databases
from bench.report import Timings, machine, table

NAME = "reextract"
HELP = "re-extraction of a dataset after a rule edit"

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
METRICS = {
    "sum": {"aggregate": "sum", "window": {"trailing": "90d"}},
    "p90": {"aggregate": "p90", "window": {"trailing": "90d"}},
}
_BATCH = 5000
ZONE = ZoneInfo("Europe/Berlin")
_record: Table = tables.Record.__table__  # type: ignore[attr-defined]
_metric: Table = tables.Metric.__table__  # type: ignore[attr-defined]
_sample: Table = tables.Sample.__table__  # type: ignore[attr-defined]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=100_000, metavar="N", help="records in the dataset (100000)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="builds of each metric (5)")


async def run(arguments: argparse.Namespace) -> None:
    print(f"{arguments.records:,} records; {machine()}\n")
    async for name, database in databases(arguments.database):
        await _measure(name, database, arguments.records, arguments.rounds)


async def _measure(name: str, database: Database, records: int, rounds: int) -> None:
    team, dataset, amounts = await _load(database, records)
    services = Services(
        database=database,
        clock=lambda: NOW,
        connectors={},
        secrets=None,  # type: ignore[arg-type]
        toolbox=None,  # type: ignore[arg-type]
        queue=None,  # type: ignore[arg-type]
    )
    timings = {(how, kept): Timings() for how in METRICS for kept in (True, False)}
    batches: dict[tuple[str, bool], list[float]] = {key: [] for key in timings}
    rule, step = Definition.rollup_rule, build._step
    for number in range(rounds + 1):
        for how, is_rolled_up in timings:
            key, metric = (how, is_rolled_up), f"{how}_{is_rolled_up}_{number}".lower()
            await _ask(database, team, dataset, metric, METRICS[how])

            async def timed(*arguments: Any, key: tuple[str, bool] = key) -> str:
                began = time.perf_counter()
                state = await step(*arguments)
                batches[key].append((time.perf_counter() - began) * 1000)
                return state

            with (
                mock.patch.object(build, "_step", timed),
                mock.patch.object(Definition, "rollup_rule", rule if is_rolled_up else lambda self, part: None),
            ):
                built = await timings[key].measure(partial(build.build_revisions, services))
            assert built == 1
            assert await _value(database, metric) == aggregate(how, amounts), metric
        if number == 0:  # the first round warms up
            for key in timings:
                timings[key], batches[key] = Timings(), []
    rows = []
    for (how, is_rolled_up), timing in timings.items():
        longest = max(batches[how, is_rolled_up])
        rate = records / statistics.median(timing.wall) * 1000
        kind = "rolled up" if is_rolled_up else "not rolled up"
        ratio = timing.ratio(timings[how, False])
        rows.append([f"{how}, {kind}", *timing.row(), f"{rate:,.0f}", ratio, f"{longest:.0f}"])
    header = [
        f"{name}, {records:,} records",
        "median ms",
        "spread ms",
        "CPU ms",
        "records/s",
        "ratio",
        "longest step ms",
    ]
    print(table(header, rows) + "\n")


async def _value(database: Database, metric: str) -> Decimal | None:
    """The value that was computed when the revision became the current one."""
    query = (
        select(_sample.c.value)
        .join(_metric, _metric.c.id == _sample.c.metric_id)
        .where(_metric.c.name == metric)
        .order_by(_sample.c.id.desc())
        .limit(1)
    )
    async with database.reading() as session:
        value: Decimal | None = await session.scalar(query)
    return value


async def _ask(database: Database, team: tables.Team, dataset: tables.Dataset, name: str, more: dict[str, Any]) -> None:
    """A metric whose revision waits to be built."""
    written = {"unit": "EUR", "records": {"dataset": "orders", "value": "record.amount"}} | more
    spec = MetricSpec.model_validate(written)
    given = {"orders": {"shape": dataset.shape, "spec": dataset.spec}}
    async with database.writing() as session:
        metric = tables.Metric(
            team_id=team.id,
            name=name,
            unit="EUR",
            spec=dump(spec),
            managed_by="file",
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(metric)
        await session.flush()
        revision = tables.MetricRevision(
            metric_id=metric.id,
            number=1,
            digest=name,
            definition=revision_definition(spec, team, given),
            author="bench",
            created_at=NOW,
        )
        session.add(revision)
        await session.flush()
        session.add(tables.MetricPart(revision_id=revision.id, part="value", dataset_id=dataset.id))
        metric.building_revision_id = revision.id


async def _load(database: Database, records: int) -> tuple[tables.Team, tables.Dataset, list[Decimal]]:
    """An empty database with a dataset; the amounts that lie in the metrics' window are returned with it."""
    chance = random.Random(1)
    made: dict[str, Any] = {"managed_by": "file", "created_at": NOW, "updated_at": NOW}
    async with database.writing() as session:
        team = tables.Team(name="bench", spec={"timezone": ZONE.key}, **made)
        session.add(team)
        await session.flush()
        connection = tables.Connection(team_id=team.id, name="shop", connector="jira", spec={}, **made)
        session.add(connection)
        await session.flush()
        dataset = tables.Dataset(
            team_id=team.id, connection_id=connection.id, name="orders", shape="entities", spec={}, **made
        )
        session.add(dataset)
        await session.flush()
        amounts = []
        span = resolve(Trailing(trailing="90d"), at=NOW, zone=ZONE)
        for start in range(0, records, _BATCH):
            rows = [_a_record(dataset.id, number, chance) for number in range(start, min(start + _BATCH, records))]
            await session.execute(insert(_record), rows)
            amounts += [row["fields"]["amount"] for row in rows if span.start <= row["created"]]
    return team, dataset, amounts


def _a_record(dataset_id: int, number: int, chance: random.Random) -> dict[str, Any]:
    created = NOW - timedelta(seconds=chance.randrange(365 * 86400))
    return {
        "dataset_id": dataset_id,
        "entity": f"o{number:07}",
        "name": f"order {number}",
        "version": 1,
        "created": created,
        "fields": {"amount": Decimal(chance.randrange(100, 1_000_000)) / 100},
        "transitions": [],
        "link": None,
        "is_deleted": False,
        "missed_sweeps": 0,
        "recorded_at": created,
    }
