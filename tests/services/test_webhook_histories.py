"""Any order, doubling and interleaving of the same deliveries ends in the same events, facts and values."""

import random
from typing import Any

import pytest

from app.services.deliveries import apply_pending
from tests.services.story import Story

ORDERS = 6

CONNECTION = "  erp{n}: {{connector: webhook, verify: {{scheme: standard-webhooks, secret: {{env: ERP_SECRET}}}}}}"
DATASET = (
    "  lines{n}: {{connection: erp{n}, each: body.lines, entity: item.order, at: item.at, event: item.event, "
    "key: item.id, deleted: item.event == 'deleted'}}"
)
METRICS = """
  count{n}: {{unit: lines, records: {{dataset: lines{n}}}, window: all}}
  amount{n}: {{unit: EUR, records: {{dataset: lines{n}, value: record.body.amount}}, aggregate: sum, window: all}}
  hours{n}:
    unit: hours
    duration: {{dataset: lines{n}, from: {{event: placed}}, to: {{event: paid, pick: last}}}}
    aggregate: avg
    window: all
  paid_share{n}:
    unit: percent
    state_share: {{dataset: lines{n}, good: [paid]}}
    window: {{trailing: 30d}}"""


def team_file() -> str:
    numbers = range(ORDERS)
    return "\n".join(
        [
            "version: 1\nteam: support\nconnections:",
            *(CONNECTION.format(n=n) for n in numbers),
            "datasets:",
            *(DATASET.format(n=n) for n in numbers),
            "metrics:",
            *(METRICS.format(n=n).strip("\n") for n in numbers),
        ]
    )


def history(chance: random.Random) -> list[dict[str, Any]]:
    """Deliveries of one to four lines; some lines come in several deliveries, some orders are deleted and come back."""
    lines: list[dict[str, Any]] = []
    for order in range(8):
        hour = chance.randrange(200)
        later = chance.choice([[], ["deleted"], ["deleted", "placed", "paid"]]) if order else []  # one at least stays
        for event in ["placed", "changed", "paid", *later]:
            hour += chance.randrange(3)  # equal moments too
            lines.append(
                {
                    "id": f"L{len(lines)}",
                    "order": f"O{order}",
                    "event": event,
                    "at": f"2026-04-{1 + hour // 24:02}T{hour % 24:02}:00:00Z",
                    "amount": chance.randrange(1, 10_000) / 4,
                }
            )
    chance.shuffle(lines)
    deliveries = []
    while lines:
        size = chance.randint(1, 4)
        deliveries.append({"lines": lines[:size]})
        lines = lines[size:] + ([chance.choice(lines[:size])] if chance.random() < 0.3 else [])
    return deliveries


async def outcome(story: Story, number: int) -> dict[str, Any]:
    """What one dataset and its metrics ended in, without the ids of rows."""
    events = await story.rows(
        "SELECT e.key, e.entity, e.at, e.event, e.body, e.is_deletion "
        "FROM event e JOIN dataset d ON d.id = e.dataset_id WHERE d.name = :name ORDER BY e.key",
        name=f"lines{number}",
    )
    found: dict[str, Any] = {"events": [tuple(row) for row in events]}
    for metric in ("count", "amount", "hours", "paid_share"):
        facts = await story.rows(
            "SELECT f.part, f.subject, f.at, f.value, f.reason, f.valid_from, f.valid_to FROM fact f "
            "JOIN metric m ON m.revision_id = f.revision_id WHERE m.name = :name AND f.recorded_to IS NULL "
            "ORDER BY f.part, f.subject, f.valid_from, f.at",
            name=f"{metric}{number}",
        )
        values = await story.rows(
            "SELECT s.value, s.sample_size FROM current_sample c JOIN sample s ON s.id = c.sample_id "
            "JOIN metric m ON m.id = c.metric_id WHERE m.name = :name",
            name=f"{metric}{number}",
        )
        found[metric] = ([tuple(row) for row in facts], [tuple(row) for row in values])
    return found


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 33))])
async def test_every_order_ends_the_same(story: Story, seed: int) -> None:
    chance = random.Random(seed)
    await story.apply(team_file())
    deliveries = list(enumerate(history(chance)))
    orders = []
    for number in range(ORDERS):
        mine = deliveries + chance.choices(deliveries, k=len(deliveries) // 2 if number else 0)
        if number:
            chance.shuffle(mine)
        orders.append(mine)
    # The orders advance beside each other, a few deliveries at a time, with the worker in between.
    while any(orders):
        number = chance.choice([number for number in range(ORDERS) if orders[number]])
        size = chance.randint(1, 5)
        some, orders[number] = orders[number][:size], orders[number][size:]
        await story.send([body for _, body in some], connection=f"erp{number}", ids=[f"d{index}" for index, _ in some])
        if chance.random() < 0.5:
            await apply_pending(story.services, limit=chance.randint(1, 20))
    await story.work()
    first = await outcome(story, 0)
    assert first["events"]
    assert all(first[metric][0] and first[metric][1] for metric in ("count", "amount", "hours")), first
    for number in range(1, ORDERS):
        assert await outcome(story, number) == first, f"order {number} ended otherwise"
