"""A help desk's real year comes in as signed webhooks, shuffled and doubled, and every number is the true one.

The log (9,393 events of 2,000 tickets) is from 4TU.ResearchData. What is expected is worked out here from the file by
itself, day by day, and compared to the last digit.
"""

import csv
import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from tests.conftest import FakeClock
from tests.journeys.support import (
    HOOK_SECRET,
    LocalService,
    WorkingHours,
    exact,
    in_flight,
    local_service,
    mean,
    percentile,
    signed,
    z,
)

ROME = ZoneInfo("Europe/Rome")
OFFICE = WorkingHours(ROME, "IT", years=range(2010, 2015))
TAKEN, RESOLVED, WAIT, CLOSED = "Take in charge ticket", "Resolve ticket", "Wait", "Closed"
FILE = f"""
version: 1
team: helpdesk
timezone: Europe/Rome
calendar: {{workweek: [mon, tue, wed, thu, fri], hours: "09:00-17:00", holidays: IT}}
connections:
  desk: {{connector: webhook, verify: {{scheme: standard-webhooks, secret: {{env: DESK_SECRET}}}}}}
datasets:
  tickets: {{connection: desk, entity: body.case, at: body.time, event: body.activity}}
metrics:
  resolution_mean:
    unit: business_days
    duration:
      dataset: tickets
      from: {{event: {TAKEN}, pick: first}}
      to: {{event: {RESOLVED}, pick: last}}
    aggregate: avg
    window: {{trailing: 30d}}
  resolution_p90:
    unit: business_days
    duration:
      dataset: tickets
      from: {{event: {TAKEN}, pick: first}}
      to: {{event: {RESOLVED}, pick: last}}
    aggregate: p90
    window: {{trailing: 30d}}
  resolved_without_waiting:
    unit: percent
    ratio:
      good:
        records:
          dataset: tickets
          per: entity
          where: "'{RESOLVED}' in record.events && !('{WAIT}' in record.events)"
          at: record.last
      total:
        records:
          dataset: tickets
          per: entity
          where: "'{RESOLVED}' in record.events"
          at: record.last
    window: {{trailing: 30d}}
  tickets_closed:
    unit: tickets
    records: {{dataset: tickets, where: "record.event == '{CLOSED}'"}}
    aggregate: {{distinct: record.entity}}
    window: {{to_date: quarter}}
objectives:
  service:
    title: A faster help desk
    cycle: 2026-Q4
    key_results:
      faster: {{metric: resolution_mean, baseline: 15, target: 5}}
      no_stragglers: {{metric: resolution_p90, baseline: 30, target: 10}}
      no_waiting: {{metric: resolved_without_waiting, baseline: 50, target: 80}}
      more_closed: {{metric: tickets_closed, baseline: 0, target: 400}}
"""

#: A Friday noon; a night on which Rome is in the next quarter already; the first day after a holiday.
MOMENTS = (
    datetime(2012, 10, 26, 10, 0, tzinfo=UTC),
    datetime(2012, 12, 31, 23, 30, tzinfo=UTC),
    datetime(2013, 4, 2, 7, 15, tzinfo=UTC),
)


@dataclass(frozen=True)
class Happening:
    case: str
    activity: str
    at: datetime


def read_log(folder: Path) -> list[Happening]:
    with (folder / "helpdesk" / "tickets.csv").open(encoding="utf-8", newline="") as lines:
        return [
            Happening(row["case_id"], row["concept:name"], datetime.fromisoformat(row["time:timestamp"]))
            for row in csv.DictReader(lines)
        ]


# --- the same numbers, from the file alone ---------------------------------------------------------------------------


