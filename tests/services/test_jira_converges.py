"""A Jira that people change while it is read, whose index lags, whose answers fail and whose webhooks are lost or come
twice: once it is quiet, what is kept of it is what it has."""

import asyncio
import json
import shutil
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.conftest import FakeClock
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.fakes.jira_faults import Answer, Fault
from tests.services.story import STATUSES, Story, jira_site, open_story, ticket
from tests.services.test_jira_hints import FILE

START = datetime(2026, 10, 24, 21, 0, tzinfo=UTC)  # the night that clocks go back in Europe
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Etc/GMT+12"]
LAGS = [timedelta(0), timedelta(minutes=3), timedelta(hours=1), timedelta(hours=12)]
PATHS = [f"{API}/search/jql", f"{API}/issue/bulkfetch", f"{API}/changelog/bulkfetch", f"{API}/status"]
OTHER = {"id": "2", "key": "HR", "name": "People"}
HOME = {"id": "1", "key": "HELP", "name": "Help"}
NUMBERS = st.integers(1, 8)


class ChangingJira(RuleBasedStateMachine):
    """`template` is a migrated database without a row."""

    template: Path

    @initialize(zone=st.sampled_from(ZONES), lag=st.sampled_from(LAGS), first=st.integers(0, 5))
    def begin(self, zone: str, lag: timedelta, first: int) -> None:
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = FakeClock(START)
        self.lag = lag
        tickets = [ticket(number, START - timedelta(days=number)) for number in range(1, first + 1)]
        # The fake knows projects by their issues, and a query for one that it does not know is refused.
        tickets.append(ticket(99, START - timedelta(days=99), ("Done", START - timedelta(days=98))))
        self.site: JiraCloudFake = jira_site(self.clock, *tickets, zone=zone, page_size=2, ids_page_size=3)
        self.site.index_lag = lag
        path = self.template.parent / f"converges-{uuid4().hex}.db"
        shutil.copyfile(self.template, path)
        self.path = path
        opening = open_story(f"sqlite+aiosqlite:///{path}", self.clock, self.site)
        self.story: Story = self.loop.run(self.stack.enter_async_context(opening))
        self.loop.run(self.story.apply(FILE))

    # --- what people do ---------------------------------------------------------------------------------------------

    def _change(self, number: int, what: str) -> str | None:
        """Change an issue, or make it; what a webhook would call it."""
        issue = self.site.issues.get(str(number))
        now = self.clock()
        if issue is None:
            if what == "delete":
                return None
            self.site.create(ticket(number, now), now)
            return "issue_created"
        if what == "delete":
            self.site.delete(issue["key"], now)
            return "issue_deleted"
        if what == "project":
            away = issue["fields"]["project"]["key"] == "HELP"
            key = f"HR-{number}" if away else f"HELP-{number}"
            self.site.move_to_project(issue["key"], OTHER if away else HOME, key, now)
        elif what == "priority":
            self.site.edit(issue["key"], now, priority={"name": f"P{now.minute}"})
        else:
            self.site.move(issue["key"], what, now)
        return "issue_updated"

    @rule(
        number=NUMBERS,
        what=st.sampled_from(["delete", "project", "priority", *(status["name"] for status in STATUSES)]),
        told=st.integers(0, 2),
    )
    def change(self, number: int, what: str, told: int) -> None:
        event = self._change(number, what)
        if event is not None:
            self._tell(number, event, told)

    def _tell(self, number: int, event: str, times: int) -> None:
        body = {"webhookEvent": f"jira:{event}", "issue": {"id": str(number), "key": f"HELP-{number}"}}
        if times:
            self.loop.run(self.story.send([body] * times, connection="jira"))

    @rule(number=NUMBERS, what=st.sampled_from(["delete", "priority", "Done", "Open"]), path=st.sampled_from(PATHS))
    def change_during_the_next_read(self, number: int, what: str, path: str) -> None:
        done: list[bool] = []

        def change(answer: Answer) -> Answer:
            if not done:
                done.append(True)
                self._change(number, what)
            return answer

        self.site.faults.append(Fault(path, change))

    # --- what goes wrong --------------------------------------------------------------------------------------------

    @rule(path=st.sampled_from(PATHS), kind=st.sampled_from(["away", "limit", "cut", "login"]), first=st.integers(1, 3))
    def fail(self, path: str, kind: str, first: int) -> None:
        self.site.faults.append(
            {
                "away": jira_faults.status(path, 503, first=first),
                "limit": jira_faults.status(path, 429, first=first, retry_after="30"),
                "cut": jira_faults.truncated(path, first=first),
                "login": jira_faults.login_page(path, first=first),
            }[kind]
        )

    @rule(minutes=st.sampled_from([0.1, 1, 20, 60, 150]))
    def time_passes(self, minutes: float) -> None:
        self.loop.run(self._later(minutes))

    async def _later(self, minutes: float) -> None:
        await self.story.work()
        await self.story.later(minutes=minutes)

    # --- and then it is quiet ---------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "story"):
            return
        try:
            self.site.faults.clear()
            self.loop.run(self._quiet())
            kept = self.loop.run(self._kept())
            assert kept == self._there()
        finally:
            self.loop.run(self.stack.aclose())
            self.loop.close()
            self.path.unlink(missing_ok=True)

    async def _quiet(self) -> None:
        # The index catches up, a read looks far back, a failed one is tried again, two sweeps miss what is gone.
        for minutes in (self.lag / timedelta(minutes=1) + 1, 61, 61, 125, 20, 20):
            await self._later(minutes)

    async def _kept(self) -> dict[str, tuple[Any, ...]]:
        rows = await self.story.rows(
            "SELECT entity, name, fields, transitions FROM record WHERE NOT is_deleted AND NOT is_out_of_scope"
        )
        found = {}
        for entity, name, fields, transitions in rows:
            values = json.loads(fields)
            found[entity] = (name, values["status"], values["priority"], len(json.loads(transitions)))
        return found

    def _there(self) -> dict[str, tuple[Any, ...]]:
        return {
            id: (
                issue["key"],
                issue["fields"]["status"]["name"],
                (issue["fields"].get("priority") or {}).get("name"),
                len(issue["changelog"]),
            )
            for id, issue in self.site.issues.items()
            if issue["fields"]["project"]["key"] == "HELP" and issue["fields"]["status"]["name"] != "Done"
        }


@pytest.fixture
def template(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A migrated database without a row."""
    return Path(shutil.copyfile(request.getfixturevalue("_sqlite_template"), tmp_path / "template.db"))


def test_once_it_is_quiet_our_records_are_what_jira_has(template: Path) -> None:
    run_state_machine_as_test(
        type("ChangingJiraHere", (ChangingJira,), {"template": template}),
        settings=settings(
            max_examples=10,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
