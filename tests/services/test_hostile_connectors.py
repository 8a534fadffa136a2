"""Connectors that lie, crash, hang and meddle: none gets a value in, and the host goes on."""

import traceback
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from app.services import pull
from app.services.connect import ConnectorCrashError
from app.services.pull import pull_plan
from app.services.views import RunView
from connectors.contract import Connector
from tests.fakes.hostile import HARMLESS, HOSTILE_CONDUCT, HOSTILE_MEASURES, HOSTILE_READS
from tests.services.story import SECRETS, Story, gather

FILE = """
version: 1
team: support
connections:
  tool: {{connector: {key}, token: {{env: JIRA_TOKEN}}}}
datasets:
  things: {{connection: tool}}
metrics:
  kept: {{unit: things, records: {{dataset: things}}, window: all}}
  asked: {{unit: things, query: {{connection: tool}}}}
objectives:
  o:
    title: O
    cycle: 2026-Q4
    key_results:
      records: {{metric: kept, baseline: 10, target: 0}}
      number: {{metric: asked, baseline: 10, target: 0}}
"""


async def run_with(story: Story, connector: Connector, endless: str = "") -> tuple[RunView, RunView]:
    """Point the team's connection at a connector, pull both its plans, and return the read's run and the measure's.

    Only the one that would not end by itself ("read" or "measure") is given little time."""
    tool = story.with_connectors(connector)
    await tool.apply(FILE.format(key=connector.key))
    known = len(await tool.runs())
    claimed = await tool.claim()
    assert len(claimed) == 2, connector.key
    reads = [plan for (plan,) in await tool.rows("SELECT id FROM plan WHERE dataset_id IS NOT NULL")]
    for plan, fence in claimed:
        with suppress(ConnectorCrashError), pytest.MonkeyPatch.context() as impatient:
            if endless == ("read" if plan in reads else "measure"):
                impatient.setattr(pull, "LONGEST_RUN", timedelta(seconds=0.2))
            await pull_plan(tool.services, plan, fence)
    reading, measuring = sorted((await tool.runs())[known:], key=lambda run: run.dataset is None)
    tool.clock.advance(timedelta(hours=2))
    return reading, measuring


#: Some of each kind; `tests/connectors/test_boundary.py` has them all.
READS = (
    "float_field",
    "nan_field",
    "nul_field",
    "surrogate_field",
    "cyclic_field",
    "huge_version",
    "naive_creation",
    "naive_transition",
    "same_entity_twice",
    "float_cursor",
    "dict_for_a_page",
    "good_page_then_bad",
)
MEASURES = ("nan", "float", "huge_exponent", "unknown_without_reason", "naive_moment", "nul_query", "nothing")


async def test_what_a_connector_may_not_hand_over_is_never_published(story: Story) -> None:
    for name in READS:
        reading, _ = await run_with(story, HOSTILE_READS[name])
        assert (reading.outcome, reading.error_code) == ("failed", "unexpected_response"), name
        assert await story.count("record") == await story.count("staged_change") == 0, name
    assert (await story.key_result("records")).freshness.level == "error"


async def test_what_a_connector_may_not_measure_never_becomes_a_value(story: Story) -> None:
    for name in MEASURES:
        _, measuring = await run_with(story, HOSTILE_MEASURES[name])
        assert (measuring.outcome, measuring.error_code) == ("failed", "unexpected_response"), name
    assert await story.count("measurement") == 0
    assert await story.value("number") is None


#: (outcome of the read, outcome of the measurement)
CONDUCT = {
    "raises_a_bug": ("crashed", "crashed"),
    "raises_a_base_exception": ("crashed", "crashed"),
    "raises_cancelled": ("crashed", "crashed"),
    "raises_keyboard_interrupt": ("crashed", "crashed"),
    "raises_stop_iteration": ("crashed", "crashed"),
    "raises_recursion": ("crashed", "crashed"),
    "raises_memory": ("crashed", "crashed"),
    "exits": ("succeeded", "crashed"),
    "tells_its_token": ("succeeded", "crashed"),
    "measures_forever": ("succeeded", "failed"),
    "reads_forever": ("failed", "succeeded"),
    "same_page_forever": ("failed", "succeeded"),
    "new_pages_forever": ("failed", "succeeded"),
    "reads_nothing": ("succeeded", "succeeded"),
    "meddles_with_a_query": ("succeeded", "succeeded"),
    "meddles_with_a_cursor": ("succeeded", "succeeded"),
    "fails_to_close": ("crashed", "crashed"),
    "closes_the_client": ("succeeded", "succeeded"),
}


async def test_bad_conduct_ends_its_own_run_and_nothing_else(story: Story) -> None:
    assert set(HOSTILE_CONDUCT) - set(CONDUCT) == {"swallows_errors", "tells_its_token_at_the_door"}
    for name, expected in CONDUCT.items():
        endless = ("read" if expected[0] == "failed" else "measure") if "forever" in name else ""
        runs = await run_with(story, HOSTILE_CONDUCT[name], endless)
        assert tuple(run.outcome for run in runs) == expected, name
        assert await story.count("staged_change") == 0, name
        for run in runs:
            assert SECRETS["JIRA_TOKEN"] not in (run.error or ""), name
    runs = await run_with(story, HARMLESS)
    assert [run.outcome for run in runs] == ["succeeded", "succeeded"]
    assert await story.value("number") == 7


async def test_an_error_that_a_connector_swallows_still_ends_the_read(story: Story) -> None:
    swallowing = replace(HOSTILE_READS["good_page_then_bad"], open=HOSTILE_CONDUCT["swallows_errors"].open)
    reading, _ = await run_with(story, swallowing)
    assert (reading.outcome, reading.error_code) == ("failed", "unexpected_response")
    assert await story.count("record") == 0


async def test_a_crash_tells_where_it_was_and_nothing_that_the_connector_said(story: Story) -> None:
    tool = story.with_connectors(HOSTILE_CONDUCT["tells_its_token"])
    await tool.apply(FILE.format(key=HOSTILE_CONDUCT["tells_its_token"].key))
    ended = await gather(*(pull_plan(tool.services, *claimed) for claimed in await tool.claim()))
    (crash,) = (one for one in ended if isinstance(one, ConnectorCrashError))
    told = "".join(traceback.format_exception(crash))
    assert "_measure_telling" in told
    assert SECRETS["JIRA_TOKEN"] not in told


async def test_a_crash_is_raised_and_tried_again_later_not_at_once(story: Story) -> None:
    tool = story.with_connectors(HOSTILE_CONDUCT["raises_a_bug"])
    await tool.apply(FILE.format(key=HOSTILE_CONDUCT["raises_a_bug"].key))
    for plan, fence in await tool.claim():
        with pytest.raises(ConnectorCrashError, match="ZeroDivisionError"):
            await pull_plan(tool.services, plan, fence)
    assert await tool.claim() == []
    tool.clock.advance(timedelta(hours=1))
    assert len(await tool.claim()) == 2
