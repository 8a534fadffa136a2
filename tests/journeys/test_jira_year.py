"""The issues that DevLake recorded, with their histories, are pulled, and every number is the one their file gives.

What is expected is worked out here from the file, by other means than the service's, and compared to the last digit.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from tests.conftest import FakeClock
from tests.fakes.jira_cloud import EMAIL, TOKEN, JiraCloudFake
from tests.fakes.jira_issues import load_devlake
from tests.journeys.support import LocalService, WorkingHours, exact, local_service, mean, percentile, seconds, z

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: Of two fields, named as people see them, every aggregate.
AGGREGATES = ("sum", "avg", "median", "p90")
NUMBERS = {"points": "Story Points", "spent": "Time Spent"}
NUMBER_METRICS = "".join(
    f"""  {name}_{how}:
    unit: units
    records: {{dataset: issues, value: 'record["{field}"]'}}
    aggregate: {how}
"""
    for name, field in NUMBERS.items()
    for how in AGGREGATES
)
NUMBER_KEY_RESULTS = "".join(
    f"      {name}_{how}: {{metric: {name}_{how}, baseline: 0, target: 1000}}\n"
    for name in NUMBERS
    for how in AGGREGATES
)
DEVLAKE = f"""
version: 1
team: devlake
timezone: Asia/Shanghai
calendar: {{workweek: [mon, tue, wed, thu, fri], hours: "09:00-17:00", holidays: CN}}
connections:
  jira: {{connector: jira, url: "https://acme.atlassian.net", email: {EMAIL}, token: {{env: JIRA_TOKEN}}}}
datasets:
  issues: {{connection: jira, jql: "project in (EE, K5)"}}
