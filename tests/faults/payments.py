"""Numbered payments as webhooks, a team that counts them, and what has to hold of them whatever was killed."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from tests.journeys.running import eventually
from tests.journeys.support import HOOK_SECRET, signed

SECRETS = {"BANK_SECRET": HOOK_SECRET}
TEAM = """
version: 1
team: till
connections:
  bank: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: BANK_SECRET}}}
datasets:
  payments: {connection: bank, entity: body.id, at: body.at, event: body.kind, where: body.amount > 0}
metrics:
  payments: {unit: payments, records: {dataset: payments}, aggregate: count}
  amount: {unit: EUR, records: {dataset: payments, value: record.body.amount}, aggregate: sum}
objectives:
  takings:
    title: Takings
    cycle: CYCLE
    key_results:
      payments: {metric: payments, baseline: 0, target: 1000000}
      amount: {metric: amount, baseline: 0, target: 1000000}
"""


def team_file(now: datetime) -> str:
    """The team, in the year of today."""
    return TEAM.replace("CYCLE", str(now.year))


async def apply(http: httpx.AsyncClient) -> None:
    """Apply the team file."""
    headers = {"content-type": "application/yaml"}
    answer = await http.post("/v1/teams/till/apply", content=team_file(datetime.now(UTC)), headers=headers)
    assert answer.status_code == 200, answer.text


@dataclass
class Payments:
    """Sends payments 1, 2, 3, … and remembers what became of each request. Every so manieth (0: none) is signed and
    can not be read: it has to end as a dead letter."""

    http: httpx.AsyncClient
    unreadable_every: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    acknowledged: set[int] = field(default_factory=set)
    answers: Counter[int | str] = field(default_factory=Counter)
    refusals: list[httpx.Response] = field(default_factory=list)

    def is_unreadable(self, number: int) -> bool:
        """Whether this one is cut short."""
        return bool(self.unreadable_every) and number % self.unreadable_every == 0

    async def send(self, number: int) -> bool:
        """Send one; whether it was acknowledged."""
        body = json.dumps({"id": f"p{number}", "kind": "paid", "amount": number, "at": "2026-01-01T00:00:00Z"}).encode()
        if self.is_unreadable(number):
            body = body[:-1]
        headers = signed(f"payment_{number}", body, datetime.now(UTC))
        try:
            answer = await self.http.post("/v1/hooks/till/bank", content=body, headers=headers)
        except httpx.TransportError as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[answer.status_code] += 1
        if answer.status_code == 202:
            self.acknowledged.add(number)
            return True
        self.refusals.append(answer)
        return False

    async def send_next(self) -> None:
        """Send the next one. A sender of odd ones insists, one of even ones gives up: both are met in the world."""
        number = next(self.numbers)
        is_done = await self.send(number)
        while not is_done and number % 2:
            is_done = await self.send(number)


async def items(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """Every item of a list, page after page."""
    found: list[dict[str, Any]] = []
    place: dict[str, str] = {}
    while True:
        answer = await http.get(httpx.URL(path).copy_merge_params({"limit": "1000", **place}))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next"] is None:
            return found
        place = {"after": page["next"]}


async def check_effects(http: httpx.AsyncClient, sent: Payments) -> str:
    """Wait until no delivery waits, then: acknowledged ⊆ stored, each stored one applied or a dead letter if it can not
    be read, one effect each. The counts.

    Raises AssertionError with the counts where that does not hold.
    """

    async def settled() -> list[dict[str, Any]]:
        found = await items(http, "/v1/deliveries")
        return [] if any(one["outcome"] == "pending" for one in found) else found

    deliveries = await eventually("no delivery waits", settled)
    stored = Counter(int(one["dedupe_key"].removeprefix("id:payment_")) for one in deliveries)
    outcomes = Counter(intake["outcome"] for one in deliveries for intake in one["intakes"])
    counts = f"{len(sent.acknowledged)} acknowledged, {stored.total()} stored, {dict(outcomes)}, {dict(sent.answers)}"
    lost = sent.acknowledged - set(stored)
    assert not lost, f"{len(lost)} acknowledged ones are lost: {counts}"
    assert max(stored.values()) == 1, f"stored twice: {counts}"
    dead = {number for number in stored if sent.is_unreadable(number)}
    good = set(stored) - dead
    assert outcomes == Counter({"applied": len(good), "dead": len(dead)}), counts

    records = Counter(one["entity"] for one in await items(http, "/v1/datasets/till/payments/records"))
    assert records == {f"p{number}": 1 for number in good}, f"{records.total()} records: {counts}"
    values = {one["id"]: Decimal(one["value"]) for one in await items(http, "/v1/key-results?team=till")}
    assert values == {"till/payments": len(good), "till/amount": sum(good)}, f"{values}: {counts}"
    return counts
