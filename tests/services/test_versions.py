"""Reads in any order: what is kept of an entity is its newest version, and every number says the same."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.services import publish
from connectors.contract import Cursor, Page, RecordChange
from tests.fakes.hostile import HARMLESS, HostileConfig, HostileQuery
from tests.services.story import Story

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

FILE = """
version: 1
team: support
connections:
  tool: {connector: harmless, token: {env: JIRA_TOKEN}}
datasets:
  things: {connection: tool, q: "%s"}
metrics:
  kept: {unit: things, records: {dataset: things, value: record.size}, aggregate: sum, window: all}
objectives:
  o:
    title: O
    cycle: 2026-Q4
    key_results:
      total: {metric: kept, baseline: 1000000, target: 0}
"""

#: A read is pages of (entity, version); a version's content follows from it.
Observation = tuple[int, int]
PAGES = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), max_size=3, unique_by=lambda seen: seen[0]), max_size=3
)


def change(observation: Observation) -> RecordChange:
    entity, version = observation
    return RecordChange(f"E{entity}", f"E-{entity}", version, MONDAY, {"size": entity * 100 + version})


async def read_all(story: Story, reads: list[list[list[Observation]]]) -> None:
    """Do these reads one after the other: the first of a dataset is whole, the others of what changed."""
    waiting = list(reads)

    async def read(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
        for page in waiting.pop(0):
            yield Page([change(observation) for observation in page])
        yield Page([], cursor={"at": len(waiting)})

    tool = story.with_connectors(replace(HARMLESS, read=read))
    await tool.apply(FILE % "a")
    for _ in reads:
        tool.clock.advance(timedelta(minutes=30))
        assert await tool.pull() == ["succeeded"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reads=st.lists(PAGES, min_size=1, max_size=4))
async def test_an_older_version_never_overwrites_a_newer_one(
    story: Story, reads: list[list[list[Observation]]]
) -> None:
    async with story.services.database.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM team")
    await read_all(story, reads)
    newest: dict[int, int] = {}
    for entity, version in (observation for read in reads for page in read for observation in page):
        newest[entity] = max(version, newest.get(entity, 0))
    stored = {row[0]: row[1] for row in await story.rows("SELECT entity, version FROM record")}
    assert stored == {f"E{entity}": version for entity, version in newest.items()}
    assert await story.value("total") == sum(entity * 100 + version for entity, version in newest.items())


@pytest.mark.parametrize("pages", [1, 3])
async def test_of_a_thing_on_several_batches_of_one_read_the_newest_version_counts(
    story: Story, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    monkeypatch.setattr(publish, "_BATCH", pages)
    await read_all(story, [[[(1, 1)]], [[(1, 5)], [(1, 3)], [(1, 4)]]])
    assert await story.rows("SELECT version FROM record") == [(5,)]
    assert await story.value("total") == 105
