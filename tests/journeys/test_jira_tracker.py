"""The 4,284 issues of the FLUID tracker are pulled, and every number is the one their file gives.

What is expected is worked out here from the file, by other means than the service's, and compared to the last digit.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from tests.conftest import FakeClock
from tests.fakes.jira_cloud import EMAIL, TOKEN, JiraCloudFake
from tests.fakes.jira_issues import load_fluid
from tests.journeys.support import WorkingHours, exact, local_service, mean, percentile, seconds

BERLIN = ZoneInfo("Europe/Berlin")
#: The team counts its days in Berlin while the account that reads Jira is in Toronto.
FLUID = f"""
version: 1
team: fluid
timezone: Europe/Berlin
calendar: {{workweek: [mon, tue, wed, thu, fri], hours: "09:00-17:00", holidays: DE-BE}}
connections:
  jira: {{connector: jira, url: "https://acme.atlassian.net", email: {EMAIL}, token: {{env: JIRA_TOKEN}}}}
datasets:
  issues: {{connection: jira, jql: "project = FLUID"}}
metrics:
  resolution_mean:
    unit: business_days
    duration: {{dataset: issues, from: {{status: Open}}, to: {{category: done, pick: last}}}}
    aggregate: avg
    window: {{trailing: 90d}}
  resolution_median:
    unit: days
    duration: {{dataset: issues, from: {{status: Open}}, to: {{category: done, pick: last}}}}
    aggregate: median
    window: {{trailing: 90d}}
  bugs_fixed:
    unit: bugs
    records:
      dataset: issues
      where: "record.type == 'Bug' && record.resolution == 'Fixed'"
      at: record.resolved
    aggregate: count
    window: {{to_date: quarter}}
  kinds_reported:
    unit: kinds
    records: {{dataset: issues}}
    aggregate: {{distinct: record.type}}
    window: {{to_date: month}}
  urgent_left:
    unit: issues
    query: {{connection: jira, jql: "priority in (Blocker, Critical) AND resolution IS EMPTY"}}
  reported_of_late:
    unit: issues
    query: {{connection: jira, jql: "project = FLUID AND created >= {{from}} AND created < {{to}}"}}
    window: {{trailing: 6000d}}
objectives:
  quality:
    title: Quality
    cycle: 2026-Q4
    key_results:
      resolution_mean: {{metric: resolution_mean, baseline: 900, target: 5}}
      resolution_median: {{metric: resolution_median, baseline: 900, target: 5}}
      bugs_fixed: {{metric: bugs_fixed, baseline: 0, target: 100}}
      kinds_reported: {{metric: kinds_reported, baseline: 0, target: 6}}
      urgent_left: {{metric: urgent_left, baseline: 900, target: 0}}
      reported_of_late: {{metric: reported_of_late, baseline: 0, target: 5000}}
"""
FLUID_MOMENTS = (
    datetime(2008, 4, 30, 21, 59, tzinfo=UTC),
    datetime(2011, 3, 31, 22, 30, tzinfo=UTC),
    datetime(2014, 7, 1, 12, 0, tzinfo=UTC),
)


async def test_the_fluid_tracker(database_url: str, clock: FakeClock, shared_data: Path) -> None:
    path = shared_data / "jira" / "fluid-issues-to-2012.ndjson"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    site = JiraCloudFake.of(load_fluid(path), now=clock)
    async with local_service(database_url, clock, {"JIRA_TOKEN": TOKEN}, httpx.ASGITransport(site)) as service:
        await service.apply("fluid", FLUID)
        await service.work()
        runs = await service.items("/v1/runs")
        assert [run["outcome"] for run in runs] == ["succeeded"] * 3
        assert [run["records"] for run in runs if run["dataset"]] == [len(rows)] == [4_284]

        values = await service.values()
        assert values["urgent_left"] == sum(
            row["priority"] in ("Blocker", "Critical") and not row.get("resolution") for row in rows
        )
        since = datetime.combine(date(2026, 11, 22) - timedelta(days=5_999), time(), BERLIN)
        assert values["reported_of_late"] == sum(_at(row, "date") >= since for row in rows)

        office = WorkingHours(BERLIN, "DE", "BE", years=range(2007, 2016))
        for as_of in FLUID_MOMENTS:
            values = await service.values(as_of)
            del values["urgent_left"], values["reported_of_late"]  # a tool's count of now says nothing about then
            expected = fluid_by_hand(rows, as_of, office)
            assert values == expected, as_of


def fluid_by_hand(rows: Sequence[Mapping[str, Any]], as_of: datetime, office: WorkingHours) -> dict[str, Decimal]:
    """An issue was Open from when it was reported until its last update, when it became what it is."""
    today = as_of.astimezone(BERLIN).date()
    reported = [row for row in rows if _at(row, "date") <= as_of]
    closed = [row for row in reported if row["status"] == "Closed" and _at(row, "updated") <= as_of]
    spans = [
        (_at(row, "date"), _at(row, "updated"))
        for row in closed
        if today - timedelta(days=89) <= _day(row, "updated") <= today
    ]
    assert len(spans) > 20
    return {
        "resolution_mean": exact(mean([office.days_between(*span) for span in spans])),
        "resolution_median": exact(percentile([seconds(end - start) / 86_400 for start, end in spans], Fraction(1, 2))),
        "bugs_fixed": Decimal(
            sum(
                row["type"] == "Bug"
                and row.get("resolution") == "Fixed"
                and _quarter(_day(row, "updated")) == _quarter(today)
                for row in closed
            )
        ),
        "kinds_reported": Decimal(
            len({row["type"] for row in reported if _day(row, "date").replace(day=1) == today.replace(day=1)})
        ),
    }


def _at(row: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(row[name])


def _day(row: Mapping[str, Any], name: str) -> date:
    return _at(row, name).astimezone(BERLIN).date()


def _quarter(day: date) -> tuple[int, int]:
    return day.year, (day.month - 1) // 3