class ByHand:
    """What is true at a moment, from the events that have happened by then."""

    def __init__(self, log: Sequence[Happening], as_of: datetime, *, done: str = RESOLVED) -> None:
        self.as_of = as_of
        self.done = done
        self.today = as_of.astimezone(ROME).date()
        self.cases: Mapping[str, list[Happening]] = defaultdict(list)
        for event in log:
            if event.at <= as_of:
                self.cases[event.case].append(event)

    def moments(self, case: str, activity: str) -> list[datetime]:
        return sorted(event.at for event in self.cases[case] if event.activity == activity)

    def is_recent(self, at: datetime) -> bool:
        return self.today - timedelta(days=29) <= at.astimezone(ROME).date() <= self.today

    def resolutions(self) -> tuple[dict[str, Fraction], dict[str, str]]:
        """By case: the business days it took, and why the others are left out."""
        took, reasons = {}, {}
        for case in self.cases:
            taken, resolved = self.moments(case, TAKEN), self.moments(case, self.done)
            if not taken:
                reasons[case] = "not started"
            elif not resolved:
                reasons[case] = "not finished"
            elif self.is_recent(resolved[-1]):
                if resolved[-1] < taken[0]:
                    reasons[case] = "end before start"
                else:
                    took[case] = OFFICE.days_between(taken[0], resolved[-1])
        return took, reasons

    def resolved(self) -> tuple[set[str], set[str]]:
        """The cases resolved of late, and those of them that never waited."""
        names = {case: {event.activity for event in events} for case, events in self.cases.items()}
        late = {case for case, events in self.cases.items() if self.is_recent(max(event.at for event in events))}
        resolved = {case for case in late if self.done in names[case]}
        return resolved, {case for case in resolved if WAIT not in names[case]}

    def closed_this_quarter(self) -> int:
        def quarter(day: date) -> tuple[int, int]:
            return day.year, (day.month - 1) // 3

        return sum(
            any(quarter(at.astimezone(ROME).date()) == quarter(self.today) for at in self.moments(case, CLOSED))
            for case in self.cases
        )

    def values(self) -> dict[str, Decimal]:
        days = list(self.resolutions()[0].values())
        resolved, unwaited = self.resolved()
        return {
            "faster": exact(mean(days)),
            "no_stragglers": exact(percentile(days, Fraction(9, 10))),
            "no_waiting": exact(Fraction(100 * len(unwaited), len(resolved))),
            "more_closed": Decimal(self.closed_this_quarter()),
        }


# --- the story -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database_url", "one_in"),
    [("sqlite", 1), ("postgresql", 3), pytest.param("postgresql", 1, marks=pytest.mark.slow)],
    indirect=["database_url"],
)
async def test_a_year_of_tickets_shuffled_and_doubled(
    database_url: str, clock: FakeClock, shared_data: Path, one_in: int
) -> None:
    log = read_log(shared_data)
    chosen = set(sorted({event.case for event in log})[::one_in])
    log = [event for event in log if event.case in chosen]
    async with local_service(database_url, clock, {"DESK_SECRET": HOOK_SECRET}) as service:
        await service.apply("helpdesk", FILE)
        await post_all(service, log)
        await service.work()
        assert await outcomes(service) == {"applied": len(log)}
        for as_of in MOMENTS:
            truth = ByHand(log, as_of)
            await compare_values(service, truth)
            await compare_explanations(service, truth)


async def post_all(service: LocalService, log: Sequence[Happening]) -> None:
    """Every event as a webhook, twice, in an order that has nothing to do with time, many in flight."""

    async def post(number: int) -> tuple[int, bool]:
        event = log[number]
        body = json.dumps({"case": event.case, "activity": event.activity, "time": event.at.isoformat()}).encode()
        headers = signed(f"msg_{number}", body, service.clock())
        status, answer = await service.deliver("/v1/hooks/helpdesk/desk", body, headers)
        return status, answer["duplicate"]

    numbers = [*range(len(log)), *range(len(log))]
    random.Random(2012).shuffle(numbers)
    answers = await in_flight(64, post, numbers)
    assert Counter(answers) == {(202, False): len(log), (202, True): len(log)}


