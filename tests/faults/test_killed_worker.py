"""A dead worker's lease is taken over: what it was pulling is pulled by the next one, once."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes.jira_cloud import API, EMAIL, TOKEN, JiraCloudFake
from tests.fakes.jira_faults import held
from tests.fakes.jira_issues import load_fluid
from tests.faults.payments import items
from tests.journeys.running import RunningKrsync, eventually, on_loopback, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

FETCH = f"{API}/issue/bulkfetch"
FILE = """
version: 1
team: fluid
connections:
  jira: {{connector: jira, url: "{url}", email: {email}, token: {{env: JIRA_TOKEN}}}}
datasets:
  issues: {{connection: jira, jql: "project = FLUID"}}
metrics:
  issues: {{unit: issues, records: {{dataset: issues}}, aggregate: count}}
objectives:
  tracker:
    title: The tracker
    cycle: {cycle}
    key_results:
      issues: {{metric: issues, baseline: 0, target: 5000}}
"""


async def test_a_pull_whose_worker_is_killed_is_finished_by_the_next(tmp_path: Path, shared_data: Path) -> None:
    site = JiraCloudFake.of(load_fluid(shared_data / "jira" / "fluid-issues-to-2012.ndjson"))
    released = asyncio.Event()
    # Of 43 fetches. At most 30 are under way before the first records are staged: some are by then.
    site.faults.append(held(FETCH, released, first=35))
    secrets = {"JIRA_TOKEN": TOKEN, "KRSYNC_OUTBOUND_ALLOW": "127.0.0.0/8"}
    async with on_loopback(site) as url, running(tmp_path, **secrets) as krsync, krsync.client() as http:
        file = FILE.format(url=url, email=EMAIL, cycle=datetime.now(UTC).year)
        headers = {"content-type": "application/yaml"}
        answer = await http.post("/v1/teams/fluid/apply", content=file, headers=headers)
        assert answer.status_code == 200, answer.text

        async def is_in_flight() -> bool:
            return site.count(FETCH) >= 35 and 0 < staged(krsync) < 4_284

        await eventually("the pull is in flight", is_in_flight)
        worker = await krsync.child("worker")
        os.kill(worker, signal.SIGKILL)
        released.set()
        assert await krsync.child("worker", other_than=worker) != worker
        assert "The worker ended (signal 9); starting it again" in krsync.said()

        async def value() -> str | None:
            [found] = await items(http, "/v1/key-results")
            return None if found["value"] is None else str(found["value"])

        # The lease has to run out first.
        assert await eventually("the pull is complete", value) == "4284"
        runs = await items(http, "/v1/runs")
        assert [run["outcome"] for run in runs] == ["succeeded", "superseded"], runs
        assert [run["records"] for run in runs][:1] == [4_284]
        assert staged(krsync) == 0, "pages of the killed run are left"
        records = [one["entity"] for one in await items(http, "/v1/datasets/fluid/issues/records")]
        assert len(records) == len(set(records)) == 4_284
        samples = await items(http, "/v1/key-results/fluid/issues/history")
        assert [sample["value"] for sample in samples if sample["value"] is not None] == ["4284"], samples


def staged(krsync: RunningKrsync) -> int:
    """How many records lie staged under a run."""
    with closing(sqlite3.connect(f"file:{krsync.data / 'krsync.db'}?mode=ro", uri=True)) as database:
        count: int = database.execute("select count(*) from staged_change").fetchone()[0]
    return count
