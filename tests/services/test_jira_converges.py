"""A Jira that people change while it is read: its index lags, its clock is off, its answers fail, its permissions and
tokens come and go, its webhooks are lost, late, doubled and out of order, workers die. Once it is quiet, what is kept
of it is what it has, to the last field and change of status, and so is what is counted.

What is expected is told by the site itself, by other code than reads it. The ordinary run takes the same few stories
each time; the long one (`./krsync test --long`) goes through every zone and lag with stories of its own.
"""

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.services.connect import check_connection
from app.services.pull import request_refresh
from connectors.errors import ConnectorError
from tests.conftest import FakeClock
from tests.fakes import jira_data_center, jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.fakes.jira_data_center import JiraDataCenterFake
from tests.fakes.jira_faults import Answer, Fault
from tests.fakes.jira_issues import SYSTEM_FIELDS, status
from tests.services.story import COST, SECRETS, STATUSES, TEAM, Story, jira_site, open_story, ticket

START = datetime(2026, 10, 24, 21, 0, tzinfo=UTC)  # the night that clocks go back in Europe
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Etc/GMT+12"]
LAGS = [timedelta(0), timedelta(minutes=3), timedelta(hours=1), timedelta(hours=12)]
SKEWS = [timedelta(0), timedelta(hours=2), timedelta(hours=-2)]
WAITING = status("4", "等待中", "indeterminate")
NAMES = [*(one["name"] for one in STATUSES), WAITING["name"]]
CATEGORIES = {"Open": "to_do", "In Progress": "in_progress", "Done": "done", "等待中": "in_progress"}
CLOUD = [f"{API}/{name}" for name in ("search/jql", "issue/bulkfetch", "changelog/bulkfetch", "status")]
SERVER = [f"{jira_data_center.API}/{name}" for name in ("search", "status")]
HOME, OTHER = {"id": "1", "key": "HELP", "name": "Help"}, {"id": "2", "key": "HR", "name": "People"}
NUMBERS = st.integers(1, 7)
MINUTES = st.sampled_from([0.1, 1, 20, 60, 150])
WHATS = st.sampled_from(["delete", "project", "priority", "cost", "labels", "twice", "shuffle", *NAMES])
CHANGES = st.lists(st.tuples(NUMBERS, WHATS), min_size=1, max_size=3)

FILE = """
version: 1
team: support
connections:
  jira:
    {connector: jira, url: "https://acme.atlassian.net", email: bot@acme.example, token: {env: JIRA_TOKEN},
     webhook_secret: {env: JIRA_HOOK}}
datasets:
  tickets: {connection: jira, jql: "project = HELP AND status != Done", fields: [Cost]}
  every: {connection: jira, jql: "labels != secret OR labels IS EMPTY"}
metrics:
  unfinished: {unit: tickets, records: {dataset: tickets}, window: all}
  known: {unit: tickets, records: {dataset: every}, window: all}
objectives:
  service:
    title: A faster desk
    cycle: 2026-Q4
    key_results:
      backlog: {metric: unfinished, baseline: 10, target: 0}
      seen: {metric: known, baseline: 10, target: 0}
"""