async def outcomes(service: LocalService) -> Counter[str]:
    return Counter(delivery["outcome"] for delivery in await service.items("/v1/deliveries"))


async def compare_values(service: LocalService, truth: ByHand) -> None:
    assert await service.values(truth.as_of) == truth.values(), truth.as_of
    found = await service.items("/v1/key-results", as_of=z(truth.as_of))
    sizes = {one["id"]: one["sample_size"] for one in found}
    assert sizes["helpdesk/faster"] == len(truth.resolutions()[0]) > 2
    assert sizes["helpdesk/no_waiting"] == len(truth.resolved()[0]) > 2


async def compare_explanations(service: LocalService, truth: ByHand) -> None:
    took, reasons = truth.resolutions()
    told = await explanation(service, "faster", truth.as_of)
    assert {one["entity"]: Decimal(one["value"]) for one in told["included"]} == {
        case: exact(days) for case, days in took.items()
    }
    assert {one["entity"]: one["reason"] for one in told["excluded"]} == reasons
    assert told["counts"] == {"included": len(took), "excluded": len(reasons)}
    assert told["parts"][0]["excluded_reasons"] == Counter(reasons.values())

    resolved, unwaited = truth.resolved()
    told = await explanation(service, "no_waiting", truth.as_of)
    sides = {part: {one["entity"] for one in told["included"] if one["part"] == part} for part in ("good", "total")}
    assert sides == {"good": unwaited, "total": resolved}


async def explanation(service: LocalService, name: str, as_of: datetime) -> dict[str, Any]:
    told: dict[str, Any] = await service.get(f"/v1/key-results/helpdesk/{name}/explain", as_of=z(as_of), limit="1000")
    return told


# --- another rule ----------------------------------------------------------------------------------------------------

#: A week apart: what came in between, the deltas tell.
THEN, NOW = datetime(2012, 12, 13, 11, 0, tzinfo=UTC), datetime(2012, 12, 20, 11, 0, tzinfo=UTC)
FILE_OF_2012 = FILE.replace("2026-Q4", "2012-Q4")
CLOSING = FILE_OF_2012.replace(RESOLVED, CLOSED)


async def test_a_ticket_is_done_when_it_is_closed_from_now_on(
    database_url: str, clock: FakeClock, shared_data: Path
) -> None:
    """Another rule: its plan foretells what applying it then does, nothing is read twice, and every difference has its
    cause."""
    log = [event for event in read_log(shared_data) if event.at <= NOW]
    of_the_year = {event.case for event in log if event.at.year == 2012}
    log = [event for event in log if event.case in of_the_year]
    clock.set(THEN)
    async with local_service(database_url, clock, {"DESK_SECRET": HOOK_SECRET}) as service:
        await service.apply("helpdesk", FILE_OF_2012)
        await post_once(service, [event for event in log if event.at <= THEN])
        clock.set(NOW)
        await post_once(service, [event for event in log if event.at > THEN])
        clock.advance(timedelta(minutes=1))
        before, after = ByHand(log, NOW), ByHand(log, NOW, done=CLOSED)
        assert await service.values() == before.values()
        assert before.values() != after.values()

        plan = await foretold(service, before, after)
        received = await taken_in(service)
        old_samples = await samples_of(service, "faster")
        clock.advance(timedelta(minutes=1))
        await service.apply("helpdesk", CLOSING)
        await service.work()
        assert await service.values() == after.values()
        assert await taken_in(service) == received
        for effect in plan["effects"]:
            found = await service.get(f"/v1/key-results/{effect['id']}")
            assert (found["value"], found["status"]) == (effect["value_after"], effect["status_after"])
            assert found["progress"] == effect["progress_after"]

        samples = await samples_of(service, "faster")
        assert samples[: len(old_samples)] == old_samples
        assert {one["revision"] for one in old_samples} == {1}
        assert [one["revision"] for one in samples[len(old_samples) :]] == [2]
        await every_difference_has_its_cause(service, log)


