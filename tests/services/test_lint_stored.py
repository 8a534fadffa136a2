"""What only stored records tell: targets met already, words that no record has, what nobody reads."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.document import read_yaml
from app.services import stored_lint
from app.services.apply import apply_team_file
from app.services.views.plans import WarningView
from tests.services.story import Story
from tests.services.test_lint import FILE as SOUND

FILE = """
version: 1
team: support

connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
datasets:
  orders: {connection: erp, entity: body.po, at: body.at, event: body.event}
metrics:
  days:
    unit: days
    duration: {dataset: orders, from: {event: requested}, to: {event: approved}}
    aggregate: avg
    window: {to_date: quarter}
objectives:
  service:
    title: Service
    cycle: 2026-Q4
    owner: dana@acme.example
    key_results:
      quick: {metric: days, baseline: 10, target: 5}
"""


def found(warnings: list[WarningView]) -> list[tuple[str, str]]:
    return [(warning.code, warning.pointer) for warning in warnings]


def orders(month: int, count: int = 12) -> list[dict[str, Any]]:
    return [
        {"po": f"{month}-{number}", "event": event, "at": f"2026-{month:02}-{day:02}T08:00:00Z"}
        for number in range(count)
        for event, day in (("requested", 2), ("approved", 6))
    ]


async def test_a_sound_team_has_no_warnings(story: Story) -> None:
    assert found((await story.plan(FILE)).warnings) == []
    assert found((await story.plan(SOUND)).warnings) == []


async def test_a_target_that_was_met_in_the_cycle_before(story: Story) -> None:
    await story.apply(FILE)
    await story.send(orders(8))
    await story.work()
    (warning,) = (await story.plan(FILE)).warnings
    assert (warning.code, warning.pointer) == ("sandbagging", "/objectives/service/key_results/quick/target")
    assert warning.detail == "4 days at the end of 2026-Q3 already meets the target of 5"
    assert (await story.plan(FILE.replace("target: 5", "target: 3"))).warnings == []
    # Going up, the same number is far from met.
    assert (await story.plan(FILE.replace("baseline: 10, target: 5", "baseline: 1, target: 8"))).warnings == []


async def test_a_target_that_is_met_from_the_start(story: Story) -> None:
    story.clock.set(story.clock().replace(month=10, day=7))
    await story.apply(FILE)
    await story.send(orders(10))
    await story.work()
    (warning,) = (await story.plan(FILE)).warnings
    assert warning.code == "sandbagging"
    assert "from the start" in warning.detail
    story.clock.advance(timedelta(days=20))
    assert (await story.plan(FILE)).warnings == []


async def test_a_silenced_one_is_listed_with_its_reason_and_an_unneeded_silence_is_told(story: Story) -> None:
    silenced = FILE.replace("target: 5}", "target: 5, silence: {sandbagging: the old one was an accident}}")
    await story.apply(silenced)
    assert found((await story.plan(silenced)).warnings) == [
        ("unneeded_silence", "/objectives/service/key_results/quick/silence/sandbagging")
    ]
    await story.send(orders(8))
    await story.work()
    (warning,) = (await story.plan(silenced)).warnings
    assert (warning.code, warning.silenced) == ("sandbagging", "the old one was an accident")


async def test_an_event_that_never_came(story: Story) -> None:
    await story.apply(FILE)
    await story.send(orders(11, 4))
    await story.work()
    misspelt = FILE.replace("{event: approved}", "{event: aproved}")
    assert found((await story.plan(misspelt)).warnings) == []  # eight events: too few to tell
    await story.send(orders(10))
    await story.work()
    (warning,) = (await story.plan(misspelt)).warnings
    assert (warning.code, warning.pointer) == ("never_seen", "/metrics/days/duration/to")
    assert warning.detail == "none of the newest 32 records has the event 'aproved': did you mean 'approved'?"
    either = FILE.replace("{event: approved}", "{event: [aproved, approved]}")
    assert found((await story.plan(either)).warnings) == []


async def test_a_metric_that_nobody_reads_in_any_team(story: Story) -> None:
    file = FILE.replace("objectives:\n", "  mood: {unit: score, manual: {}}\nobjectives:\n", 1)
    assert found((await story.plan(file)).warnings) == [("unused_metric", "/metrics/mood")]
    await story.apply(file)
    theirs: Any = read_yaml(b"version: 1\nteam: hr\nmetrics: {all: {unit: score, formula: support.mood * 1}}\n").value
    await apply_team_file(story.services, theirs, team="hr", actor="erin")
    assert found((await story.plan(file)).warnings) == []


async def test_an_objective_without_key_results_unless_others_contribute(story: Story) -> None:
    file = FILE + "  grow: {title: Grow, cycle: 2026-Q4}\n"
    assert found((await story.plan(file)).warnings) == [("no_key_results", "/objectives/grow")]
    contributing = file.replace("    key_results:\n", "    contributes_to: [support/grow]\n    key_results:\n")
    assert found((await story.plan(contributing)).warnings) == []


async def test_a_renamed_webhook_connection_says_its_new_address(story: Story) -> None:
    await story.apply(FILE)
    renamed = FILE.replace("  erp: {", "  shop: {renamed_from: erp, ").replace("connection: erp", "connection: shop")
    (warning,) = (await story.plan(renamed)).warnings
    assert (warning.code, warning.pointer) == ("hook_address", "/connections/shop")
    assert "/v1/hooks/support/shop" in warning.detail


async def test_a_connection_that_is_asked_too_often(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await story.apply(SOUND)
    monkeypatch.setattr(stored_lint, "MOST_REQUESTS", 5)
    (warning,) = (await story.plan(SOUND)).warnings
    assert (warning.code, warning.pointer) == ("too_many_requests", "/connections/jira")
    assert warning.detail.startswith("8 requests an hour")


async def test_a_parent_that_is_not_there_yet_can_be_silenced(story: Story) -> None:
    file = FILE.replace("team: support\n", "team: support\nparent: company\n", 1)
    assert found((await story.plan(file)).warnings) == [("unknown_name", "/parent")]
    silenced = file.replace("team: support\n", "team: support\nsilence: {unknown_name: it comes next week}\n", 1)
    assert [one.silenced for one in (await story.plan(silenced)).warnings] == ["it comes next week"]
