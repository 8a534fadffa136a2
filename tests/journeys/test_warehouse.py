"""A finance team keeps its overhead down: a real database computes it, for the last quarter and for this one."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from tests.journeys.running import eventually, running

SELECT = "select sum(amount) from gl where class = 'overhead' and day >= :from and day < :to"


def quarter_of(day: date) -> tuple[str, date]:
    """The name of a day's quarter, and its first day."""
    number = (day.month - 1) // 3
    return f"{day.year}-Q{number + 1}", date(day.year, 3 * number + 1, 1)


async def test_a_database_computes_a_value_and_the_baseline_of_the_quarter_before(
    tmp_path: Path, postgres_url: str
) -> None:
    now, first = quarter_of(datetime.now(UTC).date())
    before, _ = quarter_of(first - timedelta(days=1))
    server = postgres_url.replace("+asyncpg", "")
    name = f"warehouse_{uuid4().hex[:12]}"
    maintenance = await asyncpg.connect(server)
    await maintenance.execute(f"create database {name}")
    address = f"{server.rsplit('/', 1)[0]}/{name}"
    books = await asyncpg.connect(address)
    await books.execute("create table gl (day date, amount numeric, class text)")
    rows = [
        (first - timedelta(days=1), "600.50", "overhead"),
        (first - timedelta(days=40), "399.50", "overhead"),
        (first, "250.25", "overhead"),
        (first, "9999", "salaries"),
    ]
    await books.executemany("insert into gl values ($1, $2::text::numeric, $3)", rows)
    team: dict[str, Any] = {
        "version": 1,
        "team": "finance",
        "timezone": "UTC",
        "connections": {"warehouse": {"connector": "sql", "dsn": {"env": "WAREHOUSE_DSN"}}},
        "metrics": {
            "overhead": {
                "unit": "EUR",
                "query": {"connection": "warehouse", "sql": SELECT},
                "window": {"to_date": "quarter"},
            }
        },
        "objectives": {
            "lean": {
                "title": "Spend less on ourselves",
                "cycle": now,
                "owner": "finance@acme.example",
                "key_results": {
                    "overhead_down": {
                        "metric": "overhead",
                        "baseline": {"measure": before},
                        "target": {"change": "-12%"},
                    }
                },
            }
        },
    }
    environ = {"WAREHOUSE_DSN": address, "KRSYNC_OUTBOUND_ALLOW": "127.0.0.0/8"}
    try:
        async with running(tmp_path, **environ) as krsync, krsync.client() as http:
            answer = await http.post("/v1/teams/finance/apply", json=team)
            assert answer.status_code == 200, answer.text
            checked = await http.post("/v1/connections/finance/warehouse/check")
            assert f"Connected to {name} at 127.0.0.1 as krsync" in checked.text

            async def measured() -> dict[str, Any] | None:
                found: dict[str, Any] = (await http.get("/v1/key-results/finance/overhead_down")).json()
                return found if found["value"] is not None and found["baseline"] is not None else None

            shown = await eventually("the database was asked", measured, pause=0.1)
            assert (shown["baseline"], shown["target"], shown["value"]) == ("1000.00", "880", "250.25")
            assert shown["freshness"]["level"] == "fresh"
            explained = (await http.get("/v1/key-results/finance/overhead_down/explain")).text
            assert "class = 'overhead'" in explained
            assert address not in explained
    finally:
        await books.close()
        await maintenance.execute(f"drop database {name} with (force)")
        await maintenance.close()