metrics:
  done_hours:
    unit: hours
    duration: {{dataset: issues, from: {{status: Open, pick: first}}, to: {{category: done, pick: last}}}}
    aggregate: p90
    window: all
  done_days:
    unit: business_days
    duration: {{dataset: issues, from: {{status: Open, pick: first}}, to: {{category: done, pick: last}}}}
    aggregate: avg
    window: all
  first_done_days:
    unit: business_days
    duration: {{dataset: issues, from: {{status: Open, pick: first}}, to: {{category: done, pick: first}}}}
    aggregate: median
    window: all
  open_issues: {{unit: issues, query: {{connection: jira, jql: "project in (EE, K5) AND statusCategory != Done"}}}}
{NUMBER_METRICS}
objectives:
  flow:
    title: Issues that flow
    cycle: 2026-Q4
    key_results:
      done_hours: {{metric: done_hours, baseline: 9000, target: 100}}
      done_days: {{metric: done_days, baseline: 200, target: 5}}
      first_done_days: {{metric: first_done_days, baseline: 200, target: 5}}
      open_issues: {{metric: open_issues, baseline: 30, target: 0}}
{NUMBER_KEY_RESULTS}
"""
STORY_POINTS = "customfield_10024"
#: In the middle of the minute in which the issues were closed in bulk; long after; and before nearly all of it.
DEVLAKE_MOMENTS = (
    datetime(2020, 11, 10, 1, 43, 5, tzinfo=UTC),
    datetime(2021, 12, 31, tzinfo=UTC),
    datetime(2020, 6, 18, 12, tzinfo=UTC),
)


@dataclass(frozen=True)
class Recorded:
    """An issue of the file: when it was in which (status, category), oldest first, and its numbers."""

    created: datetime
    statuses: Sequence[tuple[datetime, str, str | None]]
    points: Any
    spent: Any

    def resolution(self, as_of: datetime, *, last: bool) -> tuple[datetime, datetime] | str:
        """From when it was first Open to when it was done, by what had happened at a moment; or why there is none."""
        known = [entry for entry in self.statuses if entry[0] <= as_of]
        opened = [at for at, name, _ in known if name == "Open"]
        before = [None, *(category for *_, category in known)]
        done = [at for (at, _, category), was in zip(known, before, strict=False) if category == "done" != was]
        if not opened:
            return "not started"
        if not done or (last and known[-1][2] != "done"):
            return "not finished"
        after = [at for at in done if at >= opened[0]]
        if not after:
            return "end before start"
        return opened[0], done[-1] if last else after[0]


def read_devlake(folder: Path) -> list[Recorded]:
    categories: dict[str, str] = {}
    named: dict[str, set[str]] = defaultdict(set)
    for one in _rows(folder / "_raw_jira_api_status.csv"):
        categories[one["id"]] = one["statusCategory"]["key"]
        named[one["name"]].add(one["statusCategory"]["key"])

    def category(status_id: str, name: str) -> str | None:
        # A status that was deleted since is known by its name, where all that have it agree.
        known = categories.get(status_id)
        return known if known or len(named[name]) != 1 else min(named[name])

    found = []
    for issue in _rows(folder / "_raw_jira_api_issues.csv"):
        fields = issue["fields"]
        created = datetime.fromisoformat(fields["created"])
        changes = sorted(
            (datetime.fromisoformat(history["created"]), int(history["id"]), item)
            for history in issue["changelog"]["histories"]
            for item in history["items"]
            if item["field"] == "status"
        )
        now = fields["status"]
        first = (changes[0][2]["from"], changes[0][2]["fromString"]) if changes else (now["id"], now["name"])
        statuses = [(created, first[1], category(*first))]
        statuses += [(at, item["toString"], category(item["to"], item["toString"])) for at, _, item in changes]
        found.append(Recorded(created, statuses, fields.get(STORY_POINTS), fields["timespent"]))
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [json.loads(row["data"], parse_float=Decimal, parse_int=Decimal) for row in csv.DictReader(lines)]


async def test_the_issues_that_devlake_recorded(database_url: str, clock: FakeClock, shared_data: Path) -> None:
    folder = shared_data / "jira" / "devlake"
    site, issues = load_devlake(folder), read_devlake(folder)
    office = WorkingHours(SHANGHAI, "CN", years=range(2020, 2023))
    fake = JiraCloudFake.of(site, now=clock)
    async with local_service(database_url, clock, {"JIRA_TOKEN": TOKEN}, httpx.ASGITransport(fake)) as service:
        await service.apply("devlake", DEVLAKE)
        await service.work()
        assert {run["outcome"] for run in await service.items("/v1/runs")} == {"succeeded"}

        for as_of in DEVLAKE_MOMENTS:
            took, reasons = _resolutions(issues, as_of, last=True)
            first, _ = _resolutions(issues, as_of, last=False)
            values = await service.values(as_of)
            assert values["done_hours"] == _p90([seconds(end - start) / 3600 for start, end in took]), as_of
            assert values["done_days"] == _mean([office.days_between(*span) for span in took]), as_of
            assert values["first_done_days"] == _median([office.days_between(*span) for span in first]), as_of
            told = await service.get("/v1/key-results/devlake/done_days/explain", as_of=z(as_of))
            assert told["counts"] == {"included": len(took), "excluded": reasons.total()}
            assert told["parts"][0]["excluded_reasons"] == reasons

        # Nobody asked for these fields: the rules read them, so they are fetched. A text is no number.
        spent, points = _numbers(one.spent for one in issues), _numbers(one.points for one in issues)
        assert (len(spent), len(points)) == (5, 1)
        await compare_numbers(service, spent=spent, points=points)
        told = await service.get("/v1/key-results/devlake/points_sum/explain")
        assert told["parts"][0]["excluded_reasons"] == {"no value": 31, "value is not a number": 1}
        not_done = [one for one in site.issues if one["fields"]["status"]["statusCategory"]["key"] != "done"]
        assert (await service.values())["open_issues"] == len(not_done) > 0

        # Estimates are given and an issue is reopened: the next read asks for these, and the numbers follow.
        at = clock.advance(timedelta(hours=1))
        estimates = {"EE-5": 13, "EE-8": 0.5, "EE-9": 3, "EE-10": 8, "EE-14": 0.1, "EE-15": 0.2, "EE-16": 21}
        for key, estimate in estimates.items():
            fake.edit(key, at, **{STORY_POINTS: estimate})
        fake.move("EE-6", "Open", at)
        clock.advance(timedelta(minutes=30))
        await service.work()
        estimated = [Fraction(str(estimate)) for estimate in estimates.values()]
        await compare_numbers(service, spent=spent, points=[*points, *estimated])
        newest, *_ = [run for run in await service.items("/v1/runs") if run["dataset"]]
        assert (newest["outcome"], newest["is_full"], newest["records"]) == ("succeeded", False, 8)
        told = await service.get("/v1/key-results/devlake/done_days/explain")
        assert {one["label"]: one["reason"] for one in told["excluded"]}["EE-6"] == "not finished"


def _numbers(values: Iterable[Any]) -> list[Fraction]:
    return [Fraction(value) for value in values if isinstance(value, Decimal)]


def _resolutions(
    issues: Sequence[Recorded], as_of: datetime, *, last: bool
) -> tuple[list[tuple[datetime, datetime]], Counter[str]]:
    found = [issue.resolution(as_of, last=last) for issue in issues if issue.created <= as_of]
    return [one for one in found if not isinstance(one, str)], Counter(one for one in found if isinstance(one, str))


def _mean(numbers: Sequence[Fraction]) -> Decimal | None:
    return exact(mean(numbers)) if numbers else None


def _median(numbers: Sequence[Fraction]) -> Decimal | None:
    return exact(percentile(numbers, Fraction(1, 2))) if numbers else None


def _p90(numbers: Sequence[Fraction]) -> Decimal | None:
    return exact(percentile(numbers, Fraction(9, 10))) if numbers else None


async def compare_numbers(service: LocalService, **numbers: Sequence[Fraction]) -> None:
    values = await service.values()
    for name, found in numbers.items():
        assert {how: values[f"{name}_{how}"] for how in AGGREGATES} == {
            "sum": exact(sum(found, Fraction())),
            "avg": _mean(found),
            "median": _median(found),
            "p90": _p90(found),
        }, name
