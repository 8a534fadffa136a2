"""A rule edit over a large dataset: how long the new revision takes to build from what is stored."""

import argparse
import random
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Table, insert

from app.domain.language import MetricSpec
from app.services.build import build_revisions
from app.services.context import Services
from app.services.definitions import Definition, dump, revision_definition
from app.store import tables
from app.store.database import Database
from bench.databases import databases
from bench.report import machine

NAME = "reextract"
HELP = "re-extraction of a dataset after a rule edit"

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
METRICS = {
    "sum": {"aggregate": "sum", "window": {"trailing": "90d"}},
    "p90": {"aggregate": "p90", "window": {"trailing": "90d"}},
}
_BATCH = 5000
_record: Table = tables.Record.__table__  # type: ignore[attr-defined]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=100_000, metavar="N", help="records in the dataset (100000)")


async def run(arguments: argparse.Namespace) -> None:
    print(f"{arguments.records:,} records; {machine()}\n")
    async for name, database in databases(arguments.database):
        await _measure(name, database, arguments.records)


async def _measure(name: str, database: Database, records: int) -> None:
    team, dataset = await _load(database, records)
    services = Services(
        database=database,
        clock=lambda: NOW,
        connectors={},
        secrets=None,  # type: ignore[arg-type]
        toolbox=None,  # type: ignore[arg-type]
        queue=None,  # type: ignore[arg-type]
    )
    kept = Definition.rollup_rule
    for aggregate, spec in METRICS.items():
        for is_rolled_up in (True, False):
            if not is_rolled_up:
                Definition.rollup_rule = lambda self, part: None  # type: ignore[method-assign]
            await _ask(database, team, dataset, f"{aggregate}_{is_rolled_up}".lower(), spec)
            began, cpu = time.perf_counter(), time.process_time()
            assert await build_revisions(services) == 1
            wall, used = time.perf_counter() - began, time.process_time() - cpu
            kind = "with" if is_rolled_up else "without"
            print(f"{name}: {aggregate} {kind} roll-up in {wall:.1f} s ({used:.1f} s CPU), {records / wall:,.0f}/s")
            Definition.rollup_rule = kept  # type: ignore[method-assign]


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
            definition=revision_definition(spec, team.spec, given),
            author="bench",
            created_at=NOW,
        )
        session.add(revision)
        await session.flush()
        session.add(tables.MetricPart(revision_id=revision.id, part="value", dataset_id=dataset.id))
        metric.building_revision_id = revision.id


async def _load(database: Database, records: int) -> tuple[tables.Team, tables.Dataset]:
    chance = random.Random(1)
    made: dict[str, Any] = {"managed_by": "file", "created_at": NOW, "updated_at": NOW}
    async with database.writing() as session:
        team = tables.Team(name="bench", spec={"timezone": "Europe/Berlin"}, **made)
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
        for start in range(0, records, _BATCH):
            rows = [_a_record(dataset.id, number, chance) for number in range(start, min(start + _BATCH, records))]
            await session.execute(insert(_record), rows)
    return team, dataset


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