class ChangingJira(RuleBasedStateMachine):
    """`template` is a migrated database without a row; `file` is the team's with its `metrics`, `paths` what may fail
    on Cloud and on a server; `zones` and `lags` are those that are drawn from."""

    template: Path
    file = FILE
    metrics: tuple[str, ...] = ("unfinished", "known")
    paths: tuple[list[str], list[str]] = (CLOUD, SERVER)
    zones = ZONES
    lags = LAGS
    is_cloud = True

    @initialize(data=st.data(), skew=st.sampled_from(SKEWS), first=st.integers(1, 5))
    def begin(self, data: st.DataObject, skew: timedelta, first: int) -> None:
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = FakeClock(START)
        self.lag = data.draw(st.sampled_from(self.lags))
        self.hooks: list[dict[str, Any]] = []
        self.sent = 0
        self.is_renamed = False
        tickets = [ticket(number, START - timedelta(days=number)) for number in range(1, first + 1)]
        # The fake knows projects by their issues: one stays in each, or the project would be gone with its last.
        for number, project in ((99, HOME), (98, OTHER)):
            last = ticket(number, START - timedelta(days=99), ("Done", START - timedelta(days=98)), project=project)
            tickets.append({**last, "key": f"{project['key']}-{number}"})
        zone = data.draw(st.sampled_from(self.zones))
        self.site = self._site(tickets, zone)
        self.site.statuses.append(WAITING)
        self.site.now = lambda: self.clock() + skew
        self.site.index_lag = self.lag if self.is_cloud else timedelta(0)
        self.credential = self.site._credential
        path = self.template.parent / f"converges-{uuid4().hex}.db"
        shutil.copyfile(self.template, path)
        self.path = path
        opening = open_story(f"sqlite+aiosqlite:///{path}", self.clock, self.site)
        self.story: Story = self.loop.run(self.stack.enter_async_context(opening))
        self.loop.run(
            self.story.apply(self.file if self.is_cloud else self.file.replace("email: bot@acme.example, ", ""))
        )

    def _site(self, tickets: list[dict[str, Any]], zone: str) -> JiraCloudFake:
        if self.is_cloud:
            return jira_site(self.clock, *tickets, zone=zone, page_size=2, ids_page_size=3, changelog_page_size=2)
        server = JiraDataCenterFake(tickets, list(STATUSES), [*SYSTEM_FIELDS, COST], zone, most_rows=3)
        server.inline_histories, server.issue_histories = 2, 3
        server._credential = f"Bearer {SECRETS['JIRA_TOKEN']}"
        return server

    # --- what people do ---------------------------------------------------------------------------------------------

    def _change(self, number: int, what: str) -> str | None:
        """Change an issue, or make it; what a webhook would call it."""
        issue = self.site.issues.get(str(number))
        now = self.site.now()
        if issue is None:
            if what == "delete":
                return None
            self.site.create(ticket(number, now), now)
            return "issue_created"
        key = issue["key"]
        match what:
            case "delete":
                self.site.delete(key, now)
                return "issue_deleted"
            case "project":
                other = self.site.issues["98"]["fields"]["project"]  # whatever it is called by now
                project = other if issue["fields"]["project"]["key"] == "HELP" else HOME
                self.site.move_to_project(key, project, f"{project['key']}-{number}", now)
            case "priority":
                self.site.edit(key, now, priority={"name": f"P{now.minute}"})
            case "cost":
                self.site.edit(key, now, **{COST["id"]: now.minute})
            case "labels":
                labels = issue["fields"].get("labels") or []
                self.site.edit(key, now, labels=[*labels, f"急-{len(labels)}"])
            case "twice":  # two changes of status at one moment
                self.site.move(key, "In Progress", now)
                self.site.move(key, "等待中", now)
            case "shuffle":  # histories come in no order
                issue["changelog"].reverse()
            case _:
                self.site.move(key, what, now)
        return "issue_updated"

    def _work(self, changes: list[tuple[int, str]], minutes: float) -> None:
        """People change things, and the workers do what they find to do some time later."""
        for number, what in changes:
            event = self._change(number, what)
            if event is not None:
                issue = {"id": str(number), "key": f"HELP-{number}"}
                self.hooks.append({"webhookEvent": f"jira:{event}", "issue": issue})
        self.loop.run(self._later(minutes))

    async def _later(self, minutes: float) -> None:
        await self.story.work()
        await self.story.later(minutes=minutes)
        assert await self.story.count("staged_change") == 0

    @rule(changes=CHANGES, minutes=MINUTES)
    def people_work(self, changes: list[tuple[int, str]], minutes: float) -> None:
        self._work(changes, minutes)

    @rule(changes=CHANGES, minutes=MINUTES, number=NUMBERS, what=WHATS, page=st.integers(0, 3), first=st.integers(1, 2))
    def people_work_while_it_is_read(
        self, changes: list[tuple[int, str]], minutes: float, number: int, what: str, page: int, first: int
    ) -> None:
        done: list[bool] = []

        def change(answer: Answer) -> Answer:
            if not done:
                done.append(True)
                self._change(number, what)
            return answer

        self.site.faults.append(Fault(self._path(page), change, first))
        self._work(changes, minutes)

    @rule(changes=CHANGES, minutes=MINUTES)
    def a_project_is_renamed(self, changes: list[tuple[int, str]], minutes: float) -> None:
        """None of its issues counts as updated."""
        if not self.is_renamed:
            self.is_renamed = True
            self.site.rename_project("HR", "HUMANS")
        self._work(changes, minutes)

    # --- what webhooks tell -----------------------------------------------------------------------------------------

    @rule(
        changes=CHANGES,
        minutes=MINUTES,
        picks=st.lists(st.integers(0, 9), min_size=1, max_size=4),
        times=st.integers(1, 2),
        shape=st.sampled_from(["cloud", "server", "old", "thin", "talk", "sprint"]),
    )
    def webhooks_come(
        self, changes: list[tuple[int, str]], minutes: float, picks: list[int], times: int, shape: str
    ) -> None:
        """Some of those that were not sent yet, in any order, once or twice; the others are late, and at last lost."""
        self._work(changes, 0.01)
        for pick in picks:
            if self.hooks:
                body = _shaped(self.hooks.pop(pick % len(self.hooks)), shape)
                self.sent += 1
                name = f"told-{self.sent}"
                for _ in range(times):
                    self.loop.run(self.story.send([body], connection="jira", ids=[name]))
        self.loop.run(self._later(minutes))

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def _path(self, page: int) -> str:
        paths = self.paths[0 if self.is_cloud else 1]
        return paths[page % len(paths)]

    @rule(
        changes=CHANGES,
        minutes=MINUTES,
        page=st.integers(0, 3),
        kind=st.sampled_from(["away", "limit", "points", "cut", "login", "query"]),
        first=st.integers(1, 3),
        times=st.integers(1, 6),
    )
    def answers_fail(
        self, changes: list[tuple[int, str]], minutes: float, page: int, kind: str, first: int, times: int
    ) -> None:
        path = self._path(page)
        points = {"retry_after": "1800", "ratelimit_reason": "jira-quota-global-based"}
        self.site.faults.append(
            {
                "away": jira_faults.status(path, 503, first=first, times=times),
                "limit": jira_faults.status(path, 429, first=first, times=times, retry_after="30"),
                "points": jira_faults.status(path, 429, first=first, times=1, **points),
                "cut": jira_faults.truncated(path, first=first),
                "login": jira_faults.login_page(path, first=first),
                "query": jira_faults.status(path, 400, first=first, words="Not now."),
            }[kind]
        )
        self._work(changes, minutes)

    @rule(
        changes=CHANGES,
        minutes=MINUTES,
        kind=st.sampled_from(["token", "permission", "worker", "zone"]),
        zone=st.sampled_from(ZONES),
    )
    def something_is_lost(self, changes: list[tuple[int, str]], minutes: float, kind: str, zone: str) -> None:
        match kind:
            case "token":
                self.site._credential = "Basic revoked"
            case "permission":
                self.site.hidden_projects = {"HR", "HUMANS"}
            case "worker":
                self.loop.run(self.story.claim("a worker that dies"))
            case "zone":
                self.site.zone = zone
        self._work(changes, minutes)

    @rule(changes=CHANGES, minutes=MINUTES)
    def somebody_mends_it(self, changes: list[tuple[int, str]], minutes: float) -> None:
        self.loop.run(self._mend())
        self._work(changes, minutes)

    async def _mend(self) -> None:
        self.site._credential = self.credential
        self.site.hidden_projects = set()
        try:
            await check_connection(self.story.services, TEAM, "jira")
        except ConnectorError:
            return  # something else is wrong by now
        for metric in self.metrics:
            await request_refresh(self.story.services, TEAM, metric, "dana")

    # --- and then it is quiet ---------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "story"):
            return
        try:
            self.loop.run(self._end())
        finally:
            self.loop.run(self.stack.aclose())
            self.loop.close()
            self.path.unlink(missing_ok=True)

    async def _end(self) -> None:
        self.site.faults.clear()
        await self._mend()
        # The index catches up, a read looks far back, two sweeps miss what is gone.
        for minutes in (self.lag / timedelta(minutes=1) + 130, 61, 125, 20):
            await self._later(minutes)
        if not self.is_renamed:
            await self._compare()
        # Everything is read once more, for what changed without an update.
        for minutes in (60 * 24, 20):
            await self._later(minutes)
        await self._compare()

    async def _compare(self) -> None:
        for name, dataset in (("backlog", "tickets"), ("seen", "every")):
            there = dict(self._there(dataset))
            assert await self._kept(dataset) == there, dataset
            assert await self.story.value(name) == len(there), name
        drift = (await self.story.connection()).drift
        assert drift is None or 0 <= drift.missed <= drift.changed

    async def _kept(self, dataset: str) -> dict[str, tuple[Any, ...]]:
        rows = await self.story.rows(
            "SELECT entity, record.name, link, fields, transitions FROM record JOIN dataset ON dataset.id = dataset_id "
            "WHERE dataset.name = :dataset AND NOT is_deleted AND NOT is_out_of_scope",
            dataset=dataset,
        )
        return {
            entity: (name, link, json.loads(fields, parse_float=Decimal), [tuple(one) for one in json.loads(moves)])
            for entity, name, link, fields, moves in rows
        }

    def _there(self, dataset: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """The dataset's issues as the site has them."""
        for id, issue in self.site.issues.items():
            known = issue["fields"]
            if dataset == "tickets" and (known["project"]["key"] != "HELP" or known["status"]["name"] == "Done"):
                continue
            fields: dict[str, Any] = {
                "key": issue["key"],
                "type": "Task",
                "project": known["project"]["key"],
                "status": known["status"]["name"],
                "status_category": CATEGORIES[known["status"]["name"]],
                "priority": (known.get("priority") or {}).get("name"),
                "labels": known.get("labels"),
                "created": rfc3339(known["created"]),
                "updated": rfc3339(known["updated"]),
                "resolved": rfc3339(known["resolutiondate"]),
                **dict.fromkeys(("resolution", "assignee", "components")),
            }
            if dataset == "tickets":
                fields["Cost"] = known[COST["id"]]
            yield id, (issue["key"], f"https://acme.atlassian.net/browse/{issue['key']}", fields, _moves(issue))


def _shaped(body: dict[str, Any], shape: str) -> dict[str, Any]:
    """A webhook as Cloud, a server, an old server or a thin one sends it, or another in its place."""
    issue = body["issue"]
    return {
        "cloud": body,
        "server": {**body, "issue_event_type_name": "issue_generic", "timestamp": 1},
        "old": {"issue": issue},
        "thin": {**body, "issue": {"key": issue["key"]}},
        "talk": {"webhookEvent": "comment_created", "comment": {"id": "1"}, "issue": issue},
        "sprint": {"webhookEvent": "sprint_closed", "sprint": {"id": 1}},
    }[shape]


def _moves(issue: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The changes of status in order of their moments and then of their ids, as they are stored."""
    found: list[tuple[Any, ...]] = []
    saves = sorted(issue["changelog"], key=lambda one: (datetime.fromisoformat(one["created"]), int(one["id"])))
    for order, save in enumerate(saves):
        (item,) = save["items"]
        at = datetime.fromisoformat(save["created"]).astimezone(UTC).isoformat()
        before, after = item["fromString"], item["toString"]
        found.append(("status", at, order, before, after, CATEGORIES[before], CATEGORIES[after]))
    return found


def rfc3339(text: str | None) -> str | None:
    """A moment as records have it."""
    if text is None:
        return None
    return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def template(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A migrated database without a row."""
    return Path(shutil.copyfile(request.getfixturevalue("_sqlite_template"), tmp_path / "template.db"))


def play(
    machine: type[ChangingJira], template: Path, examples: int, steps: int, *, derandomize: bool, **known: Any
) -> None:
    """Stories of a machine, the same each time where `derandomize` says so."""
    run_state_machine_as_test(
        type(f"{machine.__name__}Here", (machine,), {"template": template, **known}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=derandomize,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )


@pytest.mark.parametrize(("is_cloud", "examples"), [(True, 6), (False, 2)], ids=["cloud", "data-center"])
def test_once_it_is_quiet_our_records_are_what_jira_has(template: Path, is_cloud: bool, examples: int) -> None:
    play(ChangingJira, template, examples, 8, derandomize=True, is_cloud=is_cloud)


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("lag", LAGS, ids=str)
def test_in_every_zone_with_every_lag(template: Path, zone: str, lag: timedelta) -> None:
    play(ChangingJira, template, 6, 20, derandomize=False, zones=[zone], lags=[lag])


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_data_center_in_every_zone(template: Path, zone: str) -> None:
    play(ChangingJira, template, 6, 20, derandomize=False, zones=[zone], is_cloud=False)