async def post_once(service: LocalService, events: Sequence[Happening]) -> None:
    async def post(numbered: tuple[int, Happening]) -> None:
        number, event = numbered
        body = json.dumps({"case": event.case, "activity": event.activity, "time": event.at.isoformat()}).encode()
        name = f"{event.case} {event.activity} {event.at.isoformat()} {number}"
        headers = signed(name.replace(" ", "_"), body, service.clock())
        assert (await service.deliver("/v1/hooks/helpdesk/desk", body, headers))[0] == 202

    await in_flight(32, post, enumerate(events))
    await service.work()


async def foretold(service: LocalService, before: ByHand, after: ByHand) -> dict[str, Any]:
    """The plan of the other rule, in the numbers that are expected of it; it changes nothing."""
    headers = {**await service.headers("write"), "content-type": "application/yaml"}
    answer = await service.http.post("/v1/teams/helpdesk/plan", content=CLOSING, headers=headers)
    assert answer.status_code == 200, answer.text
    plan: dict[str, Any] = answer.json()
    effects = {effect["id"].split("/")[1]: effect for effect in plan["effects"]}
    for name in ("faster", "no_stragglers", "no_waiting"):
        assert Decimal(effects[name]["value_before"]) == before.values()[name]
        assert Decimal(effects[name]["value_after"]) == after.values()[name]
    records = {effect["metric"].split("/")[1]: effect for effect in plan["records"]}
    took, takes = before.resolutions()[0], after.resolutions()[0]
    mean = records["resolution_mean"]
    assert (mean["entering"], mean["leaving"]) == (len(takes.keys() - took.keys()), len(took.keys() - takes.keys()))
    assert mean["entering"] + mean["leaving"] + mean["changing"] > 0
    assert plan["asks"] == []
    assert await service.values() == before.values()
    return plan


async def taken_in(service: LocalService) -> tuple[int, Counter[str], str]:
    """What was received and what became of it: unchanged when nothing is read again."""
    deliveries = await service.items("/v1/deliveries")
    assert {delivery["outcome"] for delivery in deliveries} == {"applied"}
    async with service.services.database.reading() as session:
        rows = [tuple(row) for row in await session.execute(text("SELECT * FROM intake ORDER BY delivery_id"))]
    return len(deliveries), Counter(one["outcome"] for one in deliveries), repr(rows)


async def samples_of(service: LocalService, name: str) -> list[dict[str, Any]]:
    return await service.items(f"/v1/key-results/helpdesk/{name}/history")


async def every_difference_has_its_cause(service: LocalService, log: Sequence[Happening]) -> None:
    then, now = ByHand(log, THEN), ByHand(log, NOW)
    told = await service.get("/v1/key-results/helpdesk/faster/explain", since=z(THEN + timedelta(minutes=1)))
    delta = told["delta"]
    causes = {cause["cause"]: cause for cause in delta["causes"]}
    assert delta["rule_changed"]
    assert list(causes) == [cause for cause in ("left", "changed", "entered", "rule_changed") if cause in causes]
    assert Decimal(delta["value_before"]) == then.values()["faster"]
    # The old rule on today's records against the new one.
    rule = causes["rule_changed"]
    assert Decimal(rule["value_before"]) == now.values()["faster"]
    assert Decimal(rule["value_after"]) == ByHand(log, NOW, done=CLOSED).values()["faster"]
    took, takes = now.resolutions()[0], ByHand(log, NOW, done=CLOSED).resolutions()[0]
    assert rule["count"] == len(took.keys() ^ takes.keys()) + sum(
        took[case] != takes[case] or now.moments(case, RESOLVED)[-1] != now.moments(case, CLOSED)[-1]
        for case in took.keys() & takes.keys()
    )
    earlier = then.resolutions()[0]
    assert causes["entered"]["count"] == len(took.keys() - earlier.keys())
    assert causes["left"]["count"] == len(earlier.keys() - took.keys())
