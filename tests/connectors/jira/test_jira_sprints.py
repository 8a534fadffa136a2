"""The sprints of a board, or of a project's boards: read whole each time, their states told from their moments."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.contract import Absence, Page, RecordChange, Toolbox, Transition
from connectors.errors import QueryError, UnexpectedResponseError
from connectors.jira import JIRA, JiraConfig, JiraDataset
from connectors.jira.session import JiraSession
from connectors.secrets import bind
from tests.connectors.jira.conftest import NOW, Connect, jira_config, small_site
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import AGILE, JiraCloudFake
from tests.fakes.jira_data_center import TOKEN as PAT
from tests.fakes.jira_data_center import JiraDataCenterFake
from tests.fakes.jira_issues import FLUID_STATUSES, SYSTEM_FIELDS
from tests.fakes.jira_streams import sprint

BOARD = JiraDataset(stream="sprints", board=1)
PROJECT = JiraDataset(stream="sprints", project="ERP")
DATES = {"startDate": "2026-10-05T09:00:00.000Z", "endDate": "2026-10-19T09:00:00.000Z"}
CLOSED = {**DATES, "completeDate": "2026-10-16T15:30:00.000+02:00"}


@pytest.fixture
def fake() -> JiraCloudFake:
    """Two scrum boards of ERP that share a sprint, a kanban board, one of a team that has no sprints, one of HR."""
    found = small_site(1)
    boards = (
        (1, "Team", "scrum", "ERP", [7, 8, 9]),
        (2, "Other team", "scrum", "ERP", [9, 10]),
        (3, "Operations", "kanban", "ERP", None),
        (4, "Simple", "simple", "ERP", None),
        (5, "People", "scrum", "HR", [11]),
    )
    for id, name, kind, project, shown in boards:
        found.boards[id] = {"id": id, "name": name, "type": kind, "project": project, "filter": "1", "sprints": shown}
    found.boards[4]["has_sprints"] = False
    found.sprints = {
        7: sprint(7, "closed", goal="Ship it", **CLOSED),
        8: sprint(8, "active", **DATES),
        9: sprint(9, board=2),
        10: sprint(10, board=2),
        11: sprint(11, board=5),
    }
    return found


async def read(session: JiraSession, dataset: JiraDataset = BOARD) -> list[Page]:
    assert JIRA.read is not None
    return [page async for page in JIRA.read(session, dataset, None)]


def records(pages: list[Page]) -> dict[str, RecordChange]:
    return {change.entity: change for page in pages for change in page.changes}


async def fetched(session: JiraSession, dataset: JiraDataset, *known: str) -> tuple[set[str], dict[str, Absence]]:
    assert JIRA.fetch is not None
    pages = [page async for page in JIRA.fetch(session, dataset, dict.fromkeys(known, ""), None)]
    return set(records(pages)), {entity: why for page in pages for entity, why in page.absent.items()}


async def test_a_closed_sprint_says_when_it_began_was_to_end_and_was_completed(
    connect: Connect, fake: JiraCloudFake
) -> None:
    begun, completed = datetime(2026, 10, 5, 9, 0, tzinfo=UTC), datetime(2026, 10, 16, 13, 30, tzinfo=UTC)
    assert records(await read(await connect(fake)))["sprint/7"] == RecordChange(
        entity="sprint/7",
        name="Sprint 7",
        version=0,
        created=None,
        fields={
            "state": "closed",
            "goal": "Ship it",
            "board": 1,
            "start": "2026-10-05T09:00:00Z",
            "end": "2026-10-19T09:00:00Z",
            "completed": "2026-10-16T13:30:00Z",
            "created": None,
            "updated": "2026-10-16T13:30:00Z",
        },
        transitions=[
            Transition("state", begun, 0, "future", "active"),
            Transition("state", completed, 1, "active", "closed"),
        ],
        link="https://acme.atlassian.net/secure/RapidBoard.jspa?rapidView=1&sprint=7",
    )


@pytest.mark.parametrize(
    ("given", "states", "updated"),
    [
        (sprint(1), [], None),
        (sprint(1, createdDate="2026-10-01T08:00:00.000Z"), [], "2026-10-01T08:00:00Z"),
        (sprint(1, **DATES), [], None),
        (sprint(1, "active"), [], None),
        (sprint(1, "active", **DATES), ["active"], "2026-10-05T09:00:00Z"),
        (sprint(1, "active", **CLOSED), ["active"], "2026-10-05T09:00:00Z"),  # closed once, and opened again
        (
            sprint(1, "active", activatedDate="2026-10-06T07:00:00.000Z", **DATES),
            ["active"],
            "2026-10-06T07:00:00Z",
        ),
        (sprint(1, "closed", **CLOSED), ["active", "closed"], "2026-10-16T13:30:00Z"),
        (sprint(1, "closed", completeDate="2026-10-16T13:30:00Z"), ["closed"], "2026-10-16T13:30:00Z"),
        # Its beginning was set to after its end.
        (
            sprint(1, "closed", **CLOSED, activatedDate="2026-10-17T00:00:00Z"),
            ["active", "closed"],
            "2026-10-17T00:00:00Z",
        ),
    ],
)
async def test_what_a_sprint_went_through_is_told_by_its_moments(
    connect: Connect, given: dict[str, Any], states: list[str], updated: str | None
) -> None:
    site = small_site(1)
    site.boards = {1: {"id": 1, "name": "Team", "type": "scrum", "filter": "1"}}
    site.sprints = {1: given}
    record = records(await read(await connect(site)))["sprint/1"]
    assert [move.after for move in record.transitions] == states
    assert [move.order for move in record.transitions] == list(range(len(states)))
    assert record.fields["updated"] == updated
    assert record.fields["state"] == given["state"]
    assert record.fields["goal"] is None


@pytest.mark.parametrize(
    ("dataset", "ids"),
    [
        (BOARD, {7, 8, 9}),
        (JiraDataset(stream="sprints", board="other team"), {9, 10}),
        (PROJECT, {7, 8, 9, 10}),
    ],
)
async def test_the_sprints_are_those_of_the_board_or_of_the_projects_boards(
    connect: Connect, fake: JiraCloudFake, dataset: JiraDataset, ids: set[int]
) -> None:
    session = await connect(fake)
    pages = await read(session, dataset)
    changes = [change.entity for page in pages for change in page.changes]
    assert sorted(changes) == sorted(f"sprint/{id}" for id in ids)
    assert JIRA.sweep is not None
    assert {entity async for batch in JIRA.sweep(session, dataset) for entity in batch} == set(changes)


async def test_every_page_of_a_long_list_is_read(connect: Connect, fake: JiraCloudFake) -> None:
    fake.boards[1]["sprints"] = None
    fake.sprints = {id: sprint(id, "closed", **CLOSED) for id in range(1, 122)}
    session = await connect(fake)
    assert len(records(await read(session))) == 121
    assert fake.count(f"{AGILE}/board/1/sprint") == 3
    fake.faults = [jira_faults.edited(f"{AGILE}/board/1/sprint", lambda page: {**page, "values": []}, first=2)]
    with pytest.raises(UnexpectedResponseError, match="sends none"):
        await read(session)


async def test_what_is_not_on_the_board_any_more_is_gone_or_elsewhere(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    del fake.sprints[8]
    known = ("sprint/7", "sprint/8", "sprint/11", "10040")
    assert await fetched(session, BOARD, *known) == (
        {"sprint/7"},
        {"sprint/8": "deleted", "sprint/11": "out_of_scope", "10040": "out_of_scope"},
    )


@pytest.mark.parametrize("dataset", [BOARD, PROJECT])
async def test_a_board_or_project_out_of_sight_takes_no_sprint_away(
    connect: Connect, fake: JiraCloudFake, dataset: JiraDataset
) -> None:
    """The read is refused, so what is kept stays as it was."""
    session = await connect(fake)
    fake.hidden_projects = {"ERP"}
    fake.boards.clear()
    with pytest.raises(QueryError, match="that the account can see"):
        await read(session, dataset)
    with pytest.raises(QueryError, match="that the account can see"):
        await fetched(session, dataset, "sprint/7")


async def test_a_kanban_board_has_none_and_jira_says_so(connect: Connect, fake: JiraCloudFake) -> None:
    with pytest.raises(QueryError, match="does not support sprints"):
        await read(await connect(fake), JiraDataset(stream="sprints", board=3))
    fake.boards[2]["has_sprints"] = False  # a scrum board that refuses is no board without sprints
    with pytest.raises(QueryError, match="does not support sprints"):
        await read(await connect(fake), PROJECT)


async def test_a_field_that_no_sprint_has_is_told(connect: Connect, fake: JiraCloudFake) -> None:
    dataset = JiraDataset(stream="sprints", board=1, fields=("velocity", "completed"))
    pages = await read(await connect(fake), dataset)
    assert pages[-1].warnings == ["Jira's sprints have no field 'velocity': it is always null."]


async def test_data_center_gives_the_same(fake: JiraCloudFake) -> None:
    server = JiraDataCenterFake(list(small_site(1).issues.values()), FLUID_STATUSES, SYSTEM_FIELDS, now=lambda: NOW)
    server.boards, server.sprints = fake.boards, fake.sprints
    given = {"url": "https://jira.acme.example", "token": {"env": "JIRA_TOKEN"}}
    config = bind(JiraConfig.model_validate(given), lambda reference: PAT)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server)) as http:
        assert JIRA.open is not None
        async with JIRA.open(config, Toolbox(http=http, now=lambda: NOW)) as session:
            assert set(records(await read(session, PROJECT))) == {"sprint/7", "sprint/8", "sprint/9", "sprint/10"}


@pytest.mark.parametrize(
    ("dataset", "link"),
    [
        (BOARD, "/secure/RapidBoard.jspa?rapidView=1"),
        (PROJECT, "/browse/ERP"),
        (JiraDataset(stream="worklogs", project="ERP"), "/issues/?jql=project%20%3D%20%22ERP%22"),
    ],
)
def test_a_stream_opens_in_the_browser(dataset: JiraDataset, link: str) -> None:
    assert JIRA.browse is not None
    assert JIRA.browse(jira_config(), dataset) == f"https://acme.atlassian.net{link}"


async def test_recorded_sprints_are_read_as_they_are(connect: Connect, shared_data: Path) -> None:
    with (shared_data / "jira/devlake/_raw_jira_api_sprints.csv").open(encoding="utf-8", newline="") as lines:
        recorded = [json.loads(line["data"]) for line in csv.DictReader(lines)]
    site = small_site(1)
    site.boards = {
        8: {"id": 8, "name": "EE", "type": "scrum", "filter": "1", "sprints": [row["id"] for row in recorded]}
    }
    site.sprints = {row["id"]: row for row in recorded}
    found = records(await read(await connect(site), JiraDataset(stream="sprints", board=8)))
    assert len(found) == len({row["id"] for row in recorded})
    seventh = found["sprint/7"]
    assert (seventh.name, seventh.fields["completed"]) == ("EE Sprint 7", "2020-06-22T05:59:58.980000Z")
    assert all([move.after for move in one.transitions] == ["active", "closed"] for one in found.values())
