"""A Jira whose people log work while it is read, change it, move it and take it back, in the same troubles as in
`test_jira_converges`: once it is quiet, the work that is kept is what Jira has of the dataset's issues.

Jira tells of no work that moves with its issue, or to another one: where it is now is known after everything was read.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.fakes import jira_data_center
from tests.fakes.jira_cloud import API
from tests.services.test_jira_converges import (
    CLOUD,
    FILE,
    MINUTES,
    SERVER,
    ZONES,
    ChangingJira,
    play,
    rfc3339,
    template,
)

__all__ = ["template"]

SCOPES = {"work": '"project = HELP AND status != Done"', "all_work": '"labels != secret OR labels IS EMPTY"'}
HEAD, METRICS, GOALS = FILE.partition("metrics:")[0], "metrics:", FILE.partition("metrics:")[2]
WORK_FILE = (
    HEAD
    + "".join(f"  {name}: {{connection: jira, stream: worklogs, jql: {jql}}}\n" for name, jql in SCOPES.items())
    + METRICS
    + "".join(
        f"\n  {name}_seconds:\n    unit: seconds\n    records: {{dataset: {name}, value: record.time_spent, "
        "at: record.started}\n    aggregate: sum\n    window: all"
        for name in SCOPES
    )
    + GOALS
    + "".join(f"      {name}_logged: {{metric: {name}_seconds, baseline: 0, target: 9}}\n" for name in SCOPES)
)
LISTS = ("worklog/updated", "worklog/deleted", "worklog/list")
IDS = st.integers(1, 7)
EVENTS = {"log": "worklog_created", "edit": "worklog_updated", "move": None, "delete": "worklog_deleted"}


class ChangingWork(ChangingJira):
    file = WORK_FILE
    metrics = (*ChangingJira.metrics, *(f"{name}_seconds" for name in SCOPES))
    paths = (
        [*CLOUD, *(f"{API}/{name}" for name in LISTS)],
        [*SERVER, *(f"{jira_data_center.API}/{name}" for name in LISTS)],
    )

    @initialize()
    def begin_to_work(self) -> None:
        self.comparisons = self.turn = 0

    def _change(self, number: int, what: str) -> str | None:
        """Who changes an issue also logs work somewhere, or changes what was logged, and no webhook tells of it."""
        event = super()._change(number, what)
        self.turn += 1
        names = list(EVENTS)
        self._log(names[(self.turn + number) % len(names)], 1 + self.turn % 5, number * self.turn, self.turn)
        return event

    @rule(
        what=st.sampled_from(list(EVENTS)),
        ids=st.lists(IDS, min_size=1, max_size=3),
        on=st.integers(0, 20),
        seconds=st.integers(1, 9),
        minutes=MINUTES,
        is_told=st.booleans(),
        is_crowded=st.booleans(),
    )
    def people_log(
        self, what: str, ids: list[int], on: int, seconds: int, minutes: float, is_told: bool, is_crowded: bool
    ) -> None:
        self.site.worklogs.page_size = 2 if is_crowded else 1_000
        for id in dict.fromkeys(ids):
            told = self._log(what, id, on, seconds)
            if is_told and told is not None:
                self.loop.run(self.story.send([told], connection="jira", ids=[f"work-{self.sent}"]))
                self.sent += 1
        self.loop.run(self._later(minutes))

    def _log(self, what: str, id: int, on: int, seconds: int) -> dict[str, Any] | None:
        """Do something to a worklog, or log it; what a webhook would say of it."""
        book, now = self.site.worklogs, self.site.now()
        issue = sorted(self.site.issues.values(), key=lambda one: one["id"])[on % len(self.site.issues)]
        held = book.held.get(id)
        if held is None and id in {deleted for _, deleted in book.deletions}:
            return None  # no id comes again
        if held is None or what == "log":
            if held is not None:
                return None
            what = "log"
            self.site.edit(issue["key"], now)
            book.log(id, issue["id"], now, seconds)
        elif what == "move":
            book.move(id, issue["id"])
        else:
            self.site.edit(self.site.issues[held["issueId"]]["key"], now)
            if what == "edit":
                book.edit(id, now, timeSpentSeconds=seconds)
            else:
                book.delete(id, now)
        event = EVENTS[what]
        on_issue = issue["id"] if held is None else held["issueId"]
        return None if event is None else {"webhookEvent": event, "worklog": {"id": str(id), "issueId": on_issue}}

    async def _compare(self) -> None:
        await super()._compare()
        self.comparisons += 1
        is_whole = self.comparisons == 2 or self.is_renamed
        for dataset in SCOPES:
            there = dict(self._work_there(dataset))
            kept = await self._kept(dataset)
            if is_whole:
                assert kept == there, dataset
            else:
                assert {id: one[2]["time_spent"] for id, one in kept.items()} == {
                    id: one[2]["time_spent"] for id, one in there.items()
                }, dataset
            spent = sum(one[2]["time_spent"] for one in there.values())
            assert await self.story.value(f"{dataset}_logged") == Decimal(spent), dataset

    def _work_there(self, dataset: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """The work on the dataset's issues as the site has it."""
        for id, one in self.site.worklogs.held.items():
            issue = self.site.issues[one["issueId"]]
            known = issue["fields"]
            if dataset == "work" and (known["project"]["key"] != "HELP" or known["status"]["name"] == "Done"):
                continue
            fields = {
                "issue": issue["key"],
                "project": known["project"]["key"],
                "author": one["author"]["accountId"],
                "started": rfc3339(one["started"]),
                "time_spent": one["timeSpentSeconds"],
                "created": rfc3339(one["created"]),
                "updated": rfc3339(one["updated"]),
            }
            link = f"https://acme.atlassian.net/browse/{issue['key']}?focusedWorklogId={id}"
            yield f"worklog/{id}", (f"{issue['key']} #{id}", link, fields, [])


def test_once_it_is_quiet_the_work_that_is_kept_is_what_jira_has(template: Path) -> None:
    play(ChangingWork, template, 3, 6, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("is_cloud", [True, False], ids=["cloud", "data-center"])
@pytest.mark.parametrize("zone", ZONES)
def test_in_every_zone_work_is_kept(template: Path, zone: str, is_cloud: bool) -> None:
    play(ChangingWork, template, 8, 20, derandomize=False, zones=[zone], is_cloud=is_cloud)
